"""Forecast a run: jobs, hours, memory and the number of gene chunks, from a short timed fit of the data."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument(
        *("-d", "--directory"), metavar="DIR", type=Path, default=Path(), help="folder of the study"
    )
    parser.add_argument(
        "--configfile",
        metavar="FILE",
        help="configuration (default: config/config.yaml)",
    )
    parser.add_argument(
        "--minutes", type=float, default=10, help="how long the longest fit job should take (default: 10)"
    )


def main(args: argparse.Namespace) -> None:
    """Forecast and say it."""
    from nestde.errors import printable
    from nestde.run.plan import plan
    from nestde.study.config import enter, load

    config = load(enter(args.directory, args.configfile))
    print(printable("\n".join(plan(config, args.minutes).story())))
