"""Minima of many functions of one bounded variable, found step for step as scipy's L-BFGS-B finds each of them.

In one dimension the quasi-Newton matrix of L-BFGS-B (Byrd, Lu, Nocedal, Zhu 1995, SIAM J Sci Comput 16, 1190) is the last
secant, whatever it remembers, and what is left of the method is the line search of Moré and Thuente (1994, ACM TOMS 20, 286).
Each function has a search of its own, a generator that yields where it wants its function known; all are advanced
together, so that thousands of functions are evaluated as one array.
"""

import math
from collections.abc import Callable, Generator

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats

# scipy's defaults: projected gradient, relative decrease, evaluations of a line search; and those of the line search itself
GRADIENT, DECREASE, MOST_STEPS = 1e-5, 2.220446049250313e-09, 20
SUFFICIENT, CURVATURE, WIDTH = 1e-3, 0.9, 0.1

Search = Generator[float, tuple[float, float], float | None]


def minima(
    evaluate: Callable[[NDArray[np.int64], Floats], tuple[Floats, Floats]],
    start: Floats,
    low: float,
    high: float,
) -> Floats:
    """Minimise each of G functions from its start.

    Parameters
    ----------
    evaluate
        Values and derivatives of some of the functions, given by their numbers, each at a point of its own.
    start
        (G,) finite.
    low, high
        Bounds of all.

    Returns
    -------
    numpy.ndarray
        (G,) points; NaN where L-BFGS-B would not call it a success.
    """
    found = np.full(len(start), np.nan)
    searches = [_search(float(x), low, high) for x in start]
    which, points = np.arange(len(start)), np.array([next(search) for search in searches])
    while len(which):
        values, slopes = evaluate(which, points)
        going, wanted = [], []
        for g, value, slope in zip(which.tolist(), values.tolist(), slopes.tolist(), strict=True):
            try:
                wanted.append(searches[g].send((value, slope)))
                going.append(g)
            except StopIteration as end:
                found[g] = np.nan if end.value is None else end.value
        which, points = np.array(going, np.int64), np.array(wanted)
    return found


def _search(x: float, low: float, high: float) -> Search:
    """Search for one minimum: yields points, is sent value and slope, returns where it ends, or None."""
    x = min(max(x, low), high)
    f, g = yield x
    curvature, first, learnt, stale = 1.0, True, False, False
    while abs(min(max(x - g, low), high) - x) > GRADIENT:
        to = min(max(x - g / curvature, low), high)
        if low < to < high and stale:  # L-BFGS-B forgets all after a step that aimed at a bound
            curvature, learnt, stale = 1.0, False, False
            to = min(max(x - g, low), high)
        stale = stale or (learnt and not low < to < high)
        stepped = yield from _line_search(x, f, g, to, 1.0 if first else _longest(x, to, low, high))
        if stepped is None:
            if not learnt:
                return None
            curvature, learnt, stale = 1.0, False, False
            continue
        step, new, f_new, g_new = stepped
        first = False
        if abs(min(max(new - g_new, low), high) - new) <= GRADIENT or f - f_new <= DECREASE * max(
            abs(f), abs(f_new), 1
        ):
            return new
        moved = step * (to - x)
        if (g_new - g) * moved > np.finfo(float).eps * -g * moved:
            curvature, learnt = (g_new - g) / moved, True
        x, f, g = new, f_new, g_new
    return x


def _longest(x: float, to: float, low: float, high: float) -> float:
    """Largest multiple of the way from x to `to` that stays within the bounds."""
    return ((high if to > x else low) - x) / (to - x) if to != x else 0.0


def _line_search(
    x: float, f0: float, g0: float, to: float, longest: float
) -> Generator[float, tuple[float, float], tuple[float, float, float, float] | None]:
    """MINPACK-2's dcsrch on the way from x to `to`, first all of it: step, point, value, slope; None if there is none."""
    way = to - x
    slope0 = g0 * way
    if slope0 >= 0 or longest < 1:
        return None
    least = SUFFICIENT * slope0
    bracketed, strict = False, True
    width, width_before = longest, 2 * longest
    best, other = (0.0, f0, slope0), (0.0, f0, slope0)
    shortest_now, longest_now, step = 0.0, 5.0, 1.0
    for _ in range(MOST_STEPS):
        point = to if step == 1 else x + step * way
        f, g = yield point
        slope = g * way
        enough = f <= f0 + step * least
        if strict and enough and slope >= 0:
            strict = False
        stuck = bracketed and (
            step <= shortest_now or step >= longest_now or longest_now - shortest_now <= WIDTH * longest_now
        )
        at_end = (step == longest and enough and slope <= least) or (
            step == 0 and (not enough or slope >= least)
        )
        if stuck or at_end or (enough and abs(slope) <= CURVATURE * -slope0):
            return step, point, f, g
        # until a point is low enough, of the function less the line that it must fall below
        tilt = least if strict and f <= best[1] and not enough else 0.0
        here = (step, f - step * tilt, slope - tilt)
        best, other, step, bracketed = _next(
            _tilted(best, -tilt), _tilted(other, -tilt), here, bracketed, shortest_now, longest_now
        )
        best, other = _tilted(best, tilt), _tilted(other, tilt)
        if bracketed:
            apart = abs(other[0] - best[0])
            if apart >= 0.66 * width_before:
                step = best[0] + 0.5 * (other[0] - best[0])
            width_before, width = width, apart
            shortest_now, longest_now = sorted((best[0], other[0]))
        else:
            shortest_now, longest_now = step + 1.1 * (step - best[0]), step + 4.0 * (step - best[0])
        step = min(max(step, 0.0), longest)
        if bracketed and (
            step <= shortest_now or step >= longest_now or longest_now - shortest_now <= WIDTH * longest_now
        ):
            step = best[0]
        if not math.isfinite(step):
            return None
    return None


Point = tuple[float, float, float]  # step, value, slope


def _tilted(point: Point, tilt: float) -> Point:
    """The same with a line of that slope added."""
    return point[0], point[1] + point[0] * tilt, point[2] + tilt


def _cubic(one: Point, two: Point) -> tuple[float, float]:
    """Theta and gamma of the cubic through two points with their slopes (Moré, Thuente, section 4), gamma² not below 0."""
    theta = 3 * (one[1] - two[1]) / (two[0] - one[0]) + one[2] + two[2]
    s = max(abs(theta), abs(one[2]), abs(two[2]))
    return theta, s * math.sqrt(max(0.0, (theta / s) ** 2 - (one[2] / s) * (two[2] / s)))


def _next(
    best: Point, other: Point, here: Point, bracketed: bool, shortest: float, longest: float
) -> tuple[Point, Point, float, bool]:
    """MINPACK-2's dcstep: the interval that holds a minimum, and the next step."""
    (x, fx, dx), (t, ft, dt) = best, here
    opposite = dt * dx < 0
    if ft > fx:  # higher: the minimum is bracketed
        theta, gamma = _cubic(best, here)
        gamma = -gamma if t < x else gamma
        cubic = x + ((gamma - dx) + theta) / (((gamma - dx) + gamma) + dt) * (t - x)
        parabola = x + dx / ((fx - ft) / (t - x) + dx) / 2 * (t - x)
        near = abs(cubic - x) <= abs(parabola - x)
        return best, here, cubic if near else cubic + (parabola - cubic) / 2, True
    if opposite:  # lower, slopes of opposite sign: bracketed
        theta, gamma = _cubic(best, here)
        gamma = -gamma if t > x else gamma
        cubic = t + ((gamma - dt) + theta) / (((gamma - dt) + gamma) + dx) * (x - t)
        secant = t + dt / (dt - dx) * (x - t)
        return here, best, cubic if abs(cubic - t) > abs(secant - t) else secant, True
    if abs(dt) < abs(dx):  # lower, and less steep
        theta, gamma = _cubic(best, here)
        gamma = -gamma if t > x else gamma
        ratio = ((gamma - dt) + theta) / ((gamma + (dx - dt)) + gamma)
        cubic = t + ratio * (x - t) if ratio < 0 and gamma != 0 else longest if t > x else shortest
        secant = t + dt / (dt - dx) * (x - t)
        nearer = abs(cubic - t) < abs(secant - t)
        if bracketed:
            step, edge = cubic if nearer else secant, t + 0.66 * (other[0] - t)
            return here, other, min(edge, step) if t > x else max(edge, step), True
        further = cubic if abs(cubic - t) > abs(secant - t) else secant
        return here, other, min(max(further, shortest), longest), False
    if bracketed:  # lower, and as steep
        theta, gamma = _cubic(here, other)
        gamma = -gamma if t > other[0] else gamma
        y, dy = other[0], other[2]
        return here, other, t + ((gamma - dt) + theta) / (((gamma - dt) + gamma) + dy) * (y - t), True
    return here, other, longest if t > x else shortest, False
