"""Start a study in a new folder, from the shipped example or from your data.

With --from, the sample, diagnosis and cell-type columns of an h5ad file are guessed, and said.
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the study is to be")
    parser.add_argument(
        "--from", dest="data", type=Path, metavar="DATA.h5ad", help="write its config and sample sheet"
    )


def main(args: argparse.Namespace) -> None:
    """Copy the template; write the configuration for the data if there are any."""
    from nestde.errors import printable
    from nestde.run.rules import init

    guess = None
    if args.data:
        from nestde.cells.guess import guess_study

        guess = guess_study(args.data)  # before anything is written: a file that is no study leaves no folder
    init(args.folder)
    if guess:
        guess.write(args.folder / "config")
        print(printable(guess.story()))
    print(f"Started in {args.folder}. Edit config/config.yaml and config/samples.tsv, then: nestde run")
