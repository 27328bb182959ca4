import anndata as ad
import numpy as np
import pytest
from makers.tiny_study import SAMPLES, cells, config, read_tested, write_study

from nestde.cells.pseudobulk import cpm, read, scale_profiles
from nestde.io.counts import OURS
from nestde.io.files import read_tsv
from nestde.size_factors import Counted
from nestde.study.samples import read_checked


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_profiles_are_the_sums_of_their_cells(study):
    adata = cells()
    adata.obs["site"] = adata.obs["sample_id"].map({"S1": "x", "S2": "y", "S3": "x", "S4": "y"}).astype(str)
    steps = write_study(study, adata)
    assert steps.ingest() == steps.qc() == steps.pseudobulk("B/cell") == 0
    found = read(study / "bulk.h5ad", read_checked(study / "samples.tsv"))
    assert list(found.obs_names) == SAMPLES
    for sample in SAMPLES:
        mine = adata[(adata.obs["sample_id"] == sample) & (adata.obs["cell_type"] == "B/cell")]
        assert np.array_equal(found[sample].X.ravel(), np.ravel(mine.X.sum(axis=0)))
        assert found.obsm[OURS].loc[sample, "n_cells"] == len(mine)
    assert np.array_equal(found.obsm[OURS]["total_counts"], found.X.sum(axis=1))
    np.testing.assert_allclose(found.layers["cpm"].sum(axis=1), 1e6)
    assert list(found.obs["diagnosis"]) == ["Control", "AD", "Control", "AD"]
    assert list(found.obs["site"]) == ["x", "y", "x", "y"]  # of the cells, one value in each sample
    assert "sequencing_saturation" not in found.obs
    table = read_tsv(study / "bulk.tsv")
    assert list(table.columns) == ["gene", *(f"{what}_{s}" for what in ("counts", "cpm") for s in SAMPLES)]
    assert np.array_equal(table[[f"counts_{sample}" for sample in SAMPLES]].to_numpy().T, found.X)
    assert np.array_equal(table[[f"cpm_{sample}" for sample in SAMPLES]].to_numpy().T, found.layers["cpm"])


def test_profiles_with_few_cells_or_counts_are_kept_but_not_tested(study):
    adata = cells()
    few = np.flatnonzero((adata.obs["sample_id"] == "S3") & (adata.obs["cell_type"] == "T cell"))[4:]
    adata = adata[np.setdiff1d(np.arange(len(adata)), few)].copy()
    steps = write_study(study, adata, pseudobulk={"min_cells": 5})
    assert steps.ingest() == steps.qc() == steps.pseudobulk("T cell") == 0
    found = ad.read_h5ad(study / "bulk.h5ad")
    assert dict(found.obsm[OURS]["left_out"]) == {
        "S1": "",
        "S2": "",
        "S3": "4 cells of this type; pseudobulk.min_cells is 5",
        "S4": "",
    }
    steps = write_study(study, adata, pseudobulk={"min_counts": 10**9})
    assert steps.pseudobulk("T cell") == 0
    assert (
        "counts; pseudobulk.min_counts is 1,000,000,000"
        in ad.read_h5ad(study / "bulk.h5ad").obsm[OURS]["left_out"].iloc[0]
    )


def test_the_same_bytes_twice(study):
    steps = write_study(study)
    assert steps.ingest() == steps.qc() == steps.pseudobulk("T cell") == 0
    first = (study / "bulk.h5ad").read_bytes()
    assert steps.pseudobulk("T cell") == 0
    assert (study / "bulk.h5ad").read_bytes() == first


def test_sums_beyond_32_bits_are_kept(study):
    adata = cells()
    counts = adata.X.toarray()
    counts[:, 0] = 2**31 - 1
    adata.X = counts
    steps = write_study(study, adata)
    assert steps.ingest() == steps.qc() == steps.matrix("T cell") == steps.pseudobulk("T cell") == 0
    found = ad.read_h5ad(study / "bulk.h5ad")
    assert np.array_equal(found[:, 0].X.ravel(), found.obsm[OURS]["n_cells"].to_numpy() * (2**31 - 1))
    assert (read_tested(study).obs["total_counts"] >= 2**31 - 1).all()


def test_cpm_of_nothing_is_nothing():
    sums = np.array([[0, 0], [1, 3]])
    assert np.array_equal(cpm(sums, sums.sum(axis=1)), [[0, 0], [2.5e5, 7.5e5]])


def test_the_configured_minimum_is_a_minimum():
    assert config().pseudobulk.min_cells == 1


def test_profiles_of_a_type_that_quality_control_removed_are_scaled_by_nothing():
    none = Counted(np.zeros(0), np.zeros(0, np.int64), 3, lambda: np.zeros((3, 2), np.int64))
    scaled, effective = scale_profiles(none, none.profiles, np.zeros(3, bool), "median_of_ratios")
    assert scaled.of_cells.shape == (0,) and effective.tolist() == [0.0, 0.0, 0.0]
