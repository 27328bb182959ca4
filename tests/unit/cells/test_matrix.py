from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from makers.tiny_study import SAMPLES, Steps, cells, config, read_tested, sheet, write_study

from nestde.cells import matrix
from nestde.cells.covariates import read_roster
from nestde.cells.roster import Comparison
from nestde.io.files import read_tsv


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ready(study, adata=None, **changes):
    steps = write_study(study, adata, **changes)
    assert steps.ingest() == steps.qc() == 0
    return steps


def by_hand(adata, cell_type, samples=SAMPLES):
    """Cells of a type, sorted by sample, in the order of the file."""
    chosen = adata[(adata.obs["cell_type"] == cell_type) & adata.obs["sample_id"].isin(samples)]
    return chosen[np.argsort(chosen.obs["sample_id"].astype(str).to_numpy(), kind="stable")]


def test_a_matrix_is_the_counts_of_its_cells_gene_by_gene(study):
    adata = cells()
    assert ready(study, adata).matrix("B/cell") == 0
    wanted = by_hand(adata, "B/cell")
    found = read_tested(study)
    assert isinstance(found.X, sp.csc_matrix) and found.X.has_sorted_indices and found.X.dtype == np.int32
    assert np.array_equal(found.X.toarray(), wanted.X.toarray())
    assert list(found.var_names) == list(adata.var_names)
    assert list(found.obs["sample_id"]) == list(wanted.obs["sample_id"])
    assert np.array_equal(found.obs["sequencing_saturation"], wanted.obs["sequencing_saturation"])
    assert np.array_equal(found.obs["total_counts"], np.ravel(wanted.X.sum(axis=1)))
    assert np.array_equal(found.obs["size_factor"], found.obs["total_counts"] / 1e4)
    assert set(found.obs.loc[found.obs["sample_id"] == "S2", "diagnosis"]) == {"AD"}


@pytest.mark.parametrize("block", [10, 300, 10**9])
def test_blocks_of_genes_are_all_genes(study, monkeypatch, block):
    adata = cells()
    assert ready(study, adata).matrix("T cell") == 0
    path = study / "matrix.h5ad"
    wanted = by_hand(adata, "T cell")
    monkeypatch.setattr(matrix, "BLOCK", block)
    found = list(matrix.blocks_of_genes(path))
    assert (len(found) > 1) == (block < 1000)
    assert [gene for _, genes in found for gene in genes] == list(adata.var_names)
    assert np.array_equal(sp.hstack([counts for counts, _ in found]).toarray(), wanted.X.toarray())
    assert len(read_tested(study)) == len(wanted)


@pytest.mark.parametrize("block", [50, 400])
def test_small_blocks_give_the_same_matrix(study, monkeypatch, block):
    steps = ready(study)
    assert steps.matrix("T cell") == 0
    whole, genes = (study / "matrix.h5ad").read_bytes(), read_tsv(study / "genes.tsv")
    for module in ("matrix", "parts"):
        monkeypatch.setattr(f"nestde.cells.{module}.BLOCK", block)
    assert steps.matrix("T cell") == 0
    assert (study / "matrix.h5ad").read_bytes() == whole
    pd.testing.assert_frame_equal(read_tsv(study / "genes.tsv"), genes, rtol=1e-12)


def test_the_ledger_has_every_gene_with_its_numbers(study):
    adata = cells()
    counts = adata.X.toarray()
    counts[:, 0] = 0
    counts[:, 1] = 0
    counts[np.flatnonzero(adata.obs["sample_id"] == "S1"), 1] = 1
    counts[:, 2] = 0
    counts[np.flatnonzero(adata.obs["cell_type"] == "T cell")[:2], 2] = 5
    adata.X = sp.csr_matrix(counts)
    steps = ready(study, adata, genes={"min_cells_share": 0.05, "min_samples": 2})
    assert steps.matrix("T cell") == 0
    ledger = read_tsv(study / "genes.tsv", text=["gene", "status", "reason"])
    wanted = by_hand(adata, "T cell")
    x = wanted.X.toarray()
    assert list(ledger["gene"]) == list(adata.var_names)
    assert np.array_equal(ledger["n_cells"], (x > 0).sum(axis=0))
    scaled = x / x.sum(axis=1, keepdims=True) * 1e4
    case = wanted.obs["sample_id"].isin(["S2", "S4"]).to_numpy()
    for level, mask in {"Control": ~case, "AD": case}.items():
        np.testing.assert_allclose(ledger[f"mean_{level}"], scaled[mask].mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(ledger[f"detected_{level}"], (x[mask] > 0).mean(axis=0), rtol=1e-12)
    n = len(x)
    assert ledger["reason"][0] == "no counts"
    assert ledger["reason"][1] == "in 1 of 4 samples; 2 are needed"
    assert ledger["reason"][2] == f"in 2 of {n} cells; {int(np.ceil(0.05 * n))} are needed"
    assert list(ledger["status"][:4]) == ["not_testable"] * 3 + [""]
    found = read_tested(study)
    assert list(found.var_names) == list(ledger.loc[ledger["status"] == "", "gene"])
    assert np.array_equal(found.X.toarray(), x[:, 3:])
    told = found.uns["genes"]
    assert told["tested"] + sum(told["removed"].values()) == told["in_any_sample"] == len(ledger)


def test_samples_with_few_cells_are_left_out_and_named(study):
    adata = cells()
    few = np.flatnonzero((adata.obs["sample_id"] == "S3") & (adata.obs["cell_type"] == "T cell"))[5:]
    adata = adata[np.setdiff1d(np.arange(len(adata)), few)].copy()
    assert ready(study, adata, model={"min_cells": 6}).matrix("T cell") == 0
    found = read_tested(study)
    assert read_roster(study / "cells.h5ad").left_out == {"S3": "5 cells of this type; model.min_cells is 6"}
    assert set(found.obs["sample_id"]) == {"S1", "S2", "S4"}
    ledger = read_tsv(study / "genes.tsv")
    assert ledger["n_samples"].max() == 3


def write_files(adata, without, change=None):
    """A file for each sample, without some of the genes; their paths."""
    paths = []
    for sample in SAMPLES:
        part = adata[(adata.obs["sample_id"] == sample).to_numpy()]
        names = [gene for gene in adata.var_names if gene not in without.get(sample, ())]
        part = part[:, names[::-1] if sample in ("S2", "S4") else names].copy()
        part.var_names = [(change or {}).get((sample, gene), gene) for gene in part.var_names]
        paths.append(f"{sample}.h5ad")
        part.write_h5ad(paths[-1])
    return paths


@pytest.mark.parametrize("absent_genes", ["not_measured", "zero"])
def test_genes_that_not_every_file_has(study, absent_genes):
    adata = cells()
    without = {sample: [f"G{g}" for g in range(27 - i, 28)] for i, sample in enumerate(SAMPLES)}
    paths = write_files(adata, without, {("S3", "RPS6"): "only here"})
    settings = config(input={"counts": None, "absent_genes": absent_genes}, genes={"min_samples": 1})
    steps = Steps(study, settings, sheet(source=paths))
    assert steps.ingest() == steps.qc() == steps.matrix("T cell") == steps.pseudobulk("T cell") == 0
    ledger = read_tsv(study / "genes.tsv", text=["gene", "status", "reason"]).set_index("gene")
    assert len(ledger) == 30
    found, bulk = read_tested(study), ad.read_h5ad(study / "bulk.h5ad")
    assert (found.uns["genes"]["in_any_sample"], found.uns["genes"]["in_every_sample"]) == (30, 25)
    assert set(bulk.var_names) == set(ledger.index)
    table = read_tsv(study / "bulk.tsv", text=["gene"]).set_index("gene")
    wanted = np.ravel(by_hand(adata, "T cell", ["S1"])[:, "G26"].X.sum(axis=0))[0]
    if absent_genes == "not_measured":
        assert set(found.var_names) == {f"G{i}" for i in range(24)} | {"MT-CO1"}
        assert ledger.loc["only here", "reason"] == "not measured in 3 of 4 samples: S1, S2, S4"
        assert ledger.loc["RPS6", "reason"] == "not measured in 1 of 4 samples: S3"
        assert list(table.loc["G26", ["counts_S1", "cpm_S2"]].isna()) == [False, True]
        assert list(table.loc["only here", "counts_S1":"counts_S4"].isna()) == [True, True, False, True]
    else:
        assert ledger.loc["only here", "n_samples"] == 1
        assert set(found.var_names) == set(ledger.index)
        assert table.loc["G26", "counts_S2"] == 0
    assert table.loc["G26", "counts_S1"] == wanted
    for gene in ("G3", "G23"):
        for sample in SAMPLES:
            wanted = by_hand(adata, "T cell", [sample])[:, gene].X.toarray().ravel()
            assert np.array_equal(found[found.obs["sample_id"] == sample, gene].X.toarray().ravel(), wanted)
            assert bulk[sample, gene].X.item() == wanted.sum()


def test_means_and_shares_are_of_the_samples_that_measured_a_gene(study):
    adata = cells()
    paths = write_files(adata, {"S1": ["G0"], "S2": ["G1"], "S4": ["G1"]})
    steps = Steps(study, config(input={"counts": None}), sheet(source=paths))
    assert steps.ingest() == steps.qc() == steps.matrix("T cell") == 0
    ledger = read_tsv(study / "genes.tsv", text=["gene", "reason"]).set_index("gene")
    # G0: of the Controls, S1 and S3, only S3 measured it; G1: no AD sample, S2 or S4, did
    mine = by_hand(adata, "T cell", ["S3"])
    scaled = mine[:, "G0"].X.toarray().ravel() / mine.X.sum(axis=1).A1 * 1e4
    np.testing.assert_allclose(ledger.loc["G0", "mean_Control"], scaled.mean(), rtol=1e-12)
    assert ledger.loc["G1", ["mean_AD", "detected_AD"]].isna().all()
    assert ledger.loc["G1", "reason"] == "not measured in 2 of 4 samples: S2, S4"


def test_a_gene_is_tested_where_every_sample_of_the_cell_type_measured_it(study):
    """S3 lacks the gene, and has too few cells of this type to matter."""
    adata = cells()
    few = np.flatnonzero((adata.obs["sample_id"] == "S3") & (adata.obs["cell_type"] == "T cell"))[2:]
    adata = adata[np.setdiff1d(np.arange(len(adata)), few)].copy()
    paths = write_files(adata, {"S3": ["G0"]})
    steps = Steps(study, config(input={"counts": None}, model={"min_cells": 5}), sheet(source=paths))
    assert steps.ingest() == steps.qc() == steps.matrix("T cell") == 0
    ledger = read_tsv(study / "genes.tsv", text=["gene", "status"]).set_index("gene")
    assert ledger.loc["G0", "status"] == ""
    assert steps.matrix("B/cell") == 0
    ledger = read_tsv(study / "genes.tsv", text=["gene", "status", "reason"]).set_index("gene")
    assert ledger.loc["G0", "reason"] == "not measured in 1 of 4 samples: S3"


def test_columns_that_not_every_sample_has_or_with_other_labels_are_merged(study):
    paths, adata = [], cells()
    adata.obs["lane"] = pd.Categorical(["L" + sample for sample in adata.obs["sample_id"]])
    adata.obs["flag"] = True
    for sample in SAMPLES:
        part = adata[(adata.obs["sample_id"] == sample).to_numpy()].copy()
        if sample == "S2":
            del part.obs["lane"], part.obs["flag"]
        paths.append(f"{sample}.h5ad")
        part.write_h5ad(paths[-1])
    steps = Steps(study, config(input={"counts": None}), sheet(source=paths))
    assert steps.ingest() == steps.qc() == steps.matrix("T cell") == steps.pseudobulk("T cell") == 0
    obs = read_tested(study).obs
    assert obs.loc[obs["sample_id"] == "S2", ["lane", "flag"]].isna().all(axis=None)
    assert set(obs.loc[obs["sample_id"] == "S3", "lane"]) == {"LS3"}
    assert list(obs["lane"].cat.categories) == ["LS1", "LS3", "LS4"]


def test_levels_of_the_tested_factors():
    obs = ad.AnnData(np.zeros((4, 1))).obs.assign(
        diagnosis=["AD", "Control", "AD", "MCI"], batch=[1, 2, 1, 2], age=[1.0, 2, 3, 4]
    )
    model = config(model={"formula": "~ diagnosis * age + C(batch) + (1 | sample_id)"}).model
    levels = {"diagnosis": ["Control", "AD", "MCI"]}
    changed = replace(model, test=["diagnosis:age", "C(batch)"], levels=levels)
    masks = matrix.tested_levels(obs, Comparison.of(changed))
    assert {name: list(np.flatnonzero(mask)) for name, mask in masks.items()} == {
        "Control": [1], "AD": [0, 2], "MCI": [3], "1": [0, 2], "2": [1, 3],
    }  # fmt: skip


def test_levels_that_two_factors_have_are_told_apart():
    obs = ad.AnnData(np.zeros((3, 1))).obs.assign(smoker=["yes", "no", "no"], diabetic=["no", "yes", "AD"])
    model = config(model={"formula": "~ smoker + diabetic + (1 | sample_id)"}).model
    masks = matrix.tested_levels(obs, Comparison.of(replace(model, test=["smoker", "diabetic"], levels={})))
    assert {name: list(np.flatnonzero(mask)) for name, mask in masks.items()} == {
        "smoker_no": [1, 2], "smoker_yes": [0], "AD": [2], "diabetic_no": [0], "diabetic_yes": [1],
    }  # fmt: skip


def test_a_column_is_a_factor_only_if_the_formula_codes_it():
    obs = ad.AnnData(np.zeros((3, 1))).obs.assign(age=[1.0, 2, 3], age_group=["a", "b", "b"])
    model = config(model={"formula": "~ age + C(age_group) + (1 | sample_id)"}).model
    assert matrix.tested_levels(obs, Comparison.of(replace(model, test=["age"], levels={}))) == {}
