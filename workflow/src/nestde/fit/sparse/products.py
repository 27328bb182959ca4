"""Dense linear algebra for large blocks: all of it products of rows, XY', which stay in registers and caches.

Of our own, because LAPACK would round by the number of its threads; on one core it is no slower.
"""

import math
from typing import NamedTuple

import numpy as np

from nestde.arrays import Floats
from nestde.fit.compiled import compiled

# Rows of Y and columns of the sum that are taken at a time: they fit in the second cache.
_ROWS, _DEPTH = 64, 256
# Columns of a triangle that are solved one by one, between products.
_COLUMNS = 16
# A pivot that is not above this share of the element before is rounding (all are at least 1).
_ROUNDING = 1e-14


class Rows(NamedTuple):
    """A matrix in flat memory: row i begins at `at` + i `step`."""

    data: Floats
    at: int
    step: int


@compiled(sums=True)
def dot(x: Rows, i: int, y: Rows, j: int, begin: int, end: int) -> float:
    """Σ x[i, m] y[j, m] over m = begin … end − 1."""
    a, b = x.at + i * x.step, y.at + j * y.step
    one, other = x.data[a + begin : a + end], y.data[b + begin : b + end]
    total = 0.0
    for m in range(len(one)):
        total += one[m] * other[m]
    return total


@compiled(sums=True)
def _tile(x: Rows, i: int, y: Rows, j: int, begin: int, end: int) -> tuple[float, ...]:
    """The 4 × 4 products of rows i … i + 3 with rows j … j + 3: sixteen sums in registers."""
    depth = end - begin
    a, b = x.at + i * x.step + begin, y.at + j * y.step + begin
    x0, x1 = x.data[a : a + depth], x.data[a + x.step : a + x.step + depth]
    a += 2 * x.step
    x2, x3 = x.data[a : a + depth], x.data[a + x.step : a + x.step + depth]
    y0, y1 = y.data[b : b + depth], y.data[b + y.step : b + y.step + depth]
    b += 2 * y.step
    y2, y3 = y.data[b : b + depth], y.data[b + y.step : b + y.step + depth]
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = 0.0
    s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = 0.0
    for m in range(depth):
        s00 += x0[m] * y0[m]
        s01 += x0[m] * y1[m]
        s02 += x0[m] * y2[m]
        s03 += x0[m] * y3[m]
        s10 += x1[m] * y0[m]
        s11 += x1[m] * y1[m]
        s12 += x1[m] * y2[m]
        s13 += x1[m] * y3[m]
        s20 += x2[m] * y0[m]
        s21 += x2[m] * y1[m]
        s22 += x2[m] * y2[m]
        s23 += x2[m] * y3[m]
        s30 += x3[m] * y0[m]
        s31 += x3[m] * y1[m]
        s32 += x3[m] * y2[m]
        s33 += x3[m] * y3[m]
    return s00, s01, s02, s03, s10, s11, s12, s13, s20, s21, s22, s23, s30, s31, s32, s33


@compiled()
def add_products(
    x: Rows, rows: int, y: Rows, columns: int, begin: int, end: int, factor: float, lower: bool, out: Rows
) -> None:
    """Add `factor` Σ x[i, m] y[j, m], m = begin … end − 1, to out[i, j]; where j > i it may be left out if `lower`."""
    for first in range(begin, end, _DEPTH):
        last = min(first + _DEPTH, end)
        for c in range(0, columns, _ROWS):
            stop = min(c + _ROWS, columns)
            for i in range(0, rows, 4):
                for j in range(c, stop, 4):
                    if lower and j > i + 3:
                        break
                    at = out.at + i * out.step + j
                    if i + 4 <= rows and j + 4 <= stop:
                        tile = _tile(x, i, y, j, first, last)
                        for a in range(4):
                            for b in range(4):
                                out.data[at + a * out.step + b] += factor * tile[4 * a + b]
                    else:
                        for a in range(min(4, rows - i)):
                            for b in range(min(4, stop - j)):
                                out.data[at + a * out.step + b] += factor * dot(
                                    x, i + a, y, j + b, first, last
                                )


@compiled()
def shifted(rows: Rows, row: int, column: int) -> Rows:
    """The same matrix from a later row and column on."""
    return Rows(rows.data, rows.at + row * rows.step + column, rows.step)


@compiled()
def factorise(a: Rows, size: int) -> float:
    """Replace the lower triangle of `a`, (size, size), by L with LL' = a; return log|a|, or -inf if rounding left no pivot."""
    logdet = 0.0
    for first in range(0, size, _COLUMNS):
        stop = min(first + _COLUMNS, size)
        below = shifted(a, first, 0)
        add_products(below, size - first, below, stop - first, 0, first, -1.0, True, shifted(a, first, first))
        for j in range(first, stop):
            at = a.at + j * a.step + j
            before = a.data[at]
            pivot = before - dot(a, j, a, j, first, j)
            if not pivot > _ROUNDING * before:
                return -np.inf
            logdet += math.log(pivot)
            pivot = math.sqrt(pivot)
            a.data[at] = pivot
            for i in range(j + 1, size):
                here = a.at + i * a.step + j
                a.data[here] = (a.data[here] - dot(a, i, a, j, first, j)) / pivot
    return logdet


@compiled()
def solve_rows(lower: Rows, b: Rows, rows: int, begin: int, size: int) -> None:
    """Replace columns begin … size − 1 of `rows` rows of `b`, zero before them, by BL⁻ᵀ."""
    for first in range(begin, size, _COLUMNS):
        stop = min(first + _COLUMNS, size)
        add_products(
            b, rows, shifted(lower, first, 0), stop - first, begin, first, -1.0, False, shifted(b, 0, first)
        )
        for i in range(rows):
            for j in range(first, stop):
                at = b.at + i * b.step + j
                b.data[at] = (b.data[at] - dot(b, i, lower, j, first, j)) / lower.data[
                    lower.at + j * lower.step + j
                ]


@compiled()
def invert(lower: Rows, size: int, out: Rows) -> None:
    """Fill `out`, (size, size), with the upper triangle L⁻ᵀ."""
    for first in range(0, size, _ROWS):
        rows = min(_ROWS, size - first)
        for i in range(first, first + rows):
            at = out.at + i * out.step
            for j in range(size):
                out.data[at + j] = 0.0
            out.data[at + i] = 1.0
        solve_rows(lower, shifted(out, first, 0), rows, first, size)


@compiled()
def square(upper: Rows, size: int, out: Rows) -> None:
    """Add UU', of an upper triangle, to the lower triangle of `out`."""
    for first in range(0, size, _ROWS):
        rows = min(_ROWS, size - first)
        stop = first + rows
        # columns before the chunk's first are zero in its rows
        part = shifted(upper, first, 0)
        add_products(part, rows, upper, first, first, size, 1.0, False, shifted(out, first, 0))
        add_products(part, stop - first, part, rows, first, size, 1.0, True, shifted(out, first, first))
