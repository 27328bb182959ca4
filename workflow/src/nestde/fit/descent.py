"""Descent to a local optimum of the profiled deviance in θ, with exact zeros and the proof by curvature.

θ may run over all reals: the deviance does not change when a column of Λ changes sign, so a variance of zero is an
ordinary stationary point and needs no bounds. BFGS with the exact gradient descends; where a diagonal element of Λ
ends near zero, the face where it is exactly zero is tried and kept if the deviance does not rise. There the Hessian,
by differences of the gradient in all of θ, is the proof: where it has a direction of negative curvature (a variance
that wants to leave zero, a saddle) the descent goes on along it.

    symbol                             array
    x, θ                               x; Problem.theta = Problem.blocks.scale · x
    d(θ), ∂d/∂x                        value; slope (T,), and room.there at the x that is tried, room.moved
    ∂²d/∂x²                            room.hessian (T, T)
    its inverse, where θ is free       inverse (T, T)
    elements that are not held at 0    free (T,)
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats, Integers
from nestde.fit.compiled import compiled
from nestde.fit.curvature import TINY, inverse_over, learn, newton_step
from nestde.fit.dense import copy
from nestde.fit.deviance import Work
from nestde.fit.evaluate import Layout, deviance, gradient
from nestde.fit.faces import gather, hold_at_zero, make_upright, put_on_face
from nestde.fit.sparse.deviance import Work as SparseWork

# ---- of the descent; steps are in units of θ's scale, falls in units of the deviance
# Rounds of Hessian, quasi-Newton descent and zeros; quasi-Newton steps in a round; shortenings of a step.
ROUNDS, ITERATIONS, SHORTENINGS = 24, 200, 30
# Step of the Hessian's differences.
DIFFERENCE = 1e-5
# Where a Newton step promises a fall below this, a round has ended at an optimum; a quasi-Newton descent stops earlier.
OPTIMUM, SETTLED = 1e-6, 1e-9
# A step is at most this long, plus this share of x.
LONGEST, LONGEST_SHARE = 4.0, 2.0
# Share of the promised fall that a step must make, but for rounding; a step is shortened to no less than a tenth.
ARMIJO, ROUNDING, SHORTEST = 1e-4, 1e-15, 0.1
# ---- of the curvature
# An eigenvalue below minus this share of the largest is a way down; it is tried both ways, and again ever shorter.
NEGATIVE, ESCAPES, ESCAPE_SHRINK = 1e-7, 28, 0.4
# ---- of the end
# A fall by less is rounding; a face whose deviance is higher by less is as good.
BETTER, AS_GOOD = 1e-9, 1e-8
# Diagonal elements of Λ up to here are tried at zero.
NEAR_ZERO = 1e-2
# Newton steps for the last digits.
POLISHES = 3


class Problem(NamedTuple):
    """One response: what the kernels need. θ = `blocks.scale` · x, and x is what is searched.

    Attributes
    ----------
    blocks
        Of the model; T thetas, p coefficients.
    zy, qy, yy
        (effects,) Z̃'y as the layout orders them, (p,) Q'y, y'y.
    freedom, reml
        The likelihood, as in `Criterion`.
    work
        Room for `deviance` and `gradient`; so are `beta`, (p,), and `covariance`, (p, p).
    theta
        (T,) room for θ.
    evaluations
        (1,) how often the deviance was evaluated.
    """

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
    return float(value)


class _Room(NamedTuple):
    """Space of a descent: the next step, the θ that is tried and the gradient there, and the Hessian."""

    step: Floats
    moved: Floats
    there: Floats
    hessian: Floats


@compiled()
def _differentiate(x: Floats, problem: Problem, slope: Floats, room: _Room) -> float:
    """Deviance at x, its gradient, and the Hessian by forward differences of the gradient."""
    size, hessian = len(x), room.hessian
    value = _evaluate(x, problem, True, slope)
    if not math.isfinite(value):
        return value
    for t in range(size):
        h = DIFFERENCE * max(1.0, abs(x[t]))
        copy(x, room.moved)
        room.moved[t] += h
        _evaluate(room.moved, problem, True, room.there)
        for s in range(size):
            hessian[t, s] = (room.there[s] - slope[s]) / h
    for t in range(size):
        for s in range(t):
            hessian[s, t] = hessian[t, s] = 0.5 * (hessian[s, t] + hessian[t, s])
    return value


@compiled()
def _escape(x: Floats, value: float, problem: Problem, room: _Room) -> bool:
    """Move x down along the direction of most negative curvature, if there is one; False if there is no way down."""
    size = len(x)
    values, vectors = np.linalg.eigh(room.hessian)
    if not values[0] < -NEGATIVE * max(abs(values[0]), abs(values[size - 1])):
        return False
    share = 1.0
    for attempt in range(ESCAPES):
        sign = 1.0 if attempt % 2 == 0 else -1.0
        for t in range(size):
            room.moved[t] = x[t] + sign * share * vectors[t, 0]
        if _evaluate(room.moved, problem, False, room.there) < value - BETTER:
            copy(room.moved, x)
            return True
        share *= 1.0 if attempt % 2 == 0 else ESCAPE_SHRINK
    return False


@compiled()
def _polish(
    x: Floats,
    value: float,
    inverse: Floats,
    free: NDArray[np.bool_],
    problem: Problem,
    slope: Floats,
    room: _Room,
) -> tuple[float, float]:
    """The last digits, by the gradient alone, for the deviance cannot resolve them; deviance and promised decrease."""
    decrease = 0.5 * newton_step(inverse, slope, free, room.step)
    for _ in range(POLISHES):
        for t in range(len(x)):
            room.moved[t] = x[t] + room.step[t]
        new = _evaluate(room.moved, problem, True, room.there)
        promise = 0.5 * newton_step(inverse, room.there, free, room.step)
        if not (promise < 0.5 * decrease and new <= value + BETTER):
            break
        copy(room.moved, x)
        copy(room.there, slope)
        decrease, value = promise, new
    return value, decrease


@compiled()
def _search_line(x: Floats, value: float, fall: float, problem: Problem, room: _Room) -> tuple[bool, float]:
    """Shorten the step until the deviance falls by a share of what the slope promises; whether it did, and its value."""
    shrink = 1.0
    for t in range(len(x)):
        shrink = min(shrink, (LONGEST + LONGEST_SHARE * abs(x[t])) / max(abs(room.step[t]), TINY))
    fall *= shrink
    for _ in range(SHORTENINGS):
        for t in range(len(x)):
            room.moved[t] = x[t] + shrink * room.step[t]
        new = _evaluate(room.moved, problem, True, room.there)
        if new <= value - ARMIJO * fall + ROUNDING * abs(value):
            return True, new
        # least of the parabola through both values and the slope
        best = 0.5 * fall / (new - value + fall) if math.isfinite(new) else SHORTEST
        factor = min(max(best, SHORTEST), 0.5)
        shrink *= factor
        fall *= factor
    return False, value


@compiled()
def _quasi_newton(
    x: Floats,
    value: float,
    inverse: Floats,
    free: NDArray[np.bool_],
    problem: Problem,
    slope: Floats,
    room: _Room,
) -> float:
    """BFGS over the free elements, in place; the deviance at its end."""
    for _ in range(ITERATIONS):
        fall = newton_step(inverse, slope, free, room.step)
        if not fall > SETTLED:
            break
        accepted, new = _search_line(x, value, fall, problem, room)
        if not accepted:
            break
        for t in range(len(x)):
            room.step[t] = room.moved[t] - x[t]
            slope[t], room.there[t] = room.there[t], room.there[t] - slope[t]
            x[t] = room.moved[t]
        value = new
        learn(inverse, room.step, room.there, free)
    return value


@compiled()
def _zero(
    x: Floats, value: float, free: NDArray[np.bool_], element: Integers, problem: Problem, room: _Room
) -> float:
    """Exact zeros: the faces next to x, kept where the deviance does not rise; returns it."""
    scale, moved = problem.blocks.scale, room.moved
    for f in range(len(element)):
        for column in range(element.shape[1]):
            diagonal = element[f, column, column]
            if diagonal < 0 or not free[diagonal] or x[diagonal] > NEAR_ZERO:
                continue
            put_on_face(x, f, column, element, scale, moved)
            # not above, but for what a last step could still gain
            if _evaluate(room.moved, problem, False, room.there) <= value + AS_GOOD:
                copy(moved, x)
                hold_at_zero(f, column, element, free)
            else:
                value = _take_back(x, value, f, column, free, element, problem, room)
    return value


@compiled(inline=True)
def _take_back(
    x: Floats,
    value: float,
    f: int,
    column: int,
    free: NDArray[np.bool_],
    element: Integers,
    problem: Problem,
    room: _Room,
) -> float:
    """With a small pivot the elements below it turn freely into later columns: take them back; the deviance then."""
    for row in range(column + 1, element.shape[1]):
        for sign in (1.0, -1.0):
            if not gather(x, f, row, column, sign, element, problem.blocks.scale, room.moved):
                continue
            new = _evaluate(room.moved, problem, False, room.there)
            if new < value - BETTER:
                copy(room.moved, x)
                value = new
                hold_at_zero(f, row, element, free)
    return value


@compiled()
def descend(x: Floats, element: Integers, problem: Problem, slope: Floats) -> tuple[float, float]:
    """Local optimum from x, in place, with exact zeros; deviance, and its decrease that a Newton step promises."""
    size = len(x)
    free = np.ones(size, np.bool_)
    room = _Room(np.zeros(size), x.copy(), np.zeros(size), np.zeros((size, size)))
    value, decrease = np.inf, np.inf
    for round_ in range(ROUNDS):
        value = _differentiate(x, problem, slope, room)
        if not math.isfinite(value):
            return value, np.inf
        inverse = inverse_over(room.hessian, free)
        if round_ > 0 and newton_step(inverse, slope, free, room.step) < OPTIMUM:
            # an optimum of the free elements; is there a way down from it?
            if not _escape(x, value, problem, room):
                value, decrease = _polish(x, value, inverse, free, problem, slope, room)
                break
            for t in range(size):
                free[t] = True
            continue
        value = _quasi_newton(x, value, inverse, free, problem, slope, room)
        make_upright(x, element)
        value = _zero(x, value, free, element, problem, room)
    make_upright(x, element)
    return value, decrease
