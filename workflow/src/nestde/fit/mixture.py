"""Kernels: tests and estimates at each point of a grid, averaged over each gene's posterior.

At point k the F test of a contrast has s² = |Oz|² / (rows · r²/(n − p)), and the gene the posterior weight π_k, prior
times REML likelihood, of sum 1:

    p = Σ π_k P(F > s_k²)    estimate = Σ π_k Lβ_k    se² = Σ π_k (v_k + (Lβ_k − estimate)²)

    symbol                   array
    log-likelihood at k      Along.loglik (LANES, K)
    Oz, r²/(n − p)           Along.z (rows, LANES, K), Along.scale (LANES, K)
    prior, π                 prior, posterior (K,)
    P(F > s²), its log       of LogTail
    Lβ_k, 1/√v_k             room[1], room[2] of the likely points, whose π is room[0]
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats, Integers
from nestde.fit.compiled import compiled
from nestde.fit.dense import sum_of
from nestde.fit.elementary import exps
from nestde.fit.log_tail import BEND, PER_UNIT, LogTail, look_up, tail_of
from nestde.fit.points import LANES, Block, Points, at_point, block_of, load, reml
from nestde.fit.responses import Responses

# Terms of a sum below this log share of what is there already do not count.
_NEGLIGIBLE = -40.0
# The log of a likelihood, relative to the largest, that is taken for 0 except where p is below _SMALL.
_NOTHING, _SMALL = -50.0, 1e-10
# The posterior of which estimates take no notice, and that of which p does not, as a share of p.
_UNLIKELY, _UNSEEN = 1e-9, 1e-11
# Lower than the log of any p-value.
_LOWEST = -1e300
# √log(this / p) is all but straight in a limit where p is a normal's two tails. The last step of Newton's method on it, in
# standard errors, leaves a tenth of its square.
_STRAIGHT, _CLOSE = 0.7, 3e-3


class Wanted(NamedTuple):
    """What is asked of every gene; C contrasts, K points, M functions of them.

    Attributes
    ----------
    table, distribution
        F's tails; (C,) the one that each contrast has.
    functions
        (M, K) whose posterior means are wanted.
    alpha
        One less the coverage of the limits; 0 where no estimates are wanted.
    """

    table: LogTail
    distribution: Integers
    functions: Floats
    alpha: float


class KnownGenes(NamedTuple):
    """G genes, and what is known of each beforehand.

    Attributes
    ----------
    responses
        Effects as `place` orders them.
    shift
        (G, p) what was subtracted of Q's columns.
    skip
        (G,) genes that are left as they are.
    weights
        (S, K) prior of the points at S knots.
    left, share
        (G,), (G,) the knot on a gene's left, and the share of the one on its right.
    """

    responses: Responses
    shift: Floats
    skip: NDArray[np.bool_]
    weights: Floats
    left: Integers
    share: Floats


class Averages(NamedTuple):
    """What is found for G genes.

    Attributes
    ----------
    log_p
        (G, C) natural log of the p-values.
    estimates
        (G, C, 4) of contrasts of one row estimate, standard error, lower and upper limit.
    means, variances
        (G, M) posterior means of the functions; (G, 1 + M) of the residual variance, and of it times the functions.
    """

    log_p: Floats
    estimates: Floats
    means: Floats
    variances: Floats


class Along(NamedTuple):
    """A block of genes at all K points.

    Attributes
    ----------
    z
        (rows, LANES, K) Oz of all contrasts.
    scale
        (LANES, K) r²/(n − p).
    loglik
        (LANES, K) REML log-likelihood.
    shift
        (p, LANES) what was subtracted of Q's columns.
    """

    z: Floats
    scale: Floats
    loglik: Floats
    shift: Floats


@compiled()
def average(begin: int, end: int, points: Points, wanted: Wanted, genes: KnownGenes, found: Averages) -> None:
    """Fill the results of some blocks of `LANES` genes."""
    p, count_k = genes.shift.shape[1], len(points.logdet)
    block = block_of(points)
    along = Along(
        np.empty((points.o.shape[1], LANES, count_k)),
        np.empty((LANES, count_k)),
        np.empty((LANES, count_k)),
        np.zeros((p, LANES)),
    )
    prior, posterior, room = np.empty(count_k), np.empty(count_k), np.empty((3, count_k))
    for which in range(begin, end):
        count = load(which * LANES, points, genes.responses, block)
        for g in range(count):
            for i in range(p):
                along.shift[i, g] = genes.shift[which * LANES + g, i]
        for k in range(count_k):
            at_point(k, points, block)
            _keep(k, count, points, block, along)
        for g in range(count):
            gene = which * LANES + g
            reml(points, along.scale[g], along.loglik[g])
            for k in range(count_k):
                along.scale[g, k] /= points.freedom
            if genes.skip[gene] or not math.isfinite(sum_of(along.loglik[g])):
                continue  # rounding left no residual somewhere
            _prior_of(gene, genes, prior)
            _average(gene, g, points, wanted, along, prior, posterior, room, found)


@compiled(inline=True)
def _keep(k: int, count: int, points: Points, block: Block, along: Along) -> None:
    """Keep what a block of genes is at the k-th point, r² for its scale."""
    for g in range(count):
        along.scale[g, k] = block.r2[g]
    for row in range(points.o.shape[1]):
        for g in range(LANES):
            block.t[g] = 0.0
        for i in range(len(block.z)):
            factor, back = points.o[k, row, i], points.back[k, row, i]
            for g in range(LANES):
                block.t[g] += factor * block.z[i, g] + back * along.shift[i, g]
        for g in range(count):
            along.z[row, g, k] = block.t[g]


@compiled(inline=True)
def _prior_of(gene: int, genes: KnownGenes, out: Floats) -> None:
    """Fill the prior of one gene, (K,)."""
    left, share = genes.left[gene], genes.share[gene]
    for k in range(len(out)):
        out[k] = genes.weights[left, k]
        if share > 0.0:
            out[k] += share * (genes.weights[left + 1, k] - out[k])


@compiled(inline=True)
def _average(
    gene: int,
    g: int,
    points: Points,
    wanted: Wanted,
    along: Along,
    prior: Floats,
    posterior: Floats,
    room: Floats,
    found: Averages,
) -> None:
    """Fill the results of one gene, the g-th of its block."""
    loglik, scale = along.loglik[g], along.scale[g]
    constant = posterior_of(loglik, prior, room, posterior)
    for c in range(len(wanted.distribution)):
        first, last, which = points.first[c], points.first[c + 1], wanted.distribution[c]
        total = mean_p(posterior, along.z[first:last, g], scale, wanted.table, which)
        if total > _SMALL:
            found.log_p[gene, c] = min(math.log(total), 0.0)
        else:
            found.log_p[gene, c] = mean_log_p(
                loglik, prior, constant, along.z[first:last, g], scale, wanted.table, which
            )
        if last == first + 1 and wanted.alpha > 0.0:
            mean_estimate(
                posterior, along.z[first, g], scale, points.size[:, first], wanted.table,
                which, wanted.alpha, room, found.estimates[gene, c],
            )  # fmt: skip
    _means(posterior, scale, wanted.functions, found.means[gene], found.variances[gene])


@compiled()
def posterior_of(loglik: Floats, prior: Floats, room: Floats, out: Floats) -> float:
    """Fill the posterior of one gene, (K,); return the log of what its log is less than likelihood and prior.

    `room` is (2, K).
    """
    top = -np.inf
    for k in range(len(out)):
        if loglik[k] > top and prior[k] > 0.0:
            top = loglik[k]
    away = room[0]
    for k in range(len(out)):
        # where the prior is 0 the likelihood may be anything
        away[k] = min(loglik[k] - top, 0.0)
    exps(away, room[1], out)
    for k in range(len(out)):
        out[k] = out[k] * prior[k] if away[k] > _NOTHING else 0.0
    total = sum_of(out)
    share = 1.0 / total
    for k in range(len(out)):
        out[k] *= share
    return top + math.log(total)


@compiled()
def mean_p(posterior: Floats, along: Floats, scale: Floats, table: LogTail, which: int) -> float:
    """Posterior mean of the p-value of a contrast, rows of Oz (rows, K)."""
    total = 0.0
    for k in range(len(posterior)):
        if posterior[k] > _UNSEEN * total:
            square = 0.0
            for row in range(len(along)):
                square += along[row, k] * along[row, k]
            tail, _ = tail_of(math.sqrt(square / (len(along) * scale[k])), which, table)
            total += posterior[k] * tail
    return total


@compiled()
def mean_log_p(
    loglik: Floats,
    prior: Floats,
    constant: float,
    along: Floats,
    scale: Floats,
    table: LogTail,
    which: int,
) -> float:
    """Log of what `mean_p` is, where it is small."""
    top, total = _LOWEST, 0.0
    for k in range(len(loglik)):
        # neither prior nor p-value is above 1
        if loglik[k] - constant < top + _NEGLIGIBLE or prior[k] == 0.0:
            continue
        square = 0.0
        for row in range(len(along)):
            square += along[row, k] * along[row, k]
        term = loglik[k] - constant + math.log(prior[k])
        term += look_up(math.sqrt(square / (len(along) * scale[k])), which, table)
        if term <= top:
            total += math.exp(term - top)
        else:
            total = total * math.exp(top - term) + 1.0
            top = term
    return min(top + math.log(total), 0.0)


@compiled()
def mean_estimate(
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
    likely = 0
    for k in range(len(posterior)):
        if posterior[k] > _UNLIKELY:
            room[0, likely] = posterior[k]
            room[1, likely] = size[k] * along[k]
            room[2, likely] = 1.0 / (size[k] * math.sqrt(scale[k]))
            likely += 1
    mean, total, spread = 0.0, 0.0, 0.0
    for k in range(likely):
        total += room[0, k]
        mean += room[0, k] * room[1, k]
    mean /= total
    for k in range(likely):
        room[0, k] /= total
        spread += room[0, k] * (1.0 / (room[2, k] * room[2, k]) + (room[1, k] - mean) * (room[1, k] - mean))
    se = math.sqrt(spread)
    out[0], out[1] = mean, se
    # posteriors are all but symmetrical: where one limit is, the other is not far
    away = _limit(2.0, mean, -se, room[:, :likely], table, which, alpha)
    out[2] = mean - away * se
    out[3] = mean + _limit(away, mean, se, room[:, :likely], table, which, alpha) * se


@compiled()
def _limit(
    x: float, mean: float, se: float, likely: Floats, table: LogTail, which: int, alpha: float
) -> float:
    """How many `se` beyond the mean, on the side of its sign, p is `alpha`: Newton's method within its bracket."""
    inner, outer, wanted = 0.0, np.inf, math.log(alpha)
    for _ in range(100):
        at = mean + x * se
        p, slope, far = _p_beyond(at, likely, table.tail[which], table.density[which])
        if far:
            p, slope = _p_far_beyond(at, likely, table, which)
        slope *= se
        if p > alpha:
            inner = x
        else:
            outer = x
        step = (math.log(p) - wanted) * p / slope if p > 0.0 and slope < 0.0 else np.inf
        if 0.0 < p < _STRAIGHT:
            here, there = math.sqrt(math.log(_STRAIGHT / p)), math.sqrt(math.log(_STRAIGHT / alpha))
            step *= 2.0 * here / (here + there)
        ahead = x - step
        if not inner <= ahead <= outer:
            ahead = 0.5 * (inner + outer) if outer < np.inf else 2.0 * inner
        step = abs(ahead - x)
        x = ahead
        if step < _CLOSE:
            break
    return x


@compiled(sums=True)
def _p_beyond(at: float, likely: Floats, tail: Floats, density: Floats) -> tuple[float, float, bool]:
    """P of a limit and its derivative, as `tail_of` has them of s up to `BEND`; and whether some s is beyond."""
    p, slope, most = 0.0, 0.0, 0.0
    for k in range(likely.shape[1]):
        away = (at - likely[1, k]) * likely[2, k]
        s = abs(away)
        most = max(most, s)
        x = PER_UNIT * min(s, BEND)
        i = np.int32(x)  # of which AVX2 makes four at a time
        u = x - i
        v = 1.0 - u
        value = v * v * (1.0 + 2.0 * u) * tail[i] + u * u * (1.0 + 2.0 * v) * tail[i + 1]
        value += u * v * (v * density[i] - u * density[i + 1])
        by_s = 6.0 * u * v * (tail[i + 1] - tail[i])
        by_s += v * (v - 2.0 * u) * density[i] + u * (u - 2.0 * v) * density[i + 1]
        p += likely[0, k] * value
        slope += likely[0, k] * likely[2, k] * (by_s if away > 0.0 else -by_s)
    return p, slope * PER_UNIT, most > BEND


@compiled()
def _p_far_beyond(at: float, likely: Floats, table: LogTail, which: int) -> tuple[float, float]:
    """P of a limit and its derivative, of any s."""
    p, slope = 0.0, 0.0
    for k in range(likely.shape[1]):
        away = (at - likely[1, k]) * likely[2, k]
        tail, by_s = tail_of(abs(away), which, table)
        p += likely[0, k] * tail
        slope += likely[0, k] * likely[2, k] * (by_s if away > 0.0 else -by_s)
    return p, slope


@compiled(sums=True)
def _means(posterior: Floats, scale: Floats, functions: Floats, means: Floats, variances: Floats) -> None:
    """Fill the posterior means of the grid's functions, of the residual variance and of the products."""
    for j in range(len(variances)):
        variances[j] = 0.0
    for k in range(len(posterior)):
        variances[0] += posterior[k] * scale[k]
    for j in range(len(means)):
        mean, product = 0.0, 0.0
        for k in range(len(posterior)):
            mean += posterior[k] * functions[j, k]
            product += posterior[k] * scale[k] * functions[j, k]
        means[j], variances[1 + j] = mean, product
