"""Test every gene of one h5ad file by its mixed model, without a workflow.

nestde de DATA.h5ad --formula "~ sequencing_saturation + diagnosis + (1 | sample_id)" --test diagnosis --out results.tsv
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from nestde.fit import family, methods


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    from nestde.study.schema import rule

    def number(key: str, kind: type) -> dict[str, Any]:
        """An option with the default of the workflow's configuration."""
        about = rule(key)
        return {"type": kind, "default": about["default"], "help": f"default: {about['default']} ({key})"}

    p_value, fitted = rule("inference.p_value")["default"], rule("model.family")["default"]
    parser.add_argument("data", type=Path, metavar="DATA.h5ad", help="raw counts, covariates in obs")
    parser.add_argument("--formula", required=True, help="mixed-model formula in lme4's language")
    parser.add_argument("--test", required=True, nargs="+", metavar="TERM", help="fixed terms to test")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.tsv", help="table of results")
    cells = parser.add_mutually_exclusive_group()
    cells.add_argument("--cell-type-key", metavar="COLUMN", help="obs column; each value is analysed apart")
    cells.add_argument("--all-cells", action="store_true", help="take the cells of all types together")
    parser.add_argument("--reference", nargs="+", default=[], metavar="FACTOR=LEVEL", help="reference levels")
    parser.add_argument("--layer", help="layer with the raw counts (default: X)")
    parser.add_argument("--min-cells", **number("model.min_cells", int))
    parser.add_argument("--min-cells-share", **number("genes.min_cells_share", float))
    parser.add_argument("--min-samples", **number("genes.min_samples", int))
    factors = rule("genes.size_factors")
    parser.add_argument(
        "--size-factors",
        default=factors["default"],
        choices=factors["enum"],
        help=f"what the counts of a cell are divided by (default: {factors['default']})",
    )
    parser.add_argument(
        "--family", default=fitted, choices=family.names(), help=f"model family (default: {fitted})"
    )
    parser.add_argument(
        "--p-value",
        default=p_value,
        choices=methods.names(),
        help=f"headline (default: {p_value})",
    )
    parser.add_argument("--threads", type=int, help="default: all; results do not depend on it")


def main(args: argparse.Namespace) -> None:
    """Read, test, write; say on standard error what was compared with what."""
    import warnings

    import anndata

    from nestde.api.de import de
    from nestde.errors import NestdeWarning
    from nestde.expression.tables import TEXT
    from nestde.io.files import write_tsv
    from nestde.io.source import reading

    with reading(args.data):
        adata = anndata.read_h5ad(args.data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NestdeWarning)  # its sentence is among those printed below
        table = de(
            adata,
            args.formula,
            test=args.test,
            cell_type_key=False if args.all_cells else args.cell_type_key,
            family=args.family,
            levels=reference_first(adata, args.reference),
            layer=args.layer,
            min_cells=args.min_cells,
            min_cells_share=args.min_cells_share,
            min_samples=args.min_samples,
            size_factors=args.size_factors,
            p_value=args.p_value,
            threads=args.threads,
        )
    for sentence in table.attrs["nestde"]["said"]:
        print(f"nestde de: {sentence}", file=sys.stderr)
    write_tsv(table, args.out, TEXT)
    print(f"{args.out}: {table['pvalue'].notna().sum():,} of {len(table):,} rows tested, ", end="")
    print(f"{(table['padj'] <= 0.05).sum():,} with a false discovery rate of 5 % or less")


def reference_first(adata: Any, references: list[str]) -> dict[str, list[str]]:
    """Levels of the factors named in ``FACTOR=LEVEL``, the reference first and the others sorted."""
    from nestde.errors import Faults, a_few

    faults, levels = Faults(), {}
    for reference in references:
        factor, _, level = reference.partition("=")
        known = sorted(set(adata.obs[factor].dropna().astype(str))) if factor in adata.obs else []
        if level not in known:
            faults.add(
                f"--reference {reference}: {factor} has {a_few(known) or 'no values in obs'}. Write FACTOR=LEVEL."
            )
        levels[factor] = [level, *(other for other in known if other != level)]
    faults.raise_if_any()
    return levels
