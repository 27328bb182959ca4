"""The moderated test of count models: likelihood ratios at each variance between groups, averaged over what is known of it.

Given the variance v between groups, and as many cells as a study has, the likelihood ratio follows χ². One gene's few samples
do not tell v: so the p-value is the mean of those at each v over the gene's posterior, from Cox and Reid's adjusted profile
likelihood and a prior that all genes estimate, as in the linear moderated test (`nestde.fit.moderated`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.fit import prior as priors
from nestde.fit.compiled import spread
from nestde.fit.counts.columns import Columns
from nestde.fit.counts.fits import trusted
from nestde.fit.counts.gene import Data
from nestde.fit.counts.intercept import starts_from
from nestde.fit.counts.profile import average_some, fill_some, profile_some
from nestde.fit.counts.record import CountFits, CountModel, CountRatio
from nestde.fit.counts.separation import walls_of
from nestde.fit.grid import Grid
from nestde.fit.log_tail import log_tail
from nestde.fit.prior import Prior

# Nodes of the prior above 0, the smallest and the largest.
_NODES, SMALLEST, LARGEST = 15, 0.002, 4.0
# Steps of points in units of a likelihood's width in log v, √(2 / groups).
_WIDTH = 1.5
# With so many groups, and no smaller p by χ² than this, likelihoods are maximised at points h apart in log v, and interpolated
# between: what that leaves grows with groups · h⁶. A small p is made by the posterior's steep tails.
_MANY, _PLAIN, _APART = 16, 0.01, 7.2
COVERAGE = 0.95
# Steps to the largest adjusted likelihood between points, and the least curvature of it.
_NEWTON, _FLAT = 6, 1e-12
# What is so far below the largest log-likelihood has no weight in a posterior; in one whose p is not small; and is two points away.
_FAR, _NEAR, _BESIDE = 30.0, 13.0, 5.0


@dataclass(frozen=True)
class CountTests:
    """Moderated tests of one contrast for G genes, as `nestde.fit.moderated.Tests`; estimates NaN for several rows."""

    log_p: Floats
    estimate: Floats
    se: Floats
    lower: Floats
    upper: Floats


@dataclass(frozen=True)
class CountModerated:
    """Moderated tests of each contrast, columns of (G,) posterior means of variances, and the prior."""

    tests: list[CountTests]
    columns: dict[str, Floats]
    prior: Prior


def grid(name: str, groups: int) -> Grid:
    """Values of v at which a posterior of that many groups is summed, and nodes of the prior among them."""
    nodes = np.geomspace(SMALLEST, LARGEST, _NODES)
    parts = math.ceil(math.log(nodes[1] / nodes[0]) / (_WIDTH * math.sqrt(2.0 / groups)))
    points = np.concatenate([[0.0], np.geomspace(SMALLEST, LARGEST, (_NODES - 1) * parts + 1)])
    nodes = np.concatenate([[0.0], nodes])
    step = np.maximum(np.arange(len(points)) - 1, 0)
    left = np.where(points > 0, 1 + step // parts, 0)
    beyond = np.where(points > 0, step % parts / parts, 0.0)
    node = np.stack([left, np.minimum(left + (beyond > 0), _NODES)], axis=1)
    share = np.stack([1.0 - beyond, beyond], axis=1)
    total = np.bincount(node.ravel(), share.ravel(), len(nodes))
    flat = np.gradient(np.log1p(nodes / SMALLEST))
    return Grid(
        axes=[name],
        values=points[:, None],
        nodes=nodes[:, None],
        place=np.arange(len(points))[:, None],
        node=node,
        share=share / total[node],
        flat=flat / flat.sum(),
        factors=(),
        arms=(),
        ways=np.zeros((1, 1), np.int64),
        intercepts=True,
    )


def moderate(
    model: CountModel,
    data: Data,
    full: CountFits,
    contrasts: Sequence[Floats],
    found: Sequence[CountRatio],
    expression: Floats,
    prior: Prior | None = None,
    threads: int | None = None,
) -> CountModerated:
    """Test contrasts of the coefficients for all genes of a cell type.

    Parameters
    ----------
    model, data
        See `nestde.fit.counts.fits`.
    full
        Fits of all columns.
    contrasts
        Each (rows, p) for the columns of X, of full row rank.
    found
        Their likelihood ratios at the maxima, from which searches begin.
    expression
        (G,) mean expression, with which the prior changes.
    prior
        One that was fitted before, instead of these genes' own.
    threads
        None: one per processor. The result does not depend on it.
    """
    on = grid(model.design.random[0].name, len(data.exposure)) if prior is None else prior.grid
    variances = np.ascontiguousarray(on.values[:, 0])
    skip = ~trusted(full.status)
    groups, every = len(data.exposure), np.arange(len(variances))
    fine = np.full((1 + 3 * len(contrasts), len(skip), len(variances)), -np.inf)
    smallest = np.fmin.reduce([ratio.log_p for ratio in found], initial=0.0)
    plain = (smallest > math.log(_PLAIN)) & (groups >= _MANY)
    for chosen, exact, far in ((plain, _exact(variances, groups), _NEAR), (~plain, every, _FAR)):
        _fill(model, data, full, contrasts, found, skip | ~chosen, variances, exact, far, fine, threads)
    adjusted, (along, estimates, squares) = fine[0], np.split(fine[1:], 3)
    skip |= ~np.isfinite(adjusted).any(axis=1)
    if prior is None:
        prior = priors.learn(on, adjusted, skip, expression, threads)
    left, share = prior.place(expression)
    df = np.array([len(rows) for rows in contrasts])
    distributions = sorted(set(df.tolist()))
    genes = len(skip)
    log_p = np.full((genes, len(df)), np.nan)
    moments, variance = np.full((genes, len(df), 4), np.nan), np.full(genes, np.nan)
    spread(
        average_some, genes, threads, skip, adjusted, along, df, log_tail(distributions, math.inf),
        np.array([distributions.index(q) for q in df]), estimates, squares,
        on.of_points(prior.weights), left, share, variances, 1.0 - COVERAGE, log_p, moments, variance,
    )  # fmt: skip
    for c, rows in enumerate(contrasts):
        without_bound(full, rows, moments[:, c])
    tests = [CountTests(log_p[:, c], *np.moveaxis(moments[:, c], 1, 0)) for c in range(len(df))]
    columns = {"sd_cox_reid": np.sqrt(_highest(adjusted, variances)), "variance_moderated": variance}
    return CountModerated(tests, columns, prior)


def sd_cox_reid(model: CountModel, data: Data, full: CountFits, threads: int | None = None) -> Floats:
    """(G,) SD between groups of the largest adjusted likelihood, see `moderate`."""
    variances, groups = grid("", len(data.exposure)).values[:, 0], len(data.exposure)
    exact = _exact(variances, groups) if groups >= _MANY else np.arange(len(variances))
    adjusted = np.full((1, len(full.status), len(variances)), -np.inf)
    skip = ~trusted(full.status)
    _fill(model, data, full, [], [], skip, variances, exact, _BESIDE, adjusted, threads)
    return np.asarray(np.sqrt(_highest(adjusted[0], variances)))


def _fill(
    model: CountModel,
    data: Data,
    full: CountFits,
    contrasts: Sequence[Floats],
    found: Sequence[CountRatio],
    left_out: NDArray[np.bool_],
    variances: Floats,
    exact: NDArray[np.int64],
    far: float,
    out: Floats,
    threads: int | None,
) -> None:
    """Fill for genes that are not left out what is known at each variance, by maxima at some, `exact`.

    `out` is (1 + 3C, G, K): adjusted log-likelihood, C likelihood ratios, C estimates, their squared standard errors.
    """
    known = np.repeat(~left_out[:, None], len(exact), axis=1)
    single = np.array([rows[0] for rows in contrasts]).reshape(-1, len(model.full.back)) @ model.full.back
    at = data, left_out, variances[exact], known
    loglik, adjusted, estimates, squares = _profile(model.full, full, *at, far, single, threads)
    ratios = dict[bytes, Floats]()
    for rows, ratio in zip(contrasts, found, strict=True):
        if rows.tobytes() not in ratios:
            which = model.without(rows)
            reduced, *_ = _profile(
                which, ratio.reduced, *at, math.inf, np.zeros((0, which.q.shape[1])), threads
            )
            twice = np.subtract(2.0 * loglik, 2.0 * reduced, out=np.zeros(known.shape), where=known)
            ratios[rows.tobytes()] = twice
    whole = np.stack([adjusted, *(ratios[rows.tobytes()] for rows in contrasts), *estimates, *squares])
    spread(fill_some, len(known), threads, left_out, known, exact, whole, out)


def _exact(variances: Floats, groups: int) -> NDArray[np.int64]:
    """Points, of variances of which the first is 0, at which likelihoods of so many groups are maximised."""
    last = len(variances) - 1
    step = max(1, int((_APART / groups) ** (1 / 6) / math.log(variances[-1] / variances[-2])))
    return np.unique([0, *range(1, last, step), last])


def _highest(adjusted: Floats, variances: Floats) -> Floats:
    """(G,) variance at which adjusted likelihoods, (G, K), are largest: between points by the quartic in log v through five."""
    best, reach = np.argmax(adjusted, axis=1), np.arange(5)
    begin = np.clip(best - 2, 1, len(variances) - 5)
    around = np.take_along_axis(adjusted, begin[:, None] + reach, axis=1)
    known = np.isfinite(adjusted).any(axis=1)
    inside = (best > 0) & (best < len(variances) - 1) & np.isfinite(around).all(axis=1)
    _, a, b, c, d = np.linalg.solve(np.vander(reach.astype(float), increasing=True), around[inside].T)
    near = (best - begin)[inside].astype(float)
    x = near
    for _ in range(_NEWTON):
        slope, curvature = a + x * (2 * b + x * (3 * c + x * 4 * d)), 2 * b + x * (6 * c + x * 12 * d)
        x = np.clip(x - slope / np.minimum(curvature, -_FLAT), near - 1, near + 1)
    found = np.where(known, variances[best], np.nan)
    found[inside] = np.exp(np.interp(begin[inside] + x, np.arange(1, len(variances)), np.log(variances[1:])))
    return found


def _profile(
    which: Columns,
    fits: CountFits,
    data: Data,
    skip: NDArray[np.bool_],
    variances: Floats,
    known: NDArray[np.bool_],
    far: float,
    rows: Floats,
    threads: int | None,
) -> tuple[Floats, Floats, Floats, Floats]:
    """Log-likelihood, adjusted one, contrasts and their squared standard errors at each variance; `known` as there."""
    loglik = np.full(known.shape, -np.inf)
    adjusted, shape = loglik.copy(), (len(rows), *known.shape)
    estimates, squares = np.zeros(shape), np.ones(shape)
    starts = starts_from(which, which, fits)
    spread(
        profile_some, len(known), threads, which.model, data, skip, starts,
        *walls_of(fits.separated, len(known), which.q.shape[1]), variances, known, far,
        np.ascontiguousarray(rows), loglik, adjusted, estimates, squares,
    )  # fmt: skip
    return loglik, adjusted, estimates, squares


def without_bound(full: CountFits, rows: Floats, moments: Floats) -> None:
    """Say of effects that have no bound so, (G, 4) estimate, standard error and limits."""
    if len(rows) > 1:
        return
    for g, found in full.separated.items():
        if found.concerns(rows[0]):
            moments[g] = found.sign(rows[0]) * np.inf, np.inf, -np.inf, np.inf
