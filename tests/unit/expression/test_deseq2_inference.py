"""All genes at once, the answer of PyDESeq2's own gene by gene; and scipy's L-BFGS-B in one dimension, step for step."""

import numpy as np
import pytest
from pydeseq2.default_inference import DefaultInference
from scipy.optimize import minimize

from nestde.expression.deseq2_inference import TogetherInference
from nestde.expression.lockstep import minima

BOUNDS = (1e-8, 40.0)


def counts(samples: int, genes: int, seed: int, covariate: bool):
    """(samples, genes) overdispersed counts, some not and some with an outlier; size factors; a design."""
    rng = np.random.default_rng(seed)
    mean = rng.lognormal(4, 2, genes)
    spread = 0.02 + 2 / mean + rng.gamma(0.5, 0.2, genes)
    arm, size = np.arange(samples) % 2, rng.lognormal(0, 0.4, samples)
    expected = mean * size[:, None] * np.exp(arm[:, None] * rng.normal(0, 0.3, genes))
    y = rng.poisson(rng.gamma(1 / spread, spread, (samples, genes)) * expected)
    y[:, ::20] = rng.poisson(expected[:, ::20])
    y[3, 5::30] *= 50
    y[:, 7::40] *= arm[:, None]  # none in one arm: coefficients run away
    x = np.column_stack([np.ones(samples), arm, *([rng.normal(size=samples)] if covariate else [])])
    return y[:, y.sum(axis=0) >= 10], size, x


@pytest.mark.parametrize(("samples", "seed", "covariate"), [(40, 0, True), (8, 1, False), (6, 2, False)])
def test_it_is_what_pydeseq2_finds_gene_by_gene(samples, seed, covariate):
    y, size, x = counts(samples, 160, seed, covariate)
    theirs, ours = DefaultInference(n_cpus=1), TogetherInference(n_cpus=1)
    mean = theirs.lin_reg_mu(y, size, x, 0.5)
    np.testing.assert_allclose(ours.lin_reg_mu(y, size, x, 0.5), mean, rtol=1e-9)
    rough = np.clip(theirs.fit_rough_dispersions(y / size[:, None], x), *BOUNDS)
    for prior in ({}, {"prior_disp_var": 0.8, "prior_reg": True}):
        alpha, good = theirs.alpha_mle(y, x, mean, rough, *BOUNDS, **prior)
        found, converged = ours.alpha_mle(y, x, mean, rough, *BOUNDS, **prior)
        np.testing.assert_array_equal(converged, good)
        # near the lower bound the likelihood is flat, and rounding decides how far a search goes
        flat = alpha < 1e-5
        assert flat.mean() < 0.2
        np.testing.assert_allclose(found[~flat], alpha[~flat], rtol=2e-5)
        assert (np.abs(found / alpha - 1)[~flat] > 1e-6).mean() < 0.02
        assert (found[flat] < 2e-5).all()
    beta, mu, hat, good = theirs.irls(y, size, x, alpha, 0.5, 1e-8)
    again = ours.irls(y, size, x, alpha, 0.5, 1e-8)
    for mine, other in zip(again, (beta, mu, hat, good), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-9)
    contrast, ridge = np.eye(x.shape[1])[1], np.diag(np.repeat(1e-6, x.shape[1]))
    for alternative in (None, "greater"):
        tested = (x, alpha, beta, mu, ridge, contrast, np.zeros(x.shape[1]), alternative)
        for mine, other in zip(ours.wald_test(*tested), theirs.wald_test(*tested), strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-9)


def test_minima_are_those_of_lbfgsb():
    """Functions with narrow and flat minima, minima beyond the bounds, several minima, and none."""
    rng = np.random.default_rng(3)
    shift, scale, kind = rng.uniform(-9, 9, 300), 10 ** rng.uniform(-1, 2, 300), np.arange(300) % 5

    def one(g, x):
        u = (x - shift[g]) / scale[g]
        if kind[g] == 0:
            return u**2, 2 * u / scale[g]
        if kind[g] == 1:
            return np.log1p(u**2), 2 * u / (1 + u**2) / scale[g]
        if kind[g] == 2:
            return np.cos(u) + 0.1 * u**2, (-np.sin(u) + 0.2 * u) / scale[g]
        if kind[g] == 3:
            return np.exp(u) - u, (np.exp(u) - 1) / scale[g]
        return np.tanh(u), (1 - np.tanh(u) ** 2) / scale[g]

    def together(which, points):
        pairs = [one(g, x) for g, x in zip(which, points, strict=True)]
        return np.array([f for f, _ in pairs]), np.array([slope for _, slope in pairs])

    start = rng.uniform(-9, 9, 300)
    found = minima(together, start, -8.0, 6.0)
    for g, x in enumerate(found):
        fit = minimize(
            lambda x, g=g: one(g, x[0])[0], [start[g]], jac=lambda x, g=g: np.array([one(g, x[0])[1]]),
            method="L-BFGS-B", bounds=[(-8.0, 6.0)],
        )  # fmt: skip
        if np.isnan(x):
            assert not fit.success
        else:
            assert fit.success
            # where both stop is by a decrease of 2e-9: the same to the root of that, in units of the function's width
            assert x == pytest.approx(fit.x[0], abs=1e-5 * max(1, scale[g])), (g, kind[g])
