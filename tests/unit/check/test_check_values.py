"""Values that are not what the formula takes them to be, in the sheet and in obs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makers.studies import Study

from nestde.check import labels
from nestde.check.wording import number, several

AGES = [str(60 + 2 * i) for i in range(12)]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def study(name, values, where, formula=None, test=None):
    """The sound study with a column of the sheet or, the same for the cells of a sample, of obs."""
    made = Study()
    made.sheet[name] = values
    if where == "obs":
        made.obs[name] = made.per_cell(name)
        made.sheet = made.sheet.drop(columns=name)
    made.config["model"]["levels"] = {}
    made.formula(formula or f"~ {name} + diagnosis + (1 | sample_id)", test or "diagnosis")
    return made


def titles(check):
    return [warning["title"] for warning in check.as_json()["warnings"]]


BOTH = pytest.mark.parametrize("where", ["sheet", "obs"])
WORDS = [
    "N/A",
    "None",
    "-",
    ".",
    "unknown",
    "?",
    "nan",
    "NaN",
    "null",
    "#N/A",
    "missing",
    "n.a.",
    "Unknown ",
    "not available",
    "--",
]
DISGUISES = ["62,5", "1,200", "1'200", "62 y", "62years", "12 %", ">89", "90+", "~70", "62\u00a0y"]


@BOTH
@pytest.mark.parametrize("odd", [*WORDS, *DISGUISES])
def test_numbers_with_one_that_is_none_are_refused(odd, where):
    made = study("rin", [*AGES[:10], odd, odd], where)
    (fault,) = made.check().faults
    origin = "samples.tsv" if where == "sheet" else "counts.h5ad"
    shown = odd.strip() if where == "sheet" else odd
    assert fault.startswith(f'{origin}: rin holds numbers, but "{shown}" in ')
    assert "S11, S12" in fault
    assert "each of its 11 values would be a level of its own" in fault
    made.formula("~ C(rin) + diagnosis + (1 | sample_id)")
    assert not any("holds numbers" in said for said in made.check().faults)


@BOTH
@pytest.mark.parametrize("form", ["{},5", "{} y", "{}%", "{} weeks", "<{}"])
def test_a_whole_column_in_disguise_is_refused(form, where):
    (fault,) = study("rin", [form.format(age) for age in AGES], where).check().faults
    assert "rin holds numbers, but" in fault


@pytest.mark.parametrize(
    "values",
    [["3m", "18m"] * 6, ["10x v2", "10x v3"] * 6, ["<65", ">=65"] * 6, ["E3/E3", "E3/E4"] * 6, ["+", "-"] * 6,
     ["none", "drug"] * 6, ["P1", "P2", "P3"] * 4, ["wt", "5xFAD"] * 6, ["1st", "2nd"] * 6],
)  # fmt: skip
def test_factors_stay_factors(values):
    values = [values[i // 2] for i in range(12)]
    assert study("kind", values, "sheet").check().faults == ()


@BOTH
@pytest.mark.parametrize("word", WORDS)
def test_a_word_for_missing_is_no_diagnosis(word, where):
    values = ["Control", "AD", "Control", "AD", word, word] * 2
    made = study("dx", values, where, "~ dx + (1 | sample_id)", "dx")
    (fault,) = made.check().faults
    shown = word.strip() if where == "sheet" else word
    assert f'dx is "{shown}" in ' in fault and "reads like a missing value" in fault
    made.config["model"]["levels"] = {"dx": ["Control", "AD", shown]}
    check = made.check()
    assert check.faults == ()
    assert "dx has a level that reads like a missing value" in titles(check)


@BOTH
@pytest.mark.parametrize(
    ("one", "other"),
    [("Control", "control"), ("Control", "CONTROL"), ("late AD", "late  AD"), ("late AD", "late\u00a0AD"), ("late AD", "lateAD"),
     ("n\u00e9", "ne\u0301"), ("Control", "\u0421ontrol"), ("AD", "A\u200bD"), ("AD", "\uff21D")],
)  # fmt: skip
def test_labels_that_look_alike_are_one_or_listed(one, other, where):
    values = ["MCI", "MCI", one, one, other, other] * 2
    made = study("dx", values, where, "~ dx + (1 | sample_id)", "dx")
    (fault,) = made.check().faults
    assert "dx has labels that look alike and are taken for different levels: " in fault
    assert "(4 samples)" in fault
    made.config["model"]["levels"] = {"dx": ["MCI", one, other]}
    check = made.check()
    assert check.faults == ()
    assert "dx has labels that look alike" in titles(check)


def test_a_blank_at_the_end_is_seen_in_obs():
    made = study(
        "dx",
        ["MCI", "MCI", "Control", "Control", "Control ", "Control "] * 2,
        "obs",
        "~ dx + (1 | sample_id)",
        "dx",
    )
    (fault,) = made.check().faults
    assert "'Control' (4 samples) and 'Control ' (4 samples)" in fault


@BOTH
@pytest.mark.parametrize(
    "name", ["donor", "donor_id", "patientID", "projid", "subj", "Animal", "mouse", "run_id", "ID"]
)
def test_ids_do_not_get_a_slope(name, where):
    values = [10_000 + 7 * (i // 2) for i in range(12)]
    made = study(name, values, where)
    (fault,) = made.check().faults
    assert f"model.formula: {name} holds 6 whole numbers (10,000 to 10,035) and is named like ids" in fault
    assert f"Write C({name}), which" in fault
    for formula in (f"~ C({name}) + diagnosis + (1 | sample_id)", f"~ diagnosis + (1 | {name}) + (1 | sample_id)",
                    f"~ I({name}) + diagnosis + (1 | sample_id)"):  # fmt: skip
        made.formula(formula)
        assert not any("named like ids" in fault for fault in made.check().faults)


def test_more_than_twelve_donors():
    made = Study(per_level=26)
    made.sheet["donor"] = np.arange(52) // 2 + 101
    made.formula("~ donor + diagnosis + (1 | sample_id)")
    (fault,) = made.check().faults
    assert "donor holds 26 whole numbers (101 to 126) and is named like ids" in fault


@pytest.mark.parametrize(
    "name", ["age", "donor_age", "pmi", "weeks", "n_cells_of_pool", "rin", "Subject.BMI"]
)
def test_quantities_may_have_slopes(name):
    made = study(name, [60 + 3 * (i // 2) for i in range(12)], "sheet")
    check = made.check()
    assert check.faults == ()
    assert f"{name} is taken as a number" not in titles(check)


@BOTH
@pytest.mark.parametrize("name", ["batch", "plate", "lane", "tag"])
def test_whole_numbers_that_group_samples_are_warned_of(name, where):
    made = study(name, [500 + 20 * (i // 3) for i in range(12)], where)
    made.config["model"]["levels"] = {}
    check = made.check()
    assert check.faults == ()
    assert f"{name} is taken as a number" in titles(check)


@pytest.mark.parametrize("name", ["donor", "projid", "subj", "individual", "Patient_ID"])
@pytest.mark.parametrize("kind", [int, float, str])
def test_donors_are_looked_for_in_obs(name, kind):
    made = Study()
    made.obs[name] = np.repeat([kind(i // 2 + 1) for i in range(12)], 24)
    assert f"The pairing by {name} is not used" in titles(made.check())
    made.sheet["diagnosis"] = ["Control", "Control", "AD", "AD"] * 3
    assert f"Samples of one {name} are taken as independent" in titles(made.check())
    made.formula(f"~ diagnosis + (1 | {name}) + (1 | sample_id)")
    assert not any("independent" in title for title in titles(made.check()))


def test_no_donors_where_there_are_none():
    made = Study()
    made.obs["donor_age"] = np.repeat([60 + i // 2 for i in range(12)], 24)
    made.obs["donor"] = made.obs["sample_id"]
    made.obs["patient"] = np.arange(len(made.obs)) % 5
    assert not any("pairing" in title or "independent" in title for title in titles(made.check()))


@pytest.mark.parametrize("share", [0.005, 0.03])
@pytest.mark.parametrize("kind", ["factor", "number"])
def test_noise_in_the_cells_makes_no_factor_of_cells(share, kind):
    made = Study(cells=100)
    rng = np.random.default_rng(1)
    made.obs["dx"] = made.per_cell("diagnosis") if kind == "factor" else made.per_cell("age")
    wrong = np.sort(rng.choice(len(made.obs), int(share * len(made.obs)), replace=False))
    made.obs.iloc[wrong, made.obs.columns.get_loc("dx")] = "MCI" if kind == "factor" else 59
    made.formula("~ dx + (1 | sample_id)", "dx")
    (fault,) = made.check().faults
    samples = made.obs["sample_id"].iloc[wrong].nunique()
    assert fault.startswith(
        f"counts.h5ad: {samples} samples have more than one dx ({len(wrong)} cells of 2,400 in all): S01 ("
    )


def test_factors_of_cells_stay_factors_of_cells():
    for values in (["no"] * 24 + ["yes"], ["a", "b", "c"]):
        made = Study()
        made.obs["kind"] = (values * 288)[: len(made.obs)]
        made.formula("~ kind + diagnosis + (1 | sample_id)")
        assert made.check().faults == ()


def test_cells_without_a_type_are_counted():
    made = Study()
    made.obs["cell_type"] = made.obs["cell_type"].astype(object)
    made.obs.iloc[:3, 1] = np.nan
    made.obs.iloc[30:35, 1] = "neuron"
    warnings = {warning["title"]: warning["text"] for warning in made.check().as_json()["warnings"]}
    assert warnings["Cells without a cell type are in no test"] == (
        "3 cells of 288 in counts.h5ad have no value of cell_type (input.cell_type_key)."
    )
    assert "'neuron' (5 cells)" in warnings["Cell types are spelt like Neuron"]


def test_samples_absorb_nothing():
    """Where few samples have cells of the types that are tested, sample_id has fewer groups than there are samples."""
    made = Study()
    made.config["cell_types"] = ["Neuron"]
    made.obs = made.obs[(made.obs["cell_type"] != "Neuron") | (made.obs["sample_id"] < "S07")]
    check = made.check()
    assert check.faults == ()
    assert not any("absorbs" in title or "have one" in title for title in titles(check))


def test_words_and_numbers_in_sentences():
    words = {"cells": "cells", "donors": "donors", "diagnosis": "diagnoses", "batch": "batches", "status": "statuses", "mouse": "mice",
             "class": "classes", "sex": "sexes", "city": "cities", "mice": "mice"}  # fmt: skip
    assert {name: several(name) for name in words} == words
    assert [number(value) for value in (70, 7.25, 1e15, 2.5e20, 1e300)] == [
        "70",
        "7.25",
        "1,000,000,000,000,000",
        "2.5e20",
        "1e300",
    ]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.text(max_size=6), unique=True, max_size=6))
def test_labels_are_judged_without_a_crash(values):
    """Whatever the labels, those that look alike share their folded form, and each is in one group at most."""
    groups = labels.alike(values)
    grouped = [value for group in groups for value in group]
    assert len(grouped) == len(set(grouped))
    assert all(len({labels.folded(value) for value in group}) == 1 for group in groups)
    assert set(labels.missing_words(values)) <= set(values)
    for value in values:
        if labels.is_number(value):
            assert labels.is_dressed_number(value)
            float(value)
