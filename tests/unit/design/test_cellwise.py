import numpy as np
import pandas as pd
import pytest

from nestde.design.cellwise import Cellwise
from nestde.design.design import build_design
from nestde.errors import NestdeError
from nestde.fit.basis import basis
from nestde.fit.crossproducts import leaves
from nestde.fit.grain import grain, grain_of

SHEET = ["diagnosis", "age", "donor", "my batch"]


def cells(n=400, seed=0):
    """Cells of twelve samples of six donors, unequally many, with covariates of samples and of cells."""
    rng = np.random.default_rng(seed)
    sample = np.sort(np.concatenate([np.arange(12), rng.integers(0, 12, n - 12) ** 2 // 12]))
    frame = pd.DataFrame({"sample_id": [f"S{i:02}" for i in sample], "donor": [f"D{i // 2}" for i in sample]})
    frame["diagnosis"] = np.array(["Control", "AD"])[sample % 2]
    frame["age"] = rng.normal(70, 8, 12)[sample]
    frame["my batch"] = np.array(["a", "b", "c"])[sample // 4]
    frame["x"], frame["phase"] = rng.normal(5, 2, n), rng.choice(["G1", "S", "G2M"], n)
    frame["far"] = 1e9 + rng.normal(0, 1, n)
    frame["lane"] = rng.choice(["L1", "L2"], n)
    return frame


@pytest.mark.parametrize(
    ("formula", "terms", "groups"),
    [
        ("~ diagnosis + (1 | sample_id)", (), ()),
        ("~ age * diagnosis + `my batch` + (1 | donor/sample_id)", (), ()),
        ("~ x + diagnosis + (1 | sample_id)", ("x",), ()),
        ("~ diagnosis * x + age:x + (1 + x | sample_id)", ("x",), ()),
        ("~ diagnosis + (1 + log(x) || sample_id)", ("log(x)",), ()),
        ("~ diagnosis:x:phase + (1 | sample_id/lane)", ("phase", "phase:x", "x"), ("lane",)),
        ("~ ns(x, df = 3) + C(`my batch`) + (1 | sample_id)", ("ns(x, df=3)",), ()),
    ],
)
def test_what_varies_within_samples_is_found_in_the_formula(formula, terms, groups):
    found = Cellwise.of(formula, {}, SHEET)
    assert (found.terms, found.groups, found.of_samples) == (terms, groups, ())
    assert Cellwise.read(found.text()) == found


def test_a_transform_of_both_names_the_covariate_of_samples_that_it_reads():
    found = Cellwise.of("~ I(age * x) + diagnosis + (1 | sample_id)", {"diagnosis": ["Control", "AD"]}, SHEET)
    assert (found.terms, found.of_samples, found.levels) == (("I(age * x)",), ("age",), {})
    assert Cellwise.of("~ x + (1 | sample_id)", {"x": [1, 2]}, SHEET).levels == {"x": ("1", "2")}


@pytest.mark.parametrize(
    "formula",
    [
        "~ diagnosis + (1 | sample_id)",
        "~ diagnosis + (1 | donor)",
        "~ age + diagnosis + (1 | donor/sample_id)",
        "~ diagnosis * x + (1 | donor) + (1 | sample_id)",
        "~ x * diagnosis + `my batch`:x + (1 + x | sample_id)",
        "~ age * x + (1 + x || donor) + (1 | sample_id)",
        "~ diagnosis:phase + phase + (0 + phase | sample_id)",
        "~ phase * x * diagnosis + (1 | sample_id)",
        "~ ns(x, df = 3) * diagnosis + (1 | sample_id)",
        "~ poly(x, 2) + I(age * x) + diagnosis + (1 | sample_id)",
        "~ scale(x) + diagnosis + (1 | sample_id/lane)",
        "~ far + diagnosis + (1 | sample_id)",
        "~ C(lane) + diagnosis + (1 | sample_id) + (1 | lane)",
    ],
)
def test_sums_by_a_formulas_cell_parts_hold_its_design(formula):
    """Whatever the design is, its columns are the leaves' means and what the columns within leaves give."""
    frame = cells()
    built = build_design(formula, frame)
    turned = basis(built)
    kept = grain(*Cellwise.of(formula, {}, SHEET).of_cells(frame))
    leaf = leaves(built, turned, kept)
    assert leaf is not None
    whole = leaf.mean[kept.code] + np.einsum("nw,nwc->nc", kept.f, leaf.within[kept.code])
    np.testing.assert_allclose(
        whole, np.hstack([*turned.z, turned.q]), atol=1e-12 if "far" not in formula else 1e-6
    )
    assert kept.f.shape[1] <= grain_of(built).f.shape[1] + (not formula.startswith("~ diagnosis:phase"))


def test_columns_within_leaves_are_orthonormal_in_each_or_nothing():
    frame = cells()
    frame.loc[frame["sample_id"] == "S00", "x"] = 5.0
    kept = grain(*Cellwise.of("~ x * phase + (1 | sample_id)", {}, SHEET).of_cells(frame))
    for leaf in range(kept.leaves):
        mine = kept.f[kept.code == leaf]
        product = mine.T @ mine
        np.testing.assert_allclose(product, np.diag(np.round(np.diag(product))), atol=1e-12)
        np.testing.assert_allclose(mine.sum(axis=0), 0, atol=1e-12)


def test_other_covariates_of_samples_need_no_other_sums_and_those_of_cells_do():
    frame = cells()
    kept = grain(*Cellwise.of("~ x + diagnosis + (1 | sample_id)", {}, SHEET).of_cells(frame))

    def held(formula):
        built = build_design(formula, frame)
        return leaves(built, basis(built), kept) is not None

    assert held("~ x * diagnosis + age + `my batch` + (1 + x | donor) + (1 | sample_id)")
    assert not held("~ x + phase + diagnosis + (1 | sample_id)")
    assert not held("~ I(x^2) + diagnosis + (1 | sample_id)")
    assert not held("~ x + diagnosis + (1 | sample_id/lane)")


def test_cells_without_a_value_are_refused_as_a_design_refuses_them():
    frame = cells()
    frame.loc[3, "x"] = np.nan
    with pytest.raises(NestdeError, match="x: 1 of 400 cells has no value"):
        Cellwise.of("~ x + (1 | sample_id)", {}, SHEET).of_cells(frame)
