"""Columns of a matrix that do not vary within the groups of a factor."""

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.design.design import RandomFactor

# Of a column's range, variation within a group below this share is rounding.
ROUNDING = 1e-10


def constant_within(x: Floats, factor: RandomFactor) -> NDArray[np.bool_]:
    """Whether each column of x is constant within the groups of a factor, (p,)."""
    return np.asarray(spread_within(x, factor) <= ROUNDING * np.ptp(x, axis=0))


def spread_within(x: Floats, factor: RandomFactor) -> Floats:
    """Largest range of each column of x within a group."""
    order = np.argsort(factor.codes, kind="stable")
    first = np.searchsorted(factor.codes[order], np.arange(len(factor.levels)))
    ordered = x[order]
    spread = np.maximum.reduceat(ordered, first) - np.minimum.reduceat(ordered, first)
    return np.asarray(spread.max(axis=0))
