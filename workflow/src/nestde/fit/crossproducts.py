"""What a response contributes to the model: sums over the leaves of the design, in one pass over its non-zeros.

A leaf is a set of rows that agree in all grouping factors: a sample, an image of an animal. Within a leaf the
columns of Q and Z̃ are a constant plus a combination of few columns F (often one, the covariate that is measured
on each cell; see `grain`), so the sums of y and of yF over each leaf, and y'y, give all of Q'y and Z̃'y.

    symbol                        array
    U = [Z̃ | Q] = mean + F·within  Leaves.mean (leaves, c), Grain.f (n, w), Leaves.within (leaves, w, c)
    U'U of each leaf              Leaves.cross (leaves, c, c)
    Σy, ΣyF of each leaf          sums (G, leaves, 1 + w)
    Σy² of each leaf              squares (G, leaves)
    Z̃'y, Q'y, y'y                 Sums.zy (G, groups, k) of each factor, Sums.qy (G, p), Sums.yy (G,)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.design.design import Design
from nestde.fit.basis import Basis
from nestde.fit.compiled import compiled, spread
from nestde.fit.grain import Grain, grain_of, means_of_leaves

# Of a column of norm 1, variation that the columns within leaves do not hold is rounding below this; where turning columns
# cost digits, below this times their condition number.
_OUTSIDE, _TURNED = 1e-9, 1e-14
# Non-zeros whose y are held at a time, but for a gene that has more: threads wait for each other between these blocks.
_NONZEROS = 1_000_000
# Of y'y, a residual sum of squares below this is rounding: as a difference of sums, or of single residuals.
_CANCELLED, _ROUNDED = 1e-12, 1e-27

# From the non-zero counts of some genes and the rows that they are in to y; a count of 0 has y = 0.
Values = Callable[[NDArray[Any], NDArray[Any]], Floats]


@dataclass(frozen=True)
class Leaves:
    """The leaves of a design; c columns U = [Z̃ of each factor | Q], w columns F.

    Attributes
    ----------
    grain
        Leaf of each row, and F.
    groups
        (factors, leaves) group of each leaf in each random factor.
    mean
        (leaves, c) mean of U.
    within
        (leaves, w, c) U = `mean` + F `within`.
    cross
        (leaves, c, c) U'U.
    """

    grain: Grain
    groups: NDArray[np.int64]
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


def leaves(design: Design, basis: Basis, grain: Grain) -> Leaves | None:
    """Write the columns of a design on the leaves of its cells; None if these do not hold them.

    Parameters
    ----------
    design, basis
        Of n cells.
    grain
        Of the same cells: that of the design, or of any other that varies within leaves by the same covariates.
    """
    code = grain.code
    first = np.unique(code, return_index=True)[1]
    groups = np.array([factor.codes[first] for factor in design.random], np.int64)
    if any((factor.codes != own[code]).any() for factor, own in zip(design.random, groups, strict=True)):
        return None
    u = np.hstack([*basis.z, basis.q])
    mean = means_of_leaves(u, code)
    deviation = u - mean[code]
    within = np.empty((len(mean), grain.f.shape[1], u.shape[1]))
    for j, f in enumerate(grain.f.T):
        for column in range(u.shape[1]):
            within[:, j, column] = np.bincount(code, f * deviation[:, column])
    for j, f in enumerate(grain.f.T):
        deviation -= f[:, None] * within[code, j]
    held = np.linalg.norm(deviation, axis=0) <= _outside(basis) * np.linalg.norm(u, axis=0)
    return Leaves(grain, groups, mean, within, _cross(u, code)) if held.all() else None


def own_leaves(design: Design, basis: Basis) -> Leaves:
    """Write the columns of a design on leaves of its own grain."""
    found = leaves(design, basis, grain_of(design, basis))
    assert found is not None  # they are what the grain is of
    return found


def _outside(basis: Basis) -> float:
    """Of a column of the basis, so much is rounding: more, the less of a raw column its turning left."""
    raw = np.linalg.norm(basis.r, axis=0)
    return max(_OUTSIDE, _TURNED * float(np.linalg.cond(basis.r / np.where(raw > 0, raw, 1.0))))


def _cross(u: Floats, code: NDArray[np.int64]) -> Floats:
    """U'U of each leaf, (leaves, c, c)."""
    cross = np.empty((code.max() + 1, u.shape[1], u.shape[1]))
    for i in range(u.shape[1]):
        for j in range(i + 1):
            cross[:, i, j] = cross[:, j, i] = np.bincount(code, u[:, i] * u[:, j])
    return cross


def sums_of_counts(
    grain: Grain, counts: scipy.sparse.csc_array, values: Values, threads: int | None = None
) -> tuple[Floats, Floats]:
    """Sums over leaves of what `values` makes of each column of counts, in one pass over the non-zeros.

    Parameters
    ----------
    grain
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
    counts = scipy.sparse.csc_array(counts)
    sums, squares, in_order = _sum_up(grain, counts, values, threads)
    if not in_order:
        counts = counts.copy()
        counts.sum_duplicates()
        sums, squares, _ = _sum_up(grain, counts, values, threads)
    return sums, squares


def _sum_up(
    grain: Grain, counts: scipy.sparse.csc_array, values: Values, threads: int | None
) -> tuple[Floats, Floats, bool]:
    """As `sums_of_counts`; and whether the rows of each column increase, so that none is there twice, whose y² is of parts."""
    genes = counts.shape[1]
    sums = np.zeros((genes, grain.leaves, 1 + grain.f.shape[1]))
    squares = np.zeros((genes, grain.leaves))
    disorder = np.zeros(genes, np.int64)

    def add(begin: int, end: int) -> None:
        last = begin
        while last < end:
            first, most = last, counts.indptr[last] + _NONZEROS
            last = min(max(first + 1, int(np.searchsorted(counts.indptr, most))), end)
            starts, some = counts.indptr[first : last + 1], slice(first, last)
            place = slice(starts[0], starts[-1])
            rows = counts.indices[place]
            y = values(counts.data[place], rows)
            _pass(y, rows, starts - starts[0], grain.code, grain.f, sums[some], squares[some], disorder[some])

    spread(add, genes, threads)
    return sums, squares, not disorder.any()


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
    code, f = leaf.grain.code, leaf.grain.f
    t = np.empty((y.shape[1], len(leaf.mean), 1 + f.shape[1]))
    for g, column in enumerate(residual.T):
        t[g, :, 0] = np.bincount(code, column)
        for j, own in enumerate(f.T):
            t[g, :, 1 + j] = np.bincount(code, column * own)
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
    for j in range(leaf.within.shape[1]):
        out += t[:, :, 1 + j, None] * leaf.within[:, j, columns]
    return out


@compiled()
def _falls(rows: NDArray[Any]) -> int:
    """How often numbers do not increase; a loop by itself, which takes several at a time."""
    falls = 0
    for at in range(1, len(rows)):
        falls += 1 if rows[at] <= rows[at - 1] else 0
    return falls


@compiled()
def _pass(
    y: Floats,
    rows: NDArray[Any],
    starts: NDArray[Any],
    code: NDArray[np.int64],
    f: Floats,
    sums: Floats,
    squares: Floats,
    disorder: NDArray[np.int64],
) -> None:
    """Add up y, yF and y² over leaves for some genes, and how often rows do not increase; zeros contribute nothing, as their y is 0.

    Cells of a leaf are mostly stored one after the other: the sums of the last leaf are in `total` and `square`.
    """
    width = f.shape[1]
    for g in range(len(starts) - 1):
        if starts[g] == starts[g + 1]:
            continue
        leaf = code[rows[starts[g]]]
        total, square = sums[g, leaf, 0], squares[g, leaf]
        disorder[g] = _falls(rows[starts[g] : starts[g + 1]])
        for at in range(starts[g], starts[g + 1]):
            row, value = rows[at], y[at]
            if code[row] != leaf:
                sums[g, leaf, 0], squares[g, leaf] = total, square
                leaf = code[row]
                total, square = sums[g, leaf, 0], squares[g, leaf]
            total += value
            square += value * value
            for j in range(width):
                sums[g, leaf, 1 + j] += value * f[row, j]
        sums[g, leaf, 0], squares[g, leaf] = total, square
