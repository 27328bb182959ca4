"""The global optimum of the profiled deviance in θ, for any random effects: the best of several descents.

Two starts must come to the same end. If they do not, or if groups are few, more are tried, and an end with a
correlation of ±1 is left for its mirror image.

    symbol                                     array
    θ of all responses, where it began         Record.end, Record.start (G, T)
    x = θ / scale at the end of each descent   ends (attempts, T), in the order in which they were made
    d(θ) there                                 values (attempts,)
    Λ of the f-th factor                       x[element[f]], (K, K); −1 in `element` where Λ has no such element
"""

import math

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats, Integers
from nestde.fit.compiled import compiled, spread
from nestde.fit.dense import copy, stretch
from nestde.fit.descent import Problem, descend
from nestde.fit.evaluate import Layout, coefficients, deviance, gradient, space
from nestde.fit.record import Record, unsearched
from nestde.fit.responses import Criterion, Responses, Solution, unsolved

# Starts: each variance such that θ is so many times its scale.
_STARTS = (2.0, 32.0, 0.5, 8.0)
# With fewer random effects than this every start is used: local optima are common, and evaluations cost little.
_FEW = 100
# Ends whose deviances differ by less are the same optimum, if no element of x differs by this share (or so much, below 1).
SAME, _NEAR = 1e-6, 1e-2
# A variance of zero that is left for the mirror image of its correlation starts at so many times its scale.
_AGAIN = 1.0


def search(
    blocks: Layout,
    element: Integers,
    responses: Responses,
    criterion: Criterion,
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
    responses
        Effects as `flatten` orders them.
    criterion
        Which likelihood.
    skip
        (G,) responses that are left NaN.
    given
        (G, S, T) θ to start from, beside the engine's own.
    threads
        As for `spread`.
    """
    record = unsearched(len(responses.yy), len(blocks.scale))
    spread(_minimise, len(responses.yy), threads, blocks, element, responses, criterion, skip, given, record)
    return record


def solve(
    theta: Floats, blocks: Layout, responses: Responses, criterion: Criterion, threads: int | None
) -> Solution:
    """What is estimated at θ of each of G responses, (G, T)."""
    solution = unsolved(*responses.qy.shape)
    spread(_solve, len(theta), threads, theta, blocks, responses, criterion, solution)
    return solution


@compiled(inline=True)
def _search(
    gene: int,
    blocks: Layout,
    element: Integers,
    responses: Responses,
    criterion: Criterion,
    given: Floats,
    record: Record,
) -> None:
    """Fill the record of one response with the best of several descents."""
    theta, start, p = record.end[gene], record.start[gene], responses.qy.shape[1]
    size = len(theta)
    problem = Problem(
        blocks, responses.zy[gene], responses.qy[gene], responses.yy[gene], criterion.freedom, criterion.reml,
        space(blocks), np.empty(p), np.empty((p, p)), np.empty(size), np.zeros(1, np.int64),
    )  # fmt: skip
    own, mirrors = len(given), len(given) + len(_STARTS)
    attempts = mirrors + element.shape[0] * element.shape[1]
    ends, values = np.zeros((attempts, size)), np.full(attempts, np.inf)
    slope, begin = np.empty(size), np.empty(size)
    best, apart, done = 0, 0.0, 0
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
            best = done
            record.decrease[gene], record.gradient[gene] = promise, _steepest(slope)
            stretch(x, blocks.scale, theta)
            stretch(begin, blocks.scale, start)
        done += 1
    record.evaluations[gene] = problem.evaluations[0]
    record.optima[gene], record.margin[gene] = _different(ends[:done], values[:done], best)


@compiled(inline=True)
def _steepest(slope: Floats) -> float:
    """Largest element without its sign."""
    steepest = 0.0
    for t in range(len(slope)):
        steepest = max(steepest, abs(slope[t]))
    return steepest


@compiled(inline=True)
def _different(ends: Floats, values: Floats, best: int) -> tuple[int, float]:
    """How many different optima descents have ended in, and by how much the second best is higher than the best."""
    margin, optima = np.inf, 0
    for attempt in range(len(ends)):
        new = True
        for other in range(attempt):
            new = new and not _same(ends[attempt], values[attempt], ends[other], values[other])
        optima += new
        if not _same(ends[attempt], values[best], ends[best], values[best]):
            margin = min(margin, values[attempt] - values[best])
    return optima, margin


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
    x[diagonal] = max(x[diagonal], _AGAIN)
    return True


@compiled()
def _same(end: Floats, value: float, other_end: Floats, other_value: float) -> bool:
    """Whether two ends are one optimum."""
    for t in range(len(end)):
        if abs(end[t] - other_end[t]) >= _NEAR * max(1.0, abs(end[t])):
            return False
    return abs(value - other_value) < SAME


@compiled()
def _minimise(
    begin: int,
    end: int,
    blocks: Layout,
    element: Integers,
    responses: Responses,
    criterion: Criterion,
    skip: NDArray[np.bool_],
    given: Floats,
    record: Record,
) -> None:
    """Fill the records of some responses."""
    for gene in range(begin, end):
        if not skip[gene]:
            _search(gene, blocks, element, responses, criterion, given[gene], record)


@compiled()
def _solve(
    begin: int,
    end: int,
    theta: Floats,
    blocks: Layout,
    responses: Responses,
    criterion: Criterion,
    solution: Solution,
) -> None:
    """Fill the solutions of some responses at θ, (G, T)."""
    for gene in range(begin, end):
        if math.isnan(theta[gene].sum()):
            continue
        work = space(blocks)
        solution.value[gene], solution.r2[gene] = deviance(
            theta[gene],
            blocks,
            responses.zy[gene],
            responses.qy[gene],
            responses.yy[gene],
            criterion.freedom,
            criterion.reml,
            work,
        )
        coefficients(blocks, work, solution.beta[gene], solution.covariance[gene])


@compiled()
def modes(theta: Floats, blocks: Layout, responses: Responses, criterion: Criterion, out: Floats) -> None:
    """Fill `out`, (G, effects) as `zy`, with the conditional modes on the fitted basis at θ of each response, (G, T)."""
    p, slope = responses.qy.shape[1], np.empty(len(blocks.scale))
    beta, covariance = np.empty(p), np.empty((p, p))
    work = space(blocks)
    for gene in range(len(theta)):
        if not math.isnan(theta[gene].sum()):
            _, r2 = deviance(
                theta[gene],
                blocks,
                responses.zy[gene],
                responses.qy[gene],
                responses.yy[gene],
                criterion.freedom,
                criterion.reml,
                work,
            )
            gradient(blocks, r2, criterion.freedom, criterion.reml, work, beta, covariance, slope)
            out[gene] = work.modes
