import numpy as np
import pandas as pd
import pytest
from makers.mixed_oracle import frame_of, response_of
from makers.oracle import FOLDER

import nestde

FRAME = frame_of().assign(y=response_of(frame_of()))


@pytest.fixture(scope="module")
def sleep():
    return pd.read_csv(FOLDER / "data" / "sleepstudy.csv").astype({"Subject": str})


def test_prints_like_a_person_expects(sleep):
    text = str(nestde.lmm("Reaction ~ Days + (Days | Subject)", sleep))
    # the values of lme4's own documentation
    for part in (
        "fitted by REML",
        "REML criterion 1743.6283",
        "Observations 180   Groups: Subject 18",
        "Subject   (Intercept)    612.09   24.74",
        "35.072  5.9221  0.07",
        "(Intercept)   251.405  6.825  17.0  36.838",
        "Fit: ok",
    ):
        assert part in text, text


def test_attributes(sleep):
    fit = nestde.lmm("Reaction ~ Days + (Days | Subject)", sleep, reml=False)
    assert fit.loglik == pytest.approx(-875.969672231599, abs=1e-6)
    assert fit.deviance == -2 * fit.loglik
    assert fit.aic == pytest.approx(1763.93934, abs=1e-4)
    assert fit.bic == pytest.approx(1783.09709, abs=1e-4)
    assert fit.coef["Days"] == pytest.approx(10.4672859595962, rel=1e-7)
    assert fit.se["Days"] == pytest.approx(1.50223676986255, rel=1e-6)
    assert fit.vcov.loc["(Intercept)", "Days"] == pytest.approx(-1.37047913, rel=1e-5)
    assert fit.sigma == pytest.approx(25.5918156546206, rel=1e-7)
    covariance = fit.random_effects_covariance["Subject"]
    assert np.sqrt(covariance.loc["Days", "Days"]) == pytest.approx(5.7168344821022, rel=1e-6)
    assert fit.theta == pytest.approx([0.92922547, 0.01816571, 0.22264542], rel=1e-5)
    assert fit.record.decrease[0] < 1e-10
    assert fit.status == "ok"


@pytest.mark.parametrize("formula", ["y ~ x + (x | a/b)", "y ~ x + (x || a) + (1 | c)", "y ~ w + (1 | a)"])
@pytest.mark.parametrize("reml", [False, True])
def test_conditional_modes_solve_the_mixed_model_equations(formula, reml):
    fit = nestde.lmm(formula, FRAME, reml=reml)
    residual = fit.y - fit.design.x @ fit.coef.to_numpy()
    z, prior = [], []
    modes = fit.conditional_modes()
    for factor in fit.design.random:
        groups = np.eye(len(factor.levels))[factor.codes]
        z.append((groups[:, :, None] * factor.z[:, None, :]).reshape(len(residual), -1))
        prior.append(np.kron(np.eye(len(factor.levels)), fit.random_effects_covariance[factor.name]))
        assert list(modes[factor.name].index) == list(factor.levels)
    z, sizes = np.hstack(z), [len(part) for part in prior]
    covariance = np.zeros((sum(sizes), sum(sizes)))
    for part, end in zip(prior, np.cumsum(sizes), strict=True):
        covariance[end - len(part) : end, end - len(part) : end] = part
    v = z @ covariance @ z.T + fit.sigma**2 * np.eye(len(residual))
    expected = covariance @ z.T @ np.linalg.solve(v, residual)
    ours = np.concatenate([modes[factor.name].to_numpy().ravel() for factor in fit.design.random])
    np.testing.assert_allclose(ours, expected, atol=1e-8)


def test_t_tests_by_each_method(sleep):
    fit = nestde.lmm("Reaction ~ Days + (Days | Subject)", sleep)
    assert fit.t_tests().loc["Days", "df"] == pytest.approx(17.0, rel=1e-6)
    assert fit.t_tests("kenward_roger").loc["Days", "p"] == pytest.approx(3.26e-6, rel=1e-2)
    assert fit.t_tests("containment").loc["Days", "df"] == 161
    plain = nestde.lmm("Reaction ~ Days + (Days | Subject)", sleep, reml=False)
    assert plain.t_tests().loc["Days", "df"] == 161
    with pytest.raises(nestde.NestdeError, match="reml=True"):
        plain.t_tests("satterthwaite")


def test_lrt(sleep):
    full, reduced = (
        nestde.lmm(f"Reaction ~ {fixed} + (Days | Subject)", sleep, reml=False) for fixed in ("Days", "1")
    )
    test = nestde.lrt(full, reduced)
    assert test.statistic == pytest.approx(23.5365, abs=1e-4)
    assert (test.df, test.note) == (1, "")
    assert test.p == pytest.approx(1.2256e-6, rel=1e-3)
    assert "chi2 = 23.5365" in str(test)


def test_lrt_of_a_variance_says_what_its_p_is(sleep):
    full, plain, intercept = (
        nestde.lmm(f"Reaction ~ Days + {bars}", sleep)
        for bars in ("(Days | Subject)", "(Days || Subject)", "(1 | Subject)")
    )
    assert "p is too large" in nestde.lrt(full, intercept).note
    assert nestde.lrt(full, plain).note == ""
    assert nestde.lrt(full, plain).statistic == pytest.approx(2 * (full.loglik - plain.loglik))


@pytest.mark.parametrize(
    ("full", "reduced", "says"),
    [
        (("x", "(1 | a)", True), ("1", "(1 | a)", True), "REML and their fixed effects differ"),
        (("x", "(1 | a)", False), ("1", "(1 | a)", True), "one model is fitted by REML and the other by ML"),
        (("x", "(1 | a)", False), ("w", "(1 | a)", False), "its fixed effects are not all in the first"),
        (("x + w", "(1 | a)", False), ("x", "(x | a)", False), "its random effects are not all in the first"),
        (("1", "(1 | a)", False), ("x", "(1 | a)", False), "Give the larger model first"),
        (("x", "(1 | a)", False), ("x", "(1 | a)", False), "nothing to test"),
    ],
)
def test_lrt_refuses_what_has_no_meaning(full, reduced, says):
    fits = [nestde.lmm(f"y ~ {fixed} + {bars}", FRAME, reml=reml) for fixed, bars, reml in (full, reduced)]
    with pytest.raises(nestde.NestdeError, match=says):
        nestde.lrt(*fits)


def test_lrt_refuses_other_data():
    fits = [nestde.lmm("y ~ x + (1 | a)", frame, reml=False) for frame in (FRAME, FRAME.iloc[:-1])]
    with pytest.raises(nestde.NestdeError, match="different data"):
        nestde.lrt(*fits)


def test_a_response_without_a_fit_is_an_error_that_says_why():
    with pytest.raises(nestde.NestdeError, match="explain the response perfectly"):
        nestde.lmm("y ~ x + (1 | a)", FRAME.assign(y=2 * FRAME["x"]))
