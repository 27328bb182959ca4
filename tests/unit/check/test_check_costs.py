"""The true size of the likelihood ratio test and the smallest effect: against simulation of the same designs."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from nestde.check.replicates import (
    contrast_variance,
    estimated_icc,
    generalised_vif,
    lrt_size,
    lrt_size_at,
    mean_weights,
    size_without_groups,
    smallest_effect,
)
from nestde.design.design import build_design
from nestde.fit import fit_responses

CELLS, SAMPLES, STUDIES = 50, (2, 3, 6, 12, 24), 100_000


def deviance(between, within, m, k):
    """-2 log L of the balanced one-way model by maximum likelihood, up to a constant, in closed form.

    `between` and `within` are the residual sums of squares of sample means (times k) and of cells. The variance of
    means, λ = σ² + k τ², is at least σ²; where the free estimates disagree, τ² is 0 and all squares are pooled
    (Searle, Casella & McCulloch 1992, section 4.8).
    """
    sigma, of_means = within / (m * (k - 1)), between / m
    pooled = (between + within) / (m * k)
    inside = of_means > sigma
    return np.where(
        inside,
        m * (k - 1) * np.log(sigma) + m * np.log(of_means),
        m * k * np.log(pooled),
    )


def simulated_p(per_level, icc, studies, seed):
    """P-values of the χ² LRT in studies without any difference: `per_level` v `per_level` samples."""
    rng = np.random.default_rng(seed)
    m = 2 * per_level
    means = rng.normal(0, np.sqrt(icc + (1 - icc) / CELLS), (studies, m))
    within = (1 - icc) * rng.chisquare(m * (CELLS - 1), studies)
    null = CELLS * ((means - means.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    halves = means.reshape(studies, 2, per_level)
    full = CELLS * ((halves - halves.mean(axis=2, keepdims=True)) ** 2).sum(axis=(1, 2))
    return stats.chi2.sf(deviance(null, within, m, CELLS) - deviance(full, within, m, CELLS), 1)


@pytest.mark.parametrize("per_level", SAMPLES)
@pytest.mark.parametrize("icc", [0.02, 0.1, 0.5])
def test_size_of_the_lrt_is_that_of_simulated_studies(per_level, icc):
    size = lrt_size_at(2 * per_level, 2 * per_level - 2, 1, CELLS, icc)
    found = np.mean(simulated_p(per_level, icc, STUDIES, seed=per_level) < 0.05)
    assert abs(found - size) < 3 * np.sqrt(size * (1 - size) / STUDIES) + 1e-4  # 1e-4: of the integration


@pytest.mark.parametrize("per_level", SAMPLES)
def test_size_where_samples_clearly_differ_is_that_of_simulated_studies(per_level):
    size = lrt_size(2 * per_level, 2 * per_level - 2, 1)
    found = np.mean(simulated_p(per_level, 0.9, STUDIES, seed=per_level) < 0.05)
    assert abs(found - size) < 3 * np.sqrt(size * (1 - size) / STUDIES)
    assert lrt_size_at(2 * per_level, 2 * per_level - 2, 1, 1000, 0.99) == pytest.approx(size, abs=1e-4)


@pytest.mark.parametrize("per_level", [2, 3, 6])
def test_size_is_that_of_studies_fitted_by_the_engine(per_level):
    studies, m = 4000, 2 * per_level
    rng = np.random.default_rng(per_level)
    frame = pd.DataFrame({"sample_id": np.repeat([f"S{i}" for i in range(m)], CELLS)})
    frame["diagnosis"] = np.where(np.arange(len(frame)) // CELLS % 2, "AD", "Control")
    y = np.repeat(rng.normal(0, np.sqrt(0.1), (m, studies)), CELLS, axis=0)
    y += rng.normal(0, np.sqrt(0.9), y.shape)
    full, null = (
        fit_responses(build_design(formula, frame), y)
        for formula in ("~ diagnosis + (1 | sample_id)", "~ 1 + (1 | sample_id)")
    )
    found = np.mean(stats.chi2.sf(2 * (full.loglik - null.loglik), 1) < 0.05)
    size = lrt_size_at(m, m - 2, 1, CELLS, 0.1)
    assert abs(found - size) < 3 * np.sqrt(size * (1 - size) / studies)


def test_size_with_unequal_cells_is_close_to_that_of_equal_ones():
    """4 v 4 samples of 20 to 400 cells, by the engine: the stated size, for the harmonic mean, is right to a point."""
    studies = 4000
    cells = np.array([20, 400, 60, 30, 200, 25, 150, 90])
    rng = np.random.default_rng(9)
    code = np.repeat(np.arange(8), cells)
    frame = pd.DataFrame(
        {"sample_id": [f"S{i}" for i in code], "diagnosis": np.where(code % 2, "AD", "Control")}
    )
    y = rng.normal(0, np.sqrt(0.1), (8, studies))[code] + rng.normal(0, np.sqrt(0.9), (len(code), studies))
    full, null = (
        fit_responses(build_design(formula, frame), y)
        for formula in ("~ diagnosis + (1 | sample_id)", "~ 1 + (1 | sample_id)")
    )
    found = np.mean(stats.chi2.sf(2 * (full.loglik - null.loglik), 1) < 0.05)
    assert found == pytest.approx(
        lrt_size_at(8, 6, 1, len(cells) / np.sum(1 / cells), 0.1), abs=0.01 + 3 * 0.005
    )


def test_closed_form_of_the_simulation_is_the_maximum_of_the_likelihood():
    rng = np.random.default_rng(3)
    for tau in (0.0, 0.5):
        y = rng.normal(0, 1, (6, 8)) + tau * rng.normal(0, 1, (6, 1))
        x = np.repeat([[1.0, 0.0], [1.0, 1.0]], 24, axis=0)

        def objective(theta, y=y, x=x):
            v = np.kron(np.eye(6), np.exp(theta[0]) * np.eye(8) + theta[1] ** 2 * np.ones((8, 8)))
            inverse = np.linalg.inv(v)
            beta = np.linalg.solve(x.T @ inverse @ x, x.T @ inverse @ y.ravel())
            residual = y.ravel() - x @ beta
            return np.linalg.slogdet(v)[1] + residual @ inverse @ residual

        best = min(
            optimize.minimize(
                objective,
                [0.0, start],
                method="Nelder-Mead",
                options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000},
            ).fun
            for start in (0.1, 1.0)
        )
        means = y.mean(axis=1)
        between = 8 * sum(((half - half.mean()) ** 2).sum() for half in (means[:3], means[3:]))
        within = ((y - means[:, None]) ** 2).sum()
        assert deviance(between, within, 6, 8) + 48 == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize(("per_level", "size"), [(3, 0.131), (6, 0.081), (12, 0.064)])
def test_size_of_the_lrt_in_the_designs_that_the_documentation_names(per_level, size):
    assert lrt_size(2 * per_level, 2 * per_level - 2, 1) == pytest.approx(size, abs=5e-4)


def test_size_of_the_lrt_tends_to_the_nominal_one():
    assert lrt_size(20_000, 19_998, 1) == pytest.approx(0.05, abs=1e-4)
    assert np.isnan(lrt_size(4, 0, 1))


def test_size_with_several_levels_and_within_donors():
    """Three diagnoses (q = 2), and pairs: d donors with two samples each leave d contrasts within donors."""
    rng = np.random.default_rng(1)
    studies = 100_000
    means = rng.normal(size=(studies, 3, 4))
    total = ((means - means.mean(axis=(1, 2), keepdims=True)) ** 2).sum(axis=(1, 2))
    inside = ((means - means.mean(axis=2, keepdims=True)) ** 2).sum(axis=(1, 2))
    found = np.mean(stats.chi2.sf(12 * np.log(total / inside), 2) < 0.05)
    assert found == pytest.approx(lrt_size(12, 9, 2), abs=3 * np.sqrt(0.1 * 0.9 / studies))
    difference = rng.normal(size=(studies, 8))
    f = (difference**2).sum(axis=1) / ((difference - difference.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    found = np.mean(stats.chi2.sf(8 * np.log(f), 1) < 0.05)
    assert found == pytest.approx(lrt_size(8, 7, 1), abs=3 * np.sqrt(0.08 * 0.92 / studies))


def test_a_model_without_samples_is_as_wrong_as_simulated():
    rng = np.random.default_rng(2)
    studies, m, k, icc = 20_000, 12, 200, 0.1
    means = rng.normal(0, np.sqrt(icc + (1 - icc) / k), (studies, m))
    z = (means[:, :6].mean(axis=1) - means[:, 6:].mean(axis=1)) / np.sqrt(4 / (m * k))
    found = np.mean(np.abs(z) > stats.norm.isf(0.025))
    assert found == pytest.approx(size_without_groups(k, icc), abs=3 * np.sqrt(0.25 / studies))


def test_smallest_effect_is_found_in_80_percent_of_simulated_studies():
    x = np.column_stack([np.ones(12), np.arange(12) % 2])
    variance = contrast_variance(x, np.eye(x.shape[1])[1], np.ones(12))
    assert variance == pytest.approx(1 / 3)
    effect = smallest_effect(variance, 10)
    rng = np.random.default_rng(4)
    y = rng.normal(size=(100_000, 12)) + effect * x[:, 1]
    a, b = y[:, 1::2], y[:, ::2]
    power = np.mean(stats.ttest_ind(a, b, axis=1).pvalue < 0.05)
    assert power == pytest.approx(0.8, abs=3 * np.sqrt(0.16 / 100_000))
    assert np.isnan(smallest_effect(variance, 0))


@pytest.mark.parametrize("df", [1, 2, 4, 22, 200])
def test_smallest_effect_is_that_of_the_noncentral_t(df):
    effect = smallest_effect(1.0, df)
    critical = stats.t.isf(0.025, df)
    # the lower tail is left out: scipy's is not a number there, and it is below 1e-3
    assert stats.nct.sf(critical, df, effect) == pytest.approx(0.8, abs=1e-3)


def test_contrast_variance_is_that_of_generalised_least_squares():
    rng = np.random.default_rng(5)
    x = np.column_stack([np.ones(9), rng.normal(size=9), np.arange(9) % 2])
    weights = mean_weights(rng.integers(10, 500, 9), 0.1)
    expected = np.linalg.inv(x.T @ np.diag(weights) @ x)[2, 2]
    assert contrast_variance(x, np.eye(x.shape[1])[2], weights) == pytest.approx(expected, rel=1e-12)
    assert mean_weights(np.array([18.0]), 0.1)[0] == pytest.approx(1 / (1 + 0.9 / 1.8))


def test_generalised_vif_is_the_inflation_of_the_variance():
    rng = np.random.default_rng(6)
    n = 400
    a = rng.normal(size=n)
    x = np.column_stack([np.ones(n), a, a + 0.3 * rng.normal(size=n), rng.integers(0, 2, n)])
    found = generalised_vif(x, {"a": [1], "b": [2], "c": [3]})
    for j, term in ((1, "a"), (2, "b"), (3, "c")):
        others = np.delete(x, j, axis=1)
        residual = x[:, j] - others @ np.linalg.lstsq(others, x[:, j], rcond=None)[0]
        expected = ((x[:, j] - x[:, j].mean()) ** 2).sum() / (residual**2).sum()
        assert found[term][0] == pytest.approx(expected, rel=1e-9)
    assert found["a"][1] == "b"
    assert found["a"][2] == pytest.approx(np.corrcoef(x[:, 1], x[:, 2])[0, 1], rel=1e-9)


def test_the_smallest_effect_of_a_number_is_per_unit(tmp_path, monkeypatch):
    from makers.studies import Study

    from nestde.check.render import cell_type_row

    monkeypatch.chdir(tmp_path)
    study = Study(per_level=3)
    study.sheet["days"] = study.sheet["age"] * 3650
    study.formula("~ sex + days + (1 | sample_id)", "days")
    accepted = study.check().accepted
    (effect,) = (found.smallest_effect for found in accepted.cell_types[:1])
    assert 0 < effect < 1e-3
    assert cell_type_row(accepted.cell_types[0])[-1] == f"{effect:.2g} SD between samples per unit of days"
    assert any("between samples per unit of days (at" in found.text for found in accepted.warnings)


def test_what_will_be_estimated_of_a_correlation():
    """6 samples of 50 cells, one coefficient between them, against fits of drawn studies: 4,000 of the engine's own law."""
    samples = np.repeat(np.arange(6), CELLS)
    frame = pd.DataFrame({"sample": [f"s{i}" for i in samples], "case": samples % 2})
    built = build_design("~ case + (1 | sample)", frame)
    random = np.random.default_rng(7)
    y = random.normal(size=(len(frame), 4000)) + np.sqrt(0.1 / 0.9) * random.normal(size=(6, 4000))[samples]
    sd = fit_responses(built, y, reml=True, threads=1).theta[:, 0] ** 2
    icc = sd / (1 + sd)
    low, high, zero = estimated_icc(4, 6 * (CELLS - 1), CELLS, 0.1)
    assert (icc == 0).mean() == pytest.approx(zero, abs=4 * np.sqrt(zero / 4000))
    assert low == np.quantile(icc, 0.025) == 0
    assert (icc > high).mean() == pytest.approx(0.025, abs=0.01)
