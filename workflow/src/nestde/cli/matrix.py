"""Merge one cell type over all samples: raw counts by gene, and the ledger of its genes."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument(
        "--settings",
        required=True,
        help="sections input, genes, model, qc, as JSON or a YAML file",
    )
    parser.add_argument("--samples", type=Path, required=True, help="the checked sample sheet")
    parser.add_argument("--compared", required=True, help="what is compared (JSON, see `Comparison`)")
    parser.add_argument("--cell-type", required=True, help="the cell type, as it is named")
    parser.add_argument("--counts", type=Path, nargs="+", required=True, help="what `nestde qc` wrote")
    parser.add_argument("--out", type=Path, required=True, help="h5ad: X is csc, cells × tested genes")
    parser.add_argument(
        "--cells", type=Path, required=True, help="h5ad without genes: covariates of the cells"
    )
    parser.add_argument("--genes", type=Path, required=True, help="TSV: every gene, tested or why not")


def main(args: argparse.Namespace) -> None:
    """Merge; say how many genes are tested."""
    from nestde.cells.covariates import read_roster, read_uns
    from nestde.cells.matrix import build_matrix
    from nestde.cells.roster import Comparison
    from nestde.io.files import write_tsv
    from nestde.logs import log
    from nestde.study.config import sections
    from nestde.study.samples import read_checked

    config = sections(args.settings)
    cell_type = args.cell_type
    log.info("%s: the cells of %d files are read", cell_type, len(args.counts))
    ledger = build_matrix(
        args.counts,
        cell_type,
        read_checked(args.samples),
        absent_genes=config.input.absent_genes,
        genes=config.genes,
        compared=Comparison.read(args.compared),
        min_cells=config.model.min_cells,
        min_cells_per_sample=config.qc.min_cells_per_sample,
        out=args.out,
        cells_out=args.cells,
    )
    write_tsv(ledger, args.genes, text=["gene", "gene_id", "status", "reason"])
    for sample, why in read_roster(args.cells).left_out.items():
        log.info(f"{cell_type}: {sample} is left out: {why}")
    told = read_uns(args.cells)
    if told["size_factors"]["words"]:
        log.info("%s: %s", cell_type, told["size_factors"]["words"])
    found = told["genes"]
    removed = [f"{rule} {number:,}" for rule, number in found["removed"].items()]
    log.info(
        f"{cell_type}: {found['in_any_sample']:,} genes in any sample, {found['in_every_sample']:,} in every one "
        f"(absent genes: {found['absent_genes']}); {found['tested']:,} are tested, removed: {', '.join(removed) or 'none'}"
    )
