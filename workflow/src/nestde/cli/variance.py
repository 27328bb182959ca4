"""Say how sure the variances of a design are: with its groups, and with more or fewer of them.

nestde variance DATA.tsv --formula "y ~ diet*x + (x || animal/image)" --groups animal=50
nestde variance DATA.tsv --formula "~ diet*x + (x || animal/image)" --sd animal=0.015,0.02 animal:image=0.06,0.08 --sigma 0.085

Studies are drawn from what is estimated of the response, or from the SDs given, and fitted; of the response profile-likelihood
intervals are printed as well.
"""

import argparse
from pathlib import Path
from typing import TypeVar

Number = TypeVar("Number", int, float)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument(
        "data", type=Path, metavar="DATA.tsv", help="a row per observation, tabs between columns"
    )
    parser.add_argument("--formula", required=True, help="mixed-model formula in lme4's language")
    parser.add_argument(
        "--sd", nargs="+", metavar="GROUP=SD,…", help="supposed SDs of the effects of each grouping factor"
    )
    parser.add_argument("--sigma", type=float, help="supposed residual SD")
    parser.add_argument(
        "--groups", nargs="+", default=[], metavar="GROUP=N,…", help="other numbers of groups to look at"
    )
    parser.add_argument("--draws", type=int, default=1000, help="studies of each size (default: 1000)")
    parser.add_argument("--level", type=float, default=0.95, help="share between the limits (default: 0.95)")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same studies (default: 1)")
    parser.add_argument("--out", type=Path, metavar="FILE.tsv", help="write the table, too")
    parser.add_argument("--threads", type=int, help="default: all; results do not depend on it")


def main(args: argparse.Namespace) -> None:
    """Read, draw, print."""
    import pandas as pd

    from nestde.api.variances import variances
    from nestde.errors import NestdeError
    from nestde.io.files import write_tsv

    try:
        frame = pd.read_csv(args.data, sep="\t")
    except (OSError, ValueError) as error:
        raise NestdeError(f"{args.data}: no table that can be read ({error}).") from error
    found = variances(
        args.formula,
        frame,
        sd=None if args.sd is None else _numbers("--sd", args.sd, float),
        sigma=args.sigma,
        groups=_numbers("--groups", args.groups, int),
        draws=args.draws,
        level=args.level,
        seed=args.seed,
        threads=args.threads,
    )
    if args.out:
        write_tsv(found.table, args.out, ["groups", "component", "group", "effect", "other"])
    print(found)


def _numbers(option: str, words: list[str], kind: type[Number]) -> dict[str, list[Number]]:
    """What ``NAME=1,2`` says."""
    from nestde.errors import Faults

    faults, found = Faults(), dict[str, list[Number]]()
    for word in words:
        name, _, values = word.rpartition("=")
        try:
            found[name] = [kind(value) for value in values.split(",")]
        except ValueError:
            faults.add(f"{option} {word}: write NAME=NUMBER, or several numbers with commas between.")
    faults.raise_if_any()
    return found
