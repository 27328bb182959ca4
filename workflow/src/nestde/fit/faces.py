"""Exact zeros of variances: the faces of θ's space on which a column of Λ is zero, and what turns into it beside them.

The deviance depends on ΛΛ' alone, so a column's sign is free, and where its pivot is zero the rest of it can be taken
up by the later columns: the factor of ΛΛ' less that pivot, by Givens' rotations.

    symbol                             array
    x, θ                               x; scale · x
    Λ of the f-th factor               x[element[f]], (K, K); −1 in `element` where Λ has no such element
    elements that are not held at 0    free (T,)
"""

import math

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats, Integers
from nestde.fit.basis import Basis
from nestde.fit.compiled import compiled
from nestde.fit.dense import copy


def elements(basis: Basis) -> Integers:
    """(factors, K, K) index of the theta in each place of each Λ, −1 where there is none."""
    largest = max(len(turn) for turn in basis.turn)
    out = np.full((len(basis.turn), largest, largest), -1, np.int64)
    for t, (f, row, column) in enumerate(basis.theta):
        out[f, row, column] = t
    return out


@compiled()
def make_upright(x: Floats, element: Integers) -> None:
    """Give each column of each Λ the sign that makes its diagonal element non-negative."""
    for f in range(len(element)):
        for column in range(element.shape[1]):
            diagonal = element[f, column, column]
            if diagonal >= 0 and x[diagonal] < 0.0:
                _flip(x, f, column, element)


@compiled()
def _flip(x: Floats, f: int, column: int, element: Integers) -> None:
    """Change the sign of a column of Λ."""
    for row in range(column, element.shape[1]):
        if element[f, row, column] >= 0:
            x[element[f, row, column]] *= -1.0


@compiled()
def put_on_face(x: Floats, f: int, column: int, element: Integers, scale: Floats, out: Floats) -> None:
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
def gather(
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
def hold_at_zero(f: int, column: int, element: Integers, free: NDArray[np.bool_]) -> None:
    """Keep a column of Λ at zero."""
    for row in range(column, element.shape[1]):
        if element[f, row, column] >= 0:
            free[element[f, row, column]] = False
