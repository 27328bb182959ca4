"""What is compared has two samples of each kind, however the kinds are written: in the check, in a cell type's design and in `de`."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makers.studies import Study

from nestde.check import check_study
from nestde.design.design import build_design
from nestde.design.testable import too_few_samples
from nestde.errors import NestdeError
from nestde.study.config import load

END = "2 samples are the least, 6 are advised. Add samples, or drop it."


def study(formula, test, **columns):
    """6 v 6 samples with further columns of the sheet."""
    made = Study()
    for name, values in columns.items():
        made.sheet[name] = values
    made.formula(f"{formula} + (1 | sample_id)", test)
    return made


ONE = [0] * 11 + [1]  # 0 × 11, 1 × 1
TEN = [0] * 10 + [1] * 2
LETTERS = np.array(["a", "b"])

# formula, test, columns -> the kind that has one sample, '' where none has
CASES = [
    ("~ x", "x", {"x": ONE}, "x 1"),
    ("~ x", "x", {"x": [70.5] * 11 + [80.0]}, "x 80"),
    ("~ x", "x", {"x": LETTERS[ONE]}, "x b"),
    ("~ C(x)", "C(x)", {"x": ONE}, "x 1"),
    ("~ C(x)", "C(x)", {"x": LETTERS[ONE]}, "x b"),
    ("~ factor(x)", "factor(x)", {"x": [1] * 5 + [2] * 6 + [3]}, "x 3"),
    ("~ `my x`", "`my x`", {"my x": LETTERS[ONE]}, "my x b"),
    ("~ x", "x", {"x": TEN}, ""),
    ("~ C(x)", "C(x)", {"x": TEN}, ""),
    ("~ x", "x", {"x": [0] * 10 + [1, 2]}, ""),  # a slope, from two samples
    ("~ age", "age", {}, ""),
    ("~ diagnosis + x", "diagnosis", {"x": ONE}, ""),  # warned of
    ("~ diagnosis * x", "diagnosis:x", {"x": LETTERS[[0] * 8 + [1, 1, 0, 1]]}, "diagnosis Control with x b"),
    ("~ diagnosis * x", "diagnosis:x", {"x": [0] * 8 + [1, 1, 0, 1]}, "diagnosis Control with x 1"),
    ("~ diagnosis * x", "x", {"x": LETTERS[[0] * 8 + [1, 1, 0, 1]]}, ""),  # in AD, which is the reference here
    ("~ x * diagnosis", "diagnosis", {"x": LETTERS[[1] * 8 + [0, 0, 1, 0]]}, "diagnosis Control with x a"),
    ("~ diagnosis * sex", "diagnosis:sex", {}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("formula", "test", "columns", "kind"), CASES)
def test_check_and_design_agree_on_samples_that_are_alone(
    formula, test, columns, kind, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    made = study(formula, test, **columns)
    faults = [fault for fault in made.check().faults if " has 1 sample (" in fault]
    obs = made.obs.merge(made.sheet, on="sample_id")
    told = too_few_samples(build_design(made.config["model"]["formula"], obs, test=[test]), obs)
    if not kind:
        assert (faults, told) == ([], "")
        return
    (fault,) = faults
    assert f": {kind} has 1 sample (S" in fault
    assert fault.endswith(END)
    assert told == f"{kind} has a single sample with enough cells of this type; 2 are needed"


def test_a_slope_compared_between_diagnoses_needs_two_samples_of_each(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = study("~ diagnosis * saturation", "diagnosis:saturation", diagnosis=LETTERS[ONE])
    assert made.check().faults == (
        "samples.tsv: diagnosis b has 1 sample (S12). What is particular to it cannot be told from what is particular to b: "
        f"{END}",
    )


def test_a_cell_type_with_one_sample_of_a_number(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = study("~ x", "x", x=TEN)
    made.obs = made.obs[(made.obs["cell_type"] != "Neuron") | (made.obs["sample_id"] != "S12")]
    check = made.check()
    assert check.faults == ()
    assert [report["reason"] for report in check.as_json()["cell_types"]] == [
        "x cannot be tested: x 1 has 1 sample with 10 cells of this type or more; 2 are the least.", "",
    ]  # fmt: skip


def test_de_knows_samples_by_their_grouping_factor():
    obs = pd.DataFrame(
        {"donor": np.repeat([f"D{i}" for i in range(6)], 5), "x": np.repeat([0, 0, 0, 0, 0, 1], 5)}
    )
    said = "x 1 has a single sample with enough cells of this type; 2 are needed"
    assert too_few_samples(build_design("~ x + (1 | donor)", obs, test=["x"]), obs) == said


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), min_size=4, max_size=9), st.booleans())
def test_kinds_with_one_sample_are_those_that_counting_finds(samples, interaction):
    """An interaction is refused where a combination has one sample, a factor where a level has."""
    sheet = pd.DataFrame(samples, columns=["a", "b"]).astype(str).add_prefix("x_")
    sheet = sheet.apply(lambda column: "l" + column).assign(sample_id=[f"S{i}" for i in range(len(samples))])
    obs = sheet.loc[np.repeat(sheet.index, 4)].reset_index(drop=True)
    formula, test = ("x_a * x_b", "x_a:x_b") if interaction else ("x_a", "x_a")
    try:
        design = build_design(f"~ {formula} + (1 | sample_id)", obs, test=[test])
    except NestdeError:
        return  # a combination that is not there, or one level alone
    numbers = sheet.groupby(["x_a", "x_b"] if interaction else "x_a").size()
    assert (too_few_samples(design, obs) != "") == bool((numbers == 1).any())


def test_no_study_is_accepted_that_is_refused_in_its_cell_types(tmp_path, monkeypatch):
    """Without a random term, or with one-sample kinds, the check itself says no, not the fit."""
    monkeypatch.chdir(tmp_path)
    for formula in ("~ diagnosis", "~ 1 + diagnosis", "~ saturation * diagnosis"):
        made = Study()
        made.formula(formula, "diagnosis")
        made.write()
        (fault,) = check_study(load(made.config)).faults
        assert fault == (
            f'model.formula: "{formula}" has no random term, so rows of one sample would count as independent. Say what '
            "groups them, as in (1 | sample_id)."
        )
