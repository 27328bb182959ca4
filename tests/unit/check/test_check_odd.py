"""Odd but sound studies: accepted, and tested between what they should be."""

import numpy as np
import pytest
from makers.studies import Study, into

STUDIES = {}
# @resting_on(replicates, df, dimension): what the test rests on in the study that the function below changes
resting_on = into(STUDIES)


@resting_on("sample_id", 10, 12)
def samples_numbered(s):
    number = {name: str(i + 1) for i, name in enumerate(s.sheet["sample_id"])}
    s.sheet["sample_id"] = s.sheet["sample_id"].map(number)
    s.obs["sample_id"] = s.obs["sample_id"].map(number).astype(int)


@resting_on("sample_id", 10, 12)
def cell_types_numbered(s):
    s.obs["cell_type"] = (s.obs["cell_type"] == "Neuron").astype(float)
    s.config["cell_types"] = ["0", "1"]


@resting_on("sample_id", 10, 12)
def diagnosis_of_zero_and_one(s):
    s.sheet["dx"] = (s.sheet["diagnosis"] == "AD").astype(int)
    s.formula("~ dx + (1 | sample_id)", "dx")
    s.config["model"]["levels"] = {"dx": ["0", "1"]}


@resting_on("sample_id", 10, 12)
def diagnosis_true_or_false_in_the_data(s):
    s.obs["ill"] = s.per_cell("diagnosis") == "AD"
    s.formula("~ ill + (1 | sample_id)", "ill")


@resting_on("sample_id", 9, 12)
def names_with_blanks(s):
    s.sheet["my age"] = s.sheet["age"]
    s.sheet["my dx"] = s.sheet["diagnosis"]
    s.formula("~ `my age` + `my dx` + (1 | sample_id)", "`my dx`")


@resting_on("sample_id", 7, 12)
def functions_in_the_formula(s):
    s.formula("~ log(age) + C(batch) + diagnosis + (1 | sample_id)")


@resting_on("sample_id", 9, 12)
def two_terms_in_one_test(s):
    s.formula("~ sex + diagnosis + (1 | sample_id)", "diagnosis + sex")


@resting_on("sample_id", 8, 12)
def interaction_the_other_way_round(s):
    s.formula("~ sex * diagnosis + (1 | sample_id)", "diagnosis:sex")


@resting_on("sample_id", 11, 12)
def random_slope(s):
    s.formula("~ saturation + diagnosis + (1 + saturation || sample_id)", "saturation")


@resting_on("sample_id", 11, 12)
def random_slope_of_a_factor(s):
    s.obs["treated"] = ["no", "yes"] * (len(s.obs) // 2)
    s.formula("~ treated + (1 + treated | sample_id)", "treated")


@resting_on("sample_id", 10, 12)
def slopes_compared_between_diagnoses(s):
    s.formula("~ saturation * diagnosis + (1 + saturation | sample_id)", "saturation:diagnosis")


@resting_on("sample_id", 5, 6)
def pairs(s):
    s.sheet["donor"] = [f"D{i // 2}" for i in range(12)]
    s.formula("~ diagnosis + (1 | donor) + (1 | sample_id)")


@resting_on("animal", 4, 6)
def images_in_animals(s):
    s.sheet["animal"] = [f"{name}{i // 4}" for i, name in enumerate(s.sheet["diagnosis"])]
    s.sheet["image"] = np.arange(12) // 2 % 2 + 1
    s.formula("~ diagnosis + (1 | animal/image)")


@resting_on("sample_id", 10, 12)
def another_sample_key(s):
    s.obs["lib"] = s.obs["sample_id"]
    s.obs["sample_id"] = "x"
    s.config["input"]["sample_key"] = "lib"


@resting_on("sample_id", 9, 12)
def what_quality_control_measures(s):
    s.sheet["total_counts"] = np.arange(12) % 5  # wins over what is measured later
    s.formula("~ total_counts + pct_counts_mt + diagnosis + (1 | sample_id)")


@pytest.mark.parametrize("name", STUDIES)
def test_study_is_accepted(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    change, expected = STUDIES[name]
    study = Study()
    change(study)
    check = study.check()
    assert check.faults == ()
    (test,) = check.as_json()["tests"]
    assert (test["unit"], test["df"], test["dimension"]) == expected
