"""Kernels: tests and estimates at each point of a grid, averaged over each gene's posterior."""

import math

import numpy as np
from numpy.typing import NDArray

from nestde.fit.compiled import compiled
from nestde.fit.log_tail import LogTail, look_up
from nestde.fit.points import LANES, Points, at_point, load

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Terms of a sum below this log share of what is there already do not count; nor do points in limits.
_NEGLIGIBLE, _UNLIKELY = -40.0, 1e-9
# Limits are found to this share of the standard error.
_CLOSE = 1e-8


@compiled()
def average(
    begin: int,
    end: int,
    points: Points,
    table: LogTail,
    distribution: Integers,
    zy: Floats,
    qy: Floats,
    yy: Floats,
    shift: Floats,
    skip: NDArray[np.bool_],
    loglik: Floats,
    weights: Floats,
    left: Integers,
    share: Floats,
    functions: Floats,
    alpha: float,
    log_p: Floats,
    estimates: Floats,
    means: Floats,
    variances: Floats,
) -> None:
    """Fill the results of some blocks of genes.

    Parameters
    ----------
    begin, end
        Blocks of `LANES` genes.
    points
        Of K.
    table, distribution
        F's tails; (C,) the one that each of C contrasts has.
    zy, qy, yy, shift, skip
        (G, e), (G, p), (G,), (G, p) sums of the responses; (G,) those that are left as they are.
    loglik
        (G, K).
    weights, left, share
        (S, K), (G,), (G,) of the prior.
    functions
        (K, M) of the grid's points.
    alpha
        One less the coverage of the limits.
    log_p
        (G, C).
    estimates
        (G, C, 4) of contrasts of one row estimate, standard error, lower and upper limit.
    means, variances
        (G, M) posterior means of the functions; (G, 1 + M) of the residual variance, and of it times the functions.
    """
    e, p, count_k = zy.shape[1], qy.shape[1], len(points.logdet)
    some_zy, some_qy, some_yy = np.empty((e, LANES)), np.empty((p, LANES)), np.empty(LANES)
    t, z, r2 = np.empty(LANES), np.empty((p, LANES)), np.empty(LANES)
    along = np.empty((points.o.shape[1], LANES, count_k))
    scale = np.empty((LANES, count_k))
    posterior, room = np.empty(count_k), np.empty((3, count_k))
    for block in range(begin, end):
        count = load(block * LANES, zy, qy, yy, some_zy, some_qy, some_yy)
        for k in range(count_k):
            at_point(k, points, some_zy, some_qy, some_yy, t, z, r2)
            for g in range(count):
                scale[g, k] = r2[g] / points.freedom
            for row in range(points.o.shape[1]):
                for g in range(count):
                    total = 0.0
                    for i in range(p):
                        total += points.o[k, row, i] * z[i, g]
                        total += points.back[k, row, i] * shift[block * LANES + g, i]
                    along[row, g, k] = total
        for g in range(count):
            gene = block * LANES + g
            if skip[gene]:
                continue
            _posterior(loglik[gene], weights, left[gene], share[gene], posterior)
            for c in range(len(distribution)):
                first, last = points.first[c], points.first[c + 1]
                log_p[gene, c] = _log_p(posterior, along[first:last, g], scale[g], table, distribution[c])
                if last == first + 1:
                    _estimate(
                        posterior, along[first, g], scale[g], points.size[:, first], table,
                        distribution[c], alpha, room, estimates[gene, c],
                    )  # fmt: skip
            _means(posterior, scale[g], functions, means[gene], variances[gene])


@compiled()
def _posterior(loglik: Floats, weights: Floats, left: int, share: float, out: Floats) -> None:
    """Log of the posterior of one gene, (K,)."""
    top = -np.inf
    for k in range(len(out)):
        weight = weights[left, k]
        if share > 0.0:
            weight += share * (weights[left + 1, k] - weight)
        out[k] = loglik[k] + math.log(weight)
        top = max(top, out[k])
    total = 0.0
    for k in range(len(out)):
        total += math.exp(out[k] - top)
    total = top + math.log(total)
    for k in range(len(out)):
        out[k] -= total


@compiled()
def _log_p(posterior: Floats, along: Floats, scale: Floats, table: LogTail, which: int) -> float:
    """Log of the posterior mean of the p-value of a contrast, rows of Oz (rows, K)."""
    top, total = -1e300, 0.0  # a posterior of 0, whose log is infinite, is below it
    for k in range(len(posterior)):
        if posterior[k] < top + _NEGLIGIBLE:  # its p-value is below 1
            continue
        square = 0.0
        for row in range(len(along)):
            square += along[row, k] * along[row, k]
        term = posterior[k] + look_up(math.sqrt(square / (len(along) * scale[k])), which, table)
        if term <= top:
            total += math.exp(term - top)
        else:
            total = total * math.exp(top - term) + 1.0
            top = term
    return min(top + math.log(total), 0.0)


@compiled()
def _estimate(
    posterior: Floats,
    along: Floats,
    scale: Floats,
    size: Floats,
    table: LogTail,
    which: int,
    alpha: float,
    room: Floats,
    out: Floats,
) -> None:
    """Fill posterior mean and standard deviation of a contrast of one row, and the limits where p is `alpha`."""
    mean, square, likely = 0.0, 0.0, 0
    for k in range(len(posterior)):
        share, sd = math.exp(posterior[k]), size[k] * math.sqrt(scale[k])
        at = size[k] * along[k]
        mean += share * at
        square += share * (sd * sd + at * at)
        if share > _UNLIKELY:
            room[0, likely], room[1, likely], room[2, likely] = posterior[k], at, sd
            likely += 1
    spread = 0.0
    for k in range(len(posterior)):
        sd, away = size[k] * math.sqrt(scale[k]), size[k] * along[k] - mean
        spread += math.exp(posterior[k]) * (sd * sd + away * away)
    se = math.sqrt(spread)
    out[0], out[1] = mean, se
    out[2] = _limit(mean, -se, room[:, :likely], table, which, math.log(alpha))
    out[3] = _limit(mean, se, room[:, :likely], table, which, math.log(alpha))


@compiled()
def _limit(mean: float, se: float, likely: Floats, table: LogTail, which: int, wanted: float) -> float:
    """Where beyond the mean, on the side of `se`'s sign, the log of p is what is wanted, by false position."""
    inner, outer = 0.0, 2.0
    at_inner = _log_p_of(mean, likely, table, which) - wanted
    at_outer = _log_p_of(mean + outer * se, likely, table, which) - wanted
    while at_outer > 0.0 and outer < 1e6:
        inner, at_inner = outer, at_outer
        outer *= 1.5
        at_outer = _log_p_of(mean + outer * se, likely, table, which) - wanted
    side, x = 0, outer
    for _ in range(60):
        if outer - inner < _CLOSE:
            break
        x = (inner * at_outer - outer * at_inner) / (at_outer - at_inner)
        at = _log_p_of(mean + x * se, likely, table, which) - wanted
        if abs(at) < _CLOSE:
            break
        if at > 0.0:
            inner, at_inner = x, at
            at_outer *= 0.5 if side == 1 else 1.0
            side = 1
        else:
            outer, at_outer = x, at
            at_inner *= 0.5 if side == -1 else 1.0
            side = -1
    return mean + x * se


@compiled()
def _log_p_of(value: float, likely: Floats, table: LogTail, which: int) -> float:
    """Log of p for the hypothesis that the contrast has a value."""
    total = 0.0
    for k in range(likely.shape[1]):
        total += math.exp(likely[0, k] + look_up(abs(value - likely[1, k]) / likely[2, k], which, table))
    return math.log(total)


@compiled()
def _means(posterior: Floats, scale: Floats, functions: Floats, means: Floats, variances: Floats) -> None:
    """Fill the posterior means of the grid's functions, of the residual variance and of the products."""
    for j in range(len(means)):
        means[j] = 0.0
    for j in range(len(variances)):
        variances[j] = 0.0
    for k in range(len(posterior)):
        share = math.exp(posterior[k])
        variances[0] += share * scale[k]
        for j in range(len(means)):
            means[j] += share * functions[k, j]
            variances[1 + j] += share * scale[k] * functions[k, j]
