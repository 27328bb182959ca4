"""Fit another model family to a cell type's genes, beside the headline's: from its counts to a table in one step."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--settings", required=True, help="configuration: JSON text or a file")
    parser.add_argument("--family", required=True, help="one of model.also")
    parser.add_argument("--cell-type", required=True, help="its name")
    parser.add_argument("--design", required=True, type=Path, help="design of the cell type (npz)")
    parser.add_argument("--genes", required=True, type=Path, help="ledger of its genes (tsv)")
    parser.add_argument("--cells", required=True, type=Path, help="what is known of the cells (h5ad)")
    parser.add_argument(
        "--matrix", required=True, type=Path, help="gene-major counts of the cell type (h5ad)"
    )
    parser.add_argument("--threads", type=int, default=1, help="results do not depend on it")
    parser.add_argument("--out", required=True, type=Path, help="result table (tsv)")


def main(args: argparse.Namespace) -> None:
    """Read, fit, write."""
    from nestde.cells.covariates import read_measured
    from nestde.cells.matrix import blocks_of_genes
    from nestde.design.testable import load_design
    from nestde.expression.also import also_table
    from nestde.expression.tables import TEXT
    from nestde.fit.family import family
    from nestde.io.files import read_tsv, write_tsv
    from nestde.study.config import sections

    table = also_table(
        *(args.cell_type, load_design(args.design), family(args.family), read_tsv(args.genes, TEXT)),
        *(blocks_of_genes(args.matrix), read_measured(args.cells)["size_factor"].to_numpy(float)),
        *(sections(args.settings).model, args.threads),
    )
    write_tsv(table, args.out, TEXT)
