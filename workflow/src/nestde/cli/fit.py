"""Fit the mixed model to one chunk of a cell type's genes."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--settings", required=True, help="configuration: JSON text or a file")
    parser.add_argument("--design", required=True, type=Path, help="design of the cell type (npz)")
    parser.add_argument("--statistics", required=True, type=Path, help="what `nestde statistics` wrote (npz)")
    parser.add_argument("--chunk", required=True, metavar="I-of-N", help="which part of the genes")
    parser.add_argument(
        "--threads", type=int, default=1, help="threads to fit with (results do not depend on it)"
    )
    parser.add_argument("--out", required=True, type=Path, help="table of fits (tsv)")


def main(args: argparse.Namespace) -> None:
    """Read the genes of the chunk, fit, write."""
    from nestde.design.testable import load_design
    from nestde.expression.celltype import fit_table, slice_of_chunk
    from nestde.expression.tables import TEXT
    from nestde.fit.statistics import load
    from nestde.io.files import write_tsv
    from nestde.logs import log
    from nestde.study.config import sections

    config = sections(args.settings)
    statistics = load(args.statistics)
    mine = statistics.of(slice(*slice_of_chunk(args.chunk, len(statistics.genes))))
    design = load_design(args.design)
    log.info("chunk %s: %d of %d genes are fitted", args.chunk, len(mine.genes), len(statistics.genes))
    write_tsv(
        fit_table(design, mine, config.model.test, config.inference.p_value, args.threads), args.out, TEXT
    )
