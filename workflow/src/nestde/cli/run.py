"""Check the study, then run the workflow from counts to report.

Options that are not listed here are passed on to Snakemake, as in
`nestde run --cores 8 --until gather` or `nestde run --profile slurm --set-scatter genes=40`.
A run that was killed goes on where it was with the same command. Files in results/ that were deleted meanwhile,
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


def main(args: argparse.Namespace) -> None:
    """Be Snakemake, once the study is found sound."""
    from nestde.run.snakemake import run

    run(args.configfile, args.directory, args.profile, args.forwarded)
