"""Logarithms and exponentials of many numbers: loops that a processor works off four or eight numbers at a time.

Numba calls the system's functions one number at a time, which takes most of a grid's time. These add and multiply only, in
a fixed order, so every processor gives the same bits; they are within 2 units in the last place.
"""

import math

import numpy as np

from nestde.arrays import Floats
from nestde.fit.compiled import compiled

# Bits of a float: where the exponent begins, and the float √½, below which no mantissa is taken.
_EXPONENT, _ROOT_HALF = 52, 0x3FE6A09E667F3BCD
_SMALLEST = float(np.finfo(float).tiny)
# 1 / ln 2, and the parts of ln 2: 33 bits, so that whole multiples are exact, and the rest.
_PER_LN2, _LN2_HIGH, _LN2_LOW = 1.0 / math.log(2.0), 0.6931471803691238, 1.9082149292705877e-10
# Added to a number it leaves the nearest integer in the lowest bits.
_ROUND = 1.5 * 2.0**52
# Exponentials of less are 0.
_LEAST = -700.0


@compiled()
def logs(x: Floats, out: Floats) -> None:
    """Fill the natural logarithms of x, another array; NaN where a number is not positive, or below any normal one."""
    bits, mantissa = x.view(np.int64), out.view(np.int64)
    for i in range(len(x)):
        mantissa[i] = bits[i] - (((bits[i] - _ROOT_HALF) >> _EXPONENT) << _EXPONENT)
    for i in range(len(x)):
        s = (out[i] - 1.0) / (out[i] + 1.0)
        z = s * s
        # artanh s = ½ log((1 + s) / (1 − s)), |s| ≤ .172
        series = 1 / 17 + z * (1 / 19)
        series = 1 / 13 + z * (1 / 15 + z * series)
        series = 1 / 9 + z * (1 / 11 + z * series)
        series = 1 / 5 + z * (1 / 7 + z * series)
        series = z * (1 / 3 + z * series)
        exponent = (bits[i] - _ROOT_HALF) >> _EXPONENT
        value = exponent * _LN2_HIGH + (2.0 * (s + s * series) + exponent * _LN2_LOW)
        out[i] = value if x[i] >= _SMALLEST else np.nan


@compiled()
def exps(x: Floats, room: Floats, out: Floats) -> None:
    """Fill the exponentials of x, up to 700 and no NaN, in another array of two; 0 below −700."""
    shifted, bits = room.view(np.int64), out.view(np.int64)
    for i in range(len(x)):
        room[i] = (x[i] if x[i] > _LEAST else _LEAST) * _PER_LN2 + _ROUND
    for i in range(len(x)):
        n = room[i] - _ROUND
        r = ((x[i] if x[i] > _LEAST else _LEAST) - n * _LN2_HIGH) - n * _LN2_LOW
        # Taylor, |r| ≤ ½ ln 2
        series = 1 / 39916800 + r * (1 / 479001600 + r * (1 / 6227020800))
        series = 1 / 40320 + r * (1 / 362880 + r * (1 / 3628800 + r * series))
        series = 1 / 120 + r * (1 / 720 + r * (1 / 5040 + r * series))
        series = 0.5 + r * (1 / 6 + r * (1 / 24 + r * series))
        out[i] = 1.0 + (r + r * r * series)
    for i in range(len(x)):
        bits[i] += shifted[i] << _EXPONENT
    for i in range(len(x)):
        out[i] = out[i] if x[i] > _LEAST else 0.0
