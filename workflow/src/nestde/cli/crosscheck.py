"""Refit a random sample of a cell type's genes by another implementation and write the differences."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--settings", required=True, help="configuration: JSON text or a file")
    parser.add_argument("--design", required=True, type=Path, help="design of the cell type (npz)")
    parser.add_argument("--cells", required=True, type=Path, help="what is known of the cells (h5ad)")
    parser.add_argument(
        "--drawn", required=True, type=Path, help="counts of the genes that were drawn (h5ad)"
    )
    parser.add_argument(
        "--fits", required=True, type=Path, nargs="+", help="tables of fits of the cell type (tsv)"
    )
    parser.add_argument("--out", required=True, type=Path, help="differences (tsv)")


def main(args: argparse.Namespace) -> None:
    """Draw the genes, refit, write."""
    import pandas as pd

    from nestde.arrays import Floats
    from nestde.cells.covariates import read_measured
    from nestde.design.testable import NotTestable, load_design
    from nestde.expression.crosscheck import columns, crosscheck
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
    of_all = set(numbers.index[numbers == len(design.tests)])
    tests = [test for test in config.model.test if test in design.tests]
    size_factor = read_measured(args.cells)["size_factor"].to_numpy(float)
    with Counts(args.drawn) as matrix:
        position = {gene: i for i, gene in enumerate(matrix.genes())}
        chosen = [gene for gene in position if gene in of_all][: config.inference.crosscheck_genes]
        log.info("%d of %d genes are refitted by %s", len(chosen), len(of_all), reference.name)
        # each gene with one of the tests left out, so that each of these is checked at the cost of one
        rows = [(gene, tests[i % len(tests)]) for i, gene in enumerate(chosen)]

        def counts(gene: str) -> Floats:
            found: Floats = matrix.slice(position[gene], position[gene] + 1).toarray()[:, 0].astype(float)
            return found

        differences = crosscheck(
            *(reference, design, fitted.set_index(["gene", "term"], drop=False).loc[rows]),
            *(counts, size_factor, config.inference.crosscheck_tolerance),
        )
    write_tsv(differences, args.out, text=["gene", "verdict"])
