"""Refit a random sample of a cell type's genes with statsmodels and write the differences."""

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
    import numpy as np
    import pandas as pd

    from nestde.cells.matrix import read_size_factors
    from nestde.design.testable import NotTestable, load_design
    from nestde.expression.crosscheck import COLUMNS, crosscheck, sample_genes, why_not
    from nestde.expression.tables import TEXT
    from nestde.io.counts import Counts
    from nestde.io.files import read_tsv, write_tsv
    from nestde.logs import log
    from nestde.study.config import sections

    config = sections(args.settings)
    design = load_design(args.design)
    reason = design.reason if isinstance(design, NotTestable) else why_not(design)
    if isinstance(design, NotTestable) or reason:
        log.info(f"not cross-checked: {reason}")
        write_tsv(pd.DataFrame(columns=COLUMNS), args.out)
        return
    term = config.model.test[0]
    table = pd.concat([read_tsv(path, TEXT) for path in args.fits], ignore_index=True)
    # both log-likelihoods are compared, and the estimates: all three fits must be trusted
    trusted = table["status"].isin(["ok", "singular"]) & table["pvalue_lrt"].notna()
    fitted = table[(table["term"] == term) & trusted].drop_duplicates("gene")
    chosen = sample_genes(sorted(fitted["gene"]), config.inference.crosscheck_genes, config.seed)
    log.info("%d of %d genes are refitted by statsmodels", len(chosen), len(fitted))
    size_factor = read_size_factors(args.matrix)
    with Counts(args.matrix) as matrix:
        position = {gene: i for i, gene in enumerate(matrix.genes())}

        def response(gene: str) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
            counts = matrix.slice(position[gene], position[gene] + 1)
            return np.log1p(counts.toarray()[:, 0] / size_factor)

        rows = fitted.set_index("gene", drop=False).loc[chosen]
        differences = crosscheck(design, rows, term, response, config.inference.crosscheck_tolerance)
    write_tsv(differences, args.out)
