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
    import pandas as pd

    from nestde.expression.tables import TEXT, combine, rates_of, totals, with_rates
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
    out, parquet = ({path.stem: path for path in paths} for paths in (args.out, args.parquet))
    rates, counted = rates_of(tables), []
    for name in list(tables):
        # one at a time, and let go: of sixty cell types two of each would be held
        table = with_rates(tables.pop(name), rates.pop(name))
        write_tsv(table, out[name], TEXT)
        if name in parquet:
            write_parquet(table, parquet[name])
        counted.append(totals({name: table}, config.inference.fdr))
    write_tsv(pd.concat(counted, ignore_index=True), args.summary)
