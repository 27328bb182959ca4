"""What a model is, free of y, at each point of a grid: generalised least squares for all genes by the same matrices.

With H = I + Λ'Z'ZΛ = LL', T = L⁻¹Λ' and R'R = Q'Q − (TZ'Q)'TZ'Q, the weighted sums of squares of a response are

    r² = y'y − |t|² − |z|²        t = TZ'y,  z = R⁻ᵀ(Q'y − (TZ'Q)'t)

and rows Lβ of coefficients are estimated as LR⁻¹z with covariance LR⁻¹R⁻ᵀL' r²/(n − p). Under Lβ = 0 the increase of r²
is |Oz|², O an orthonormal basis of the rows of LR⁻¹: given Λ this is exactly the F test. T has the sparsity of the
blocked elimination: effects of the finest factor stand alone in it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestde.fit import strata
from nestde.fit.compiled import compiled, spread
from nestde.fit.genes import Model
from nestde.fit.grid import Grid

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Genes that are treated side by side, in one instruction where the processor can.
LANES = 32


class Points(NamedTuple):
    """K points, e effects, p coefficients, C contrasts of rows in all.

    Attributes
    ----------
    begin, column
        (e + 1,) and (entries,) sparse rows of T: row i has `column[begin[i] : begin[i + 1]]`.
    t
        (K, entries) the entries of T.
    tq
        (K, e, p) TZ'Q R⁻¹.
    root
        (K, p, p) R⁻ᵀ, lower triangle.
    logdet
        (K,) log|H| + log|R'R|, the determinants of REML.
    first
        (C + 1,) where a contrast's rows begin among `o`.
    o
        (K, rows, p) O of each contrast.
    back
        (K, rows, p) OR, which Oz lacks for each unit that was subtracted of Q's columns.
    size
        (K, rows) of a contrast of one row |LR⁻¹|.
    freedom
        n − p.
    """

    begin: Integers
    column: Integers
    t: Floats
    tq: Floats
    root: Floats
    logdet: Floats
    first: Integers
    o: Floats
    back: Floats
    size: Floats
    freedom: float


def build(model: Model, grid: Grid, contrasts: Sequence[Floats], arm: Integers | None = None) -> Points:
    """Factorise at every point of the grid.

    Parameters
    ----------
    model
        From `prepare`.
    grid
        Of the model.
    contrasts
        Each (rows, p) for the columns of X, of full row rank.
    arm
        (groups,) of the only random factor, where the grid has arms.
    """
    cut = strata.build(model.design, model.basis, model.leaf)
    used, pattern = _used(cut), _pattern(cut)
    points, p = len(grid.values), len(cut.r)
    # LR⁻¹ begins with the coefficients of X = Qr
    rows = [np.linalg.solve(cut.r.T, contrast.T).T for contrast in contrasts]
    first = np.cumsum([0, *(len(contrast) for contrast in rows)])
    t, tq = np.empty((points, len(pattern[0]))), np.empty((points, len(used), p))
    root, logdet = np.empty((points, p, p)), np.empty(points)
    o, size = np.empty((points, int(first[-1]), p)), np.full((points, int(first[-1])), np.nan)
    back = np.empty_like(o)
    for k in range(points):
        lam = _lambda(cut, [part[k] for part in grid.factors], arm)
        lower = np.linalg.cholesky(np.eye(lam.shape[1]) + lam.swapaxes(1, 2) @ cut.zz @ lam)
        whole = np.linalg.solve(lower, lam.swapaxes(1, 2))
        by_q = (whole @ cut.zx).reshape(-1, p)
        r = np.linalg.cholesky(cut.xx - by_q.T @ by_q).T
        root[k] = np.linalg.inv(r).T
        t[k], tq[k] = whole[pattern], (by_q @ root[k].T)[used]
        logdet[k] = 2.0 * np.log(np.einsum("cii->ci", lower)).sum() + 2.0 * np.log(np.diag(r)).sum()
        for begin, contrast in zip(first, rows, strict=False):
            a = contrast @ root[k].T
            if len(a) == 1:
                size[k, begin] = np.linalg.norm(a)
                o[k, begin] = a[0] / size[k, begin]
            else:
                o[k, begin : begin + len(a)] = np.linalg.qr(a.T)[0].T
        back[k] = o[k] @ r
    m = cut.zz.shape[1]
    row, column = (np.searchsorted(used, pattern[0] * m + slot) for slot in pattern[1:])
    begin = np.searchsorted(row, np.arange(len(used) + 1))
    return Points(begin, column, t, tq, root, logdet, first, o, back, size, float(model.design.n - p))


def place(model: Model, zy: Sequence[Floats]) -> Floats:
    """Lay out Z̃'y of each factor as the effects of `Points`: (G, e)."""
    cut = strata.build(model.design, model.basis, model.leaf)
    return np.ascontiguousarray(cut.place(zy).reshape(len(zy[0]), -1)[:, _used(cut)])


def _used(cut: strata.Strata) -> Integers:
    """Slots, among all strata's, that a group has."""
    return np.unique(np.concatenate([slots.ravel() for slots in cut.slots]))


def _lambda(cut: strata.Strata, factors: Sequence[Floats], arm: Integers | None) -> Floats:
    """(C, m, m) Λ of every stratum, from that of each factor, (arms, k, k)."""
    count, m = cut.zz.shape[:2]
    lam = np.zeros((count * m, m))
    for factor, slots in zip(factors, cut.slots, strict=True):
        own = factor[np.zeros(len(slots), np.int64) if arm is None else arm]
        for i, j in np.ndindex(own.shape[1:]):
            lam[slots[:, i], slots[:, j] % m] = own[:, i, j]
    return lam.reshape(count, m, m)


def _pattern(cut: strata.Strata) -> tuple[Integers, Integers, Integers]:
    """Stratum, row and column of each entry of T that can be other than 0, row by row."""
    count, m = cut.zz.shape[:2]
    joined = np.zeros((count * m, m), bool)
    for slots in cut.slots:
        for i, j in np.ndindex(slots.shape[1], slots.shape[1]):
            joined[slots[:, i], slots[:, j] % m] = True
    joined = joined.reshape(count, m, m)
    # all off the diagonal negative, and this the larger: nothing cancels in the factor's inverse
    linked = joined.astype(float) @ (cut.zz != 0) @ joined
    lower = np.linalg.cholesky((1.0 + linked.sum(axis=(1, 2)))[:, None, None] * 2.0 * np.eye(m) - linked)
    stratum, row, column = np.nonzero(np.linalg.inv(lower) @ joined)
    return stratum, row, column


@compiled()
def at_point(
    k: int, points: Points, zy: Floats, qy: Floats, yy: Floats, t: Floats, z: Floats, r2: Floats
) -> None:
    """Fill z, (p, LANES), and r², (LANES,), of some genes at the k-th point.

    Parameters
    ----------
    k, points
        From `build`.
    zy, qy, yy
        (e, LANES) Z̃'y, (p, LANES) Q'y, (LANES,) y'y.
    t
        (LANES,) room.
    z, r2
        See above.
    """
    p, lanes = len(qy), len(yy)
    for g in range(lanes):
        r2[g] = yy[g]
    for i in range(p):
        for g in range(lanes):
            z[i, g] = 0.0
        for j in range(i + 1):
            factor = points.root[k, i, j]
            for g in range(lanes):
                z[i, g] += factor * qy[j, g]
    for e in range(len(zy)):
        for g in range(lanes):
            t[g] = 0.0
        for at in range(points.begin[e], points.begin[e + 1]):
            factor, column = points.t[k, at], points.column[at]
            for g in range(lanes):
                t[g] += factor * zy[column, g]
        for g in range(lanes):
            r2[g] -= t[g] * t[g]
        for i in range(p):
            factor = points.tq[k, e, i]
            for g in range(lanes):
                z[i, g] -= factor * t[g]
    for i in range(p):
        for g in range(lanes):
            r2[g] -= z[i, g] * z[i, g]


@compiled()
def load(
    begin: int, zy: Floats, qy: Floats, yy: Floats, some_zy: Floats, some_qy: Floats, some_yy: Floats
) -> int:
    """Lay genes begin, begin + 1, … side by side, as `at_point` reads them; return how many there are."""
    count = min(LANES, len(yy) - begin)
    for g in range(LANES):
        gene = begin + min(g, count - 1)
        some_yy[g] = yy[gene]
        for e in range(len(some_zy)):
            some_zy[e, g] = zy[gene, e]
        for i in range(len(some_qy)):
            some_qy[i, g] = qy[gene, i]
    return count


@compiled()
def _loglik(begin: int, end: int, points: Points, zy: Floats, qy: Floats, yy: Floats, out: Floats) -> None:
    """Fill the log-likelihoods of some blocks of genes."""
    e, p = zy.shape[1], qy.shape[1]
    some_zy, some_qy, some_yy = np.empty((e, LANES)), np.empty((p, LANES)), np.empty(LANES)
    t, z, r2 = np.empty(LANES), np.empty((p, LANES)), np.empty(LANES)
    for block in range(begin, end):
        count = load(block * LANES, zy, qy, yy, some_zy, some_qy, some_yy)
        for k in range(len(points.logdet)):
            at_point(k, points, some_zy, some_qy, some_yy, t, z, r2)
            for g in range(count):
                out[block * LANES + g, k] = -0.5 * (points.freedom * math.log(r2[g]) + points.logdet[k])


def loglik(points: Points, zy: Floats, qy: Floats, yy: Floats, threads: int | None) -> Floats:
    """(G, K) REML log-likelihood, but for its constants, of each response at each point."""
    out = np.empty((len(yy), len(points.logdet)))
    spread(_loglik, math.ceil(len(yy) / LANES), threads, points, zy, qy, yy, out)
    return out
