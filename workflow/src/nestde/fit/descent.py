"""Descent to a local optimum of the profiled deviance in θ, with exact zeros and the proof by curvature.

θ may run over all reals: the deviance does not change when a column of Λ changes sign, so a variance of zero is an
ordinary stationary point and needs no bounds. BFGS with the exact gradient descends; where a diagonal element of Λ
ends near zero, the face where it is exactly zero is tried and kept if the deviance does not rise. There the Hessian,
by differences of the gradient in all of θ, is the proof: where it has a direction of negative curvature (a variance
that wants to leave zero, a saddle) the descent goes on along it.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestde.fit.basis import Basis
from nestde.fit.compiled import compiled
from nestde.fit.dense import copy
from nestde.fit.deviance import Work
from nestde.fit.evaluate import Layout, deviance, gradient
from nestde.fit.sparse.deviance import Work as SparseWork

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Problem(NamedTuple):
    """One response: what the kernels need. θ = `scale` · x, and x is what is searched."""

    blocks: Layout
    zy: Floats
    qy: Floats
    yy: float
    freedom: float
    reml: bool
    work: Work | SparseWork
    beta: Floats
    covariance: Floats
    theta: Floats
    evaluations: Integers


def elements(basis: Basis) -> Integers:
    """(factors, K, K) index of the theta in each place of each Λ, −1 where there is none."""
    largest = max(len(turn) for turn in basis.turn)
    out = np.full((len(basis.turn), largest, largest), -1, np.int64)
    for t, (f, row, column) in enumerate(basis.theta):
        out[f, row, column] = t
    return out


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
    copy(x, out)
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
def descend(x: Floats, element: Integers, problem: Problem, slope: Floats) -> tuple[float, float]:
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
            copy(x, moved)
            moved[t] += h
            _evaluate(moved, problem, True, there)
            for s in range(size):
                hessian[t, s] = (there[s] - slope[s]) / h
        for t in range(size):
            for s in range(t):
                hessian[s, t] = hessian[t, s] = 0.5 * (hessian[s, t] + hessian[t, s])
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
                copy(moved, x)
                for t in range(size):
                    free[t] = True
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
                copy(moved, x)
                copy(there, slope)
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
                    copy(moved, x)
                    _fix(f, column, element, free)
                    continue
                # with a small pivot the elements below it turn freely into later columns: take them back
                for row in range(column + 1, element.shape[1]):
                    for sign in (1.0, -1.0):
                        if _gather(x, f, row, column, sign, element, problem.blocks.scale, moved):
                            new = _evaluate(moved, problem, False, there)
                            if new < value - 1e-9:
                                copy(moved, x)
                                value = new
                                _fix(f, row, element, free)
    _upright(x, element)
    return value, decrease
