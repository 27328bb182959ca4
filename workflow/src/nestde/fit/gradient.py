"""Kernels: the gradient of the profiled deviance by θ, the coefficients and the conditional modes, after `deviance`.

Back from coarse to fine go the conditional modes and the conditional covariance C of the coarser effects (for REML
of the coefficients too), which give M = Z'PZ within each group and w = Z'Py:

    P = AΛL⁻ᵀ    N = [A, B] − P [P', T]    M = N_A − N_B C N_B'    w = N_y − N_B · modes
    d deviance / dΛ = 2 Σ (M − (n/r²) w w') Λ

Nothing is divided by Λ, so all holds where variances are zero.

    symbol                  array, of each level
    P                       Work.square (k, k, groups), `p` in `_residual`
    N, w in place of N_y    Work.n (k, width, groups)
    M, N_B C                Work.nc (k, width, groups)
    C, modes of coarser     cov (size, size, groups), mode (size, groups), views of Work.cov, Work.mode
    ΛΛ'                     Work.psi (levels, K, K)
    Σ M − (n/r²) ww'        Work.g (levels, K, K)
    β, (Q'V₀⁻¹Q)⁻¹          beta (p,), covariance (p, p)
"""

from nestde.arrays import Floats, Integers
from nestde.fit.blocks import Blocks
from nestde.fit.compiled import compiled
from nestde.fit.dense import inverse
from nestde.fit.deviance import Work, times_lambda


@compiled()
def coefficients(blocks: Blocks, work: Work, beta: Floats, covariance: Floats) -> None:
    """Fill β and (Q'V₀⁻¹Q)⁻¹ after `deviance`."""
    p = len(beta)
    coefficients_of(work.rows[blocks.row_at[len(blocks.k)] :].reshape(p + 1, p + 1), beta, covariance)


@compiled()
def coefficients_of(last: Floats, beta: Floats, covariance: Floats) -> None:
    """The same from what `profile` left of [Q, y]'[Q, y]."""
    p = len(beta)
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
    times_lambda(rows, lam, p)
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
