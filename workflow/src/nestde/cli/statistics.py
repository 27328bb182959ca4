"""Sum up the counts of one cell type: all that fits and tests need of them, a few numbers per gene and sample.

The only step of the model that reads counts; what comes after it starts from these sums, which serve every formula with the
same columns of single cells. A few genes are kept as counts, for the cross-check.
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--settings", required=True, help="configuration: JSON text or a file")
    parser.add_argument(
        "--cellwise", required=True, help="what of the formula varies within samples (JSON, see `Cellwise`)"
    )
    parser.add_argument("--samples", type=Path, required=True, help="the checked sample sheet")
    parser.add_argument("--cells", required=True, type=Path, help="covariates of the cells (h5ad)")
    parser.add_argument(
        "--matrix", required=True, type=Path, help="gene-major counts of the cell type (h5ad)"
    )
    parser.add_argument(
        "--threads", type=int, default=1, help="threads to sum with (results do not depend on it)"
    )
    parser.add_argument("--out", required=True, type=Path, help="statistics of every tested gene (npz)")
    parser.add_argument(
        "--drawn", required=True, type=Path, help="counts of some genes, drawn by the seed (h5ad)"
    )


def main(args: argparse.Namespace) -> None:
    """Read block after block, sum, write."""
    from nestde.cells.covariates import read_measured, read_obs
    from nestde.cells.matrix import blocks_of_genes, keep_genes
    from nestde.design.cellwise import Cellwise
    from nestde.errors import NestdeError
    from nestde.expression.crosscheck import draw
    from nestde.fit.family import family
    from nestde.fit.grain import grain
    from nestde.fit.statistics import save, sum_up, together
    from nestde.logs import log
    from nestde.study.config import sections
    from nestde.study.samples import read_checked

    config = sections(args.settings)
    chosen, size_factor = (
        family(config.model.family),
        read_measured(args.cells)["size_factor"].to_numpy(float),
    )
    try:
        kept = grain(*Cellwise.read(args.cellwise).of_cells(read_obs(args.cells, read_checked(args.samples))))
    except NestdeError as error:
        log.info(f"nothing is summed: {error}")
        kept = None
    parts = []
    for counts, genes in blocks_of_genes(args.matrix):
        log.info("%d genes of %d cells are summed", len(genes), len(size_factor))
        parts.append(sum_up(chosen, kept, counts, size_factor, genes, args.threads))
    whole = together(parts)
    save(whole, args.out)
    keep_genes(
        args.matrix, draw(list(whole.genes), config.inference.crosscheck_genes, config.seed), args.drawn
    )
