"""Check configuration, samples and cells before anything is queued: what is refused, warned of, explained.

Reads the sample sheet and the columns of the cells, never a count; cells are counted after quality control where
nestde plan has seen what it leaves. Exits with 2, all faults named, where the
study cannot be answered.
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument(
        *("-d", "--directory"), metavar="DIR", type=Path, default=Path(), help="folder of the study"
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--configfile",
        metavar="FILE",
        help="configuration (default: config/config.yaml)",
    )
    source.add_argument("--settings", help="the same as JSON text, as the workflow gives it")
    parser.add_argument("--out", type=Path, help="what was found (json)")
    parser.add_argument("--samples-out", type=Path, help="the sample sheet as resolved (tsv)")
    parser.add_argument(
        "--admitted", type=Path, help="the samples, with what is compared of their covariates (tsv)"
    )
    parser.add_argument("--json", action="store_true", help="print what was found as JSON, the faults too")
    parser.add_argument("--explain", action="store_true", help="print the long form")


def main(args: argparse.Namespace) -> int | None:
    """Check; print; write only if nothing is refused."""
    import json
    from contextlib import nullcontext

    from nestde.cells.roster import admitted
    from nestde.check import check_study
    from nestde.check.render import terminal
    from nestde.io.files import write_json, write_tsv
    from nestde.provenance.digests import reading
    from nestde.study.config import enter, read, sections

    file = enter(args.directory, args.configfile)
    config, told = (sections(args.settings), []) if args.settings else read(file)
    # a step of the workflow is told the settings, and depends on nothing else
    with reading([config.samples]) if args.settings else nullcontext():
        check = check_study(config, told, ask_plan=not args.settings)
    if args.json:
        print(json.dumps(check.as_json(), indent=1, ensure_ascii=False))
        return 2 if check.faults else None
    accepted = check.raise_if_refused()
    if args.samples_out and check.samples is not None:
        write_tsv(check.samples, args.samples_out, text=["sample_id", "counts"])
    if args.admitted and check.samples is not None:
        write_tsv(admitted(check.samples, config.model), args.admitted, text=["sample_id", "counts"])
    if args.out:
        write_json(check.as_json(), args.out)
    print(terminal(accepted, explain=args.explain))
    return None
