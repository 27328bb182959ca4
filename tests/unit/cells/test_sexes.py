"""Whose sample is it: sex by XIST and Y against the sheet, however it is coded."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from makers.tiny_study import SAMPLES, cells, config, write_study

from nestde.cells.concerns import concerns
from nestde.cells.sexes import called, evidence, in_cells, swapped

FEMALE, MALE = {"XIST": 300, "Y": 4}, {"XIST": 2, "Y": 120}


def ledgers(*found):
    return [{"sample_id": f"S{i}", "sex_counts": counts} for i, counts in enumerate(found)]


def sheet(*values, column="sex"):
    return pd.DataFrame({"sample_id": [f"S{i}" for i in range(len(values))], column: list(values)})


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("sex", "FMFMFM"),
        ("Sex", ["female", "male"] * 3),
        ("gender", [2, 1] * 3),
        ("sex_at_birth", [0, 1] * 3),
    ],
)
def test_a_swap_is_told_and_a_right_sheet_is_not(column, values):
    mine = [FEMALE, MALE] * 3
    right = sheet(*values, column=column)
    assert swapped(ledgers(*mine), right) == ("", "")
    mine[3] = FEMALE
    title, text = swapped(ledgers(*mine), right)
    assert title == "Sex by the counts is not that of the sheet"
    assert f"in 1 of 6 samples: S3 ({column} {values[3]}; XIST 300, Y 4)" in text


def mixed(females, males, ambient=0.0, seed=0):
    """What a ledger tells of cells of either sex, with RNA of the other around."""
    rng = np.random.default_rng(seed)
    of = np.repeat([1, 0], [females, males])
    return evidence({"XIST": rng.poisson(2.3 * (of + ambient)), "Y": rng.poisson(0.6 * (1 - of + ambient))})


def test_cells_of_two_donors_are_told_without_a_sheet():
    told = [{"sample_id": "S0", **mixed(200, 0)}, {"sample_id": "S1", **mixed(80, 120, 0.02)}]
    title, text = swapped(told, sheet("x", "y", column="site"))
    assert title == "Samples of both sexes" and "S0" not in text
    assert "S1 (XIST in 81, Y in 53, both in 2 of 200 cells)" in text


@pytest.mark.parametrize("ambient", [0, 0.05, 0.2, 0.5])
@pytest.mark.parametrize("females", [0, 300])
def test_ambient_rna_is_no_second_donor_and_no_swap(ambient, females):
    wrong = {"female", "both"} if not females else {"male", "both"}
    for seed in range(20):
        found = mixed(females, 300 - females, ambient, seed)
        assert called(found["sex_counts"], found["sex_cells"]) not in wrong


@pytest.mark.parametrize("found", [{}, {"XIST": None, "Y": 50}, {"XIST": 3, "Y": 1}, {"XIST": 50, "Y": None}])
def test_where_counts_do_not_tell_nothing_is_said(found):
    assert called(found) == ""
    assert swapped(ledgers(found, MALE), sheet("F", "M")) == ("", "")


@pytest.mark.parametrize("names", [["Xist", "Ddx3y", "A"], ["ENSG00000229807.11", "ENSG00000067048", "A"]])
def test_the_genes_are_known_by_symbol_and_id_of_man_and_mouse(names):
    counts = sp.csr_matrix(np.array([[1, 2, 3], [4, 5, 6]]))
    both = {"sex_counts": {"XIST": 5, "Y": 7}, "sex_cells": {"of": 2, "XIST": 2, "Y": 2, "both": 2}}
    assert evidence(in_cells(counts, names)) == evidence(in_cells(counts, ["x", "y", "z"], names)) == both
    assert evidence(in_cells(counts[:, 2:], names[2:]))["sex_counts"] == {"XIST": None, "Y": None}


def test_quality_control_tells_of_a_swap(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = cells()
    data.var_names = ["XIST", "UTY", *data.var_names[2:]]
    female = data.obs["sample_id"].isin(["S1", "S2"]).to_numpy()
    dense = data.X.toarray()
    dense[:, 0], dense[:, 1] = 3 * female, 2 * ~female
    data.X = sp.csr_matrix(dense)
    steps = write_study(tmp_path, data)
    assert steps.ingest() == steps.qc() == 0
    told = [steps.ledger(sample) for sample in SAMPLES]
    assert told[0]["sex_counts"]["Y"] == 0 and told[0]["sex_counts"]["XIST"] == 3 * told[0]["cells_kept"]
    found = concerns(told, steps.samples.assign(sex=["F", "M", "M", "M"]), config().model)
    assert found[0][0] == "Sex by the counts is not that of the sheet" and "S2 (sex M" in found[0][1]
