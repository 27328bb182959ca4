"""Compile the kernels of the mixed model once, before its chunks are fitted side by side."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument(
        "--settings", required=True, help="section model of the configuration, as JSON or a YAML file"
    )
    parser.add_argument("--out", required=True, type=Path, help="text that says what was compiled")


def main(args: argparse.Namespace) -> None:
    """Compile, then say so."""
    from nestde.expression.warmup import compile_kernels
    from nestde.fit.family import family
    from nestde.io.files import atomic
    from nestde.study.config import sections

    model = sections(args.settings).model
    alike = compile_kernels(model.formula, family(model.family))
    with atomic(args.out) as temporary:
        temporary.write_text(f"compiled: kernels of models like {alike}\n", encoding="utf-8")
