"""Crossed factors of many levels against lme4 and lmerTest (tests/oracle/crossed.R)."""

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest
from makers.oracle import FOLDER, f_test_agrees

from nestde.design import design as designs
from nestde.fit import fit_responses
from nestde.fit.crossproducts import sums_of_responses
from nestde.fit.genes import modes, prepare
from nestde.fit.inference import f_tests

CASES = sorted(path.stem for path in (FOLDER / "crossed").glob("*.json"))


@cache
def case(name):
    """Design, response and what R recorded."""
    record = json.loads((FOLDER / "crossed" / f"{name}.json").read_text())
    frame = pd.read_csv(FOLDER / "data" / f"{record['data']}.csv.gz")
    built = designs.build_design(record["formula"], frame)
    return built, designs.response(built.formula, frame), record


@cache
def fitted(name, reml):
    built, y, _ = case(name)
    return fit_responses(built, y, reml=reml)


def test_all_cases_are_there():
    assert {"insteval", "insteval_service", "two_hundred", "singular", "nested", "slopes"} <= set(CASES)


def _sorted(name):
    """Name of a theta, its factor's parts in order: lme4 turns site/person into person:site."""
    factor, effects = name.split(".", 1)
    return f"{':'.join(sorted(factor.split(':')))}.{effects}"


@pytest.mark.parametrize("reml", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_crossed_factors_agree_with_lme4(name, reml):
    """Never lower than lme4's best by 1e-6; θ to 1e-5 where lme4 is within 1e-6 of our likelihood.

    lme4's θ is as good as its end: with a likelihood lower by d its θ may be off by about √d.
    """
    built, _, record = case(name)
    fits, theirs = fitted(name, reml), record["reml" if reml else "ml"]
    short = fits.loglik[0] - theirs["loglik"]
    assert -1e-6 <= short < 1e-4
    near = 1e-5 + 0.1 * np.sqrt(max(short, 0.0))
    theta = {_sorted(name): value for name, value in theirs["theta"].items()}
    labels = []
    for factor in built.random:
        for j, column in enumerate(factor.effects):
            for row in factor.effects[j:]:
                effects = column if row == column else f"{row}.{column}"
                labels.append(_sorted(f"{factor.name}.{effects}"))
    np.testing.assert_allclose(fits.theta[0], [theta[label] for label in labels], atol=near)
    np.testing.assert_allclose(fits.coef[0], list(theirs["coef"].values()), rtol=1e-5, atol=near)
    np.testing.assert_allclose(fits.se[0], np.atleast_1d(theirs["se"]), rtol=1e-5 + near)
    assert fits.sigma[0] == pytest.approx(theirs["sigma"], rel=1e-5)
    assert fits.status[0] == ("singular" if theirs["singular"] else "ok")


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("insteval")])
def test_satterthwaite_and_modes_agree_with_r(name):
    built, y, record = case(name)
    fits, theirs = fitted(name, True), record["reml"]
    for j, expected in enumerate(theirs["satterthwaite"]):
        (test,) = f_tests(fits, [np.eye(built.x.shape[1])[[j]]])
        if test.satterthwaite.method[0] == "satterthwaite":
            f_test_agrees(test.satterthwaite, expected)
    model = prepare(built)
    found = modes(model, sums_of_responses(built, model.basis, model.leaf, y[:, None]), fits)
    for factor, part in zip(built.random, found, strict=True):
        expected = next(
            v for k, v in theirs["modes"].items() if set(k.split(":")) == set(factor.name.split(":"))
        )
        for level, value in expected.items():
            if level in factor.levels:
                assert part[0, factor.levels.index(level), 0] == pytest.approx(value, abs=1e-4)


def test_students_by_instructors_have_satterthwaites_test_within_seconds():
    _, _, record = case("insteval_service")
    (test,) = f_tests(fitted("insteval_service", True), [np.eye(2)[[1]]])
    f_test_agrees(test.satterthwaite, record["reml"]["satterthwaite"][1])
    assert np.isnan(test.kenward_roger.log_p).all()
