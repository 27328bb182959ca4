"""Named contrasts on the columns of designs."""

import numpy as np
import pandas as pd
import pytest

from nestde.design.contrasts import contrasts, joint
from nestde.design.design import build_design, load_design_file
from nestde.design.testable import NotTestable, design_to_test
from nestde.errors import NestdeError


@pytest.fixture
def frame():
    sample = np.repeat(np.arange(18), 3)
    return pd.DataFrame(
        {
            "sample_id": [f"S{i:02d}" for i in sample],
            "d": np.array(["Control", "AD", "MCI"])[sample % 3],
            "sex": np.array(["F", "M"])[sample // 3 % 2],
            "lane": sample // 2 % 3,
            "age": 60.0 + np.array([3, 9, 14, 5, 11, 2, 8, 21, 17])[sample % 9],
            "x": np.sin(np.arange(54)),
        }
    )


def built(frame, formula, *tests, **options):
    return build_design(f"~ {formula} + (1 | sample_id)", frame, test=tests, **options)


def means(design, frame, **where):
    """Mean of the rows of x at a place: of columns that depend on nothing else, their value there."""
    at = np.all([frame[name] == value for name, value in where.items()], axis=0)
    return design.x[at].mean(axis=0)


@pytest.mark.parametrize(
    "formula",
    ["d*sex", "x + d*sex", "0 + d:sex", "d/sex", "C(d, contr.sum)*sex", "C(d, contr.helmert)*C(sex, contr.sum)", "relevel(d, ref='MCI')*sex", "d*factor(sex, levels=c('M', 'F')) + age"],
)  # fmt: skip
def test_weights_are_those_of_the_rows_of_the_data_however_factors_are_coded(frame, formula):
    text = "AD-Control | sex=M"
    design = built(frame, formula, text)
    expected = means(design, frame, d="AD", sex="M") - means(design, frame, d="Control", sex="M")
    free = [name for term in ("x", "age") if term in design.terms for name in design.terms[term]]
    expected[free] = 0
    np.testing.assert_allclose(design.contrasts[text].weights, expected, atol=1e-12)
    assert joint(design, text).rows.shape == (1, len(design.coef_names))
    assert [(one.level, one.against) for one in contrasts(design, text)] == [(text, "")]


def test_numbers_are_taken_where_the_contrast_says(frame):
    one, two = "AD-Control | age=70.5", "AD-Control | age=0"
    design = built(frame, "d*age + sex", one, two)
    names = dict(zip(design.coef_names, design.contrasts[one].weights, strict=True))
    assert {name: value for name, value in names.items() if value} == {
        "d[Control]": -1,
        "d[Control]:age": -70.5,
    }
    both = design.contrasts[one].weights - design.contrasts[two].weights
    assert set(np.round(np.abs(both[both != 0]), 9)) == {70.5}
    # of a transform only what the data have is known
    aged = frame.assign(age=60.0 + np.repeat(np.arange(18), 3) // 3)
    with_log = built(aged, "d*log(age)", "AD-Control | age=63", "AD-Control | age=63.5")
    assert list(with_log.contrasts) == ["AD-Control | age=63"]
    assert with_log.untested == {"AD-Control | age=63.5": "no cell is of age 63.5 and d AD"}


def test_numbers_that_are_factors_are_compared_by_label(frame):
    design = built(frame, "C(lane) + d", "lane[1] - lane[2]", "lane[`2`] - lane[0]")
    weights = design.contrasts["lane[1] - lane[2]"].weights
    assert {name: w for name, w in zip(design.coef_names, weights, strict=True) if w} == {
        "C(lane)[1]": 1,
        "C(lane)[2]": -1,
    }


@pytest.mark.parametrize("level", ["CD4-T", "a b", "it's", "*", "1.10", "Ω/病", "x]y", "[z", "a|b=c", "-"])
def test_levels_of_any_name_are_compared(frame, level):
    frame["d"] = frame["d"].replace({"AD": level})
    text = f"`{level}` - Control"
    design = built(frame, "x + d", text)
    expected = means(design, frame, d=level) - means(design, frame, d="Control")
    np.testing.assert_allclose(design.contrasts[text].weights[2:], expected[2:], atol=1e-12)


def test_a_design_with_contrasts_is_read_back_as_it_was(frame, tmp_path):
    frame = frame[frame["d"] != "MCI"]
    design = built(
        frame, "d*sex", "AD-Control | sex=F", "AD-MCI | sex=F", "d", levels={"d": ["Control", "AD", "MCI"]}
    )
    design.save(tmp_path / "d.npz")
    again = load_design_file(tmp_path / "d.npz")
    assert list(again.tests) == ["AD-Control | sex=F", "d"]
    assert again.untested == design.untested == {"AD-MCI | sex=F": "no cell is of d MCI"}
    one, other = (found.contrasts["AD-Control | sex=F"] for found in (design, again))
    assert (one.level, one.against, one.points) == (other.level, other.against, other.points)
    np.testing.assert_array_equal(one.weights, other.weights)


def test_a_point_with_one_sample_leaves_out_its_contrasts_only(frame):
    frame.loc[(frame["d"] == "MCI") & (frame["sample_id"] != "S02"), "d"] = "Control"
    design = design_to_test(
        "~ x + d + (1 | sample_id)", frame, test=["AD-Control", "(AD+MCI)/2-Control"], levels={}
    )
    assert list(design.tests) == ["AD-Control"]
    assert design.untested["(AD+MCI)/2-Control"].startswith("d MCI has a single sample")
    refused = design_to_test("~ x + d + (1 | sample_id)", frame, test=["MCI-Control"], levels={})
    assert isinstance(refused, NotTestable)
    assert refused.reason.startswith("MCI-Control: d MCI has a single sample")


def test_all_faults_of_tests_are_told_together(frame):
    with pytest.raises(NestdeError) as refused:
        built(frame, "x + d", "AD-Contol", "AD+MCI-Control", "y", "d")
    assert [fault.split(":")[0] for fault in refused.value.faults] == ["test"] * 3
    assert "Did you mean Control?" in refused.value.faults[0]


def test_without_a_contrast_the_model_is_that_of_equal_means(frame):
    design = built(frame, "x + d", "AD-MCI")
    merged = build_design("~ x + d + (1 | sample_id)", frame.assign(d=frame["d"].replace({"MCI": "AD"})))
    less = design.x @ design.without("AD-MCI")
    span = np.linalg.matrix_rank(np.hstack([less, merged.x]))
    assert less.shape[1] == merged.x.shape[1] == span == 3
