"""Start a study in a new folder, from the shipped example, from one of another design, or from your data.

With --from, the sample, diagnosis and cell-type columns of an h5ad file are guessed, and said; what is told is not
guessed. Quality control is tried on the counts, and its bounds are set to fit them.
"""

import argparse
import shlex
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="where the study is to be; . is the folder here"
    )
    parser.add_argument(
        "--from", dest="data", type=Path, metavar="DATA.h5ad", help="write its config and sample sheet"
    )
    parser.add_argument(
        "--example",
        metavar="NAME",
        help="a configuration and small data of another design: two_groups, paired, three_levels, nested_samples, slope, poisson",
    )
    columns = parser.add_argument_group("of DATA.h5ad, instead of a guess")
    for name, dest, what in (
        ("--sample-key", "sample", "column of obs that names the sample"),
        ("--test", "test", "column of obs whose levels are compared"),
        ("--reference", "reference", "its level that the others are compared with"),
        ("--cell-type-key", "cell_type", "column of obs that names the cell type"),
        ("--donor-key", "donor", "column of obs that names the donor, where one has several samples"),
        ("--layer", "layer", "where the raw counts are: X, raw, or the name of a layer"),
        ("--gene-key", "gene", "column of var with the genes' symbols"),
    ):
        columns.add_argument(name, dest=dest, metavar="NAME", help=what)


def main(args: argparse.Namespace) -> None:
    """Copy the template; write the configuration for the data if there are any; say what to type next."""
    import dataclasses

    from nestde.cells.guess import guess_study
    from nestde.cells.proposal import Told
    from nestde.cells.starting import write
    from nestde.errors import NestdeError, printable
    from nestde.run.rules import init
    from nestde.study import examples

    told = {field.name: getattr(args, field.name) for field in dataclasses.fields(Told)}
    guess = None
    if args.example:
        if args.data:
            raise NestdeError("--example brings its own data. Leave out --from, or --example.")
        examples.config_of(args.example)  # before anything is written
    if args.data:
        guess = guess_study(
            args.data, Told(**told)
        )  # before anything is written: a file that is no study leaves no folder
    elif any(told.values()):
        raise NestdeError(
            "--from: names of columns are told without the data that have them. Add --from DATA.h5ad."
        )
    init(args.folder, example=guess is None and not args.example)
    if args.example:
        examples.write(args.example, args.folder / "config")
    if guess:
        write(guess, args.folder / "config")
        print(printable(guess.story()))
    here = args.folder.resolve() == Path.cwd()
    what = f"fill in {len(guess.unknown)} in" if guess and guess.unknown else "look through"
    print(f"\nStarted in {args.folder}. Now {what} config/config.yaml and config/samples.tsv, then:\n")
    if not here:
        print(f"  cd {shlex.quote(str(args.folder))}")
    print("  nestde check\n  nestde plan\n  nestde run --cores 4")
