"""Sum up the counts of one cell type: all that fits and tests need of them, a few numbers per gene and sample.

The only step of the model that reads counts; what comes after it starts from these sums.
"""

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
        "--threads", type=int, default=1, help="threads to sum with (results do not depend on it)"
    )
    parser.add_argument("--out", required=True, type=Path, help="statistics of every tested gene (npz)")


def main(args: argparse.Namespace) -> None:
    """Read block after block, sum, write."""
    from nestde.cells.matrix import blocks_of_genes, read_size_factors
    from nestde.design.testable import load_design
    from nestde.fit.family import family
    from nestde.fit.statistics import save, sum_up, together
    from nestde.logs import log
    from nestde.study.config import sections

    chosen = family(sections(args.settings).model.family)
    design = load_design(args.design)
    size_factor = read_size_factors(args.matrix)
    parts = []
    for counts, genes in blocks_of_genes(args.matrix):
        log.info("%d genes of %d cells are summed", len(genes), len(size_factor))
        parts.append(sum_up(chosen, design, counts, size_factor, genes, args.threads))
    save(together(parts), args.out)
