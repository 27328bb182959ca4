"""Refit a random sample of a cell type's genes by another implementation and write the differences."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--settings", required=True, help="configuration: JSON text or a file")
    parser.add_argument("--design", required=True, type=Path, help="design of the cell type (npz)")
    parser.add_argument(
        "--matrix", required=True, type=Path, help="gene-major counts of the cell type (h5ad)"
    )
    parser.add_argument(
        "--fits", required=True, type=Path, nargs="+", help="tables of fits of the cell type (tsv)"
    )
    parser.add_argument("--out", required=True, type=Path, help="differences (tsv)")


def main(args: argparse.Namespace) -> None:
    """Draw the genes, refit, write."""
    import pandas as pd

    from nestde.arrays import Floats
    from nestde.cells.matrix import read_size_factors
    from nestde.design.testable import NotTestable, load_design
    from nestde.expression.crosscheck import columns, crosscheck, sample_genes
    from nestde.expression.tables import TEXT
    from nestde.fit.family import family
    from nestde.io.counts import Counts
    from nestde.io.files import read_tsv, write_tsv
    from nestde.logs import log
    from nestde.study.config import sections

    config = sections(args.settings)
    design, reference = load_design(args.design), family(config.model.family).reference
    if isinstance(design, NotTestable):
        reason = design.reason
    elif reference is None:
        reason = f"there is no other implementation of the family {config.model.family} at hand"
    else:
        reason = reference.why_not(design)
    if isinstance(design, NotTestable) or reference is None or reason:
        log.info(f"not cross-checked: {reason}")
        write_tsv(pd.DataFrame(columns=columns(reference)), args.out)
        return
    table = pd.concat([read_tsv(path, TEXT) for path in args.fits], ignore_index=True)
    # both log-likelihoods are compared, and the estimates: all three fits must be trusted
    trusted = table["status"].isin(["ok", "singular"]) & table["pvalue_lrt"].notna()
    fitted = table[trusted].drop_duplicates(["gene", "term"])
    numbers = fitted["gene"].value_counts()
    of_all = sorted(numbers.index[numbers == len(design.tests)])
    chosen = sample_genes(of_all, config.inference.crosscheck_genes, config.seed)
    log.info("%d of %d genes are refitted by %s", len(chosen), len(of_all), reference.name)
    # each gene with one of the tests left out, so that each of these is checked at the cost of one
    tests = [test for test in config.model.test if test in design.tests]
    rows = [(gene, tests[i % len(tests)]) for i, gene in enumerate(chosen)]
    with Counts(args.matrix) as matrix:
        position = {gene: i for i, gene in enumerate(matrix.genes())}

        def counts(gene: str) -> Floats:
            found: Floats = matrix.slice(position[gene], position[gene] + 1).toarray()[:, 0].astype(float)
            return found

        differences = crosscheck(
            *(reference, design, fitted.set_index(["gene", "term"], drop=False).loc[rows]),
            *(counts, read_size_factors(args.matrix), config.inference.crosscheck_tolerance),
        )
    write_tsv(differences, args.out, text=["gene", "verdict"])
