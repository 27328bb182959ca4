"""`nestde.check`, `nestde.simulate`, what `nestde.de` tells beside its table, and results in scanpy's form."""

import json
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import scanpy as sc

import nestde
from nestde.check import check_study
from nestde.io.files import write_tsv
from nestde.simulate import Cohort, simulate

FORMULA = "~ sequencing_saturation + diagnosis + (1 | sample_id)"
HOW = {"test": "diagnosis", "cell_type_key": "cell_type", "levels": {"diagnosis": ["Control", "AD"]}}


@pytest.fixture(scope="module")
def cohort():
    return nestde.simulate(donors=3, cells=40, genes=40, seed=5)[0]


@pytest.fixture(scope="module")
def table(cohort):
    return nestde.de(cohort, FORMULA, **HOW, relabellings=3, key_added="nestde")


def test_names_are_there_and_cost_nothing_before_they_are_used():
    code = (
        "import sys, nestde; names = dir(nestde); "
        "assert not {'numpy', 'pandas', 'numba', 'scipy', 'matplotlib'} & set(sys.modules), sys.modules.keys(); "
        "assert all(hasattr(nestde, name) for name in names); print(*names)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    wanted = {"check", "check_design", "de", "glmm", "lmm", "lrt", "pl", "simulate", "to_uns"}
    assert wanted <= set(told.stdout.split())


def test_a_module_that_is_called_is_a_module_still(cohort):
    same, _ = simulate(Cohort(donors=3, cells=40, genes=40, seed=5))
    assert (same.X != cohort.X).nnz == 0
    assert nestde.check.check_study is check_study
    assert nestde.simulate.Cohort is Cohort
    with pytest.raises(nestde.NestdeError, match="donor is no option; there are donors"):
        nestde.simulate(donor=3)


def test_the_check_says_what_the_command_says(cohort, tmp_path):
    found = nestde.check(cohort, FORMULA, **HOW)
    cohort.write_h5ad(tmp_path / "adata.h5ad")
    write_tsv(pd.DataFrame({"sample_id": sorted(cohort.obs["sample_id"].unique())}), tmp_path / "samples.tsv")
    from nestde.study.config import load

    config = load(
        {
            "cell_types": ["Astrocyte", "Neuron"],
            "samples": str(tmp_path / "samples.tsv"),
            "input": {"counts": str(tmp_path / "adata.h5ad")},
            "qc": {"enabled": False, "min_cells_per_sample": 1},
            "model": {"formula": FORMULA, "test": ["diagnosis"], "levels": HOW["levels"]},
            "pseudobulk": {"enabled": False},
        }
    )
    theirs = check_study(config).raise_if_refused()
    assert found.ok and found.found.tests == theirs.tests
    assert found.found.cell_types == theirs.cell_types
    assert [each.id for each in found.warnings] == [each.id for each in theirs.warnings]
    assert found.cell_types.loc["Neuron", "samples"] == 6
    assert "The study can be answered" in str(found) and "├─ diagnosis Control: 3 samples" in str(found)
    assert len(found.explain()) > len(str(found))
    assert "<table>" in found._repr_html_()
    assert str(tmp_path) not in str(found)


def test_what_is_refused_is_said_in_the_words_of_the_call(cohort):
    aliased = cohort.copy()
    aliased.obs["batch"] = np.where(aliased.obs["diagnosis"] == "AD", "B<1>", "B2")
    found = nestde.check(
        aliased, "~ batch + diagnosis + (1 | sample_id)", test="diagnosis", cell_type_key=False
    )
    assert not found.ok and found.found is None and found.warnings == ()
    assert found.faults[0].startswith("formula: diagnosis cannot be separated from batch")
    assert "B&lt;1&gt;" in found._repr_html_()
    with pytest.raises(nestde.NestdeError, match="cannot be separated"):
        found.raise_if_refused()
    with pytest.raises(nestde.NestdeError, match="layer raw: the data have none"):
        nestde.check(cohort, FORMULA, **HOW, layer="raw")


def test_a_table_tells_its_design_warnings_and_calibration(cohort, table, tmp_path):
    told = table.attrs["nestde"]
    assert told["design"]["Neuron"]["coefficients"] == [
        "(Intercept)",
        "sequencing_saturation",
        "diagnosis[AD]",
    ]
    assert told["design"]["Neuron"]["groups"] == {"sample_id": 6}
    assert [each["id"] for each in told["warnings"]] == [
        each.id for each in nestde.check(cohort, FORMULA, **HOW).warnings
    ]
    rows = pd.DataFrame(told["calibration"])
    assert set(rows["cell_type"]) == {"Astrocyte", "Neuron"} and {"lrt", "satterthwaite"} <= set(
        rows["method"]
    )
    assert rows["size_0.05"].between(0, 1).all()
    json.dumps(told)  # so that parquet takes it
    table.to_parquet(tmp_path / "table.parquet")
    quiet = nestde.de(cohort[:, :25], FORMULA, **HOW)
    assert "relabellings=30" in quiet.attrs["nestde"]["calibration"][0]["reason"]


def test_every_column_is_documented(table):
    named = nestde.de.__doc__
    for column in table.columns:
        stem = column
        for level in ("AD", "Control"):
            stem = (
                stem.replace(f"_{level}", "_<level>")
                if column.startswith(("mean", "detected", "variance"))
                else stem
            )
        stem = (
            "coef_<coefficient>"
            if column.startswith("coef_") and "moderated" not in column and "without" not in column
            else stem
        )
        stem = "se_<coefficient>" if column.startswith("se_") and "moderated" not in column else stem
        stem = "sd_<group>_<effect>" if column.startswith("sd_") else stem
        assert f"``{stem}``" in named or f"{stem}," in named, column


def test_scanpy_reads_the_results(cohort, table, tmp_path):
    frame = sc.get.rank_genes_groups_df(cohort, "Neuron", key="nestde")
    ours = table[table["cell_type"] == "Neuron"].set_index("gene")
    assert sorted(frame["names"]) == sorted(cohort.var_names)
    there = frame[frame["pvals"].notna()].set_index("names")
    np.testing.assert_allclose(there["pvals"], ours.loc[there.index, "pvalue_level"])
    np.testing.assert_allclose(there["pvals_adj"], ours.loc[there.index, "padj_level"])
    np.testing.assert_array_equal(np.sign(there["scores"]), np.sign(ours.loc[there.index, "coef"]))
    from scipy.stats import norm

    np.testing.assert_allclose(2 * norm.sf(np.abs(there["scores"])), there["pvals"], rtol=1e-4)
    assert (np.diff(there["scores"]) <= 0).all()
    assert len(sc.get.rank_genes_groups_df(cohort, None, key="nestde", pval_cutoff=0.05)) > 0
    cohort.write_h5ad(tmp_path / "with.h5ad")
    with pytest.raises(nestde.NestdeError, match=r"not of nestde\.de on these genes"):
        nestde.to_uns(table, cohort[:, 1:])


def test_groups_of_several_comparisons_are_told_apart():
    adata, _ = nestde.simulate(
        donors=3, cells=20, genes=30, cell_types=["N"], diagnoses=["A", "B", "C"], seed=2
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nestde.de(adata, FORMULA, test="diagnosis", cell_type_key="cell_type", key_added="ranked")
    assert adata.uns["ranked"]["names"].dtype.names == ("N: B - A", "N: C - A", "N: C - B")
