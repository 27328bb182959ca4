"""Put the chunks together: one table per cell type, every gene in it, false discovery rates, totals."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--settings", required=True, help="configuration: JSON text or a file")
    parser.add_argument(
        "--genes", required=True, nargs="+", type=Path, help="gene ledgers, <cell type>.genes.tsv"
    )
    parser.add_argument(
        "--fits", required=True, nargs="+", type=Path, help="chunk tables, <cell type>/<chunk>.tsv"
    )
    parser.add_argument(
        "--moderated",
        required=True,
        nargs="+",
        type=Path,
        help="what `nestde moderate` wrote, <cell type>.tsv",
    )
    parser.add_argument("--out", required=True, nargs="+", type=Path, help="result tables, <cell type>.tsv")
    parser.add_argument(
        "--parquet", nargs="+", default=[], type=Path, help="the same, typed, <cell type>.parquet"
    )
    parser.add_argument("--summary", required=True, type=Path, help="totals per cell type (tsv)")


def main(args: argparse.Namespace) -> None:
    """Read every chunk, adjust, write."""
    from nestde.expression.tables import TEXT, adjust, combine, totals
    from nestde.fit.family import family
    from nestde.io.files import read_tsv, slugs, write_parquet, write_tsv
    from nestde.logs import log
    from nestde.study.config import sections

    config = sections(args.settings)
    tables = {}
    for cell_type, name in slugs(config.cell_types).items():
        (ledger,) = (path for path in args.genes if path.name == f"{name}.genes.tsv")
        chunks = sorted(path for path in args.fits if path.parent.name == name)
        (moderated,) = (path for path in args.moderated if path.stem == name)
        tables[name] = combine(
            cell_type,
            read_tsv(ledger, TEXT),
            [read_tsv(path, TEXT) for path in chunks],
            config.model.test,
            config.inference.p_value,
            family(config.model.family),
            read_tsv(moderated, TEXT),
            config.model.weights_of_levels(),
        )
        log.info("%s: %d rows of %d chunks", cell_type, len(tables[name]), len(chunks))
    tables = adjust(tables)
    for path in args.out:
        write_tsv(tables[path.stem], path, TEXT)
    for path in args.parquet:
        write_parquet(tables[path.stem], path)
    write_tsv(totals(tables, config.inference.fdr), args.summary)
