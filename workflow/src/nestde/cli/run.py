"""Check the study, then run the workflow from counts to report.

Options that are not listed here are passed on to Snakemake, as in
`nestde run --cores 8 --until gather` or `nestde run --profile slurm --set-scatter genes=40`.
Each step that ended is a line; Snakemake's own log is in `.snakemake/log`. A run that was killed goes on where it was with the same command. Files in results/ that were deleted meanwhile,
or that cannot be read any more, are made again.
"""

import argparse
from pathlib import Path

FORWARDS = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options; whatever else is given goes to Snakemake."""
    parser.add_argument("--configfile", metavar="FILE", help="configuration (default: config/config.yaml)")
    parser.add_argument(
        *("-d", "--directory"),
        metavar="DIR",
        type=Path,
        default=Path(),
        help="folder of the study, where results/ is written",
    )
    parser.add_argument(
        "--profile",
        default="local",
        help="local, slurm, or a folder with your own profile.yaml (default: local)",
    )
    parser.add_argument("-c", "--cores", metavar="N", help="processors to use at most (default: all)")
    parser.add_argument("--verbose", action="store_true", help="print all that Snakemake says, too")


def main(args: argparse.Namespace) -> None:
    """Be Snakemake, once the study is found sound."""
    from nestde.run.snakemake import run

    forwarded = args.forwarded + ["--cores", args.cores] * bool(args.cores) + ["--verbose"] * args.verbose
    run(args.configfile, args.directory, args.profile, forwarded)
