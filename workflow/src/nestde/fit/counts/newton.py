"""The maximum of one gene's likelihood by Newton's method, held at its bounds: no variance, no overdispersion.

Both are searched on scales that are linear at the bound and logarithmic far from it, w = log(1 + āv) and log(1 + c/θ), where
ā is what a group tells of its effect and c what a cell's count tells of the dispersion. As gradient and Hessian are exact,
three to five steps are the rule. Where the Hessian is not negative definite it gets a ridge; steps are capped and halved.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.fit.compiled import compiled
from nestde.fit.counts.cells import Cells
from nestde.fit.counts.laplace import NEGATIVE_BINOMIAL, Gene, Model, Point, Room, evaluate
from nestde.fit.dense import cholesky

# c/θ below which there is no overdispersion: the Poisson family.
LEAST = 1e-6
# What `Scale.final` is for estimates.
FINAL = 1e-9
_MOST, _MOST_CUTS = 100, 30
# The longest step of a linear predictor, and of the scales of v and θ.
_LONGEST, _LONGEST_SCALE = 2.0, 1.5
_CUT, _ARMIJO = 0.3, 1e-4
# The longest predicted move of a mode.
_FARTHEST = 1.0


class Scale(NamedTuple):
    """Of one search.

    Attributes
    ----------
    variance, dispersion
        ā and c.
    held
        Whether v is not to move.
    final
        The fall of the deviance that a Newton step promises: below it the step is the last.
    close
        How closely modes are found, as `laplace.CLOSE`.
    """

    variance: float
    dispersion: float
    held: bool
    final: float
    close: float


class Search(NamedTuple):
    """Room for a search.

    Attributes
    ----------
    here, there
        The best point, and one that is tried.
    free
        (D,) parameters that are not held at a bound.
    wall
        (D, D) added to the information: what keeps directions without a bound where they are.
    information
        (D, D) minus the Hessian by the free ones, first, and the wall.
    lower
        (D, D) its Cholesky factor, or that of what has a ridge.
    step
        (D,).
    """

    here: Point
    there: Point
    free: NDArray[np.int64]
    wall: Floats
    information: Floats
    lower: Floats
    step: Floats


class Found(NamedTuple):
    """The end of a search: log-likelihood, promised fall of the deviance, evaluations; the number of free parameters."""

    loglik: float
    promise: float
    evaluations: int
    free: int


@compiled()
def search_of(here: Point, there: Point) -> Search:
    """Room for a search from one point."""
    size = len(here.parameters)
    wall, information, lower = np.zeros((size, size)), np.zeros((size, size)), np.zeros((size, size))
    return Search(here, there, np.zeros(size, np.int64), wall, information, lower, np.zeros(size))


@compiled()
def maximise(model: Model, cells: Cells, gene: Gene, scale: Scale, search: Search, room: Room) -> Found:
    """Move `search.here` to the maximum."""
    here, there, step = search.here, search.there, search.step
    value = evaluate(model, cells, gene, here, room, scale.close)
    evaluations, promise, free, sure = 1, np.inf, 0, False
    for _ in range(_MOST):
        _rescale(model.family, scale, here)
        free = _free(model.family, scale, here, search.free)
        sure = _newton(here, free, search)
        promise = 0.0
        for i in range(len(step)):
            promise += step[i] * here.gradient[i]
        if sure and promise < scale.final:
            _try(model, scale, 1.0, search)
            _keep(there, here, False)
            value += 0.5 * promise
            break
        length = _shorten(model, step)
        risen = False
        for _ in range(_MOST_CUTS):
            _try(model, scale, length, search)
            ahead = evaluate(model, cells, gene, there, room, scale.close)
            evaluations += 1
            risen = ahead >= value + _ARMIJO * length * promise - 1e-12 * abs(value)
            if risen:
                break
            length *= _CUT
        if not risen:
            break
        _keep(there, here, True)
        value = ahead
    return Found(value, promise if sure else np.inf, evaluations, free)


@compiled()
def _rescale(family: int, scale: Scale, point: Point) -> None:
    """Make derivatives by v and κ those by their scales."""
    _by_scale(len(point.gradient) - 1, *_variance_slopes(scale, point.parameters[-1]), point)
    if family == NEGATIVE_BINOMIAL:
        over = scale.dispersion * math.exp(-point.parameters[-2])
        _by_scale(len(point.gradient) - 2, -(1.0 + over) / over, (1.0 + over) / (over * over), point)


@compiled()
def _variance_slopes(scale: Scale, v: float) -> tuple[float, float]:
    """First and second derivative of v by its scale, which are the same."""
    slope = 1.0 / scale.variance + v
    return slope, slope


@compiled()
def _by_scale(i: int, first: float, second: float, point: Point) -> None:
    """Change one parameter to another of which it has these derivatives."""
    for j in range(len(point.gradient)):
        point.hessian[i, j] *= first
        point.hessian[j, i] *= first
    point.hessian[i, i] += point.gradient[i] * second
    point.gradient[i] *= first


@compiled()
def _free(family: int, scale: Scale, point: Point, free: NDArray[np.int64]) -> int:
    """List the parameters that may move; return how many there are."""
    size, count = len(point.parameters), 0
    for i in range(size):
        if i == size - 1:
            bound = scale.held or (point.parameters[i] <= 0.0 and point.gradient[i] <= 0.0)
        elif i == size - 2 and family == NEGATIVE_BINOMIAL:
            over = scale.dispersion * math.exp(-point.parameters[i])
            bound = over <= LEAST * (1.0 + 1e-7) and point.gradient[i] <= 0.0
        else:
            bound = False
        if not bound:
            free[count] = i
            count += 1
    return count


@compiled()
def _newton(point: Point, free: int, search: Search) -> bool:
    """Fill the step; return whether it needed no ridge."""
    lower, information, wall, step = search.lower, search.information, search.wall, search.step
    ridge, sure = 0.0, True
    for i in range(free):
        for j in range(free):
            a, b = search.free[i], search.free[j]
            information[i, j] = wall[a, b] - point.hessian[a, b]
    while True:
        for i in range(free):
            for j in range(free):
                lower[i, j] = information[i, j]
            lower[i, i] += ridge * (abs(information[i, i]) + 1e-3)
        if cholesky(lower, free) > -np.inf:
            break
        sure = False
        ridge = max(4.0 * ridge, 1e-3)
    for i in range(len(step)):
        step[i] = 0.0
    _solve(lower, free, search.free, point.gradient, step)
    return sure


@compiled()
def _solve(lower: Floats, size: int, place: NDArray[np.int64], right: Floats, out: Floats) -> None:
    """Solve LL'x = b; elements of b and x are at `place`."""
    for i in range(size):
        total = right[place[i]]
        for j in range(i):
            total -= lower[i, j] * out[place[j]]
        out[place[i]] = total / lower[i, i]
    for i in range(size - 1, -1, -1):
        total = out[place[i]]
        for j in range(i + 1, size):
            total -= lower[j, i] * out[place[j]]
        out[place[i]] = total / lower[i, i]


@compiled()
def _shorten(model: Model, step: Floats) -> float:
    """The share of a step that is within the caps."""
    groups, a = model.z.shape
    share = 1.0
    for s in range(groups):
        move = 0.0
        for i in range(a):
            move += model.z[s, i] * step[i]
        share = min(share, _LONGEST / max(abs(move), 1e-300))
    for j in range(len(model.reach)):
        share = min(share, _LONGEST / max(abs(step[a + j]) * model.reach[j], 1e-300))
    for i in range(a + len(model.reach), len(step)):
        share = min(share, _LONGEST_SCALE / max(abs(step[i]), 1e-300))
    return share


@compiled()
def _try(model: Model, scale: Scale, length: float, search: Search) -> None:
    """Fill the parameters of `there` and where its modes should be."""
    here, there, step = search.here.parameters, search.there.parameters, search.step
    groups, a = model.z.shape
    for i in range(len(here)):
        there[i] = here[i] + length * step[i]
    # a parameter that does not move keeps its last bit too
    if step[-1] != 0.0:
        w = math.log1p(scale.variance * here[-1]) + length * step[-1]
        there[-1] = max(0.0, math.expm1(w) / scale.variance)
    if model.family == NEGATIVE_BINOMIAL and step[-2] != 0.0:
        w = math.log1p(scale.dispersion * math.exp(-here[-2])) + length * step[-2]
        there[-2] = math.log(scale.dispersion / max(LEAST, math.expm1(w)))
    moves = search.here.moves
    for s in range(groups):
        move = 0.0
        for i in range(a):
            move += model.z[s, i] * (there[i] - here[i])
        move *= moves[s, 0]
        for j in range(1, moves.shape[1]):
            move += moves[s, j] * (there[a - 1 + j] - here[a - 1 + j])
        search.there.modes[s] = search.here.modes[s] + max(-_FARTHEST, min(_FARTHEST, move))


@compiled()
def go_on(model: Model, scale: Scale, v: float, free: int, search: Search) -> None:
    """Move `search.here` from the maximum at one v, which was held there, to where it should be at another, to first order."""
    here, step = search.here, search.step
    size = len(step)
    move = math.log1p(scale.variance * v) - math.log1p(scale.variance * here.parameters[-1])
    for i in range(size):
        step[i] = 0.0
    # what v's move adds to the gradient
    for i in range(size):
        here.gradient[i] = here.hessian[i, size - 1] * move
    _solve(search.lower, free, search.free, here.gradient, step)
    if _shorten(model, step) < 1.0:
        for i in range(size):
            step[i] = 0.0
    step[size - 1] = move
    _try(model, scale, 1.0, search)
    _keep(search.there, here, False)
    here.parameters[-1] = v


@compiled()
def _keep(source: Point, to: Point, derivatives: bool) -> None:
    """Copy parameters and modes, and what was found there."""
    for i in range(len(to.parameters)):
        to.parameters[i] = source.parameters[i]
    for s in range(len(to.modes)):
        to.modes[s] = source.modes[s]
    if derivatives:
        for i in range(len(to.parameters)):
            to.gradient[i] = source.gradient[i]
            for j in range(len(to.parameters)):
                to.hessian[i, j] = source.hessian[i, j]
        for s in range(len(to.modes)):
            for j in range(to.moves.shape[1]):
                to.moves[s, j] = source.moves[s, j]
