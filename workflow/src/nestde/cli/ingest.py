"""Read one input file: the cells of its samples, their raw counts checked, sorted by sample."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--settings", required=True, help="section input, as JSON or a YAML file")
    parser.add_argument("--samples", type=Path, required=True, help="the checked sample sheet")
    parser.add_argument(
        "--source", required=True, help="which file: slug of its path in the column counts of the sheet"
    )
    parser.add_argument("--out", type=Path, required=True, help="h5ad")


def main(args: argparse.Namespace) -> None:
    """Read, check, sort, write; say how many cells of each sample there are."""
    from nestde.cells.ingest import ingest
    from nestde.errors import NestdeError
    from nestde.io.files import slugs
    from nestde.logs import log
    from nestde.provenance.digests import reading
    from nestde.study.config import sections
    from nestde.study.samples import inputs_of, read_checked

    sheet = read_checked(args.samples)
    rows = sheet[sheet["counts"].map(slugs(sheet["counts"])) == args.source]
    if rows.empty:
        raise NestdeError(f"{args.samples}: no sample is of source {args.source}.")
    path, config = rows["counts"].iloc[0], sections(args.settings).input
    log.info("%s: is read for %d samples", path, len(rows))
    with reading([*inputs_of(path), *filter(None, [config.cell_metadata])]):
        uns = ingest(path, list(rows["sample_id"]), config, args.out, sheet["sample_id"])
    log.info(
        f"{path}: {uns['came'].sum():,} cells of {len(rows):,} samples, {uns['kept'].sum():,} kept; {uns['others']:,} "
        "cells of samples that are not in the sheet"
    )
