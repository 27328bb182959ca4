"""Simulate a cohort with known truth: raw counts, sample sheet and the true effects."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``nestde simulate``."""
    # the defaults of simulate.Cohort, told again as importing it would make --help slow; a test compares
    parser.add_argument("out", type=Path, help="folder for counts.h5ad, samples.tsv and truth")
    parser.add_argument("--donors", type=int, default=12, help="donors per diagnosis (default: 12)")
    parser.add_argument("--cells", type=int, default=100, help="cells per donor (default: 100)")
    parser.add_argument("--genes", type=int, default=700, help="genes (default: 700)")
    parser.add_argument("--depth", type=int, default=3000, help="median counts per cell (default: 3000)")
    parser.add_argument("--cell-types", nargs="+", default=["Neuron", "Astrocyte"], metavar="NAME")
    parser.add_argument(
        "--diagnoses", nargs="+", default=["Control", "AD"], metavar="NAME", help="first: reference"
    )
    parser.add_argument("--batches", type=int, default=3, help="batches, balanced over it (default: 3)")
    parser.add_argument("--de-share", type=float, default=0.15, help="share of DE genes (default: 0.15)")
    parser.add_argument("--unequal", action="store_true", help="donors differ in their number of cells")
    parser.add_argument(
        "--alias-batch", action="store_true", help="each diagnosis is its own batch: a study to be refused"
    )
    parser.add_argument("--seed", type=int, default=1, help="same seed, same bytes (default: 1)")


def main(args: argparse.Namespace) -> None:
    """Simulate and write."""
    from dataclasses import fields

    from nestde.simulate import Cohort, write

    options = {field.name: getattr(args, field.name) for field in fields(Cohort)}
    options |= {name: tuple(options[name]) for name in ("cell_types", "diagnoses")}
    write(Cohort(**options), args.out)
