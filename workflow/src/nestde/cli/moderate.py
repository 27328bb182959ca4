"""Compute the p-values that need all genes of a cell type, from its statistics."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--settings", required=True, help="configuration: JSON text or a file")
    parser.add_argument("--design", required=True, type=Path, help="design of the cell type (npz)")
    parser.add_argument("--statistics", required=True, type=Path, help="what `nestde statistics` wrote (npz)")
    parser.add_argument("--threads", type=int, default=1, help="results do not depend on it")
    parser.add_argument("--out", required=True, type=Path, help="table of p-values (tsv)")
    parser.add_argument(
        "--prior", required=True, type=Path, help="what all genes tell of the variances (tsv)"
    )
    parser.add_argument("--reasons", required=True, type=Path, help="why a p-value is not there (json)")


def main(args: argparse.Namespace) -> None:
    """Read, test, write."""
    from nestde.design.testable import load_design
    from nestde.expression.celltype import moderate
    from nestde.expression.tables import TEXT
    from nestde.fit.statistics import load
    from nestde.io.files import write_json, write_tsv
    from nestde.logs import log
    from nestde.study.config import sections

    config = sections(args.settings)
    statistics = load(args.statistics)
    log.info("%d genes are tested together", len(statistics.genes))
    found = moderate(load_design(args.design), statistics, config.model.test, args.threads)
    for term, lacking in found.reasons.items():
        for name, why in lacking.items():
            log.info("%s has no p-value by %s: %s", term, name, why)
    write_tsv(found.table, args.out, TEXT)
    write_tsv(found.prior, args.prior)
    write_json(found.reasons, args.reasons)
