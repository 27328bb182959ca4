"""List what a run read, used and made, with digests.

With --workflow, the folder of --out is also made a Workflow Run RO-Crate: the rules that were run are copied
to its workflow/, and ro-crate-metadata.json describes it all.
"""

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

    parser.add_argument("--workflow", type=Path, metavar="DIR", help="folder of the rules that were run")


def main(args: argparse.Namespace) -> None:
    """Write the manifest and, if asked, the crate."""
    from datetime import date

    from nestde.io.files import write_json
    from nestde.provenance.manifest import manifest, parse_configuration

    told = manifest(parse_configuration(args.settings), args.inputs, args.results, args.out)
    write_json(told, args.out)
    if args.workflow:
        from nestde.io.layout import CRATE, WORKFLOW
        from nestde.provenance.crate import copy_workflow, crate

        folder = args.out.parent
        copy_workflow(args.workflow, folder / WORKFLOW)
        write_json(crate(told, folder, date.today()), folder / CRATE)
