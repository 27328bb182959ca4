"""Log of F's upper tail by table: one degree of freedom for a whole cell type, millions of statistics.

As a function of s = √F the log of P(F > s²) is smooth from s = 0 on, and all but a parabola far out; between nodes it is a
cubic that has its value and derivative at both. Nodes are even in s up to `BEND`, then in log s. The error is below 1e-7.

    symbol                            array (distributions, nodes)
    log P(F > s²), by node            LogTail.value, LogTail.slope
    P(F > s²), by node                LogTail.tail, LogTail.density
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from nestde.arrays import Floats
from nestde.fit.compiled import compiled
from nestde.fit.log_sf import log_chi2_sf, log_f_sf

PER_UNIT = 64
BEND, _LARGEST = 16.0, 1e9


class LogTail(NamedTuple):
    """Log of P(F > s²) at nodes, for each of a few F distributions.

    Attributes
    ----------
    value, slope
        (distributions, nodes) the log and its derivative by the nodes' number.
    tail, density
        The same of P itself, 0 where it is beyond a float.
    """

    value: Floats
    slope: Floats
    tail: Floats
    density: Floats


def log_tail(df: Sequence[int], df_residual: float) -> LogTail:
    """Tabulate for each numerator degrees of freedom, and one denominator's, which may be infinite: χ² over its own."""
    x = np.arange(math.ceil(PER_UNIT * BEND * (1.0 + math.log(_LARGEST / BEND)))) / PER_UNIT
    far = x > BEND
    s = np.where(far, BEND * np.exp(x / BEND - 1.0), x)
    q = np.array(df, float)[:, None]
    density = np.log(2.0) + special.xlogy(q - 1.0, s)
    if math.isinf(df_residual):
        value = log_chi2_sf(q * s**2, q)
        density = density + 0.5 * q * np.log(0.5 * q) - special.gammaln(0.5 * q) - 0.5 * q * s**2
    else:
        value = log_f_sf(s**2, q, df_residual)
        density = (
            density + 0.5 * q * np.log(q / df_residual) - special.betaln(0.5 * q, 0.5 * df_residual)
            - 0.5 * (q + df_residual) * np.log1p(q / df_residual * s**2)
        )  # fmt: skip
    stretch = np.where(far, s / BEND, 1.0) / PER_UNIT
    return LogTail(value, -np.exp(density - value) * stretch, np.exp(value), -np.exp(density) * stretch)


@compiled()
def look_up(s: float, which: int, table: LogTail) -> float:
    """Log of P(F > s²), s ≥ 0, of one of the distributions."""
    return _cubic(_place(s), table.value[which], table.slope[which])[0]


@compiled()
def tail_of(s: float, which: int, table: LogTail) -> tuple[float, float]:
    """P(F > s²) and its derivative by s, s ≥ 0, of one of the distributions."""
    tail, slope = _cubic(_place(s), table.tail[which], table.density[which])
    return tail, slope * PER_UNIT * (1.0 if s <= BEND else BEND / s)


@compiled(inline=True)
def _place(s: float) -> float:
    """Number of s among the nodes, with its fraction."""
    return PER_UNIT * (s if s <= BEND else BEND * (1.0 + math.log(s / BEND)))


@compiled()
def _cubic(x: float, value: Floats, slope: Floats) -> tuple[float, float]:
    """Hermite's interpolation at a number with a fraction, and its derivative."""
    i = int(min(x, len(value) - 2.0))
    u = min(x - i, 1.0)
    v = 1.0 - u
    ends = v * v * (1.0 + 2.0 * u) * value[i] + u * u * (1.0 + 2.0 * v) * value[i + 1]
    derivative = 6.0 * u * v * (value[i + 1] - value[i])
    derivative += v * (v - 2.0 * u) * slope[i] + u * (u - 2.0 * v) * slope[i + 1]
    return ends + u * v * (v * slope[i] - u * slope[i + 1]), derivative
