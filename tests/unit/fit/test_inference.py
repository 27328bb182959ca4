"""Against lmerTest and pbkrtest, at R's own estimates, so that only inference is judged."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from makers.oracle import SINGLE, case, f_test_agrees, factors, slopes
from scipy import stats

from nestde.design import design
from nestde.fit import basis, clusters, fit_responses, inference
from nestde.fit.crossproducts import own_leaves, sums_of_responses


def at_r_estimates(built, y, fit):
    turned = basis.basis(built)
    leaf = own_leaves(built, turned)
    sums = sums_of_responses(built, turned, leaf, y[:, None])
    lower = [basis._lower(turn @ part) for turn, part in zip(turned.turn, factors(built, fit), strict=True)]
    coef = np.array([list(fit["coef"].values())])
    rows = [np.array(row["L"], float) for row in fit["tests"].values()]
    found = inference.raw_tests(
        clusters.clusters_of(built, turned, leaf),
        rows,
        turned.theta_of(lower),
        np.array([fit["sigma"]]),
        coef @ turned.r.T - sums.shift,
        sums.zy,
        coef,
    )
    return zip(fit["tests"].values(), found, strict=True)


@pytest.mark.parametrize("name", SINGLE)
def test_single_responses(name):
    built, y, record = case(name)
    for row, (satterthwaite, kenward_roger) in at_r_estimates(built, y, record["reml"]):
        f_test_agrees(satterthwaite, row["satterthwaite"])
        if "kenward_roger" in row:
            f_test_agrees(kenward_roger, row["kenward_roger"])


def test_random_slopes_of_fifty_genes():
    built, y, records = slopes()
    for column, record in zip(y.T, records, strict=True):
        for row, (satterthwaite, kenward_roger) in at_r_estimates(built, column, record["reml"]):
            f_test_agrees(satterthwaite, row["satterthwaite"])
            f_test_agrees(kenward_roger, row["kenward_roger"])


@pytest.fixture
def null():
    """Forty responses without an effect in a design of six donors, some of them without donor variance."""
    rng = np.random.default_rng(3)
    sample = np.repeat(np.arange(6), 20)
    frame = pd.DataFrame({"sample_id": [f"S{s}" for s in sample], "x": rng.normal(size=120)})
    frame["diagnosis"] = np.array(["Control", "AD", "MCI"])[sample % 3]
    y = rng.normal(size=(120, 40)) + 0.3 * (np.arange(40) % 2) * rng.normal(size=(6, 40))[sample]
    built = design.build_design(
        "~ x + diagnosis + (1 | sample_id)",
        frame,
        test=["diagnosis"],
        levels={"diagnosis": ["Control", "AD", "MCI"]},
    )
    return built, y


def test_singular_fits_are_capped_by_containment(null):
    built, y = null
    fits = fit_responses(built, y, reml=True)
    row = np.array([[0.0, 0.0, 1.0, 0.0]])
    (test,) = inference.f_tests(fits, [row])
    singular = fits.status == "singular"
    assert 5 < singular.sum() < 35
    assert set(test.satterthwaite.method[singular]) == {"containment"}
    assert set(test.satterthwaite.method[~singular]) == {"satterthwaite"}
    np.testing.assert_array_equal(test.satterthwaite.df_residual[singular], 3.0)
    np.testing.assert_array_equal(test.containment.df_residual, 3.0)
    expected = np.log(2 * stats.t.sf(np.sqrt(test.containment.f), 3.0))
    np.testing.assert_allclose(test.containment.log_p, expected, rtol=1e-10)


def test_each_response_is_tested_by_itself(null):
    built, y = null
    rows = [np.eye(4)[[2]], np.eye(4)[2:]]
    fits = fit_responses(built, y, reml=True)
    alone = dataclasses.replace(
        fits,
        record=fits.record._replace(end=fits.record.end[7:8]),
        zy=tuple(part[7:8] for part in fits.zy),
        **{name: getattr(fits, name)[7:8] for name in ("coef", "shift", "sigma", "status")},
    )
    for many, one in zip(inference.f_tests(fits, rows), inference.f_tests(alone, rows), strict=True):
        for method in ("satterthwaite", "kenward_roger", "containment"):
            for field in ("f", "df_residual", "log_p", "se"):
                ours, theirs = (getattr(getattr(tests, method), field) for tests in (many, one))
                np.testing.assert_array_equal(ours[7:8], theirs)


def test_units_do_not_matter_and_to_kenward_roger_coding_does_not_either(null):
    built, y = null
    (test,) = inference.f_tests(fit_responses(built, y, reml=True), [np.eye(4)[2:]])
    x = built.x.copy()
    x[:, 1] = 1e6 + 1e3 * x[:, 1]
    far = dataclasses.replace(built, x=x)
    (again,) = inference.f_tests(fit_responses(far, y, reml=True), [np.eye(4)[2:]])
    x = built.x.copy()
    x[:, 2] += x[:, 3]
    coded = dataclasses.replace(built, x=x)
    (otherwise,) = inference.f_tests(fit_responses(coded, y, reml=True), [np.eye(4)[2:]])
    np.testing.assert_allclose(again.satterthwaite.log_p, test.satterthwaite.log_p, rtol=1e-6)
    np.testing.assert_allclose(again.kenward_roger.log_p, test.kenward_roger.log_p, rtol=1e-6)
    np.testing.assert_allclose(otherwise.kenward_roger.log_p, test.kenward_roger.log_p, rtol=1e-6)


def test_ml_fits_are_refused(null):
    built, y = null
    with pytest.raises(ValueError, match="REML"):
        inference.f_tests(fit_responses(built, y), [np.eye(4)[[2]]])
