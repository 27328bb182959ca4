import numpy as np
import pandas as pd
import pytest

from nestde.design import design
from nestde.expression.crosscheck import columns, crosscheck, draw
from nestde.fit import fit_responses
from nestde.fit.family.mixedlm import mixedlm, why_not
from nestde.simulate import shifted_gene

FORMULA = "~ sequencing_saturation + diagnosis + (1 | sample_id)"
REFERENCE = mixedlm(lambda counts, size_factor: counts)


def checked_by(built, rows, y):
    return crosscheck(REFERENCE, built, rows, lambda gene: y, np.ones(built.n), 1e-6)


@pytest.fixture(scope="module")
def study():
    frame = shifted_gene(donors=4, cells=10)
    built = design.build_design(FORMULA, frame, test=["diagnosis"])
    y = frame["expression"].to_numpy()
    return frame, built, y


def row(built, frame, y, reml=False):
    reduced = design.build_design("~ sequencing_saturation + (1 | sample_id)", frame)
    shown = fit_responses(built, y, reml=reml)
    coefs = {f"coef_{name}": shown.coef[0, i] for i, name in enumerate(built.coef_names)}
    return pd.DataFrame(
        {
            "gene": ["G"],
            "term": "diagnosis",
            "loglik_full": fit_responses(built, y).loglik,
            "loglik_reduced": fit_responses(reduced, y).loglik,
            "estimates": "REML" if reml else "ML",
            **coefs,
        }
    )


@pytest.mark.parametrize("reml", [False, True])
def test_statsmodels_agrees_with_the_fit(study, reml):
    frame, built, y = study
    checked = checked_by(built, row(built, frame, y, reml), y)
    assert checked.columns.tolist() == columns(REFERENCE)
    assert checked["verdict"].tolist() == ["agrees"]


@pytest.mark.parametrize(
    ("column", "shift", "verdict"),
    [
        ("loglik_full", -0.01, "differs"),
        ("loglik_full", 0.01, "statsmodels stopped short"),
        ("coef_diagnosis[Control]", 0.01, "differs"),
    ],
)
def test_a_difference_is_told(study, column, shift, verdict):
    frame, built, y = study
    wrong = row(built, frame, y)
    wrong[column] += shift
    assert checked_by(built, wrong, y)["verdict"].tolist() == [verdict]


def test_no_fit_is_told(study):
    frame, built, y = study
    broken = checked_by(built, row(built, frame, y), np.full_like(y, np.nan))
    assert broken["verdict"].tolist() == ["statsmodels failed"]


def test_the_same_seed_draws_the_same_genes():
    genes = [f"G{i}" for i in range(50)]
    assert draw(genes, 5, 1) == draw(genes[::-1], 5, 1) != draw(genes, 5, 2)
    assert draw(genes, 5, 1) == draw(genes, 6, 1)[:15]
    assert sorted(draw(genes, 99, 1)) == sorted(genes)


@pytest.fixture(scope="module")
def paired():
    rng = np.random.default_rng(4)
    sample = np.repeat(np.arange(12), 7)
    frame = pd.DataFrame(
        {
            "sample_id": [f"S{i}" for i in sample],
            "donor": sample // 2,
            "diagnosis": np.array(["AD", "Control"])[sample % 2],
        }
    ).assign(lane=rng.integers(0, 4, len(sample)), x=rng.normal(size=len(sample)))
    effects = (
        rng.normal(0, 0.7, 6)[frame["donor"]]
        + rng.normal(0, 0.5, 12)[sample]
        + rng.normal(0, 0.4, 4)[frame["lane"]]
    )
    return frame, 0.4 * (frame["diagnosis"] == "AD").to_numpy() + effects + rng.normal(0, 1, len(sample))


@pytest.mark.parametrize(
    ("bars", "noise"),
    [
        ("(1 | donor) + (1 | sample_id)", False),
        ("(1 | donor/sample_id)", True),
        ("(1 + x | donor) + (1 | sample_id)", False),
        ("(1 | donor) + (1 | lane)", False),
        ("(1 | lane) + (1 | donor/sample_id)", True),
    ],
)
def test_several_factors_nested_or_crossed_are_refitted_too(paired, bars, noise):
    frame, y = paired
    if noise:  # nothing between groups: variances of zero
        y = y - pd.Series(y).groupby(frame["sample_id"].to_numpy()).transform("mean").to_numpy()
    built = design.build_design(f"~ diagnosis + {bars}", frame, test=["diagnosis"])
    ours = fit_responses(built, y).loglik[0]
    reduced = fit_responses(design.build_design(f"~ 1 + {bars}", frame), y).loglik[0]
    full, less, coef = REFERENCE.refit(built, "diagnosis", "REML", y, np.ones(len(y)))
    assert why_not(built) == ""
    assert [full, less] == pytest.approx([ours, reduced], abs=2e-6)
    assert coef == pytest.approx(fit_responses(built, y, reml=True).coef[0], abs=1e-5)


def test_what_statsmodels_does_not_have_or_would_take_hours_for_is_told(paired):
    frame, _ = paired
    finer = design.build_design("~ diagnosis + (1 | donor) + (1 + x | sample_id)", frame)
    assert "not of sample_id here" in why_not(finer)
    rng = np.random.default_rng(0)
    many = pd.DataFrame({"a": rng.integers(0, 60, 20_000), "b": rng.integers(0, 50, 20_000)})
    large = design.build_design("~ 1 + (1 | a) + (1 | b)", many)
    assert "2,200,000 entries" in why_not(large)


@pytest.mark.parametrize("unit", [1e5, 1e-4])
def test_a_slope_is_searched_in_whatever_unit_its_covariate_is(unit):
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(12), 40)
    x = rng.normal(size=480)
    y = rng.normal(size=480) + 0.4 * rng.normal(size=12)[group] * x
    frame = pd.DataFrame({"group": group.astype(str), "x": x * unit, "case": group % 2})
    built = design.build_design("~ x + case + (0 + x | group)", frame, test=["case"])
    loglik, _, coef = REFERENCE.refit(built, "case", "ML", y, np.ones(480))
    ours = fit_responses(built, y)
    assert loglik == pytest.approx(ours.loglik[0], abs=1e-8)
    np.testing.assert_allclose(coef, ours.coef[0], rtol=1e-5)
