"""Real counts: the interferon genes come out on top; artificial donors without a difference stay quiet."""

import gzip

import pandas as pd
import pytest
from makers.real import real_data

from nestde.fit.fdr import benjamini_hochberg
from nestde.io.files import read_tsv

pytestmark = pytest.mark.slow
INTERFERON = [
    "ISG15",
    "ISG20",
    "RSAD2",
    "LY6E",
    "IFITM3",
    "IFIT1",
    "IFIT2",
    "IFIT3",
    "IRF7",
    "CXCL10",
    "OAS1",
    "IFI6",
    "MX1",
    "STAT1",
]


def edger(name):
    with gzip.open(real_data(f"reference/{name}.edgeR_QLF.tsv.gz"), "rt") as handle:
        return pd.read_csv(handle, sep="\t")


def test_interferon_genes_are_up_in_stimulated_b_cells(study_of_real_data):
    folder = study_of_real_data("kang", "kang_bcells.h5ad")
    (path,) = (folder / "results/de").glob("B_cells*.tsv")
    table = read_tsv(path, text=["gene", "pvalue_by"])
    genes = table.set_index("gene")
    assert (genes.loc[INTERFERON, "coef"] > 0).all()
    assert (genes.loc[INTERFERON, "padj"] < 0.01).all()
    # IFITM3 differs so much between donors that the likelihood ratio ranks it 405th of 4,607; the others lead, STAT1 as 124th
    by_ratio = table.sort_values("pvalue_lrt", kind="stable")
    assert len(set(INTERFERON) & set(by_ratio["gene"].head(130))) >= 13
    both = genes.join(edger("kang_bcells").set_index("gene")[["logFC", "FDR"]], how="inner").dropna(
        subset=["coef"]
    )
    assert both["coef"].corr(both["logFC"], method="spearman") >= 0.94
    # the headline orders by what is known of the variances too, and finds all but a few of edgeR's, as the ratio does
    theirs = both["FDR"] <= 0.01
    found = {
        name: theirs & (benjamini_hochberg(both[f"pvalue_{name}"]) <= 0.05) for name in ("moderated", "lrt")
    }
    assert set(table["pvalue_by"].dropna()) - {""} == {"moderated"}
    assert found["moderated"].sum() >= max(found["lrt"].sum(), 0.98 * theirs.sum())
    certain = both[(both["padj"] <= 0.05) & (both["FDR"] <= 0.05)]
    assert len(certain) > 500 and (certain["coef"] * certain["logFC"] > 0).all()


def test_zeisel_types_without_a_difference_stay_quiet(study_of_real_data):
    folder = study_of_real_data("zeisel", "zeisel_pseudodonors.h5ad")
    summary = read_tsv(folder / "results/summary.tsv").set_index("cell_type")
    assert summary.loc["TEINH", "significant"] > 2000
    assert (summary.loc[["MGL1", "MOL1"], "significant"] <= 20).all()
    genes = read_tsv(folder / "results/de/TEINH.tsv", text=["gene"]).set_index("gene")
    assert (genes.loc[["Npy", "Lamp5", "Cck"], "coef"] > 0).all()
    assert (genes.loc[["Sst", "Crhbp", "Satb1"], "coef"] < 0).all()
