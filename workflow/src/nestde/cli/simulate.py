"""Simulate a cohort with known truth, made up or like a study that was fitted: raw counts, sample sheet, the true effects.

nestde simulate OUT --donors 6
nestde simulate OUT --like results/ --donors 12 --cells 200

With --like genes, cells and samples are those of the results, with their means, dispersions and variances, and effects are new.
"""

import argparse
from pathlib import Path
from typing import Any

# Options that only one of both ways has.
_MADE_UP = ("genes", "depth", "cell_types", "diagnoses", "batches", "unequal", "alias_batch")
_LIKE = ("log2fc",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``nestde simulate``."""
    # the defaults of simulate.Cohort are told again, as importing it would make --help slow; a test compares. None: not given
    parser.add_argument("out", type=Path, help="folder for counts.h5ad, samples.tsv and truth")
    parser.add_argument("--like", type=Path, metavar="RESULTS", help="results of a study to be like")
    parser.add_argument("--donors", type=int, help="donors per diagnosis (default: 12; as many as of --like)")
    parser.add_argument(
        "--cells", type=int, help="cells per donor (default: 100; of each cell type as of --like)"
    )
    parser.add_argument("--genes", type=int, help="genes (default: 700)")
    parser.add_argument("--depth", type=int, help="median counts per cell (default: 3000)")
    parser.add_argument(
        "--cell-types", nargs="+", metavar="NAME", help="default: Neuron Astrocyte; all of --like"
    )
    parser.add_argument(
        "--diagnoses", nargs="+", metavar="NAME", help="first: reference (default: Control AD)"
    )
    parser.add_argument("--batches", type=int, help="batches, balanced over it (default: 3)")
    parser.add_argument("--de-share", type=float, help="share of DE genes (default: 0.15; 0.1 of --like)")
    parser.add_argument(
        "--log2fc",
        type=float,
        nargs=2,
        metavar=("LEAST", "MOST"),
        help="effects of --like (default: 0.4 1.6)",
    )
    parser.add_argument(
        "--unequal", action="store_const", const=True, help="donors differ in their number of cells"
    )
    parser.add_argument(
        "--alias-batch",
        action="store_const",
        const=True,
        help="each diagnosis is its own batch: a study to be refused",
    )
    parser.add_argument("--seed", type=int, default=1, help="same seed, same bytes (default: 1)")


def main(args: argparse.Namespace) -> None:
    """Simulate and write."""
    from dataclasses import fields

    from nestde.errors import Faults
    from nestde.simulate.cohorts import Cohort, write

    given: dict[str, Any] = {name: value for name, value in vars(args).items() if value is not None}
    given |= {name: tuple(given[name]) for name in ("cell_types", "diagnoses", "log2fc") if name in given}
    faults = Faults()
    for name in _MADE_UP if args.like else _LIKE:
        if name in given and not (args.like and name == "cell_types"):
            what = "is of made-up cohorts" if args.like else "is of cohorts like a study"
            faults.add(
                f"--{name.replace('_', '-')}: {what}. Leave it out, or {'--like' if args.like else 'give --like'}."
            )
    faults.raise_if_any()
    if args.like is None:
        options = {field.name: given[field.name] for field in fields(Cohort) if field.name in given}
        write(Cohort(**options), args.out)
        return
    from nestde.simulate.learnt import learn_all
    from nestde.simulate.like import Asked, write_like

    options = {field.name: given[field.name] for field in fields(Asked) if field.name in given}
    write_like(learn_all(args.like, given.get("cell_types")), Asked(**options), args.out)
