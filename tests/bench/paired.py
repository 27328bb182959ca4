"""Recall of a paired analysis, with and without the pairing that the check advises.

Kang's B cells, eight donors control and stimulated: genes that edgeR finds with the donor as a fixed effect (quasi-likelihood, pseudobulk;
FDR 0.05) and that are tested here too, and how many of them each formula finds at FDR 0.05; genes found beside them; the sign of both.

python tests/bench/paired.py, about ten minutes of one core
"""

import gzip
import os
from pathlib import Path

import anndata as ad
import pandas as pd

import nestde

REAL = Path(os.environ["NESTDE_REAL_DATA"])
FORMULAS = [
    "~ condition + (1 | sample_id)",
    "~ condition + donor + (1 | sample_id)",
    "~ condition + (1 | donor) + (1 | sample_id)",
]
METHODS = ("moderated", "means", "satterthwaite", "lrt")


def theirs() -> "pd.Series[float]":
    """edgeR's false discovery rates by gene, with the sign of its effect."""
    with gzip.open(REAL / "reference/kang_bcells.edgeR_QLF.tsv.gz", "rt") as handle:
        table = pd.read_csv(handle, sep="\t").set_index("gene")
    return table["FDR"].where(table["logFC"] > 0, -table["FDR"])


def main() -> None:
    """Print a row of a Markdown table for each formula and p-value."""
    from nestde.fit.fdr import benjamini_hochberg

    data = ad.read_h5ad(REAL / "kang_bcells.h5ad")
    data = data[data.obs["multiplet"] == "singlet"].copy()
    signed = theirs()
    print("| formula | p-value | found by edgeR, tested here | of these found, same sign | found besides |")
    for formula in FORMULAS:
        table = nestde.de(
            data,
            formula,
            test="condition",
            cell_type_key=False,
            levels={"condition": ["ctrl", "stim"]},
            threads=1,
        ).set_index("gene")
        edger = signed.reindex(table.index)
        positive = (edger.abs() <= 0.05) & table["pvalue"].notna()
        for name in METHODS:
            found = benjamini_hochberg(table[f"pvalue_{name}"]) <= 0.05
            same = found & positive & ((table["coef"] > 0) == (edger > 0))
            besides = found & ~positive & edger.notna()
            print(
                f"| `{formula}` | {name} | {positive.sum()} | {same.sum()} ({same.sum() / positive.sum():.1%}) | {besides.sum()} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
