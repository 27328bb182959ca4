"""Fit the mixed model to one chunk of a cell type's genes."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--settings", required=True, help="configuration: JSON text or a file")
    parser.add_argument("--design", required=True, type=Path, help="design of the cell type (npz)")
    parser.add_argument(
        "--matrix", required=True, type=Path, help="gene-major counts of the cell type (h5ad)"
    )
    parser.add_argument("--chunk", required=True, metavar="I-of-N", help="which part of the genes")
    parser.add_argument(
        "--threads", type=int, default=1, help="threads to fit with (results do not depend on it)"
    )
    parser.add_argument("--out", required=True, type=Path, help="table of fits (tsv)")


def main(args: argparse.Namespace) -> None:
    """Read the slice, fit, write."""
    from nestde.celltype import fit_table, load_design, slice_of_chunk
    from nestde.config import sections
    from nestde.files import write_tsv
    from nestde.matrix import read_obs, read_slice, shape

    config = sections(args.settings)
    start, stop = slice_of_chunk(args.chunk, shape(args.matrix)[1])
    counts, genes = read_slice(args.matrix, start, stop)
    size_factor = read_obs(args.matrix)["size_factor"].to_numpy(float)
    design = load_design(args.design)
    table = fit_table(
        design, counts, size_factor, genes, config.model.test, config.inference.p_value, args.threads
    )
    write_tsv(table, args.out)
