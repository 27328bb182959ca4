"""List what a run read, used and made, with digests."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--settings", required=True, help="the whole configuration: JSON, or a YAML file")
    parser.add_argument(
        "--inputs", nargs="+", required=True, metavar="FILE", help="files or folders read, as configured"
    )
    parser.add_argument("--results", nargs="+", required=True, metavar="FILE", help="files made")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="results/manifest.json")


def main(args: argparse.Namespace) -> None:
    """Write the manifest."""
    from nestde.files import write_json
    from nestde.provenance import manifest, parse_configuration

    write_json(manifest(parse_configuration(args.settings), args.inputs, args.results, args.out), args.out)
