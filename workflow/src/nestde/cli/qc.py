"""Quality control of samples: which cells stay, and a ledger of why the others do not."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument(
        "--settings", required=True, help="sections input, qc and seed, as JSON or a YAML file"
    )
    parser.add_argument("--samples", required=True, nargs="+", help="slugs of the samples")
    parser.add_argument("--sheet", type=Path, required=True, help="the checked sample sheet")
    parser.add_argument(
        "--counts",
        type=Path,
        nargs="*",
        default=[],
        help="what `nestde ingest` wrote; a sample that is in none of them is read from its own file",
    )
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
    from nestde.cells.ingest import ingest_one
    from nestde.cells.qc import control
    from nestde.cells.sample import sample_of
    from nestde.errors import NestdeError, a_few
    from nestde.io.counts import Counts
    from nestde.io.files import slugs, write_json, write_tsv
    from nestde.logs import log
    from nestde.provenance.digests import reading
    from nestde.study.config import sections
    from nestde.study.samples import inputs_of, read_checked

    config = sections(args.settings)
    ingested: dict[str, tuple[Path, str]] = {}
    for path in args.counts:
        with Counts(path) as counts:
            uns = counts.uns()
            names = zip(map(str, uns["slugs"]), map(str, uns["samples"]), strict=True)
            ingested |= {slugged: (path, name) for slugged, name in names}
    sheet = read_checked(args.sheet)
    of = slugs(sheet["sample_id"])
    rows = zip(sheet["sample_id"], sheet["counts"], strict=True)
    own = {of[name]: (Path(path), name) for name, path in rows if (sheet["counts"] == path).sum() == 1}
    missing = [name for name in args.samples if name not in own | ingested]
    if missing:
        raise NestdeError(f"{a_few(map(str, args.counts))}: no sample {a_few(missing)} in it.")
    for slugged, out, table, told in zip(args.samples, args.out, args.cells, args.ledgers, strict=True):
        path, name = (own | ingested)[slugged]
        log.info("%s: is read", name)
        if slugged in ingested:
            sample = sample_of(path, name)
        else:
            with reading([*inputs_of(str(path)), *filter(None, [config.input.cell_metadata])]):
                sample = ingest_one(path, name, config.input)
        cells, ledger = control(sample, config.qc, config.seed, out)
        write_tsv(cells, table, text=["barcode", "cell_type", "removed_by"])
        write_json(ledger, told)
        log.info(f"{name}: {ledger['cells_in']:,} cells came, {ledger['cells_kept']:,} are kept")
