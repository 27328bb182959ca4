"""The global optimum of the profiled deviance in θ, for any random effects: the best of several descents.

Two starts must come to the same end. If they do not, or if groups are few, more are tried, and an end with a
correlation of ±1 is left for its mirror image.
"""

import math

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.fit.compiled import compiled, spread
from nestde.fit.dense import copy, stretch
from nestde.fit.descent import Problem, descend
from nestde.fit.evaluate import Layout, coefficients, deviance, gradient, space
from nestde.fit.record import Record

Integers = NDArray[np.int64]

# Starts: each variance such that θ is so many times its scale.
_STARTS = (2.0, 32.0, 0.5, 8.0)
# With fewer random effects than this every start is used: local optima are common, and evaluations cost little.
_FEW = 100
# Ends whose deviances differ by less are the same optimum.
SAME = 1e-6


def search(
    blocks: Layout,
    element: Integers,
    zy: Floats,
    qy: Floats,
    yy: Floats,
    freedom: float,
    reml: bool,
    skip: NDArray[np.bool_],
    given: Floats,
    threads: int | None,
) -> Record:
    """Find the global optimum for each of G responses that is not skipped.

    Parameters
    ----------
    blocks
        Of the model.
    element
        From `elements`.
    zy, qy, yy
        (G, effects) Z̃'y from `flatten`, (G, p) Q'y, (G,) y'y.
    freedom
        n for ML, n − p for REML.
    reml
        REML, else ML.
    skip
        (G,) responses that are left NaN.
    given
        (G, S, T) θ to start from, beside the engine's own.
    threads
        As for `spread`.
    """
    shape = len(yy), len(blocks.scale)
    theta, start, margin = np.full(shape, np.nan), np.full(shape, np.nan), np.full(len(yy), np.inf)
    evaluations, optima = np.zeros(len(yy), np.int64), np.zeros(len(yy), np.int64)
    steepest, decrease = np.full(len(yy), np.nan), np.full(len(yy), np.nan)
    spread(
        _minimise, len(yy), threads, blocks, element, zy, qy, yy, freedom, reml, skip, given,
        theta, start, evaluations, optima, steepest, decrease, margin,
    )  # fmt: skip
    return Record(start, theta, evaluations, steepest, decrease, optima, margin)


def solve(
    theta: Floats,
    blocks: Layout,
    zy: Floats,
    qy: Floats,
    yy: Floats,
    freedom: float,
    reml: bool,
    threads: int | None,
) -> tuple[Floats, Floats, Floats, Floats]:
    """At θ of each of G responses (G, p) β, (G, p, p) (Q'V₀⁻¹Q)⁻¹, (G,) r² and deviance but for its constants."""
    beta, covariance = np.full(qy.shape, np.nan), np.full((*qy.shape, qy.shape[1]), np.nan)
    r2, value = np.full(len(yy), np.nan), np.full(len(yy), np.nan)
    spread(_solve, len(yy), threads, theta, blocks, zy, qy, yy, freedom, reml, beta, covariance, r2, value)
    return beta, covariance, r2, value


@compiled(inline=True)
def _search(
    blocks: Layout,
    element: Integers,
    zy: Floats,
    qy: Floats,
    yy: float,
    freedom: float,
    reml: bool,
    given: Floats,
    theta: Floats,
    start: Floats,
) -> tuple[int, int, float, float, float]:
    """Best of several descents; fills θ and its start. Evaluations, optima, gradient, promised decrease, margin."""
    size, p = len(theta), len(qy)
    problem = Problem(
        blocks, zy, qy, yy, freedom, reml, space(blocks),
        np.empty(p), np.empty((p, p)), np.empty(size), np.zeros(1, np.int64),
    )  # fmt: skip
    own, mirrors = len(given), len(given) + len(_STARTS)
    attempts = mirrors + element.shape[0] * element.shape[1]
    ends, values = np.zeros((attempts, size)), np.full(attempts, np.inf)
    slope, begin = np.empty(size), np.empty(size)
    best, steepest, decrease, apart, done = 0, np.nan, np.nan, 0.0, 0
    for attempt in range(attempts):
        if attempt < own:
            stretch(given[attempt], 1.0 / blocks.scale, begin)
        elif attempt < mirrors:
            # two that agree are enough, if there are groups enough to make the likelihood smooth
            if done >= 2 and apart < SAME and blocks.effect_at[-1] > _FEW:
                continue
            _alike(_STARTS[attempt - own], element, begin)
        elif not _mirror(ends[best], attempt - mirrors, element, begin):
            continue
        x = ends[done]
        copy(begin, x)
        values[done], promise = descend(x, element, problem, slope)
        apart = max(apart, abs(values[done] - values[0]))
        if done == 0 or values[done] < values[best]:
            best, decrease, steepest = done, promise, 0.0
            for t in range(size):
                steepest = max(steepest, abs(slope[t]))
            stretch(x, blocks.scale, theta)
            stretch(begin, blocks.scale, start)
        done += 1
    margin, optima = np.inf, 0
    for attempt in range(done):
        new = True
        for other in range(attempt):
            new = new and not _same(ends[attempt], values[attempt], ends[other], values[other])
        optima += new
        if not _same(ends[attempt], values[best], ends[best], values[best]):
            margin = min(margin, values[attempt] - values[best])
    return problem.evaluations[0], optima, steepest, decrease, margin


@compiled()
def _alike(size: float, element: Integers, x: Floats) -> None:
    """Fill x with independent effects of one size."""
    for t in range(len(x)):
        x[t] = 0.0
    for f in range(len(element)):
        for i in range(element.shape[1]):
            if element[f, i, i] >= 0:
                x[element[f, i, i]] = size


@compiled()
def _mirror(end: Floats, which: int, element: Integers, x: Floats) -> bool:
    """Fill x with an end at a correlation of ±1, moved to the other side; False if this row is not such."""
    f, row = which // element.shape[1], which % element.shape[1]
    singular, crossed = False, False
    copy(end, x)
    for column in range(row):
        at = element[f, row, column]
        if at >= 0:
            singular = singular or end[element[f, column, column]] == 0.0
            crossed = crossed or end[at] != 0.0
            x[at] = -end[at]
    diagonal = element[f, row, row]
    if diagonal < 0 or not crossed or not (singular or end[diagonal] == 0.0):
        return False
    x[diagonal] = max(x[diagonal], 1.0)
    return True


@compiled()
def _same(end: Floats, value: float, other_end: Floats, other_value: float) -> bool:
    """Whether two ends are one optimum."""
    for t in range(len(end)):
        if abs(end[t] - other_end[t]) >= 1e-2 * max(1.0, abs(end[t])):
            return False
    return abs(value - other_value) < SAME


@compiled()
def _minimise(
    begin: int,
    end: int,
    blocks: Layout,
    element: Integers,
    zy: Floats,
    qy: Floats,
    yy: Floats,
    freedom: float,
    reml: bool,
    skip: NDArray[np.bool_],
    given: Floats,
    theta: Floats,
    start: Floats,
    evaluations: Integers,
    optima: Integers,
    steepest: Floats,
    decrease: Floats,
    margin: Floats,
) -> None:
    """Fill for some responses θ, where the descent to it began, and the record."""
    for gene in range(begin, end):
        if not skip[gene]:
            evaluations[gene], optima[gene], steepest[gene], decrease[gene], margin[gene] = _search(
                blocks,
                element,
                zy[gene],
                qy[gene],
                yy[gene],
                freedom,
                reml,
                given[gene],
                theta[gene],
                start[gene],
            )


@compiled()
def _solve(
    begin: int,
    end: int,
    theta: Floats,
    blocks: Layout,
    zy: Floats,
    qy: Floats,
    yy: Floats,
    freedom: float,
    reml: bool,
    beta: Floats,
    covariance: Floats,
    r2: Floats,
    value: Floats,
) -> None:
    """Fill for some responses what `solve` returns."""
    for gene in range(begin, end):
        if math.isnan(theta[gene].sum()):
            continue
        work = space(blocks)
        value[gene], r2[gene] = deviance(
            theta[gene], blocks, zy[gene], qy[gene], yy[gene], freedom, reml, work
        )
        coefficients(blocks, work, beta[gene], covariance[gene])


@compiled()
def modes(
    theta: Floats, blocks: Layout, zy: Floats, qy: Floats, yy: Floats, freedom: float, reml: bool, out: Floats
) -> None:
    """Fill `out`, (G, effects) as `zy`, with the conditional modes on the fitted basis at θ of each response."""
    p, slope = qy.shape[1], np.empty(len(blocks.scale))
    beta, covariance = np.empty(p), np.empty((p, p))
    work = space(blocks)
    for gene in range(len(theta)):
        if not math.isnan(theta[gene].sum()):
            _, r2 = deviance(theta[gene], blocks, zy[gene], qy[gene], yy[gene], freedom, reml, work)
            gradient(blocks, r2, freedom, reml, work, beta, covariance, slope)
            out[gene] = work.modes
