"""Forecast a run: CPU time, memory and disk of each rule, and the number of gene chunks, from a short timed fit of the data."""

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
    parser.add_argument(
        "--from",
        dest="benchmarks",
        metavar="BENCHMARKS",
        type=Path,
        help="folder benchmarks/ of a study that was run: learn from it what this machine takes for each rule",
    )


def main(args: argparse.Namespace) -> None:
    """Forecast and say it."""
    from nestde.errors import printable
    from nestde.run.plan import plan, used
    from nestde.study.config import enter, load

    told = args.benchmarks.resolve() if args.benchmarks else None
    taken = used(told) if told else {}
    config = load(enter(args.directory, args.configfile))
    here = Path.cwd()
    found = plan(config, args.minutes)
    if told:
        # what this forecast would have said of that run
        then = found if told.parent == here else plan(load(enter(told.parent, None)), args.minutes)
        enter(here, None)
        found = found.learnt(taken, then)
    print(printable("\n".join(found.story())))
