"""log(1 + count / size factor) of single cells, in the order in which they are stored."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.fit.compiled import compiled

# Counts up to this have their logarithms in a table.
_FEW = 4


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
    """(n, _FEW) log(1 + count · scale) of the counts that most non-zeros are, taken once for each cell."""
    out = np.empty((len(scale), _FEW))
    for row in range(len(scale)):
        for count in range(1, _FEW + 1):
            out[row, count - 1] = math.log1p(count * scale[row])
    return out


@compiled()
def _log1p(counts: NDArray[Any], rows: NDArray[Any], scale: Floats, few: Floats, out: Floats) -> None:
    for at in range(len(counts)):
        row, count = rows[at], int(counts[at])
        if 1 <= count <= _FEW and count == counts[at]:
            out[at] = few[row, count - 1]
        else:
            out[at] = math.log1p(counts[at] * scale[row])
