"""Intervals of variance components against lme4's profiles and bootstrap, and a closed form."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from makers.oracle import case
from scipy import optimize, stats

from nestde.fit import draws, intervals
from nestde.fit.crossproducts import sums_of_responses
from nestde.fit.genes import fit, prepare

ORACLE = json.loads(Path(__file__).parents[2].joinpath("oracle/variances.json").read_text(encoding="utf-8"))


@cache
def fitted(name, reml):
    built, y, _ = case(name)
    model = prepare(built)
    sums = sums_of_responses(built, model.basis, model.leaf, np.asarray(y).reshape(built.n, -1)[:, :1])
    return model, sums, fit(model, sums, np.eye(built.x.shape[1]), reml)


@pytest.mark.parametrize("name", list(ORACLE["profile"]))
def test_profiles_are_those_of_lme4(name):
    """lme4 interpolates its profile by a spline: five digits."""
    record = ORACLE["profile"][name]
    found = {each.name: each for each in intervals.profile(*fitted(name, False))}
    # of a group within another lme4 turns the name round
    theirs = [name.replace("cask:batch", "batch:cask") for name in record["names"]]
    assert sorted(found) == sorted(theirs)
    for which, lower, upper in zip(theirs, record["lower"], record["upper"], strict=True):
        assert found[which].lower == pytest.approx(lower, rel=2e-5, abs=2e-6 * upper)
        assert found[which].upper == pytest.approx(upper, rel=2e-5)


def test_a_profile_by_reml_is_that_of_the_closed_form():
    """A balanced one-way layout has two mean squares, and −2ℓ in them."""
    model, sums, fits = fitted("dyestuff", True)
    groups, cells = 6, 5
    (zy,), yy = sums.zy, sums.yy[0]
    between = float(np.sum(zy[0, :, 0] ** 2)) / cells - float(sums.qy[0, 0] ** 2)
    within = yy - float(np.sum(zy[0, :, 0] ** 2)) / cells

    def loss(sd, log_sigma2):
        sigma2 = np.exp(log_sigma2)
        rest = sigma2 + cells * sd**2
        value = (groups - 1) * np.log(rest) + between / rest
        return value + groups * (cells - 1) * np.log(sigma2) + within / sigma2

    def least(sd):
        return optimize.minimize_scalar(
            lambda v: loss(sd, v), bounds=(2.0, 14.0), method="bounded", options={"xatol": 1e-10}
        ).fun

    best = optimize.minimize_scalar(least, bounds=(1.0, 200.0), method="bounded", options={"xatol": 1e-9})
    sd = intervals.profile(model, sums, fits, level=0.9)[0]
    assert sd.estimate == pytest.approx(best.x, rel=1e-5)
    for limit in (sd.lower, sd.upper):
        assert least(limit) - best.fun == pytest.approx(stats.chi2.ppf(0.9, 1), abs=1e-5)
    assert sd.lower < sd.estimate < sd.upper


@pytest.mark.parametrize("name", list(ORACLE["bootstrap"]))
def test_the_bootstrap_is_that_of_lme4(name):
    """Both are random: means within 4.5 standard errors, quantiles within 0.2 SDs of the estimates."""
    model, _, fits = fitted(name, True)
    drawn = draws.bootstrap(model, fits.factors, fits.sigma[0], 2000, seed=1)
    record = ORACLE["bootstrap"][name]
    theirs = dict(
        zip([tuple(words.split()) for words in record["names"]], range(len(record["names"])), strict=True)
    )
    names = {
        "sd_(Intercept)|Subject": ("Subject", "(Intercept)", "NA"),
        "sd_Days|Subject": ("Subject", "Days", "NA"),
        "cor_Days.(Intercept)|Subject": ("Subject", "(Intercept)", "Days"),
        "sd_(Intercept)|Batch": ("Batch", "(Intercept)", "NA"),
        "sigma": ("Residual", "NA", "NA"),
    }
    for each, values in zip(
        intervals.quantiles(intervals.estimates(fits), drawn), intervals.estimates(drawn), strict=True
    ):
        at = theirs[names[each.of.name]]
        values = values[np.isfinite(values)]
        spread = record["sd"][at]
        assert values.mean() == pytest.approx(
            record["mean"][at], abs=4.5 * spread * np.sqrt(1 / 4000 + 1 / 2000)
        )
        found = np.quantile(values, [0.025, 0.25, 0.5, 0.75, 0.975])
        np.testing.assert_allclose(found, np.array(record["quantiles"])[:, at], atol=0.2 * spread)
        assert (each.of.lower, each.of.upper) == (pytest.approx(found[0]), pytest.approx(found[-1]))


def test_what_does_not_vary_has_an_interval_from_zero():
    model, sums, fits = fitted("dyestuff2", False)
    sd, sigma = intervals.profile(model, sums, fits)
    assert (sd.estimate, sd.lower) == (0.0, 0.0)
    assert 0 < sd.upper < 3 * sigma.estimate
    assert sigma.lower < sigma.estimate < sigma.upper


def test_a_component_is_the_same_however_its_effects_are_ordered():
    """The second effect's SD is found with it as the first: by brute force over θ as it is."""
    model, sums, fits = fitted("sleepstudy", True)
    of = intervals._Likelihood.led(model, sums, fits, (0, 0, -1), 0)
    slope = intervals.profile(model, sums, fits)[2]
    assert slope.name == "sd_Days|Subject"

    def sd(u):
        theta = (u * of.scale)[:-1]
        lam = of.back @ np.array([[theta[0], 0.0], [theta[1], theta[2]]])
        return np.exp(u[-1]) * np.linalg.norm(lam[1])

    for limit in (slope.lower, slope.upper):
        found = optimize.minimize(
            lambda u: of.value(u)[0],
            of.start,
            method="SLSQP",
            constraints={"type": "eq", "fun": lambda u, at=limit: sd(u) - at},
            options={"ftol": 1e-12, "maxiter": 300},
        )
        assert found.fun - of.best == pytest.approx(stats.chi2.ppf(0.95, 1), abs=1e-3)
