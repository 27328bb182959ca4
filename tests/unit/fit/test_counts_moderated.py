"""The moderated test of count models with one intercept: what is interpolated, against maxima at every point."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from nestde.design.design import build_design
from nestde.fit.counts import fits, moderated
from nestde.fit.counts.general import moderated as general

CASE = np.array([[0.0, 1.0]])


def study(samples, cells, genes):
    """Cells, and (n, genes) counts, a third of the genes with an effect that some tests see from afar."""
    rng = np.random.default_rng(samples)
    sample = np.repeat(np.arange(samples), cells)
    case = sample % 2
    sd, theta = (
        0.3 * rng.lognormal(0, 0.7, genes) * (np.arange(genes) % 5 > 0),
        rng.lognormal(0.7, 0.5, genes),
    )
    effect = np.where(np.arange(genes) % 3 == 0, rng.uniform(0.5, 2.5, genes), 0.0)
    level = np.log(rng.permutation(np.geomspace(0.05, 5.0, genes))) + rng.normal(size=(samples, genes)) * sd
    mean = np.exp(level[sample] + effect * case[:, None])
    counts = rng.poisson(mean * rng.gamma(theta, 1.0 / theta, mean.shape))
    frame = pd.DataFrame({"sample": np.char.add("S", sample.astype(str)), "case": case.astype(float)})
    return frame, scipy.sparse.csc_array(counts)


@pytest.mark.parametrize(("samples", "cells"), [(16, 50), (24, 40), (40, 30)])
def test_interpolated_likelihoods_are_those_of_every_point(monkeypatch, samples, cells):
    frame, counts = study(samples, cells, 200)
    model = fits.prepare(
        build_design("~ case + (1 | sample)", frame), "negative_binomial", np.zeros(len(frame))
    )
    data = fits.data_of(model.cells, counts)
    full, ratios = fits.fit_tests(model, data, [CASE])
    expression = np.log(np.asarray(counts.sum(axis=0)).ravel() + 1.0)

    def found(prior=None):
        return moderated.moderate(model, data, full, [CASE], ratios, expression, prior)

    some = found()
    assert (np.exp(ratios[0].log_p) > moderated._PLAIN).sum() > 50
    monkeypatch.setattr(moderated, "_PLAIN", 1.0)
    every = found()
    (ours,), (theirs,) = some.tests, every.tests
    known = np.isfinite(theirs.log_p)
    assert known.sum() > 150 and (np.isfinite(ours.log_p) == known).all()
    # of log10 p; what a grid may be away from a finer one is .02 (tests/bench/quadrature.py)
    assert np.abs(ours.log_p - theirs.log_p)[known].max() < 0.02 * np.log(10.0)
    np.testing.assert_allclose(ours.estimate[known], theirs.estimate[known], atol=0.005)
    np.testing.assert_allclose(ours.se[known], theirs.se[known], rtol=0.01)
    for name, values in every.columns.items():
        # near 0 likelihoods are flat, and where they are largest says little
        np.testing.assert_allclose(
            some.columns[name][known], values[known], rtol=0.02, atol=0.01, err_msg=name
        )


def test_points_lie_denser_with_more_groups():
    for groups, most in ((16, 0.85), (24, 0.85), (100, 0.75), (500, 0.55)):
        variances = moderated.grid("sample", groups).values[:, 0]
        exact = moderated._exact(variances, groups)
        assert exact[0] == 0 and exact[-1] == len(variances) - 1 and (np.diff(exact) > 0).all()
        assert np.diff(np.log(variances[exact[1:]])).max() < most


@pytest.mark.parametrize("random", ["(1 | sample)", "(1 | donor/sample)"])
@pytest.mark.parametrize("family", fits.FAMILIES)
def test_an_arm_without_counts_leaves_the_variances_to_the_other(family, random):
    frame, counts = study(16, 40, 240)
    sample = np.repeat(np.arange(16), 40)
    frame["donor"] = np.char.add("D", (sample // 4 * 2 + sample % 2).astype(str))
    frame["w"] = np.random.default_rng(0).normal(size=16)[sample]
    empty, lost = frame["case"].to_numpy() == 1, np.arange(240) % 4 == 0
    counts = counts.toarray()
    counts[np.ix_(empty, lost)] = 0
    counts = scipy.sparse.csc_array(counts)
    expression = np.log(np.asarray(counts.sum(axis=0)).ravel() + 1.0)

    def moderate(formula, rows, cells, prior):
        model = fits.prepare(
            build_design(f"{formula} + {random}", frame[cells]), family, np.zeros(cells.sum())
        )
        data = fits.data_of(model.cells, counts[cells])
        full, ratios = fits.fit_tests(model, data, [rows])
        if "/" in random:
            return full, general.moderate(model, data, full, [rows], expression, prior)
        return full, moderated.moderate(model, data, full, [rows], ratios, expression, prior)

    full, both = moderate("~ w + case", np.array([[0.0, 0.0, 1.0]]), np.ones(len(frame), bool), None)
    one, alone = moderate("~ w", CASE, ~empty, both.prior)
    known = lost & fits.trusted(full.status) & fits.trusted(one.status)
    assert known.sum() > 55 and set(np.flatnonzero(known)) <= set(full.separated)
    np.testing.assert_allclose(full.loglik[known], one.loglik[known], atol=1e-5)
    for name, variance in alone.columns.items():
        if name.startswith("variance"):
            np.testing.assert_allclose(both.columns[name][known], variance[known], rtol=2e-3, err_msg=name)
    assert np.isfinite(both.tests[0].log_p[known]).all() and (both.tests[0].se[known] == np.inf).all()
