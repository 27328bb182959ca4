"""Sum one cell type per sample: profiles of counts, and counts per million."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument(
        "--settings",
        required=True,
        help="sections input, genes, qc, pseudobulk, as JSON or a YAML file",
    )
    parser.add_argument("--samples", type=Path, required=True, help="the checked sample sheet")
    parser.add_argument("--compared", required=True, help="what is compared (JSON, see `Comparison`)")
    parser.add_argument("--cell-type", required=True, help="the cell type, as it is named")
    parser.add_argument("--counts", type=Path, nargs="+", required=True, help="what `nestde qc` wrote")
    parser.add_argument("--out", type=Path, required=True, help="h5ad: samples × genes")
    parser.add_argument("--table", type=Path, required=True, help="TSV: genes × samples, counts and CPM")


def main(args: argparse.Namespace) -> None:
    """Sum; say how many profiles are to be tested."""
    from nestde.cells.pseudobulk import profiles, table, write
    from nestde.cells.roster import Comparison
    from nestde.io.counts import OURS
    from nestde.io.files import write_tsv
    from nestde.logs import log
    from nestde.study.config import sections
    from nestde.study.samples import read_checked

    config = sections(args.settings)
    log.info("%s: the cells of %d files are summed", args.cell_type, len(args.counts))
    found = profiles(
        args.counts,
        args.cell_type,
        read_checked(args.samples),
        absent_genes=config.input.absent_genes,
        compared=Comparison.read(args.compared),
        config=config.pseudobulk,
        size_factors=config.genes.size_factors,
        min_cells_per_sample=config.qc.min_cells_per_sample,
    )
    write(found, args.out)
    write_tsv(table(found), args.table, text=["gene"])
    tested = (found.obsm[OURS]["left_out"] == "").sum()
    if found.uns["size_factors"]["words"]:
        log.info("%s: %s", found.uns["cell_type"], found.uns["size_factors"]["words"])
    log.info(f"{found.uns['cell_type']}: {tested} of {found.n_obs} profiles are tested")
