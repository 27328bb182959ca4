"""Test whether the share of any cell type differs between samples, from what quality control left of each."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--settings", required=True, help="section model, as JSON or a YAML file")
    parser.add_argument("--samples", type=Path, required=True, help="the checked sample sheet")
    parser.add_argument(
        "--ledgers", type=Path, nargs="+", required=True, help="JSON of each sample, of `nestde qc`"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="TSV: every cell type, tested term and pair of levels"
    )
    parser.add_argument("--shares", type=Path, required=True, help="TSV: cells of each sample and cell type")
    parser.add_argument(
        "--about", type=Path, required=True, help="JSON: what was fitted, and who was left out"
    )


def main(args: argparse.Namespace) -> None:
    """Test; say with which formula and how many cell types."""
    from nestde.expression import composition
    from nestde.io.files import read_json, write_json, write_tsv
    from nestde.logs import log
    from nestde.study.config import sections
    from nestde.study.samples import read_checked

    ledgers = {ledger["sample_id"]: ledger for ledger in map(read_json, args.ledgers)}
    cells = {
        sample: {name: of["kept"] for name, of in ledger["cell_types"].items()}
        for sample, ledger in ledgers.items()
        if not ledger["left_out"]
    }
    found = composition.test(cells, read_checked(args.samples), sections(args.settings).model)
    write_tsv(found.table, args.out, composition.TEXT)
    write_tsv(found.shares, args.shares, ["sample_id", "cell_type"])
    about = {
        "formula": found.formula.text,
        "paired": list(found.formula.paired),
        "unit": found.unit,
        "left_out": {name: ledger["left_out"] for name, ledger in ledgers.items() if ledger["left_out"]},
    }
    write_json(about, args.about)
    log.info(f"{found.formula.text}: shares of {found.table['cell_type'].nunique()} cell types are tested")
