import numpy as np
import pytest
from makers.counted import cells_of, counts_of

import nestde

FORMULA = "y ~ depth + case + (1 | sample)"


@pytest.fixture(scope="module")
def frame():
    frame = cells_of()
    return frame.assign(y=counts_of(frame, [2.0]).toarray()[:, 0], seen=lambda f: (f["y"] > 0).astype(int))


def test_prints_like_a_person_expects(frame):
    fit = nestde.glmm(FORMULA, frame, offset="offset")
    text = str(fit)
    for part in (
        "Negative binomial mixed model (log link) fitted by maximum likelihood",
        "Formula: y ~ depth + case + (1 | sample)   Offset: offset",
        f"logLik {fit.loglik:.4f}",
        "Observations 228   Groups: sample 6",
        f"Dispersion {fit.dispersion:.5g}",
        "estimate",
        "ratio",
        "Fit: ok",
    ):
        assert part in text, text


def test_attributes(frame):
    fit = nestde.glmm(FORMULA, frame, offset="offset")
    assert fit.status == "ok"
    assert list(fit.coef.index) == ["(Intercept)", "depth", "case"]
    assert fit.se["case"] == pytest.approx(np.sqrt(fit.vcov.loc["case", "case"]))
    assert fit.dispersion == pytest.approx(0.5, rel=0.5)
    assert fit.aic == pytest.approx(-2 * fit.loglik + 2 * 5)
    assert fit.conditional_modes()["sample"].shape == (6, 1)
    tests = fit.tests()
    assert tests.loc["case", "ratio"] == pytest.approx(np.exp(fit.coef["case"]))
    assert tests.loc["case", "df"] == 4
    assert tests.loc["depth", "df"] == len(frame) - 3


def test_families(frame):
    poisson = nestde.glmm(FORMULA, frame, family="poisson", offset="offset")
    nb = nestde.glmm(FORMULA, frame, offset="offset")
    assert poisson.loglik < nb.loglik
    assert poisson.dispersion == 0
    assert "Dispersion" not in str(poisson)
    detection = nestde.glmm("seen ~ case + (1 | sample)", frame, family="bernoulli")
    assert "logit" in str(detection)
    assert detection.status in ("ok", "singular")


def test_an_offset_moves_the_intercept_alone(frame):
    fit = nestde.glmm(FORMULA, frame, offset="offset")
    moved = nestde.glmm(FORMULA, frame.assign(offset=frame["offset"] + 8.0), offset="offset")
    assert moved.loglik == pytest.approx(fit.loglik, abs=1e-6)
    assert moved.coef["(Intercept)"] == pytest.approx(fit.coef["(Intercept)"] - 8.0, abs=1e-4)
    assert moved.coef["case"] == pytest.approx(fit.coef["case"], abs=1e-4)


def test_two_models_are_compared_by_their_likelihoods(frame):
    full = nestde.glmm(FORMULA, frame, offset="offset")
    reduced = nestde.glmm("y ~ depth + (1 | sample)", frame, offset="offset")
    test = nestde.lrt(full, reduced)
    assert test.df == 1
    assert test.statistic == pytest.approx(full.tests().loc["case", "lrt"], abs=1e-5)
    poisson = nestde.glmm("y ~ depth + (1 | sample)", frame, family="poisson", offset="offset")
    for other, words in (
        (poisson, "families"),
        (nestde.glmm("y ~ depth + (1 | sample)", frame), "offset"),
        (nestde.lmm("y ~ depth + (1 | sample)", frame, reml=False), "families"),
    ):
        with pytest.raises(nestde.NestdeError, match=words):
            nestde.lrt(full, other)


def test_faults_are_said_all_at_once(frame):
    wrong = frame.assign(y=frame["y"] + 0.5, log_total=-np.inf)
    with pytest.raises(nestde.NestdeError) as caught:
        nestde.glmm(FORMULA, wrong, offset="log_total")
    text = str(caught.value)
    assert "whole numbers from 0 on" in text
    assert "in row 1" in text
    assert "log_total wants finite numbers" in text
    for arguments, words in (
        ({"family": "gamma"}, "poisson, negative_binomial, bernoulli"),
        ({"offset": "total"}, "no column total"),
    ):
        with pytest.raises(nestde.NestdeError, match=words):
            nestde.glmm(FORMULA, frame, **arguments)
    with pytest.raises(nestde.NestdeError, match="0 or 1"):
        nestde.glmm(FORMULA, frame, family="bernoulli")
    with pytest.raises(nestde.NestdeError, match="no fit: all values are zero"):
        nestde.glmm(FORMULA, frame.assign(y=0))


def test_nested_and_slope_terms_print_each_effect(frame):
    donors = frame.assign(donor=frame["sample"].map({f"S{i}": f"D{i // 2}" for i in range(6)}).fillna("D9"))
    fit = nestde.glmm("y ~ depth + (1 + depth | sample)", donors, family="poisson", offset="offset")
    assert fit.aic == pytest.approx(-2 * fit.loglik + 2 * 5)
    covariance = fit.random_effects_covariance["sample"]
    assert list(covariance.index) == ["(Intercept)", "depth"]
    assert fit.sd == pytest.approx(np.sqrt(covariance.iloc[0, 0]))
    assert fit.conditional_modes()["sample"].shape == (6, 2)
    assert "corr" in str(fit)
    # the slope is told from as many samples as there are
    assert fit.tests().loc["depth", "df"] == 5
