"""Quality control of one sample: which cells stay, and a ledger of why the others do not."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--settings", required=True, help="sections qc and seed, as JSON or a YAML file")
    parser.add_argument("--sample", required=True, help="slug of the sample")
    parser.add_argument("--counts", type=Path, required=True, help="what `nestde ingest` wrote")
    parser.add_argument("--out", type=Path, required=True, help="h5ad of the kept cells")
    parser.add_argument("--cells", type=Path, required=True, help="TSV: metrics and verdict of every cell")
    parser.add_argument("--ledger", type=Path, required=True, help="JSON: counts of cells by rule")


def main(args: argparse.Namespace) -> None:
    """Control the sample, write its cells, its table and its ledger."""
    from nestde.config import sections
    from nestde.counts import Counts
    from nestde.errors import NestdeError
    from nestde.files import slug, write_json, write_tsv
    from nestde.qc import control

    config = sections(args.settings)
    with Counts(args.counts) as counts:
        samples = [str(name) for name in counts.uns()["samples"]]
    named = [name for name in samples if slug(name) == args.sample]
    if not named:
        raise NestdeError(f"{args.counts}: holds no sample {args.sample}.")
    cells, ledger = control(args.counts, named[0], config.qc, config.seed, args.out)
    write_tsv(cells, args.cells)
    write_json(ledger, args.ledger)
    print(f"{named[0]}: {ledger['cells_in']:,} cells came, {ledger['cells_kept']:,} are kept")
