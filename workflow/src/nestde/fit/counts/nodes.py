"""A few weighted points that stand for all cells of a group, wherever a cell enters by its offset and covariates alone.

Cells without a count do, and they are most cells. The sums over them are of functions that are analytic for imaginary
parts below π, so points with the same polynomial moments give the same sums, to rounding. They are found once per design:

- cells that agree in their covariates have a Gauss rule of their offsets (Lanczos' method): the error falls as ρ^(−2K) with
  K points, ρ that of the ellipse through ±iπ around the range of offsets;
- with one covariate of many values some cells, weighted to have the same moments: the best conditioned columns of
  Chebyshev's polynomials at all cells, found by a pivoted QR decomposition.

What rules miss is measured, at all slopes up to a largest one; a slope beyond it, and any other design, takes all cells.
"""

import itertools
import math

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.fit.counts.cells import Cells, products_of

# The error that Gauss rules aim at, and the most points they take.
_AIM, _MOST_POINTS = 1e-16, 40
# A group with more values of the covariates than this has no rule for each.
_MOST_VALUES = 8
# Degrees in offset and covariate, whose shares of a product add up to at most 1: the first pair that serves is taken.
_DEGREES = ((20, 12), (20, 16), (24, 20))
# The most cells of a group among which points are chosen.
_CANDIDATES = 1500
# Slopes times the covariate's SD that are tried, and what of a group's sum rules may miss.
_SLOPES, _MISSED = (0.5, 0.3, 0.2), 1e-11
# Where sums are compared: intercepts around a mean of 1.
_INTERCEPTS = np.linspace(-14.0, 6.0, 11)


def compress(cells: Cells) -> tuple[Cells, Floats]:
    """Points that stand for cells of weight 1, and the largest |γ| for which they do, (c,); the cells themselves if none can."""
    c = _covariates(cells)
    everywhere = np.full(c, np.inf)
    if c != 1:
        nodes = _rules(cells, c, None)
        return nodes or cells, everywhere
    sd = float(cells.products[1].std())
    for degrees in _DEGREES:
        nodes = _rules(cells, c, degrees)
        for slope in _SLOPES:
            if nodes is not None and missed(cells, nodes, slope / sd) <= _MISSED:
                return nodes, np.array([slope / sd])
    return cells, everywhere


def _rules(cells: Cells, c: int, degrees: tuple[int, int] | None) -> Cells | None:
    """Every group's rule; None where one has many values of the covariates and there are no degrees for them."""
    x = cells.products[1 : 1 + c].T
    rules = []
    for begin, end in itertools.pairwise(cells.begin):
        group = slice(begin, end)
        values, place = np.unique(x[group], axis=0, return_inverse=True)
        if len(values) <= _MOST_VALUES:
            rules.append(_by_value(cells.offset[group], values, place.reshape(-1)))
        elif degrees is not None:
            rules.append(_by_moments(cells.offset[group], x[group, 0], degrees))
        else:
            return None
    return Cells(
        begin=np.cumsum([0, *(len(weight) for _, _, weight in rules)]),
        offset=np.concatenate([offset for offset, _, _ in rules]),
        weight=np.concatenate([weight for _, _, weight in rules]),
        products=products_of(np.concatenate([covariates for _, covariates, _ in rules])),
    )


def _covariates(cells: Cells) -> int:
    """Number of covariates, of which there are 1 + c + c(c + 1)/2 rows."""
    return round((math.sqrt(8.0 * len(cells.products) + 1.0) - 3.0) / 2.0)


def _by_value(offset: Floats, values: Floats, place: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """Offsets, covariates and weights of a group's points: a Gauss rule for each value of the covariates."""
    rules = [gauss(offset[place == i]) for i in range(len(values))]
    return (
        np.concatenate([points for points, _ in rules]),
        np.repeat(values, [len(points) for points, _ in rules], axis=0),
        np.concatenate([weights for _, weights in rules]),
    )


def gauss(values: Floats) -> tuple[Floats, Floats]:
    """Gauss rule of some values: points and weights with the same sums of functions analytic for |Im| < π."""
    middle, half = 0.5 * (values.max() + values.min()), 0.5 * np.ptp(values)
    distinct, number = np.unique(values, return_counts=True)
    if half > 0:
        rho = math.pi / half + math.hypot(1.0, math.pi / half)
        most = math.ceil(-0.5 * math.log(_AIM) / math.log(rho))
    if half == 0 or len(distinct) <= most or most > _MOST_POINTS:
        return distinct, number.astype(float)
    x = (distinct - middle) / half
    basis = np.zeros((most, len(x)))
    diagonal, beside = np.zeros(most), np.zeros(most)
    ahead = np.sqrt(number / len(values))
    for k in range(most):
        basis[k] = ahead
        ahead = x * ahead
        diagonal[k] = ahead @ basis[k]
        for _ in range(2):  # orthogonal to rounding
            ahead = ahead - basis[: k + 1].T @ (basis[: k + 1] @ ahead)
        beside[k] = np.linalg.norm(ahead)
        ahead = ahead / beside[k]
    points, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1))
    return middle + half * points, len(values) * vectors[0] ** 2


def _by_moments(offset: Floats, x: Floats, degrees: tuple[int, int]) -> tuple[Floats, Floats, Floats]:
    """Offsets, covariates and weights of a group's points: some of its cells, with the moments of all."""
    moments = _polynomials(offset, x, degrees)
    if len(offset) <= 1.3 * moments.shape[1]:
        return offset, x[:, None], np.ones(len(offset))
    # orthonormal over the cells, so that what matters is well conditioned
    q, r, _ = scipy.linalg.qr(moments, mode="economic", pivoting=True)
    q = q[:, np.abs(np.diag(r)) > 1e-12 * abs(r[0, 0])]
    some = _candidates(q)
    chosen = some[scipy.linalg.qr(q[some].T, mode="r", pivoting=True)[1][: q.shape[1]]]
    weight = np.linalg.solve(q[chosen].T, q.sum(axis=0))
    return offset[chosen], x[chosen, None], weight


def _candidates(q: Floats) -> NDArray[np.int64]:
    """Cells of a group among which points are chosen: half of them where polynomials, (n, moments), are largest, the rest even.

    The largest are at the edges, and weights explode if those are not held.
    """
    if len(q) <= _CANDIDATES:
        return np.arange(len(q))
    outermost = np.argsort(-np.sum(q**2, axis=1), kind="stable")[: _CANDIDATES // 2]
    return np.union1d(outermost, np.linspace(0, len(q) - 1, _CANDIDATES // 2).astype(np.int64))


def _polynomials(offset: Floats, x: Floats, degrees: tuple[int, int]) -> Floats:
    """(n, moments) products of Chebyshev's polynomials of offset and covariate."""
    first, second = (
        np.polynomial.chebyshev.chebvander(_to_unit(values), degree)
        for values, degree in zip((offset, x), degrees, strict=True)
    )
    share = np.arange(degrees[0] + 1)[:, None] / degrees[0] + np.arange(degrees[1] + 1) / degrees[1]
    i, j = np.nonzero(share <= 1.0 + 1e-9)
    return np.asarray(first[:, i] * second[:, j])


def _to_unit(values: Floats) -> Floats:
    found: Floats = (values - 0.5 * (values.max() + values.min())) / max(0.5 * float(np.ptp(values)), 1e-12)
    return found


def missed(cells: Cells, nodes: Cells, slope: float) -> float:
    """Largest error of the five sums of `cells.sum_up` over a group, as a share of its sum of P₁, for |γ| up to `slope`."""
    worst = 0.0
    for s in range(len(cells.begin) - 1):
        of, by = (slice(each.begin[s], each.begin[s + 1]) for each in (cells, nodes))
        middle = cells.offset[of].mean()
        for gamma in (-slope, -0.5 * slope, slope):
            exact, ruled = (
                _sums(each.offset[part] - middle + gamma * each.products[1, part], each.weight[part])
                for each, part in ((cells, of), (nodes, by))
            )
            worst = max(worst, float((np.abs(ruled - exact) / exact[1]).max()))
    return worst


def _sums(zeta: Floats, weight: Floats) -> Floats:
    """(5, intercepts) sums of P₀ … P₄."""
    z = zeta + _INTERCEPTS[:, None]
    p = 1.0 / (1.0 + np.exp(-z))
    q = p * (1.0 - p)
    each = np.array([np.logaddexp(0.0, z), p, q, q * (1.0 - 2.0 * p), q * (1.0 - 6.0 * q)])
    return np.asarray(each @ weight)
