"""Kernels: one gene's likelihood at given variances between groups, and tests averaged over what is known of them."""

import math

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.fit.compiled import compiled
from nestde.fit.counts.gene import (
    FIRST_OVER,
    LEAST_INFORMATION,
    Data,
    Starts,
    ascend,
    load,
    overdispersion,
    rates,
)
from nestde.fit.counts.laplace import NEGATIVE_BINOMIAL, Gene, Model, Room, point_of, room_of
from nestde.fit.counts.newton import Found, Scale, Search, go_on, search_of
from nestde.fit.dense import cholesky, copy, inverse
from nestde.fit.log_tail import LogTail
from nestde.fit.mixture import mean_estimate, mean_log_p, mean_p, posterior_of

# As `Scale.final` and `close`: of a maximum the last step's rise is added, of modes the series beyond; p-values are then known to three digits
# or more.
_FINAL, _CLOSE = 3e-3, 1e-1
# Steps to either side of the start that are gone in any case, so that there are points to interpolate between.
_LEAST = 2
# Points that a polynomial goes through.
_THROUGH = 6
# A p-value below this is averaged in logs.
_SMALL = 1e-10


@compiled()
def profile_some(
    begin: int,
    end: int,
    model: Model,
    data: Data,
    skip: NDArray[np.bool_],
    starts: Starts,
    wall: NDArray[np.int64],
    walls: Floats,
    variances: Floats,
    known: NDArray[np.bool_],
    far: float,
    rows: Floats,
    loglik: Floats,
    adjusted: Floats,
    estimates: Floats,
    squares: Floats,
) -> None:
    """Maximise at each variance that is to be known, outwards from the one nearest to where the start has it.

    Parameters
    ----------
    begin, end, model, data, skip
        As for `fit_some`.
    starts
        Fits of the same columns.
    wall, walls
        From `walls_of`.
    variances
        (K,) increasing, the first is 0.
    known
        (G, K) at which the likelihood is wanted; where it is not found it becomes False.
    far
        Where the adjusted likelihood is so much below its largest the search goes no farther, after `_LEAST` points.
    rows
        (C, r) contrasts of the fitted coefficients.
    loglik, adjusted
        (G, K) maximum, and Cox and Reid's adjusted profile likelihood; -∞ where it is not known.
    estimates, squares
        (C, G, K) of the contrasts, and their squared standard errors.
    """
    r = model.z.shape[1] + len(model.pair) - 1
    search, room = search_of(point_of(model), point_of(model)), room_of(model)
    groups = len(model.z)
    rate, weight, lower, covariance = np.empty(groups), np.empty(groups), np.empty((r, r)), np.empty((r, r))
    for g in range(begin, end):
        if skip[g]:
            continue
        gene = load(g, model, data)
        rates(model, gene, data, rate, weight)
        for i in range(r):
            copy(walls[wall[g], i], search.wall[i])
        first = 0
        while first + 1 < len(variances) and variances[first + 1] <= starts.variance[g]:
            first += 1
        while first > 0 and not known[g, first]:
            first -= 1
        while first + 1 < len(variances) and not known[g, first]:
            first += 1
        top = -np.inf
        found = Found(-np.inf, np.inf, 0, 0)
        for upwards in (False, True):
            scale = _start(g, model, gene, starts, weight, variances[first], search, room)
            for step in range(len(variances)):
                k = first + step + 1 if upwards else first - step
                if k < 0 or k == len(variances) or not known[g, k]:
                    break
                if step > 0:
                    go_on(model, scale, variances[k], found.free, search)
                else:
                    search.here.parameters[-1] = variances[k]
                found = ascend(model, gene, scale, search, room)
                for i in range(r):
                    for j in range(r):
                        lower[i, j] = search.information[i, j]  # without a ridge that the dispersion may need
                logdet = cholesky(lower, r)
                if logdet == -np.inf:
                    break
                loglik[g, k], adjusted[g, k] = found.loglik, found.loglik - 0.5 * logdet
                inverse(lower, r, covariance)
                _contrast(rows, search.here.parameters, covariance, estimates[:, g, k], squares[:, g, k])
                top = max(top, adjusted[g, k])
                if step >= _LEAST and adjusted[g, k] < top - far:
                    break
        for k in range(len(variances)):
            if not adjusted[g, k] > -np.inf:
                known[g, k] = False


@compiled()
def _start(
    g: int,
    model: Model,
    gene: Gene,
    starts: Starts,
    weight: Floats,
    v: float,
    search: Search,
    room: Room,
) -> Scale:
    """Put the search where a fit ended, but for its variance."""
    here = search.here
    groups, a = model.z.shape
    information = 0.0
    for i in range(starts.coefficients.shape[1]):
        here.parameters[i] = starts.coefficients[g, i]
    here.parameters[-1] = v
    for s in range(groups):
        here.modes[s] = starts.level[g, s]
        for i in range(a):
            here.modes[s] -= model.z[s, i] * here.parameters[i]
        information += weight[s] / groups
    over, c = 0.0, 1.0
    if model.family == NEGATIVE_BINOMIAL:
        _, c = overdispersion(model, gene, here, room)
        over = max(FIRST_OVER[0], c * math.exp(-starts.kappa[g]))
        here.parameters[-2] = math.log(c / over)
    return Scale(max(information / (1.0 + over), LEAST_INFORMATION), c, True, _FINAL, _CLOSE)


@compiled()
def _contrast(rows: Floats, parameters: Floats, covariance: Floats, estimate: Floats, square: Floats) -> None:
    """Fill (C,) contrasts and their squared standard errors."""
    for c in range(len(rows)):
        estimate[c], square[c] = 0.0, 0.0
        for i in range(rows.shape[1]):
            estimate[c] += rows[c, i] * parameters[i]
            for j in range(rows.shape[1]):
                square[c] += rows[c, i] * covariance[i, j] * rows[c, j]


@compiled()
def fill_some(
    begin: int,
    end: int,
    skip: NDArray[np.bool_],
    known: NDArray[np.bool_],
    exact: NDArray[np.int64],
    values: Floats,
    out: Floats,
) -> None:
    """Interpolate functions of log v between the points at which they are known, of which the first has v = 0.

    Parameters
    ----------
    begin, end, skip
        As for `profile_some`.
    known
        (G, E) which of the points `exact`, (E,) of the K, are.
    values, out
        (M, G, E) and (M, G, K); those outside of what is known are left as they are.
    """
    points = np.empty(len(exact), np.int64)
    share = np.empty(_THROUGH)
    for g in range(begin, end):
        if skip[g]:
            continue
        count = 0
        for e in range(len(exact)):
            if known[g, e]:
                if e > 0:
                    points[count] = e
                    count += 1
                for m in range(len(values)):
                    out[m, g, exact[e]] = values[m, g, e]
        through, left = min(_THROUGH, count), 0
        for e in range(count - 1):
            left = max(0, min(e + 1 - through // 2, count - through))
            for k in range(exact[points[e]] + 1, exact[points[e + 1]]):
                for i in range(through):
                    share[i] = 1.0
                    for j in range(through):
                        at, other = exact[points[left + i]], exact[points[left + j]]
                        if i != j:
                            share[i] *= (k - other) / (at - other)
                for m in range(len(values)):
                    out[m, g, k] = 0.0
                    for i in range(through):
                        out[m, g, k] += share[i] * values[m, g, points[left + i]]


@compiled()
def average_some(
    begin: int,
    end: int,
    skip: NDArray[np.bool_],
    adjusted: Floats,
    ratios: Floats,
    df: NDArray[np.int64],
    table: LogTail,
    distribution: NDArray[np.int64],
    estimates: Floats,
    squares: Floats,
    weights: Floats,
    left: NDArray[np.int64],
    share: Floats,
    variances: Floats,
    alpha: float,
    log_p: Floats,
    moments: Floats,
    variance: Floats,
) -> None:
    """Average over the posterior of each gene's variance.

    Parameters
    ----------
    adjusted
        (G, K) log-likelihoods that make the posterior.
    ratios, df
        (C, G, K) likelihood ratios; (C,) rows of their contrasts.
    table, distribution
        χ²'s tails; (C,) the one that each contrast has.
    estimates, squares
        (C, G, K).
    weights, left, share
        (S, K) of the variances, (G,), (G,) of the prior.
    variances, alpha
        (K,); one less the coverage of the limits.
    log_p, moments, variance
        (G, C); (G, C, 4) estimate, standard error and limits of contrasts of one row; (G,) mean of the variance.
    """
    count = len(variances)
    prior, posterior, room = np.empty(count), np.empty(count), np.empty((3, count))
    along, scale, size = np.empty((1, count)), np.empty(count), np.ones(count)
    for g in range(begin, end):
        if skip[g]:
            continue
        for k in range(count):
            prior[k] = weights[left[g], k]
            if share[g] > 0.0:
                prior[k] += share[g] * (weights[left[g] + 1, k] - prior[k])
        constant = posterior_of(adjusted[g], prior, room, posterior)
        variance[g] = 0.0
        for k in range(count):
            variance[g] += posterior[k] * variances[k]
        for c in range(len(df)):
            for k in range(count):
                along[0, k], scale[k] = math.sqrt(max(ratios[c, g, k], 0.0)), float(df[c])
            total = mean_p(posterior, along, scale, table, distribution[c])
            if total > _SMALL:
                log_p[g, c] = min(math.log(total), 0.0)
            else:
                log_p[g, c] = mean_log_p(adjusted[g], prior, constant, along, scale, table, distribution[c])
            if df[c] == 1:
                for k in range(count):
                    along[0, k], scale[k] = estimates[c, g, k], squares[c, g, k]
                mean_estimate(
                    posterior, along[0], scale, size, table, distribution[c], alpha, room, moments[g, c]
                )
