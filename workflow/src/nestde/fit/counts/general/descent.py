"""The maximum of one gene's likelihood over φ, the dispersion and Λ, with exact zeros.

The deviance −2ℓ does not change when a column of Λ changes sign, and with c/θ = exp(ω²) − 1 not with the sign of ω either: a
variance of zero, and no overdispersion, are ordinary stationary points. BFGS with the exact gradient descends from a
Hessian by differences; ends whose pivots are nearly zero are tried on the face where they are. There the Hessian is the
proof, as in the linear engine (`nestde.fit.descent`): a way down along negative curvature is taken.

The descent says at which point it wants the deviance and its slope next, and `advance` is told them: so that no kernel but one
calls the likelihood, which takes seconds to compile for each.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats, Integers
from nestde.fit.compiled import compiled
from nestde.fit.counts.newton import LEAST
from nestde.fit.curvature import inverse_over, learn, newton_step
from nestde.fit.dense import copy
from nestde.fit.faces import hold_at_zero, make_upright, put_on_face

_ROUNDS, _ITERATIONS, _SHORTENINGS = 12, 100, 30
# Step of the Hessian's differences.
_DIFFERENCE = 1e-5
# Falls of the deviance that a Newton step promises: below the first a quasi-Newton descent stops, below the second there is an
# optimum, whose last digits are polished to the third.
_SETTLED, _OPTIMUM, _POLISHED = 1e-6, 1e-3, 1e-9
_ARMIJO, _ROUNDING, _SHORTEST = 1e-4, 1e-14, 0.1
# The longest step of a linear predictor, of ω, and of a theta beside its size.
_LONGEST, _LONGEST_OMEGA, _LONGEST_THETA = 2.0, 0.7, 1.0
# Curvature below minus this share of the largest is a way down, looked for so often and so much nearer each time.
_NEGATIVE, _ESCAPES, _NEARER = 1e-7, 12, 0.3
# Pivots up to here are tried at zero; a deviance that is higher by less is as good.
_NEAR_ZERO, _AS_GOOD = 2e-2, 1e-8
# A deviance that is lower by less is not.
_LOWER = 1e-7
_POLISHES = 6
# Where polishing promised more than this the Hessian is taken anew.
_MOVED = 1e-7
# ω² beyond which c/θ is kept.
_LARGEST = 500.0

# What a point is evaluated for.
_BASE, _SLOPES, _LINE, _FACE, _ESCAPE, _POLISH, _DONE = 0, 1, 2, 3, 4, 5, 6


class Descent(NamedTuple):
    """A descent over D parameters (φ, ω, thetas).

    Attributes
    ----------
    x, slope
        The best point, (D,), and the deviance's slope there.
    moved, there
        The point that is to be evaluated next, and its slope, which whoever evaluates it fills in.
    step
        (D,).
    hessian, inverse
        (D, D) of the deviance, and its inverse over what is free.
    free
        (D,) not held at a bound.
    number
        Phase, round, counter within the phase, whether the last point is the best now, whether the end is near.
    value
        Deviance at x, at the end its promised fall, that before polishing, the share of a step and its fall.
    """

    x: Floats
    slope: Floats
    moved: Floats
    there: Floats
    step: Floats
    hessian: Floats
    inverse: Floats
    free: NDArray[np.bool_]
    number: Integers
    value: Floats


@compiled()
def descent_of(size: int) -> Descent:
    """Room for a descent."""
    return Descent(
        np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size),
        np.zeros((size, size)), np.zeros((size, size)), np.ones(size, np.bool_), np.zeros(5, np.int64), np.zeros(5),
    )  # fmt: skip


@compiled()
def over_of(omega: float) -> float:
    """Return c/θ."""
    square = omega * omega
    return math.expm1(square) if square < _LARGEST else math.exp(_LARGEST)


@compiled()
def kappa_of(omega: float, dispersion: float) -> float:
    """Return log θ; `dispersion` is c."""
    return math.log(dispersion / max(LEAST, over_of(omega)))


@compiled()
def slope_by_omega(omega: float) -> float:
    """∂κ/∂ω."""
    over = over_of(omega)
    return -2.0 * omega * (1.0 + over) / over if over > LEAST else 0.0


@compiled()
def begin(d: Descent, r: int, nb: bool) -> None:
    """Begin from `d.x`; `r` is the place of ω, which is free for NB alone."""
    _free(d, r, nb)
    d.number[1], d.number[4] = 0, 0
    d.value[0], d.value[1], d.value[2] = np.inf, np.inf, np.inf
    _to_base(d)


@compiled()
def done(d: Descent) -> bool:
    """Whether nothing more is to be evaluated."""
    return bool(d.number[0] == _DONE)


@compiled()
def accepted(d: Descent) -> bool:
    """Whether the point that was evaluated last is the best now."""
    return bool(d.number[3] == 1)


@compiled()
def advance(
    d: Descent, new: float, r: int, nb: bool, element: Integers, fixed: Floats, reach: Floats
) -> None:
    """Take the deviance at `d.moved`, and its slope in `d.there`; put the next point there.

    `element`, `fixed` and `reach` are those of `Strata`.
    """
    phase = d.number[0]
    d.number[3] = 0
    if phase == _BASE:
        d.value[0], d.number[3] = new, 1
        copy(d.there, d.slope)
        if math.isfinite(new):
            d.number[0], d.number[2] = _SLOPES, -1
            _next_difference(d, r)
        else:
            d.number[0] = _DONE
    elif phase == _SLOPES:
        at, h = d.number[2], d.moved[d.number[2]] - d.x[d.number[2]]
        for s in range(len(d.x)):
            d.hessian[at, s] = (d.there[s] - d.slope[s]) / h
        if not _next_difference(d, r):
            _differentiated(d, r, element, fixed, reach)
    elif phase == _LINE:
        _searched(d, new, r, element, fixed, reach)
    elif phase == _FACE:
        if new <= d.value[0] + _AS_GOOD:
            copy(d.moved, d.x)
            d.number[3], d.value[0] = 1, min(d.value[0], new)
            size = element.shape[1]
            hold_at_zero(d.number[2] // size, d.number[2] % size, element, d.free[r + 1 :])
        _next_face(d, r, element)
    elif phase == _ESCAPE:
        if new < d.value[0] - _LOWER:
            copy(d.moved, d.x)
            d.number[3] = 1
            d.number[1] += 1
            _free(d, r, nb)
            _to_base(d)
        else:
            _next_escape(d)
    elif phase == _POLISH:
        ahead = newton_step(d.inverse, d.there, d.free, d.step)
        if ahead < 0.5 * d.value[1] and new <= d.value[0] + _LOWER:
            copy(d.moved, d.x)
            copy(d.there, d.slope)
            d.number[3], d.value[0], d.value[1] = 1, new, ahead
            d.number[2] += 1
            _next_polish(d)
        else:
            _finish(d)
    if d.number[0] == _DONE:
        make_upright(d.x[r + 1 :], element)


@compiled()
def _free(d: Descent, r: int, nb: bool) -> None:
    for t in range(len(d.free)):
        d.free[t] = True
    d.free[r] = nb


@compiled()
def _to_base(d: Descent) -> None:
    d.number[0] = _BASE
    copy(d.x, d.moved)


@compiled()
def _next_difference(d: Descent, r: int) -> bool:
    """Put the next point of the Hessian's differences; False if there is none. What is held may have a way down, too."""
    d.number[2] += 1
    if d.number[2] == r and not d.free[r]:
        for s in range(len(d.x)):
            d.hessian[r, s] = 0.0
        d.number[2] += 1
    if d.number[2] >= len(d.x):
        return False
    copy(d.x, d.moved)
    d.moved[d.number[2]] += _DIFFERENCE * max(1.0, abs(d.x[d.number[2]]))
    return True


@compiled()
def _differentiated(d: Descent, r: int, element: Integers, fixed: Floats, reach: Floats) -> None:
    """The Hessian is there: end, or make sure of the end, or descend."""
    size = len(d.x)
    for t in range(size):
        for s in range(t):
            d.hessian[s, t] = d.hessian[t, s] = 0.5 * (d.hessian[s, t] + d.hessian[t, s])
    if not d.free[r]:
        for s in range(size):
            d.hessian[s, r] = d.hessian[r, s] = 0.0
    if d.number[4] == 1:
        d.number[0] = _DONE
        return
    found = inverse_over(d.hessian, d.free)
    for t in range(size):
        copy(found[t], d.inverse[t])
    if d.number[1] > 0 and newton_step(d.inverse, d.slope, d.free, d.step) < _OPTIMUM:
        d.number[0], d.number[2] = _ESCAPE, -1
        _next_escape(d)
        return
    d.number[2] = 0
    _next_step(d, r, element, fixed, reach)


@compiled()
def _next_step(d: Descent, r: int, element: Integers, fixed: Floats, reach: Floats) -> None:
    """Begin a line, or end the quasi-Newton descent; the counter counts lines, and shortenings in thousands."""
    d.value[4] = newton_step(d.inverse, d.slope, d.free, d.step)
    d.number[2] = d.number[2] % 1000 + 1
    if not d.value[4] > _SETTLED or d.number[2] > _ITERATIONS:
        _to_faces(d, r, element)
        return
    d.number[0], d.value[3] = _LINE, _shorten(d.x, d.step, r, fixed, reach)
    d.value[4] *= d.value[3]
    for t in range(len(d.x)):
        d.moved[t] = d.x[t] + d.value[3] * d.step[t]


@compiled()
def _shorten(x: Floats, step: Floats, r: int, fixed: Floats, reach: Floats) -> float:
    """The share of a step that is within the caps."""
    share = 1.0
    for s in range(len(fixed)):
        far = 0.0
        for j in range(fixed.shape[1]):
            move = 0.0
            for i in range(r):
                move += fixed[s, j, i] * step[i]
            far += abs(move) * (reach[j - 1] if j > 0 else 1.0)
        share = min(share, _LONGEST / max(far, 1e-300))
    share = min(share, _LONGEST_OMEGA / max(abs(step[r]), 1e-300))
    for t in range(r + 1, len(x)):
        share = min(share, (_LONGEST_THETA + abs(x[t])) / max(abs(step[t]), 1e-300))
    return float(share)


@compiled()
def _searched(d: Descent, new: float, r: int, element: Integers, fixed: Floats, reach: Floats) -> None:
    """Take a step that lets the deviance fall by a share of what the slope promises, or shorten it."""
    if new <= d.value[0] - _ARMIJO * d.value[4] + _ROUNDING * abs(d.value[0]):
        for t in range(len(d.x)):
            d.step[t] = d.moved[t] - d.x[t]
            d.slope[t], d.there[t] = d.there[t], d.there[t] - d.slope[t]
            d.x[t] = d.moved[t]
        d.value[0], d.number[3] = new, 1
        learn(d.inverse, d.step, d.there, d.free)
        _next_step(d, r, element, fixed, reach)
        return
    d.number[2] += 1000
    if d.number[2] >= 1000 * _SHORTENINGS:
        _to_faces(d, r, element)
        return
    # least of the parabola through both values and the slope
    factor = 0.5 * d.value[4] / (new - d.value[0] + d.value[4]) if math.isfinite(new) else _SHORTEST
    factor = min(max(factor, _SHORTEST), 0.5)
    d.value[3] *= factor
    d.value[4] *= factor
    for t in range(len(d.x)):
        d.moved[t] = d.x[t] + d.value[3] * d.step[t]


@compiled()
def _to_faces(d: Descent, r: int, element: Integers) -> None:
    make_upright(d.x[r + 1 :], element)
    d.number[0], d.number[2] = _FACE, -1
    _next_face(d, r, element)


@compiled()
def _next_face(d: Descent, r: int, element: Integers) -> None:
    """Put the next face that is near; after the last begin a new round."""
    size = element.shape[1]
    thetas = d.x[r + 1 :]
    while True:
        d.number[2] += 1
        if d.number[2] >= len(element) * size:
            break
        f, column = d.number[2] // size, d.number[2] % size
        diagonal = element[f, column, column]
        if diagonal >= 0 and d.free[r + 1 + diagonal] and thetas[diagonal] <= _NEAR_ZERO:
            copy(d.x, d.moved)
            put_on_face(thetas, f, column, element, np.ones(len(thetas)), d.moved[r + 1 :])
            return
    d.number[1] += 1
    if d.number[1] < _ROUNDS:
        _to_base(d)
    else:
        d.number[0] = _DONE


@compiled()
def _next_escape(d: Descent) -> None:
    """Put the next point along the direction of most negative curvature; polish if there is none."""
    d.number[2] += 1
    if d.number[2] < _ESCAPES:
        values, vectors = np.linalg.eigh(d.hessian)
        if values[0] < -_NEGATIVE * max(abs(values[0]), abs(values[-1])):
            share = _NEARER ** (d.number[2] // 2) * (1.0 if d.number[2] % 2 == 0 else -1.0)
            for t in range(len(d.x)):
                d.moved[t] = d.x[t] + share * vectors[t, 0]
            return
    d.value[1] = d.value[2] = newton_step(d.inverse, d.slope, d.free, d.step)
    d.number[0], d.number[2] = _POLISH, 0
    _next_polish(d)


@compiled()
def _next_polish(d: Descent) -> None:
    """Put the next point of polishing; finish where nothing is left to gain."""
    if d.value[1] < _POLISHED or d.number[2] >= _POLISHES:
        _finish(d)
        return
    for t in range(len(d.x)):
        d.moved[t] = d.x[t] + d.step[t]


@compiled()
def _finish(d: Descent) -> None:
    """End, after the Hessian if x has moved since it was taken."""
    if d.value[2] > _MOVED:
        d.number[4] = 1
        _to_base(d)
    else:
        d.number[0] = _DONE
