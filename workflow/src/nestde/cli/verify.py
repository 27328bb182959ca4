"""Verify results: recompute digests and say what differs, to the column and by how much.

Without --against, the folder is compared with its own manifest and with the packages installed here.
With it, with another run: `nestde verify results --against published/manifest.json` in a CI job tells
whether a study still reproduces. Exit code 0 if all is the same, 1 if not.
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument(
        *("folder",),
        nargs="?",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="results folder with manifest.json (default: results)",
    )
    parser.add_argument(
        *("-d", "--directory"),
        metavar="DIR",
        type=Path,
        default=Path(),
        help="folder of the study, where DIR is",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="MANIFEST",
        help="manifest, or results folder, of the run that it should equal",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        metavar="T",
        help="accept numbers that differ by T at most (relative above 1, absolute below), and other versions"
        " (default: every byte the same; between processors of other kinds, which the manifest names, what these may change)",
    )


def main(args: argparse.Namespace) -> int:
    """Compare and tell."""
    from nestde.errors import printable
    from nestde.provenance.verify import verify

    verdict = verify(args.directory / args.folder, args.against)
    print(printable(verdict.story(args.tolerance)))
    return 0 if verdict.same(args.tolerance) else 1
