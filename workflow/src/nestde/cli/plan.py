"""Forecast a run: jobs, hours, memory and the number of gene chunks, from a short timed fit of the data."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument(
        "--configfile",
        default="config/config.yaml",
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
    from nestde.study.config import load

    print(printable("\n".join(plan(load(args.configfile), args.minutes).story())))
