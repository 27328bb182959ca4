"""PyDESeq2's fits, all genes at once: what it computes gene by gene, done on arrays of genes, by the same steps to the same answer.

A gene that takes another way in PyDESeq2 (its coefficients diverge, its dispersion is found on a grid) is left to it.
"""

from typing import Any

import numpy as np
import scipy.special
import scipy.stats
from numpy.typing import NDArray
from pydeseq2 import utils
from pydeseq2.default_inference import DefaultInference

from nestde.arrays import Floats
from nestde.expression.lockstep import minima

RIDGE = 1e-6  # on the diagonal of X'WX, as PyDESeq2 adds it
GENES = 2_000  # at a time: what is held is some arrays of samples times so many


class TogetherInference(DefaultInference):  # type: ignore[misc]  # PyDESeq2 has no types
    """Parameters and results are those of PyDESeq2's `Inference`; counts and means are (samples, genes)."""

    def lin_reg_mu(self, counts: Any, size_factors: Any, design_matrix: Any, min_mu: float) -> Floats:
        """Least squares of normalised counts."""
        coef = np.linalg.lstsq(design_matrix, counts / size_factors[:, None], rcond=None)[0]
        return np.asarray(np.maximum(size_factors[:, None] * (design_matrix @ coef), min_mu))

    def irls(
        self,
        counts: Any,
        size_factors: Any,
        design_matrix: Any,
        disp: Any,
        min_mu: float,
        beta_tol: float,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """Coefficients, unthresholded means, diagonals of the hat matrix, whether they converged."""
        x = np.asarray(design_matrix, float)
        if np.linalg.matrix_rank(x) < x.shape[1]:
            found: tuple[Any, ...] = super().irls(counts, size_factors, x, disp, min_mu, beta_tol, **kwargs)
            return found
        parts = [
            self._irls(
                np.asarray(counts[:, at].T, float), size_factors, x, disp[at], min_mu, beta_tol, kwargs
            )
            for at in _blocks(counts.shape[1])
        ]
        beta, mu, hat, converged = (np.concatenate(part) for part in zip(*parts, strict=True))
        return beta, mu.T, hat.T, converged

    def _irls(
        self,
        y: Floats,
        size: Floats,
        x: Floats,
        disp: Floats,
        min_mu: float,
        tol: float,
        kwargs: dict[str, Any],
    ) -> tuple[Any, ...]:
        """As `irls`, of (genes, samples)."""
        most, steps = kwargs.get("max_beta", 30), kwargs.get("maxiter", 250)
        q, r = np.linalg.qr(x)
        beta = np.linalg.solve(r, q.T @ np.log(y / size + 0.1).T).T
        mu = np.maximum(size * np.exp(beta @ x.T), min_mu)
        going, left = np.arange(len(y)), np.zeros(len(y), bool)
        dev = np.full(len(y), 1000.0)
        constant = -scipy.special.gammaln(y + 1).sum(axis=1)
        for step in range(1, steps + 1):
            m, d = mu[going], disp[going, None]
            w = m / (1 + m * d)
            right = (w * (np.log(m / size) + (y[going] - m) / m)) @ x
            try:
                new = np.linalg.solve(_products(x, w) + RIDGE * np.eye(x.shape[1]), right[:, :, None])[
                    :, :, 0
                ]
            except np.linalg.LinAlgError:
                left[going] = True
                break
            away = (np.abs(new) > most).any(axis=1) | (step >= steps)
            left[going[away]] = True
            going, new = going[~away], new[~away]
            beta[going] = new
            mu[going] = np.maximum(size * np.exp(new @ x.T), min_mu)
            before = dev[going]
            dev[going] = 2 * (_loglik(y[going], mu[going], disp[going]) + constant[going])
            going = going[np.abs(dev[going] - before) / (np.abs(dev[going]) + 0.1) > tol]
            if not len(going):
                break
        w = mu / (1 + mu * disp[:, None])
        inverse = np.linalg.inv(_products(x, w) + RIDGE * np.eye(x.shape[1]))
        hat = w * np.einsum("si,gij,sj->gs", x, inverse, x)
        mu, converged = size * np.exp(beta @ x.T), np.ones(len(y), bool)
        for g in np.flatnonzero(left):
            beta[g], mu[g], hat[g], converged[g] = utils.irls_solver(
                counts=y[g],
                size_factors=size,
                design_matrix=x,
                disp=disp[g],
                min_mu=min_mu,
                beta_tol=tol,
                **kwargs,
            )
        return beta, mu, hat, converged

    def alpha_mle(
        self,
        counts: Any,
        design_matrix: Any,
        mu: Any,
        alpha_hat: Any,
        min_disp: float,
        max_disp: float,
        prior_disp_var: float | None = None,
        cr_reg: bool = True,
        prior_reg: bool = False,
        optimizer: str = "L-BFGS-B",
    ) -> tuple[Any, Any]:
        """Dispersions, and whether L-BFGS-B converged: on log α, with the adjustment of Cox and Reid and the prior."""
        x = np.asarray(design_matrix, float)
        how = (min_disp, max_disp, prior_disp_var, cr_reg, prior_reg)
        logs = [
            _log_dispersions(
                np.asarray(counts[:, at].T, float),
                x,
                np.asarray(mu)[:, at].T,
                np.asarray(alpha_hat)[at],
                *how,
            )
            for at in _blocks(counts.shape[1])
        ]
        alpha = np.exp(np.concatenate([*logs, np.empty(0)]))
        converged = np.ones(len(alpha), bool)
        for g in np.flatnonzero(np.isnan(alpha)):
            alpha[g], converged[g] = utils.fit_alpha_mle(
                counts[:, g], x, np.asarray(mu)[:, g], np.asarray(alpha_hat)[g], *how, optimizer
            )
        return alpha, converged

    def wald_test(
        self, design_matrix: Any, disp: Any, lfc: Any, mu: Any, ridge_factor: Any, contrast: Any, lfc_null: Any,
        alt_hypothesis: str | None = None,
    ) -> tuple[Any, Any, Any]:  # fmt: skip
        """P-values (two-sided), statistics, standard errors."""
        if alt_hypothesis is not None:
            found: tuple[Any, Any, Any] = super().wald_test(
                design_matrix, disp, lfc, mu, ridge_factor, contrast, lfc_null, alt_hypothesis
            )
            return found
        x, m = np.asarray(design_matrix, float), np.asarray(mu, float).T
        w = m / (1 + m * np.asarray(disp)[:, None])
        information = _products(x, w)
        with np.errstate(invalid="ignore"):
            turned = np.linalg.inv(information + ridge_factor) @ contrast
            se = np.sqrt(np.einsum("gi,gij,gj->g", turned, information, turned))
            statistic = (np.asarray(lfc) - lfc_null) @ contrast / se
        return 2 * scipy.stats.norm.sf(np.abs(statistic)), statistic, se


def _blocks(genes: int) -> list[slice]:
    return [slice(first, first + GENES) for first in range(0, genes, GENES)]


def _products(x: Floats, w: Floats) -> Floats:
    """(G, p, p) X'WX for (G, S) weights."""
    p = x.shape[1]
    return np.asarray(w @ (x[:, :, None] * x[:, None, :]).reshape(len(x), p * p)).reshape(len(w), p, p)


def _loglik(y: Floats, mu: Floats, alpha: Floats) -> Floats:
    """(G,) negative binomial log-likelihoods, without what depends on the counts alone."""
    a = 1 / alpha[:, None]
    terms = (
        scipy.special.gammaln(y + a) - scipy.special.gammaln(a) - (y + a) * np.log(a + mu) + y * np.log(mu)
    )
    return np.asarray(terms.sum(axis=1) + y.shape[1] * a[:, 0] * np.log(a[:, 0]))


def _log_dispersions(
    y: Floats,
    x: Floats,
    mu: Floats,
    start: Floats,
    least: float,
    most: float,
    prior: float | None,
    cox_reid: bool,
    map_: bool,
) -> Floats:
    """(G,) log dispersions of (G, S) counts; NaN where the search fails."""
    begin = np.log(start)
    constant = scipy.special.gammaln(y + 1).sum(axis=1)

    def evaluate(which: NDArray[np.int64], at: Floats) -> tuple[Floats, Floats]:
        alpha = np.exp(at)
        a, yy, m = 1 / alpha[:, None], y[which], mu[which]
        value = constant[which] - _loglik(yy, m, alpha)
        psi = scipy.special.digamma
        slope = -a[:, 0] * (psi(a) - psi(yy + a) + np.log1p(m / a) + (yy - m) / (m + a)).sum(axis=1)
        if cox_reid:
            w = m / (1 + m / a)
            information = _products(x, w)
            value += 0.5 * np.linalg.slogdet(information)[1]
            slope += 0.5 * alpha * (np.linalg.inv(information) * _products(x, -(w**2))).sum(axis=(1, 2))
        if map_ and prior is not None:
            value += (at - begin[which]) ** 2 / (2 * prior)
            slope += (at - begin[which]) / prior
        return value, slope

    return minima(evaluate, begin, float(np.log(least)), float(np.log(most)))
