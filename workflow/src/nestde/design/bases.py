"""Columns made of one number: polynomials, natural splines, intervals; each as R computes it."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats


def poly(x: Floats, degree: int, raw: bool, learn: int | None = None) -> Floats:
    """Orthogonal polynomials of x, as R's ``poly``: (n, degree). With `raw`, x, x², ….

    By Stieltjes' three-term recurrence; `x` is centred and scaled first, which changes nothing but the rounding.
    Orthogonal they are over the first `learn` rows (see `evaluate.evaluate`).
    """
    if raw:
        return np.column_stack([x**power for power in range(1, degree + 1)])
    known = x[:learn]
    if len(np.unique(known)) <= degree:
        raise ValueError(f"a polynomial of degree {degree} wants more than {degree} different values")
    z = (x - known.mean()) / np.ptp(known)
    columns = [np.full(len(z), 1 / np.sqrt(len(known)))]
    for _ in range(degree):
        following = z * columns[-1]
        for _ in range(2):  # twice is enough (Giraud et al. 2005, Numer Math 101)
            for column in columns:
                following = following - column * (column[:learn] @ following[:learn])
        columns.append(following / np.linalg.norm(following[:learn]))
    return np.column_stack(columns[1:])


def ns(
    x: Floats,
    df: int | None,
    knots: Sequence[float],
    intercept: bool,
    boundary: Sequence[float],
    learn: int | None = None,
) -> Floats:
    """Natural cubic spline, as R's ``splines::ns``: (n, df), linear beyond the boundary knots.

    Hastie (1992) in Chambers & Hastie, Statistical Models in S, chapter 7. Without `knots`, those within are quantiles
    of the first `learn` rows (see `evaluate.evaluate`).
    """
    from scipy.interpolate import BSpline

    known = x[:learn]
    low, high = boundary or (known.min(), known.max())
    if not low < high or (df is not None and df < 1 + intercept):
        raise ValueError("ns wants two different values, and at least one degree of freedom")
    if (x < low).any() or (x > high).any():
        raise ValueError("values lie beyond the boundary knots")
    if df is not None and not knots:
        # counted as without the intercept, as R counts them
        knots = quantiles(known, df - 1 - intercept)
    within = sorted(float(knot) for knot in knots)
    if any(not low < knot < high for knot in within):
        raise ValueError("a knot does not lie between the boundary knots; give fewer df, or knots")
    all_knots = np.array([low] * 4 + within + [high] * 4)
    width = len(all_knots) - 4
    first = 0 if intercept else 1
    basis = BSpline.design_matrix(x, all_knots, 3).toarray()[:, first:]
    spline = BSpline(all_knots, np.eye(width), 3)
    curvature = spline(np.array([low, high]), nu=2)[:, first:]
    turned = np.linalg.qr(curvature.T, mode="complete").Q
    return np.asarray((basis @ turned)[:, 2:])


def quantiles(x: Floats, number: int) -> list[float]:
    """Quantiles that cut x into `number` + 1 parts of as many values."""
    return [float(value) for value in np.quantile(x, np.linspace(0, 1, number + 2)[1:-1])] if number else []


def cut(
    x: Floats,
    breaks: Sequence[float],
    labels: Sequence[str],
    right: bool,
    lowest: bool,
    learn: int | None = None,
) -> tuple[NDArray[np.int64], list[str]]:
    """Intervals that hold x, as R's ``cut``: the number of each, and their labels; −1 is outside of all.

    Parameters
    ----------
    breaks
        Where to cut; or one number, of intervals of the same length.
    labels
        Of the intervals; none names them as ``(30,45]``.
    right
        Intervals have their upper end; otherwise their lower one.
    lowest
        The outermost value belongs to an interval, too.
    learn
        Rows, the first ones, whose range a number of intervals cuts; None takes all.
    """
    if len(breaks) == 1:
        number, known = int(breaks[0]), x[:learn]
        if number != breaks[0] or not 2 <= number <= 1000 or not np.ptp(known) > 0:
            raise ValueError("cut wants two intervals or more, at most 1,000, and different values")
        edges = np.linspace(known.min(), known.max(), number + 1)
        edges[[0, -1]] += np.array([-1, 1]) * np.ptp(known) / 1000
    else:
        edges = np.sort(np.asarray(breaks, float))
        if len(set(edges)) < len(edges):
            raise ValueError("a break is given twice")
    place = np.searchsorted(edges, x, side="left" if right else "right") - 1
    if lowest:
        outermost = x == (edges[0] if right else edges[-1])
        place[outermost] = 0 if right else len(edges) - 2
    place[(place < 0) | (place >= len(edges) - 1)] = -1
    named = list(labels) or _intervals(edges, right, lowest)
    if len(named) != len(edges) - 1 or len(set(named)) < len(named):
        raise ValueError(f"{len(edges) - 1} intervals want as many labels, each another")
    return place, named


def _intervals(edges: Floats, right: bool, lowest: bool) -> list[str]:
    """``(a,b]`` with as many digits as tell the edges apart, three at least."""
    shown: list[str] = []
    for digits in range(3, 17):
        shown = [f"{edge:.{digits}g}".replace("inf", "Inf") for edge in edges]
        if len(set(shown)) == len(shown):
            break
    brackets = ("(", "]") if right else ("[", ")")
    found = [f"{brackets[0]}{low},{high}{brackets[1]}" for low, high in pairwise(shown)]
    if lowest and right:
        found[0] = "[" + found[0][1:]
    elif lowest:
        found[-1] = found[-1][:-1] + "]"
    return found
