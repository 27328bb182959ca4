"""Write the content of the report: what MultiQC turns into one HTML page."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``nestde summary``."""
    parser.add_argument("--settings", required=True, help="configuration as JSON, or the path of a YAML file")
    parser.add_argument("--results", type=Path, required=True, help="results folder of the run")
    parser.add_argument("--out", type=Path, required=True, help="folder for the custom content of MultiQC")


def main(args: argparse.Namespace) -> None:
    """Read the results and write the content."""
    from nestde.report import write
    from nestde.study.config import sections

    write(sections(args.settings), args.results, args.out)
