"""What a response contributes to the model: sums over the leaves of the design, in one pass over its non-zeros.

A leaf is a set of rows that agree in all grouping factors: a sample, an image of an animal. Within a leaf the
columns of Q and Z̃ are a constant plus a combination of few columns F (often one, the covariate that is measured
on each cell), so the sums of y and of yF over each leaf, and y'y, give all of Q'y and Z̃'y.

    symbol                        array
    U = [Z̃ | Q] = mean + F·within  Leaves.mean (leaves, c), Leaves.f (n, w), Leaves.within (w, c)
    U'U of each leaf              Leaves.cross (leaves, c, c)
    Σy, ΣyF of each leaf          sums (G, leaves, 1 + w)
    Σy² of each leaf              squares (G, leaves)
    Z̃'y, Q'y, y'y                 Sums.zy (G, groups, k) of each factor, Sums.qy (G, p), Sums.yy (G,)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.design.design import Design
from nestde.fit.basis import Basis
from nestde.fit.compiled import compiled, spread

# Of a column of norm 1, variation within leaves below this is rounding; what of it other sums do not hold, likewise.
_ROUNDING, _OUTSIDE = 1e-11, 1e-9
# Genes whose y are held at a time.
_GENES = 16
# Of y'y, a residual sum of squares below this is rounding: as a difference of sums, or of single residuals.
_CANCELLED, _ROUNDED = 1e-12, 1e-27

# From the non-zero counts of some genes and the rows that they are in to y; a count of 0 has y = 0.
Values = Callable[[NDArray[Any], NDArray[Any]], Floats]


@dataclass(frozen=True)
class Leaves:
    """The leaves of a design; c columns U = [Z̃ of each factor | Q], w columns F.

    Attributes
    ----------
    code
        (n,) leaf of each row.
    groups
        (factors, leaves) group of each leaf in each random factor.
    f
        (n, w) what varies within leaves.
    mean
        (leaves, c) mean of U.
    within
        (w, c) U = `mean` of the leaf + `f` `within`.
    cross
        (leaves, c, c) U'U.
    """

    code: NDArray[np.int64]
    groups: NDArray[np.int64]
    f: Floats
    mean: Floats
    within: Floats
    cross: Floats

    def of_factor(self, design: Design, f: int) -> tuple[Floats, Floats]:
        """For the f-th random factor (groups, k, k) Z̃'Z̃ within its groups and (groups, k, p) Z̃'Q."""
        first = sum(len(factor.effects) for factor in design.random[:f])
        k = len(design.random[f].effects)
        rows = np.zeros((len(design.random[f].levels), k, self.cross.shape[2]))
        np.add.at(rows, self.groups[f], self.cross[:, first : first + k])
        return rows[:, :, first : first + k], rows[
            :, :, sum(len(factor.effects) for factor in design.random) :
        ]


@dataclass(frozen=True)
class Sums:
    """Cross-products of G responses.

    Attributes
    ----------
    zy
        For each random factor (G, groups, k) Z̃'y.
    qy
        (G, p) Q'y.
    yy
        (G,) y'y.
    shift
        (G, p) coefficients of Q that were subtracted from y beforehand.
    rounding
        (G,) a residual sum of squares below this is rounding.
    """

    zy: tuple[Floats, ...]
    qy: Floats
    yy: Floats
    shift: Floats
    rounding: Floats


def leaves(design: Design, basis: Basis) -> Leaves:
    """Find the leaves and sum the y-free cross-products over each."""
    codes = np.array([factor.codes for factor in design.random], np.int64)
    groups, code = np.unique(codes, axis=1, return_inverse=True)
    code = code.reshape(-1)
    u = np.hstack([*basis.z, basis.q])
    mean = _means(u, code)
    f, within = _within(u - mean[code], np.linalg.norm(u, axis=0))
    return Leaves(code, groups, f, mean, within, _cross(u, code))


def leaves_as(design: Design, basis: Basis, code: NDArray[np.int64], f: Floats) -> Leaves | None:
    """Leaves of another design of the same cells, so that sums over `code` and `f` serve it; None if they do not.

    Parameters
    ----------
    design, basis
        Of n cells.
    code, f
        (n,) and (n, w), of `Leaves`.
    """
    first = np.unique(code, return_index=True)[1]
    groups = np.array([factor.codes[first] for factor in design.random], np.int64)
    if any((factor.codes != own[code]).any() for factor, own in zip(design.random, groups, strict=True)):
        return None
    u = np.hstack([*basis.z, basis.q])
    mean = _means(u, code)
    deviation = u - mean[code]
    # f's columns need not be orthonormal where cells were left out
    within = np.zeros((f.shape[1], u.shape[1]))
    if len(within):
        within[:] = np.linalg.lstsq(f, deviation, rcond=None)[0]
    outside = np.linalg.norm(deviation - f @ within, axis=0)
    if (outside > _OUTSIDE * np.linalg.norm(u, axis=0)).any():
        return None
    return Leaves(code, groups, f, mean, within, _cross(u, code))


def _means(u: Floats, code: NDArray[np.int64]) -> Floats:
    """Mean of each column over each leaf, (leaves, c)."""
    size = np.bincount(code)
    return np.stack([np.bincount(code, column) for column in u.T], axis=1) / size[:, None]


def _cross(u: Floats, code: NDArray[np.int64]) -> Floats:
    """U'U of each leaf, (leaves, c, c)."""
    cross = np.empty((code.max() + 1, u.shape[1], u.shape[1]))
    for i in range(u.shape[1]):
        for j in range(i + 1):
            cross[:, i, j] = cross[:, j, i] = np.bincount(code, u[:, i] * u[:, j])
    return cross


def _within(deviation: Floats, norm: Floats) -> tuple[Floats, Floats]:
    """Write deviations from the leaves' means as F C, F (n, w) of full rank."""
    norm = np.where(norm > 0, norm, 1.0)
    f, c, order = scipy.linalg.qr(deviation / norm, mode="economic", pivoting=True)
    rank = int(np.sum(np.abs(np.diag(c)) > _ROUNDING))
    within = np.empty((rank, len(norm)))
    within[:, order] = c[:rank]
    return np.ascontiguousarray(f[:, :rank]), within * norm


def sums_of_counts(
    leaf: Leaves, counts: scipy.sparse.csc_array, values: Values, threads: int | None = None
) -> tuple[Floats, Floats]:
    """Sums over leaves of what `values` makes of each column of counts, in one pass over the non-zeros.

    Parameters
    ----------
    leaf
        Of n cells in L leaves.
    counts
        (n, G) raw counts, compressed by column.
    values
        What y is.
    threads
        As for `spread`.

    Returns
    -------
    sums
        (G, L, 1 + w) of y and y times each column of F.
    squares
        (G, L) of y².
    """
    counts = scipy.sparse.csc_array(counts)  # the same arrays, if it is by column already
    if not counts.has_canonical_format:
        counts = counts.copy()
        counts.sum_duplicates()
    genes = counts.shape[1]
    sums, squares = np.zeros((genes, len(leaf.mean), 1 + leaf.f.shape[1])), np.zeros((genes, len(leaf.mean)))

    def add(begin: int, end: int) -> None:
        for first in range(begin, end, _GENES):
            last = min(first + _GENES, end)
            starts = counts.indptr[first : last + 1]
            place = slice(starts[0], starts[-1])
            rows = counts.indices[place]
            y = values(counts.data[place], rows)
            _pass(y, rows, starts - starts[0], leaf.code, leaf.f, sums[first:last], squares[first:last])

    spread(add, genes, threads)
    return sums, squares


def collect(design: Design, leaf: Leaves, sums: Floats, squares: Floats) -> Sums:
    """Cross-products of G responses from their sums over the leaves of a design."""
    zy, qy = _collect(design, leaf, sums)
    yy = np.sum(squares, axis=1)
    return Sums(zy, qy, yy, np.zeros_like(qy), _CANCELLED * yy)


def sums_of_responses(design: Design, basis: Basis, leaf: Leaves, y: Floats) -> Sums:
    """Cross-products of dense responses (n, G), after subtracting their least-squares fit on X.

    Subtracting it changes the coefficients by what is subtracted and nothing else, and a response far from 0
    costs no digits.
    """
    shift = basis.q.T @ y
    residual = y - basis.q @ shift
    again = basis.q.T @ residual
    residual -= basis.q @ again
    t = np.empty((y.shape[1], len(leaf.mean), 1 + leaf.f.shape[1]))
    for g, column in enumerate(residual.T):
        t[g, :, 0] = np.bincount(leaf.code, column, len(leaf.mean))
        for j, f in enumerate(leaf.f.T):
            t[g, :, 1 + j] = np.bincount(leaf.code, column * f, len(leaf.mean))
    zy, qy = _collect(design, leaf, t)
    yy, rounding = np.sum(residual**2, axis=0), _ROUNDED * np.sum(y**2, axis=0)
    return Sums(zy, qy, yy, (shift + again).T, rounding)


def _collect(design: Design, leaf: Leaves, t: Floats) -> tuple[tuple[Floats, ...], Floats]:
    """Z̃'y and Q'y from the sums over leaves, (G, leaves, 1 + w)."""
    zy, first = [], 0
    for factor, group in zip(design.random, leaf.groups, strict=True):
        columns = slice(first, first + len(factor.effects))
        out = np.zeros((len(factor.levels), len(t), len(factor.effects)))
        np.add.at(out, group, _of_leaves(leaf, t, columns).swapaxes(0, 1))
        zy.append(np.ascontiguousarray(out.swapaxes(0, 1)))
        first = columns.stop
    qy = np.zeros((len(t), leaf.mean.shape[1] - first))
    for by_leaf in np.moveaxis(_of_leaves(leaf, t, slice(first, None)), 1, 0):
        qy += by_leaf
    return tuple(zy), qy


def _of_leaves(leaf: Leaves, t: Floats, columns: slice) -> Floats:
    """(G, leaves, columns) sums of y times columns of U."""
    out = t[:, :, :1] * leaf.mean[:, columns]
    for j, row in enumerate(leaf.within[:, columns]):
        out += t[:, :, 1 + j, None] * row
    return out


@compiled()
def _pass(
    y: Floats,
    rows: NDArray[Any],
    starts: NDArray[Any],
    code: NDArray[np.int64],
    f: Floats,
    sums: Floats,
    squares: Floats,
) -> None:
    """Add up y, yF and y² over leaves for some genes; zeros contribute nothing, as their y is 0."""
    width = f.shape[1]
    for g in range(len(starts) - 1):
        for at in range(starts[g], starts[g + 1]):
            row, value = rows[at], y[at]
            leaf = code[row]
            squares[g, leaf] += value * value
            sums[g, leaf, 0] += value
            for j in range(width):
                sums[g, leaf, 1 + j] += value * f[row, j]
