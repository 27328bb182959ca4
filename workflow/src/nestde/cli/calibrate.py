"""Measure how often each p-value is small where nothing differs, by giving samples each other's labels.

nestde calibrate --settings config/config.yaml --design results/design/Neuron.npz --statistics results/statistics/Neuron.npz \
    --out neuron.tsv --genes neuron.genes.tsv --about neuron.json
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--settings", required=True, help="configuration: JSON text or a file")
    parser.add_argument("--design", required=True, type=Path, help="design of the cell type (npz)")
    parser.add_argument("--statistics", required=True, type=Path, help="what `nestde statistics` wrote (npz)")
    parser.add_argument("--threads", type=int, default=1, help="results do not depend on it")
    parser.add_argument("--out", required=True, type=Path, help="size and findings of each p-value (tsv)")
    parser.add_argument(
        "--genes",
        required=True,
        type=Path,
        help="adjusted p-value of each gene, max-T; empty for few relabellings (tsv)",
    )
    parser.add_argument(
        "--about", required=True, type=Path, help="what was relabelled, or why nothing (json)"
    )


def main(args: argparse.Namespace) -> None:
    """Read, relabel, write."""
    import pandas as pd

    from nestde.calibrate.calibration import COLUMNS, OF_GENES, about, calibrate
    from nestde.design.testable import NotTestable, load_design
    from nestde.fit.statistics import load
    from nestde.io.files import write_json, write_tsv
    from nestde.study.config import sections

    config = sections(args.settings)
    design, statistics = load_design(args.design), load(args.statistics)
    if isinstance(design, NotTestable) or not config.calibration.enabled:
        why = design.reason if isinstance(design, NotTestable) else "calibration.enabled is false"
        write_tsv(pd.DataFrame(columns=COLUMNS), args.out)
        write_tsv(pd.DataFrame(columns=OF_GENES), args.genes)
        write_json({term: {"relabellings": 0, "reason": why} for term in config.model.test}, args.about)
        return
    found = [
        calibrate(
            *(design, statistics, term, config.inference.p_value),
            number=config.calibration.relabellings,
            seed=config.seed,
            fdr=config.inference.fdr,
            threads=args.threads,
        )
        for term in config.model.test
    ]
    write_tsv(_together([each.table for each in found]), args.out)
    write_tsv(_together([each.genes for each in found]), args.genes)
    write_json({each.term: about(each) for each in found}, args.about)


def _together(tables: "list[pd.DataFrame]") -> "pd.DataFrame":
    """Tables below each other; pandas takes the types of empty ones, which have none, for those of the whole."""
    import pandas as pd

    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else tables[0]
