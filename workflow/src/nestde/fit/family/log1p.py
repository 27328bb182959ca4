"""log(1 + count / size factor) of single cells, in the order in which they are stored."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.fit.compiled import compiled

# Counts up to this have their logarithms in a table.
_FEW = 8


class LogCounts:
    """The values of a response, as `crossproducts.Values`.

    Parameters
    ----------
    size_factor
        (n,) of each cell, positive.
    """

    def __init__(self, size_factor: Floats):
        self._scale = 1.0 / np.asarray(size_factor, float)
        self._few = _logs(self._scale)

    def __call__(self, counts: NDArray[Any], rows: NDArray[Any]) -> Floats:
        """Take those of some non-zero counts and the rows that they are in."""
        out = np.empty(len(counts))
        _log1p(counts, rows, self._scale, self._few, out)
        return out


@compiled()
def _logs(scale: Floats) -> Floats:
    """(_FEW, n) log(1 + count · scale) of the counts that most non-zeros are, taken once for each cell.

    By count, as most are 1 or 2: what is read again and again stays near the processor.
    """
    out = np.empty((_FEW, len(scale)))
    for count in range(1, _FEW + 1):
        for row in range(len(scale)):
            out[count - 1, row] = math.log1p(count * scale[row])
    return out


@compiled()
def _log1p(counts: NDArray[Any], rows: NDArray[Any], scale: Floats, few: Floats, out: Floats) -> None:
    for at in range(len(counts)):
        row, count = rows[at], int(counts[at])
        if 1 <= count <= _FEW and count == counts[at]:
            out[at] = few[count - 1, row]
        else:
            out[at] = math.log1p(counts[at] * scale[row])
