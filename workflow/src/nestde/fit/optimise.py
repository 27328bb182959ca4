"""The global optimum of the profiled deviance in θ, for any random effects.

θ may run over all reals: the deviance does not change when a column of Λ changes sign, so a variance of zero is an
ordinary stationary point and needs no bounds. From each start BFGS with the exact gradient descends; where a diagonal
element of Λ ends near zero, the face where it is exactly zero is tried and kept if the deviance does not rise. There
the Hessian, by differences of the gradient in all of θ, is the proof: where it has a direction of negative curvature
(a variance that wants to leave zero, a saddle) the descent goes on along it. Several starts must come to the
same end; if they do not, or if groups are few, more are tried, and an end with a correlation of ±1 is left for its
mirror image.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestde.fit.basis import Basis
from nestde.fit.blocks import Blocks
from nestde.fit.compiled import compiled, spread
from nestde.fit.deviance import Work, coefficients, deviance, gradient, space
from nestde.fit.state import Record

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Starts: each variance such that θ is so many times its scale.
_STARTS = (2.0, 32.0, 0.5, 8.0)
# With fewer random effects than this every start is used: local optima are common, and evaluations cost little.
_FEW = 100
# Ends whose deviances differ by less are the same optimum.
SAME = 1e-6


class Problem(NamedTuple):
    """One response: what the kernels need. θ = `scale` · x, and x is what is searched."""

    blocks: Blocks
    zy: Floats
    qy: Floats
    yy: float
    freedom: float
    reml: bool
    work: Work
    beta: Floats
    covariance: Floats
    theta: Floats
    evaluations: Integers


def elements(basis: Basis) -> Integers:
    """(factors, K, K) index of the theta in each place of each Λ, −1 where there is none."""
    largest = max((len(turn) for turn in basis.turn), default=0)
    out = np.full((len(basis.turn), largest, largest), -1, np.int64)
    for t, (f, row, column) in enumerate(basis.theta):
        out[f, row, column] = t
    return out


def search(
    blocks: Blocks,
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
    blocks: Blocks,
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
def _evaluate(x: Floats, problem: Problem, with_slope: bool, slope: Floats) -> float:
    """Deviance at x; fills `slope` with its gradient by x if that is wanted."""
    for t in range(len(x)):
        problem.theta[t] = problem.blocks.scale[t] * x[t]
    problem.evaluations[0] += 1
    value, r2 = deviance(
        problem.theta,
        problem.blocks,
        problem.zy,
        problem.qy,
        problem.yy,
        problem.freedom,
        problem.reml,
        problem.work,
    )
    if with_slope and math.isfinite(value):
        gradient(
            problem.blocks,
            r2,
            problem.freedom,
            problem.reml,
            problem.work,
            problem.beta,
            problem.covariance,
            slope,
        )
        for t in range(len(x)):
            slope[t] *= problem.blocks.scale[t]
    return value


@compiled()
def _inverse(hessian: Floats, free: NDArray[np.bool_]) -> Floats:
    """Inverse of the Hessian over the free elements, with curvature made positive."""
    size = len(free)
    part, out = np.zeros((size, size)), np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            if free[i] and free[j]:
                part[i, j] = hessian[i, j]
    values, vectors = np.linalg.eigh(part)
    floor = 1e-300
    for m in range(size):
        floor = max(floor, 1e-8 * abs(values[m]))
    for m in range(size):
        weight = 1.0 / max(abs(values[m]), floor)
        for i in range(size):
            for j in range(size):
                if free[i] and free[j]:
                    out[i, j] += weight * vectors[i, m] * vectors[j, m]
    return out


@compiled()
def _step(inverse: Floats, slope: Floats, free: NDArray[np.bool_], step: Floats) -> float:
    """Fill `step` with −inverse · slope over the free elements; returns the fall of the deviance along it."""
    fall = 0.0
    for i in range(len(step)):
        step[i] = 0.0
        for j in range(len(step)):
            if free[j]:
                step[i] -= inverse[i, j] * slope[j]
        fall -= step[i] * slope[i]
    return fall


@compiled()
def _learn(inverse: Floats, s: Floats, y: Floats, free: NDArray[np.bool_]) -> None:
    """BFGS: let the inverse Hessian map the change of gradient `y` to the step `s`, if the curvature is positive."""
    size = len(s)
    curvature, ss, yy = 0.0, 0.0, 0.0
    for i in range(size):
        if not free[i]:
            y[i] = 0.0
        curvature += s[i] * y[i]
        ss += s[i] * s[i]
        yy += y[i] * y[i]
    if not curvature > 1e-10 * math.sqrt(ss * yy):
        return
    by, yby = np.zeros(size), 0.0
    for i in range(size):
        for j in range(size):
            by[i] += inverse[i, j] * y[j]
        yby += y[i] * by[i]
    factor = (1.0 + yby / curvature) / curvature
    for i in range(size):
        for j in range(size):
            inverse[i, j] += factor * s[i] * s[j] - (by[i] * s[j] + s[i] * by[j]) / curvature


@compiled()
def _upright(x: Floats, element: Integers) -> None:
    """Give each column of each Λ the sign that makes its diagonal element non-negative."""
    for f in range(len(element)):
        for column in range(element.shape[1]):
            diagonal = element[f, column, column]
            if diagonal >= 0 and x[diagonal] < 0.0:
                for row in range(column, element.shape[1]):
                    if element[f, row, column] >= 0:
                        x[element[f, row, column]] *= -1.0


@compiled()
def _face(x: Floats, f: int, column: int, element: Integers, scale: Floats, out: Floats) -> None:
    """Fill `out` with x where a diagonal element is zero: ΛΛ' less that pivot, and its Cholesky factor again."""
    size = element.shape[1]
    for t in range(len(x)):
        out[t] = x[t] * scale[t]
    v = np.zeros(size)
    for row in range(column, size):
        if element[f, row, column] >= 0:
            if row > column:
                v[row] = out[element[f, row, column]]
            out[element[f, row, column]] = 0.0
    for j in range(column + 1, size):
        diagonal = element[f, j, j]
        if v[j] != 0.0:
            old = out[diagonal]
            new = math.hypot(old, v[j])
            c, s = old / new, v[j] / new
            out[diagonal] = new
            for row in range(j + 1, size):
                at = element[f, row, j]
                if at >= 0:
                    old = out[at]
                    out[at] = c * old + s * v[row]
                    v[row] = c * v[row] - s * old
    for t in range(len(x)):
        out[t] /= scale[t]


@compiled()
def _gather(
    x: Floats, f: int, row: int, column: int, sign: float, element: Integers, scale: Floats, out: Floats
) -> bool:
    """Fill `out` with x, a row's variance in one column put into another; False if there is none to put."""
    into, diagonal = element[f, row, column], element[f, row, row]
    if into < 0 or diagonal < 0 or x[diagonal] == 0.0:
        return False
    out[:] = x
    out[into] = sign * math.hypot(x[into] * scale[into], x[diagonal] * scale[diagonal]) / scale[into]
    for below in range(row, element.shape[1]):
        if element[f, below, row] >= 0:
            out[element[f, below, row]] = 0.0
    return True


@compiled()
def _fix(f: int, column: int, element: Integers, free: NDArray[np.bool_]) -> None:
    """Keep a column of Λ at zero."""
    for row in range(column, element.shape[1]):
        if element[f, row, column] >= 0:
            free[element[f, row, column]] = False


@compiled()
def _descend(x: Floats, element: Integers, problem: Problem, slope: Floats) -> tuple[float, float]:
    """Local optimum from x, in place, with exact zeros; deviance, and its decrease that a Newton step promises."""
    size, factors = len(x), len(element)
    free = np.ones(size, np.bool_)
    step, moved, there = np.zeros(size), x.copy(), np.zeros(size)
    hessian = np.zeros((size, size))
    value, decrease = np.inf, np.inf
    for round_ in range(24):
        # ---- Hessian at x by forward differences of the gradient
        value = _evaluate(x, problem, True, slope)
        if not math.isfinite(value):
            return value, np.inf
        for t in range(size):
            h = 1e-5 * max(1.0, abs(x[t]))
            for s in range(size):
                moved[s] = x[s]
            moved[t] += h
            _evaluate(moved, problem, True, there)
            for s in range(size):
                hessian[t, s] = (there[s] - slope[s]) / h
        hessian = 0.5 * (hessian + hessian.T)
        inverse = _inverse(hessian, free)
        if round_ > 0 and _step(inverse, slope, free, step) < 1e-6:
            # ---- an optimum of the free elements; is there a way down from it?
            values, vectors = np.linalg.eigh(hessian)
            left = False
            if values[0] < -1e-7 * max(abs(values[0]), abs(values[size - 1])):
                share = 1.0
                for attempt in range(28):
                    sign = 1.0 if attempt % 2 == 0 else -1.0
                    for t in range(size):
                        moved[t] = x[t] + sign * share * vectors[t, 0]
                    if _evaluate(moved, problem, False, there) < value - 1e-9:
                        left = True
                        break
                    share *= 1.0 if attempt % 2 == 0 else 0.4
            if left:
                x[:] = moved
                free[:] = True
                continue
            # ---- no: the last digits, by the gradient alone, for the deviance cannot resolve them
            decrease = 0.5 * _step(inverse, slope, free, step)
            for _polish in range(3):
                for t in range(size):
                    moved[t] = x[t] + step[t]
                new = _evaluate(moved, problem, True, there)
                promise = 0.5 * _step(inverse, there, free, step)
                if not (promise < 0.5 * decrease and new <= value + 1e-9):
                    break
                x[:], slope[:] = moved, there
                decrease, value = promise, new
            break
        # ---- BFGS over the free elements
        for _iteration in range(200):
            fall = _step(inverse, slope, free, step)
            if not fall > 1e-9:
                break
            shrink = 1.0
            for t in range(size):
                shrink = min(shrink, (4.0 + 2.0 * abs(x[t])) / max(abs(step[t]), 1e-300))
            fall *= shrink
            accepted = False
            for _try in range(30):
                for t in range(size):
                    moved[t] = x[t] + shrink * step[t]
                new = _evaluate(moved, problem, True, there)
                if new <= value - 1e-4 * fall + 1e-15 * abs(value):
                    accepted = True
                    break
                # least of the parabola through both values and the slope
                best = 0.5 * fall / (new - value + fall) if math.isfinite(new) else 0.1
                factor = min(max(best, 0.1), 0.5)
                shrink *= factor
                fall *= factor
            if not accepted:
                break
            for t in range(size):
                step[t] = moved[t] - x[t]
                slope[t], there[t] = there[t], there[t] - slope[t]
                x[t] = moved[t]
            value = new
            _learn(inverse, step, there, free)
        # ---- exact zeros: the faces next to x, kept where the deviance does not rise
        _upright(x, element)
        for f in range(factors):
            for column in range(element.shape[1]):
                diagonal = element[f, column, column]
                if diagonal < 0 or not free[diagonal] or x[diagonal] > 1e-2:
                    continue
                _face(x, f, column, element, problem.blocks.scale, moved)
                # not above, but for what a last step could still gain
                if _evaluate(moved, problem, False, there) <= value + 1e-8:
                    x[:] = moved
                    _fix(f, column, element, free)
                    continue
                # with a small pivot the elements below it turn freely into later columns: take them back
                for row in range(column + 1, element.shape[1]):
                    for sign in (1.0, -1.0):
                        if _gather(x, f, row, column, sign, element, problem.blocks.scale, moved):
                            new = _evaluate(moved, problem, False, there)
                            if new < value - 1e-9:
                                x[:] = moved
                                value = new
                                _fix(f, row, element, free)
    _upright(x, element)
    return value, decrease


@compiled(inline=True)
def _search(
    blocks: Blocks,
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
            begin[:] = given[attempt] / blocks.scale
        elif attempt < mirrors:
            # two that agree are enough, if there are groups enough to make the likelihood smooth
            if done >= 2 and apart < SAME and blocks.effect_at[-1] > _FEW:
                continue
            _alike(_STARTS[attempt - own], element, begin)
        elif not _mirror(ends[best], attempt - mirrors, element, begin):
            continue
        x = ends[done]
        x[:] = begin
        values[done], promise = _descend(x, element, problem, slope)
        apart = max(apart, abs(values[done] - values[0]))
        if done == 0 or values[done] < values[best]:
            best, decrease, steepest = done, promise, np.abs(slope).max()
            theta[:] = x * blocks.scale
            start[:] = begin * blocks.scale
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
    x[:] = 0.0
    for f in range(len(element)):
        for i in range(element.shape[1]):
            if element[f, i, i] >= 0:
                x[element[f, i, i]] = size


@compiled()
def _mirror(end: Floats, which: int, element: Integers, x: Floats) -> bool:
    """Fill x with an end at a correlation of ±1, moved to the other side; False if this row is not such."""
    f, row = which // element.shape[1], which % element.shape[1]
    singular, crossed = False, False
    x[:] = end
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
    blocks: Blocks,
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
    blocks: Blocks,
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
    theta: Floats, blocks: Blocks, zy: Floats, qy: Floats, yy: Floats, freedom: float, reml: bool, out: Floats
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
