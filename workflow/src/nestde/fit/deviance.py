"""Kernels: the profiled deviance of Bates et al. (2015, J Stat Softw 67(1), eq. 34 and 42) from `Blocks`.

Elimination runs from fine to coarse. For a group with rows [A, B], H = Λ'AΛ + I = LL' and T = L⁻¹Λ'B; coarser rows
lose T'T, and at the end [Q, y]'[Q, y] is left with r². Innermost loops run over the groups of a level.

    symbol of theirs                     array, here with Q in the place of X
    Λ_θ                                  Work.lam (levels, K, K)
    Z'Z, Z'X, Z'y: [A, B] by group       Work.rows (k, width, groups) of each level
    L of L_θL_θ' = Λ'Z'ZΛ + I            Work.chol (k, k, groups) of each level, diagonal inverted; its part below: T
    R_ZX, c_u: L⁻¹Λ'[Z'X, Z'y]           T's last columns, Work.t (k, width, groups) of each level
    R_X, c_β                             `last` (p + 1, p + 1): its lower triangle R_X', its last row c_β'
    r²(θ)                                r2
    log|L|², log|R_X|²                   logdet, logdet_q
"""

import math
from typing import NamedTuple

import numpy as np

from nestde.arrays import Floats, Integers
from nestde.fit.blocks import Blocks
from nestde.fit.compiled import compiled
from nestde.fit.dense import cholesky


class Work(NamedTuple):
    """Space for one response.

    Attributes
    ----------
    rows
        Cross-products that are being eliminated; A and B of each group are left in place.
    t
        T of each group, in the places of B.
    chol
        (k, k, count) L of each level, with the inverse of its diagonal.
    lam, psi, g
        (d, K, K) by level Λ, ΛΛ', Σ M − (n/r²) ww'; K is the largest number of effects.
    square
        For (k, k, count) of any level.
    n, nc
        For N, and [M, N_B C] of any level.
    mode, cov
        Conditional modes (size, count) and covariance C (size, size, count) of a group's and all coarser effects, by
        level from the coefficients down; those of the finest are not kept.
    modes
        Conditional modes b of all effects, as `Blocks.effect_at` orders them.
    """

    rows: Floats
    t: Floats
    chol: Floats
    lam: Floats
    psi: Floats
    g: Floats
    square: Floats
    n: Floats
    nc: Floats
    mode: Floats
    cov: Floats
    modes: Floats


@compiled()
def space(blocks: Blocks) -> Work:
    """Room for the work on one response."""
    levels = len(blocks.k)
    size = blocks.width[levels] - 1
    largest, squares, square, wide, mode, cov = 1, 0, 1, 1, size, size * size
    for level in range(levels):
        k, count, size = blocks.k[level], blocks.groups[level], blocks.width[level] - 1
        largest = max(largest, k)
        squares += count * k * k
        square = max(square, count * k * k)
        wide = max(wide, count * k * (size + 1))
        if level > 0:
            mode += count * size
            cov += count * size * size
    by_level = (levels, largest, largest)
    return Work(
        np.empty(len(blocks.rows)),
        np.empty(len(blocks.rows)),
        np.empty(squares),
        np.zeros(by_level),
        np.empty(by_level),
        np.empty(by_level),
        np.empty(square),
        np.empty(wide),
        np.empty(wide),
        np.empty(mode),
        np.zeros(cov),
        np.empty(blocks.effect_at[levels]),
    )


@compiled()
def deviance(
    theta: Floats, blocks: Blocks, zy: Floats, qy: Floats, yy: float, freedom: float, reml: bool, work: Work
) -> tuple[float, float]:
    """Log-determinants + freedom · log r², and r², at θ; infinite where rounding leaves no residual.

    Parameters
    ----------
    theta
        (T,) on the fitted basis; columns of Λ may have either sign.
    blocks
        Of the model.
    zy, qy, yy
        Z̃'y in the blocks' order, (Q keep)'y, y'y.
    freedom
        n for ML, n − p for REML.
    reml
        Add the log-determinant of Q'V₀⁻¹Q.
    work
        From `space`; read by `gradient`.
    """
    levels, p = len(blocks.k), len(qy)
    for e in range(len(blocks.place)):
        work.lam[blocks.place[e, 0], blocks.place[e, 1], blocks.place[e, 2]] = theta[blocks.place[e, 3]]
    for i in range(len(blocks.rows)):
        work.rows[i] = blocks.rows[i]
    last = work.rows[blocks.row_at[levels] :].reshape(p + 1, p + 1)
    for j in range(p):
        last[p, j] = last[j, p] = qy[j]
    last[p, p] = yy
    logdet, chol_at = 0.0, 0
    for level in range(levels):
        k, width, count = blocks.k[level], blocks.width[level], blocks.groups[level]
        rows = work.rows[blocks.row_at[level] : blocks.row_at[level + 1]].reshape(k, width, count)
        t = work.t[blocks.row_at[level] : blocks.row_at[level + 1]].reshape(k, width, count)
        chol = work.chol[chol_at : chol_at + k * k * count].reshape(k, k, count)
        chol_at += k * k * count
        for i in range(k):
            for g in range(count):
                # what finer levels took from it is there already
                rows[i, width - 1, g] += zy[blocks.effect_at[level] + g * k + i]
        logdet += _factor(rows, work.lam[level], work.square[: k * k * count].reshape(k, k, count), chol)
        _scale(rows, work.lam[level], chol, t)
        start = k
        above = blocks.parent[blocks.group_at[level] : blocks.group_at[level] + count]
        for other in range(level + 1, levels + 1):
            wide = blocks.width[other]
            height = blocks.k[other] if other < levels else wide
            into = work.rows[blocks.row_at[other] : blocks.row_at[other + 1]].reshape(height, wide, -1)
            if into.shape[2] == 1:
                _take_from_one(t, start, into[:, :, 0])
            else:
                _take(t, start, into, above, work.n)
                above = blocks.parent[blocks.group_at[other] :][above]
            start += height
    return profile(last, logdet, freedom, reml)


@compiled()
def profile(last: Floats, logdet: float, freedom: float, reml: bool) -> tuple[float, float]:
    """Deviance and r² from what the effects leave of [Q, y]'[Q, y], (p + 1, p + 1), factorised in place."""
    p = len(last) - 1
    logdet_q = cholesky(last, p)
    if reml:
        logdet += logdet_q
    r2 = last[p, p]
    for i in range(p):
        total = last[p, i]
        for m in range(i):
            total -= last[i, m] * last[p, m]
        last[p, i] = total / last[i, i]
        r2 -= last[p, i] * last[p, i]
    if not r2 > 0.0 or not math.isfinite(logdet + logdet_q):
        return np.inf, r2
    return logdet + freedom * math.log(r2), r2


@compiled()
def times_lambda(rows: Floats, lam: Floats, out: Floats) -> None:
    """AΛ."""
    k, _, count = out.shape
    for i in range(k):
        for j in range(k):
            for g in range(count):
                out[i, j, g] = 0.0
            for m in range(j, k):
                factor = lam[m, j]
                if factor != 0.0:
                    for g in range(count):
                        out[i, j, g] += factor * rows[i, m, g]


@compiled()
def _factor(rows: Floats, lam: Floats, a_lam: Floats, chol: Floats) -> float:
    """L of every group of a level; returns the sum of log|H|."""
    k, _, count = chol.shape
    times_lambda(rows, lam, a_lam)
    logdet = 0.0
    product = np.ones(count)
    for j in range(k):
        for i in range(j, k):
            for g in range(count):
                chol[i, j, g] = 1.0 if i == j else 0.0
            for m in range(i, k):
                factor = lam[m, i]
                if factor != 0.0:
                    for g in range(count):
                        chol[i, j, g] += factor * a_lam[m, j, g]
            for m in range(j):
                for g in range(count):
                    chol[i, j, g] -= chol[i, m, g] * chol[j, m, g]
        for g in range(count):
            product[g] *= chol[j, j, g]
            chol[j, j, g] = 1.0 / math.sqrt(chol[j, j, g])
        for i in range(j + 1, k):
            for g in range(count):
                chol[i, j, g] *= chol[j, j, g]
        # one logarithm for a few pivots
        if j % 4 == 3 or j == k - 1:
            for g in range(count):
                logdet += math.log(product[g])
                product[g] = 1.0
    return logdet


@compiled()
def _scale(rows: Floats, lam: Floats, chol: Floats, t: Floats) -> None:
    """T = L⁻¹Λ'B of every group of a level."""
    k, width, count = t.shape
    for i in range(k):
        for c in range(k, width):
            for g in range(count):
                t[i, c, g] = 0.0
            for m in range(i, k):
                factor = lam[m, i]
                if factor != 0.0:
                    for g in range(count):
                        t[i, c, g] += factor * rows[m, c, g]
            for m in range(i):
                for g in range(count):
                    t[i, c, g] -= chol[i, m, g] * t[m, c, g]
            for g in range(count):
                t[i, c, g] *= chol[i, i, g]


@compiled()
def _take(t: Floats, start: int, into: Floats, above: Integers, lanes: Floats) -> None:
    """Take T'T from the rows of the groups above."""
    height, wide, _ = into.shape
    count = len(above)
    for i in range(height):
        for j in range(wide):
            if i <= j:
                for g in range(count):
                    lanes[g] = t[0, start + i, g] * t[0, start + j, g]
                for m in range(1, len(t)):
                    for g in range(count):
                        lanes[g] += t[m, start + i, g] * t[m, start + j, g]
                for g in range(count):
                    into[i, j, above[g]] -= lanes[g]
            else:
                for g in range(into.shape[2]):
                    into[i, j, g] = into[j, i, g]


@compiled(sums=True)
def _take_from_one(t: Floats, start: int, into: Floats) -> None:
    """Take T'T, summed over groups, from the rows of a level that has one."""
    height, wide = into.shape
    for i in range(height):
        for j in range(wide):
            if j < i:
                into[i, j] = into[j, i]
                continue
            total = 0.0
            for m in range(len(t)):
                for g in range(t.shape[2]):
                    total += t[m, start + i, g] * t[m, start + j, g]
            into[i, j] -= total
