"""Say again what a finished run found, and where its report is.

With --open, the report is opened in the browser.
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument(
        *("-d", "--directory"), metavar="DIR", type=Path, default=Path(), help="folder of the study"
    )
    parser.add_argument("--configfile", metavar="FILE", help="configuration (default: config/config.yaml)")
    parser.add_argument(
        "--results",
        metavar="DIR",
        type=Path,
        default=Path("results"),
        help="its results folder (default: results)",
    )
    parser.add_argument("--open", action="store_true", help="open the report in the browser")


def main(args: argparse.Namespace) -> None:
    """Say it."""
    import webbrowser

    from nestde.errors import NestdeError
    from nestde.io.layout import PAGE
    from nestde.run.closing import say
    from nestde.study.config import enter, load

    config = load(enter(args.directory, args.configfile))
    page = args.results / PAGE
    if not page.exists():
        raise NestdeError(
            f"{page}: there is no report. Run `nestde run` first, or name the folder with --results."
        )
    say([(args.results, config)])
    if args.open:
        webbrowser.open(page.resolve().as_uri())
