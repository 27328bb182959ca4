"""Test every gene of one h5ad file by its mixed model, without a workflow.

nestde de DATA.h5ad --formula "~ sequencing_saturation + diagnosis + (1 | sample_id)" --test diagnosis --out results.tsv
"""

import argparse
from pathlib import Path
from typing import Any

from nestde.fit.methods import names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("data", type=Path, metavar="DATA.h5ad", help="raw counts, covariates in obs")
    parser.add_argument("--formula", required=True, help="mixed-model formula in lme4's language")
    parser.add_argument("--test", required=True, nargs="+", metavar="TERM", help="fixed terms to test")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.tsv", help="table of results")
    parser.add_argument("--cell-type-key", metavar="COLUMN", help="obs column; each value is analysed apart")
    parser.add_argument("--reference", nargs="+", default=[], metavar="FACTOR=LEVEL", help="reference levels")
    parser.add_argument("--layer", help="layer with the raw counts (default: X)")
    parser.add_argument(
        "--min-cells-share", type=float, default=0.02, help="of a cell type's cells (default: 0.02)"
    )
    parser.add_argument("--min-samples", type=int, default=3, help="with the gene (default: 3)")
    parser.add_argument(
        "--p-value",
        default="lrt",
        choices=names(),
        help="headline",
    )
    parser.add_argument("--threads", type=int, help="default: all; results do not depend on it")


def main(args: argparse.Namespace) -> None:
    """Read, test, write."""
    import anndata

    from nestde.cells import reading
    from nestde.differential import de
    from nestde.files import write_tsv

    with reading(args.data):
        adata = anndata.read_h5ad(args.data)
    table = de(
        adata,
        args.formula,
        test=args.test,
        cell_type_key=args.cell_type_key,
        levels=reference_first(adata, args.reference),
        layer=args.layer,
        min_cells_share=args.min_cells_share,
        min_samples=args.min_samples,
        p_value=args.p_value,
        threads=args.threads,
    )
    write_tsv(table, args.out)
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
