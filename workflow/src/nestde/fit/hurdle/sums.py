"""What a linear mixed model of the cells that have a count needs of each gene: sums over these cells, sample by sample.

Which cells have a count differs from gene to gene, so that nothing here is shared between genes but the columns. Sums are of
deviations from the mean of a sample's detecting cells, so that no digits are lost to what lies between samples.

    symbol                                        array
    columns U = [Q, y], y = ln(1 + count/size)    −
    n_s detecting cells of a sample               Sums.cells (G, S)
    ū_s                                           Sums.mean (G, S, p + 1)
    W = Σ_s Σ_i (u_i − ū_s)(u_i − ū_s)'           Sums.within (G, p + 1, p + 1)
"""

import math
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.fit.compiled import compiled, spread


class Sums(NamedTuple):
    """Of G genes in S samples, as in the table above."""

    cells: Floats
    mean: Floats
    within: Floats


def sum_up(
    q: Floats,
    sample: NDArray[np.int64],
    offset: Floats,
    counts: scipy.sparse.csc_array,
    threads: int | None = None,
) -> Sums:
    """Sum up detecting cells.

    Parameters
    ----------
    q
        (n, p) columns of the model.
    sample
        (n,) of each cell, from 0.
    offset
        (n,) logarithm of the size factors.
    counts
        (n, G) without zeros that are stored.
    threads
        As for `spread`.
    """
    genes, samples, width = counts.shape[1], int(sample.max()) + 1, q.shape[1] + 1
    sums = Sums(
        np.zeros((genes, samples)), np.zeros((genes, samples, width)), np.zeros((genes, width, width))
    )
    spread(
        _sum_up, genes, threads, np.ascontiguousarray(q), sample, np.exp(-offset),
        counts.indptr, counts.indices, counts.data, sums,
    )  # fmt: skip
    return sums


@compiled()
def _sum_up(
    begin: int,
    end: int,
    q: Floats,
    sample: NDArray[np.int64],
    scale: Floats,
    first: NDArray[Any],
    cell: NDArray[Any],
    count: NDArray[Any],
    sums: Sums,
) -> None:
    """Fill the sums of some genes, in two passes over their counts."""
    p = q.shape[1]
    away = np.empty(p + 1)
    for g in range(begin, end):
        cells, mean, within = sums.cells[g], sums.mean[g], sums.within[g]
        for at in range(first[g], first[g + 1]):
            i = cell[at]
            s = sample[i]
            cells[s] += 1.0
            for j in range(p):
                mean[s, j] += q[i, j]
            mean[s, p] += math.log1p(count[at] * scale[i])
        for s in range(len(cells)):
            for j in range(p + 1):
                mean[s, j] /= max(cells[s], 1.0)
        for at in range(first[g], first[g + 1]):
            i = cell[at]
            s = sample[i]
            for j in range(p):
                away[j] = q[i, j] - mean[s, j]
            away[p] = math.log1p(count[at] * scale[i]) - mean[s, p]
            for j in range(p + 1):
                for k in range(j + 1):
                    within[j, k] += away[j] * away[k]
        for j in range(p + 1):
            for k in range(j):
                within[k, j] = within[j, k]
