"""Depth by arm is measured before anything is queued, and told where the formula has nothing to take it up."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from makers.studies import Study
from scipy.sparse import csc_matrix, csr_matrix

from nestde.cells.depth import OFFERED, says_depth
from nestde.check import check_study
from nestde.study.config import load


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def checked(times, formula, kind=csr_matrix, column=None):
    """Check a study whose Neurons of AD are counted so many times deeper; its cells in any order."""
    study = Study()
    study.formula(formula, "diagnosis")
    study.config["model"]["levels"] = {"diagnosis": ["Control", "AD"]}
    if column:
        study.obs[column] = 1.0
    study.write()
    rng = np.random.default_rng(3)
    deep = (study.per_cell("diagnosis") == "AD") & (study.obs["cell_type"] == "Neuron")
    counts = rng.poisson(np.where(deep, 20.0 * times, 20.0)[:, None], (len(study.obs), 50))
    obs = study.obs.assign(cell_type=pd.Categorical(study.obs["cell_type"]))
    adata = ad.AnnData(kind(counts.astype(np.int32)), obs=obs)
    adata[rng.permutation(len(adata))].copy().write_h5ad("counts.h5ad")
    found = check_study(load(study.config))
    assert found.faults == ()
    return {warned["id"]: warned for warned in found.as_json()["warnings"]}


PLAIN = "~ diagnosis + (1 | sample_id)"


def test_arms_that_are_counted_to_different_depths_are_told():
    warned = checked(2, PLAIN)["depth_differs"]
    assert warned["title"] == "Depth differs by diagnosis"
    assert warned["text"].startswith("Neuron: ") and "Astrocyte" not in warned["text"]
    assert "× 1.00 in Control, × 2.0" in warned["text"] and "Add + nestde.log_size_factor" in warned["text"]


@pytest.mark.parametrize(
    ("times", "formula", "kind"),
    [
        (1, PLAIN, csr_matrix),
        (2, "~ nestde.log_size_factor + diagnosis + (1 | sample_id)", csr_matrix),
        (2, "~ saturation + diagnosis + (1 | sample_id)", csr_matrix),
        (2, PLAIN, csc_matrix),  # would be read as a whole
    ],
)
def test_nothing_is_told_where_there_is_nothing_or_it_is_taken_up(times, formula, kind):
    assert "depth_differs" not in checked(times, formula, kind)


def test_a_column_does_not_stand_for_what_is_measured():
    formula = f"~ {OFFERED[0]} + diagnosis + (1 | sample_id)"
    assert "column_not_read" in checked(1, formula, column=OFFERED[0])


@pytest.mark.parametrize(
    "name",
    ["nUMI", "nCount_RNA", "total_counts", "sequencing_saturation", "n_genes", "log1p_n_counts", *OFFERED],
)
def test_what_says_depth(name):
    assert says_depth([name])


@pytest.mark.parametrize(
    "name", ["sex", "country", "age", "pct_counts_mt", "percent.mito", "genotype", "batch", "donor"]
)
def test_what_says_no_depth(name):
    assert not says_depth([name])
