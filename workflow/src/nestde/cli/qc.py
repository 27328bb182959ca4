"""Quality control of samples: which cells stay, and a ledger of why the others do not."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--settings", required=True, help="sections qc and seed, as JSON or a YAML file")
    parser.add_argument("--samples", required=True, nargs="+", help="slugs of the samples")
    parser.add_argument("--counts", type=Path, required=True, nargs="+", help="what `nestde ingest` wrote")
    parser.add_argument("--out", type=Path, required=True, nargs="+", help="h5ad of each sample's kept cells")
    parser.add_argument(
        "--cells",
        type=Path,
        required=True,
        nargs="+",
        help="TSV of each sample: metrics and verdict of every cell",
    )
    parser.add_argument(
        "--ledgers", type=Path, required=True, nargs="+", help="JSON of each sample: counts of cells by rule"
    )


def main(args: argparse.Namespace) -> None:
    """Control each sample; write its cells, its table and its ledger."""
    from nestde.cells.qc import control
    from nestde.errors import NestdeError, a_few
    from nestde.io.counts import Counts
    from nestde.io.files import write_json, write_tsv
    from nestde.logs import log
    from nestde.study.config import sections

    config = sections(args.settings)
    found: dict[str, tuple[Path, str]] = {}
    for path in args.counts:
        with Counts(path) as counts:
            uns = counts.uns()
            names = zip(map(str, uns["slugs"]), map(str, uns["samples"]), strict=True)
            found |= {slugged: (path, name) for slugged, name in names}
    missing = [name for name in args.samples if name not in found]
    if missing:
        raise NestdeError(f"{a_few(map(str, args.counts))}: no sample {a_few(missing)} in it.")
    for name, out, table, told in zip(args.samples, args.out, args.cells, args.ledgers, strict=True):
        path, sample = found[name]
        log.info("%s: is read", sample)
        cells, ledger = control(path, sample, config.qc, config.seed, out)
        write_tsv(cells, table, text=["barcode", "cell_type", "removed_by"])
        write_json(ledger, told)
        log.info(f"{sample}: {ledger['cells_in']:,} cells came, {ledger['cells_kept']:,} are kept")
