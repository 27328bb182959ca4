"""Kernels: the profiled deviance of Bates et al. (2015, J Stat Softw 67(1), eq. 34 and 42) and its gradient, from `Blocks`.

Elimination runs from fine to coarse. For a group with rows [A, B], H = Λ'AΛ + I = LL' and T = L⁻¹Λ'B; coarser rows
lose T'T. Back from coarse to fine go the conditional modes and the conditional covariance C of the coarser effects
(for REML of the coefficients too), which give M = Z'PZ within the group and w = Z'Py:

    P = AΛL⁻ᵀ    N = [A, B] − P [P', T]    M = N_A − N_B C N_B'    w = N_y − N_B · modes
    d deviance / dΛ = 2 Σ (M − (n/r²) w w') Λ

Nothing is divided by Λ, so all holds where variances are zero. Innermost loops run over the groups of a level.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestde.fit.blocks import Blocks
from nestde.fit.compiled import compiled
from nestde.fit.dense import cholesky, inverse

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


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
def _times_lambda(rows: Floats, lam: Floats, out: Floats) -> None:
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
    _times_lambda(rows, lam, a_lam)
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


@compiled()
def coefficients(blocks: Blocks, work: Work, beta: Floats, covariance: Floats) -> None:
    """Fill β and (Q'V₀⁻¹Q)⁻¹ after `deviance`."""
    p = len(beta)
    last = work.rows[blocks.row_at[len(blocks.k)] :].reshape(p + 1, p + 1)
    inverse(last, p, covariance)
    for i in range(p - 1, -1, -1):
        total = last[p, i]
        for m in range(i + 1, p):
            total -= last[m, i] * beta[m]
        beta[i] = total / last[i, i]


@compiled()
def gradient(
    blocks: Blocks,
    r2: float,
    freedom: float,
    reml: bool,
    work: Work,
    beta: Floats,
    covariance: Floats,
    out: Floats,
) -> None:
    """Fill `out`, (T,), with the gradient of the deviance by θ after `deviance` at the same θ; β and the modes too."""
    levels, p = len(blocks.k), len(beta)
    coefficients(blocks, work, beta, covariance)
    mode = work.mode[:p].reshape(p, 1)
    cov = work.cov[: p * p].reshape(p, p, 1)
    for i in range(p):
        mode[i, 0] = beta[i]
        for j in range(p):
            cov[i, j, 0] = covariance[i, j] if reml else 0.0
    mode_at, cov_at, chol_at = p, p * p, len(work.chol)
    for level in range(levels - 1, -1, -1):
        k, width, count = blocks.k[level], blocks.width[level], blocks.groups[level]
        size = width - 1
        # C of ML has nothing for the coefficients, which come last
        used = size - k if reml else size - k - p
        lam, psi = work.lam[level, :k, :k], work.psi[level, :k, :k]
        _square(lam, psi)
        chol_at -= k * k * count
        chol = work.chol[chol_at : chol_at + k * k * count].reshape(k, k, count)
        rows = work.rows[blocks.row_at[level] : blocks.row_at[level + 1]].reshape(k, width, count)
        t = work.t[blocks.row_at[level] : blocks.row_at[level + 1]].reshape(k, width, count)
        square = work.square[: k * k * count].reshape(k, k, count)
        n = work.n[: k * width * count].reshape(k, width, count)
        nc = work.nc[: k * width * count].reshape(k, width, count)
        above = blocks.parent[blocks.group_at[level] : blocks.group_at[level] + count]
        _residual(rows, lam, chol, t, mode, above, square, n)
        _explained(n, cov, above, used, nc)
        _collect(n, nc, freedom / r2, work.g[level])
        modes = work.modes[blocks.effect_at[level] : blocks.effect_at[level + 1]].reshape(count, k)
        for i in range(k):
            for g in range(count):
                total = 0.0
                for j in range(k):
                    total += psi[i, j] * n[j, width - 1, g]
                modes[g, i] = total
        if level > 0:
            own_mode = work.mode[mode_at : mode_at + size * count].reshape(size, count)
            own_cov = work.cov[cov_at : cov_at + size * size * count].reshape(size, size, count)
            _descend(modes, nc, psi, mode, cov, above, used, own_mode, own_cov)
            mode, cov = own_mode, own_cov
            mode_at += size * count
            cov_at += size * size * count
    for each in range(len(out)):
        out[each] = 0.0
    for e in range(len(blocks.place)):
        at, i, j = blocks.place[e, 0], blocks.place[e, 1], blocks.place[e, 2]
        total = 0.0
        for m in range(j, blocks.k[at]):
            total += work.g[at, i, m] * work.lam[at, m, j]
        out[blocks.place[e, 3]] += 2.0 * total


@compiled()
def _square(lam: Floats, psi: Floats) -> None:
    """Ψ = ΛΛ'."""
    for i in range(len(lam)):
        for j in range(len(lam)):
            total = 0.0
            for m in range(min(i, j) + 1):
                total += lam[i, m] * lam[j, m]
            psi[i, j] = total


@compiled()
def _residual(
    rows: Floats, lam: Floats, chol: Floats, t: Floats, mode: Floats, above: Integers, p: Floats, n: Floats
) -> None:
    """N of every group of a level, with w in the place of N_y; P in `p`."""
    k, width, count = n.shape
    _times_lambda(rows, lam, p)
    for i in range(k):
        for j in range(k):
            for m in range(j):
                for g in range(count):
                    p[i, j, g] -= p[i, m, g] * chol[j, m, g]
            for g in range(count):
                p[i, j, g] *= chol[j, j, g]
    for i in range(k):
        for c in range(width):
            for g in range(count):
                n[i, c, g] = rows[i, c, g]
            for m in range(k):
                if c < k:
                    for g in range(count):
                        n[i, c, g] -= p[i, m, g] * p[c, m, g]
                else:
                    for g in range(count):
                        n[i, c, g] -= p[i, m, g] * t[m, c, g]
        for c in range(len(mode)):
            if mode.shape[1] == 1:
                factor = mode[c, 0]
                for g in range(count):
                    n[i, width - 1, g] -= factor * n[i, k + c, g]
            else:
                for g in range(count):
                    n[i, width - 1, g] -= mode[c, above[g]] * n[i, k + c, g]


@compiled()
def _explained(n: Floats, cov: Floats, above: Integers, used: int, nc: Floats) -> None:
    """N_B C, and before it M = N_A − N_B C N_B', of every group of a level."""
    k, _, count = n.shape
    for i in range(k):
        for c in range(used):
            for g in range(count):
                nc[i, k + c, g] = 0.0
            for m in range(used):
                if cov.shape[2] == 1:
                    factor = cov[m, c, 0]
                    for g in range(count):
                        nc[i, k + c, g] += factor * n[i, k + m, g]
                else:
                    for g in range(count):
                        nc[i, k + c, g] += cov[m, c, above[g]] * n[i, k + m, g]
    for i in range(k):
        for j in range(k):
            for g in range(count):
                nc[i, j, g] = n[i, j, g]
            for c in range(used):
                for g in range(count):
                    nc[i, j, g] -= nc[i, k + c, g] * n[j, k + c, g]


@compiled(sums=True)
def _collect(n: Floats, nc: Floats, weight: float, out: Floats) -> None:
    """Σ M − (n/r²) ww' over the groups of a level."""
    k, width, count = n.shape
    for i in range(k):
        for j in range(k):
            total = 0.0
            for g in range(count):
                total += nc[i, j, g] - weight * n[i, width - 1, g] * n[j, width - 1, g]
            out[i, j] = total


@compiled()
def _descend(
    modes: Floats,
    nc: Floats,
    psi: Floats,
    mode: Floats,
    cov: Floats,
    above: Integers,
    used: int,
    own_mode: Floats,
    own_cov: Floats,
) -> None:
    """Modes and covariance of a level's effects jointly with the coarser ones: Ψ − ΨMΨ, −ΨN_B C, C."""
    count, k = modes.shape
    shared = mode.shape[1] == 1
    for g in range(count):
        group = 0 if shared else above[g]
        for i in range(k):
            own_mode[i, g] = modes[g, i]
        for m in range(len(mode)):
            own_mode[k + m, g] = mode[m, group]
        for m in range(used):
            for c in range(used):
                own_cov[k + m, k + c, g] = cov[m, c, group]
        for i in range(k):
            for c in range(used):
                total = 0.0
                for m in range(k):
                    total -= psi[i, m] * nc[m, k + c, g]
                own_cov[i, k + c, g] = own_cov[k + c, i, g] = total
            for j in range(k):
                total = psi[i, j]
                for m in range(k):
                    for c in range(k):
                        total -= psi[i, m] * nc[m, c, g] * psi[c, j]
                own_cov[i, j, g] = total
