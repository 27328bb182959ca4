"""Small dense linear algebra for the kernels; loops, because matrices of two or three columns are not worth LAPACK's calls."""

import math

import numpy as np

from nestde.arrays import Floats
from nestde.fit.compiled import compiled


@compiled()
def cholesky(a: Floats, size: int) -> float:
    """Replace the lower triangle of `a`, (size, size), by L with LL' = a; return log|a|, or -inf if it is not positive definite."""
    return cholesky_over(a, size, 0.0, -np.inf)


@compiled()
def cholesky_over(a: Floats, size: int, least: float, rounding: float) -> float:
    """`cholesky`, but a pivot of which nothing is left, to within `rounding`, is `least`, and its column nothing."""
    logdet = 0.0
    for j in range(size):
        pivot = a[j, j]
        for m in range(j):
            pivot -= a[j, m] * a[j, m]
        nothing = not pivot > max(1e-14 * a[j, j], least)
        if nothing:
            if not pivot > -rounding:
                return -np.inf
            pivot = least
        logdet += math.log(pivot)
        pivot = math.sqrt(pivot)
        a[j, j] = pivot
        for i in range(j + 1, size):
            total = a[i, j]
            for m in range(j):
                total -= a[i, m] * a[j, m]
            a[i, j] = 0.0 if nothing else total / pivot
    return logdet


@compiled()
def inverse(lower: Floats, size: int, out: Floats) -> None:
    """Fill `out` with (LL')⁻¹, column by column."""
    for c in range(size):
        for i in range(size):
            total = 1.0 if i == c else 0.0
            for m in range(i):
                total -= lower[i, m] * out[m, c]
            out[i, c] = total / lower[i, i]
        for i in range(size - 1, -1, -1):
            total = out[i, c]
            for m in range(i + 1, size):
                total -= lower[m, i] * out[m, c]
            out[i, c] = total / lower[i, i]


@compiled()
def copy(source: Floats, out: Floats) -> None:
    """Fill `out` with `source`, both of one dimension; numba takes seconds to compile ``out[:] = source``."""
    for i in range(len(out)):
        out[i] = source[i]


@compiled()
def stretch(source: Floats, scale: Floats, out: Floats) -> None:
    """Fill `out` with `source` · `scale`, element by element."""
    for i in range(len(out)):
        out[i] = source[i] * scale[i]


@compiled(sums=True)
def sum_of(x: Floats) -> float:
    """Sum of an array."""
    total = 0.0
    for i in range(len(x)):
        total += x[i]
    return total
