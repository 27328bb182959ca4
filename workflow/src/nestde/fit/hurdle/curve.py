"""A linear mixed model ``(1 | sample)`` of one gene's detecting cells, as a function of the ratio ψ of its variances.

With h_s = n_s / (1 + ψ n_s), the cross-products of [Q, y] weighted by V₀⁻¹ = (I + ψZZ')⁻¹ are W + Σ h_s ū_s ū_s'. Of their
Cholesky factor the last pivot is r², and what is above it the coefficients' information and right-hand side:

    deviance = Σ log(1 + ψ n_s) [+ log|Q'V₀⁻¹Q|] + freedom · log r²                 [REML]
    slope    = Σ h_s [− Σ h_s² |L⁻¹q̄_s|²] − freedom · Σ h_s² e_s² / r²              e_s = ȳ_s − q̄_s b

The slope's sign on a grid of ψ brackets every optimum; the best is taken (Bates et al. 2015, eq. 34 and 42).
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.fit.compiled import compiled
from nestde.fit.dense import cholesky, inverse
from nestde.fit.hurdle.sums import Sums

# ψ on the grid, in units of one over the most detecting cells of a sample, a step a quarter of a decade; and beyond.
_FIRST, _LAST, _STEP, _FARTHEST = 1e-3, 1e5, 10.0**0.25, 1e12
# Of ψ, the width of a bracket that is its root.
_CLOSE, _MOST = 1e-11, 200


class Gene(NamedTuple):
    """Sums of one gene, of r columns and y.

    Attributes
    ----------
    cells, mean, within
        (S,), (S, r + 1), (r + 1, r + 1) as in `Sums`, of the columns that are fitted.
    n
        Detecting cells.
    """

    cells: Floats
    mean: Floats
    within: Floats
    n: float


class Room(NamedTuple):
    """Cholesky factor of the weighted cross-products, coefficients, and L⁻¹q̄ of a sample."""

    lower: Floats
    b: Floats
    solved: Floats


class Ends(NamedTuple):
    """Where the fits of G genes ended: ψ, the slope there, r², the deviance but for constants, b (G, r), (Q'V₀⁻¹Q)⁻¹."""

    psi: Floats
    slope: Floats
    r2: Floats
    value: Floats
    b: Floats
    covariance: Floats
    evaluations: NDArray[np.int64]


@compiled()
def fit_some(
    begin: int, end: int, sums: Sums, keep: Floats, reml: bool, skip: NDArray[np.bool_], ends: Ends
) -> None:
    """Find the best ψ of some genes, of the columns Q `keep`, (p, r)."""
    r = keep.shape[1]
    room = room_of(r)
    for g in range(begin, end):
        if skip[g]:
            continue
        gene = of_columns(g, sums, keep)
        best, used = np.inf, 0
        before, last = 0.0, -1.0  # as if the deviance fell towards 0, so that an optimum there counts
        psi, step = 0.0, _FIRST / gene.cells.max()
        while psi <= _FARTHEST:
            value, slope = at(psi, gene, reml, room)
            used += 1
            if last < 0.0 <= slope:
                root = psi
                if psi > 0.0:
                    root, more = _root(before, psi, last, slope, gene, reml, room)
                    used += more
                    value, slope_there = at(root, gene, reml, room)
                else:
                    slope_there = slope
                if value < best:
                    best = value
                    ends.psi[g], ends.slope[g], ends.value[g] = root, slope_there, value
            before, last = psi, slope
            psi = step
            step *= _STEP if step * gene.cells.max() < _LAST else 10.0
        ends.evaluations[g] = used
        if best < np.inf:
            at(ends.psi[g], gene, reml, room)
            ends.r2[g] = room.lower[r, r] * room.lower[r, r]
            for i in range(r):
                ends.b[g, i] = room.b[i]
            inverse(room.lower, r, ends.covariance[g])


@compiled()
def room_of(r: int) -> Room:
    """Room for r columns."""
    return Room(np.empty((r + 1, r + 1)), np.empty(r), np.empty(r))


@compiled()
def of_columns(g: int, sums: Sums, keep: Floats) -> Gene:
    """Sums of a gene for the columns Q `keep`."""
    p, r = keep.shape
    samples = sums.cells.shape[1]
    mean, half, within = np.zeros((samples, r + 1)), np.zeros((r + 1, p + 1)), np.zeros((r + 1, r + 1))
    turn = np.zeros((p + 1, r + 1))
    turn[p, r] = 1.0
    for i in range(p):
        for j in range(r):
            turn[i, j] = keep[i, j]
    n = 0.0
    for s in range(samples):
        n += sums.cells[g, s]
        for i in range(p + 1):
            for j in range(r + 1):
                mean[s, j] += sums.mean[g, s, i] * turn[i, j]
    for j in range(r + 1):
        for i in range(p + 1):
            for k in range(p + 1):
                half[j, k] += turn[i, j] * sums.within[g, i, k]
    for j in range(r + 1):
        for k in range(r + 1):
            for i in range(p + 1):
                within[j, k] += half[j, i] * turn[i, k]
    return Gene(sums.cells[g], mean, within, n)


@compiled()
def at(psi: float, gene: Gene, reml: bool, room: Room) -> tuple[float, float]:
    """Deviance but for constants, and its derivative by ψ; infinite where rounding leaves no residual."""
    lower, b = room.lower, room.b
    r = len(b)
    for i in range(r + 1):
        for j in range(i + 1):
            lower[i, j] = gene.within[i, j]
    logdet, slope = 0.0, 0.0
    for s in range(len(gene.cells)):
        if gene.cells[s] == 0.0:
            continue
        h = gene.cells[s] / (1.0 + psi * gene.cells[s])
        logdet += math.log1p(psi * gene.cells[s])
        slope += h
        for i in range(r + 1):
            weighted = h * gene.mean[s, i]
            for j in range(i + 1):
                lower[i, j] += weighted * gene.mean[s, j]
    if cholesky(lower, r + 1) == -np.inf:
        return np.inf, 0.0
    for i in range(r - 1, -1, -1):
        b[i] = lower[r, i]
        for j in range(i + 1, r):
            b[i] -= lower[j, i] * b[j]
        b[i] /= lower[i, i]
    square, of_columns_ = 0.0, 0.0
    for s in range(len(gene.cells)):
        if gene.cells[s] == 0.0:
            continue
        h = gene.cells[s] / (1.0 + psi * gene.cells[s])
        left = gene.mean[s, r]
        for i in range(r):
            left -= gene.mean[s, i] * b[i]
        square += h * h * left * left
        if reml:
            for i in range(r):
                room.solved[i] = gene.mean[s, i]
                for j in range(i):
                    room.solved[i] -= lower[i, j] * room.solved[j]
                room.solved[i] /= lower[i, i]
                of_columns_ += h * h * room.solved[i] * room.solved[i]
    freedom = gene.n
    if reml:
        freedom -= r
        for i in range(r):
            logdet += 2.0 * math.log(lower[i, i])
    r2 = lower[r, r] * lower[r, r]
    return logdet + freedom * math.log(r2), slope - of_columns_ - freedom * square / r2


@compiled()
def _root(
    low: float, high: float, at_low: float, at_high: float, gene: Gene, reml: bool, room: Room
) -> tuple[float, int]:
    """Root of the slope between a negative and a positive one: regula falsi, the weight of an end that stays halved."""
    side, used, psi = 0, 0, high
    while high - low > _CLOSE * high and used < _MOST:
        psi = (low * at_high - high * at_low) / (at_high - at_low)
        _, slope = at(psi, gene, reml, room)
        used += 1
        if slope == 0.0:
            break
        if slope < 0.0:
            low, at_low = psi, slope
            if side < 0:
                at_high *= 0.5
            side = -1
        else:
            high, at_high = psi, slope
            if side > 0:
                at_low *= 0.5
            side = 1
        if abs(slope) * psi < 1e-13:
            break
    return psi, used


@compiled()
def profile_some(
    begin: int,
    end: int,
    sums: Sums,
    values: Floats,
    rows: Floats,
    first: NDArray[np.int64],
    skip: NDArray[np.bool_],
    loglik: Floats,
    stat: Floats,
    estimate: Floats,
    square: Floats,
) -> None:
    """Generalised least squares of some genes at each ψ, where the F test of a contrast is exact.

    Parameters
    ----------
    sums, skip
        As for `fit_some`.
    values
        (K,) ψ.
    rows, first
        (rows, p) contrasts of the coefficients of Q, one below the other; (C + 1,) where each begins.
    loglik
        (G, K) by REML, but for constants.
    stat
        (C, G, K) F statistics.
    estimate, square
        (C, G, K) of contrasts of one row the estimate and its squared standard error.
    """
    p = rows.shape[1]
    keep = np.eye(p)
    room = room_of(p)
    turned, form, right = np.empty((len(rows), p)), np.empty((len(rows), len(rows))), np.empty(len(rows))
    for g in range(begin, end):
        if skip[g]:
            continue
        gene = of_columns(g, sums, keep)
        for k in range(len(values)):
            value, _ = at(values[k], gene, True, room)
            loglik[g, k] = -0.5 * value
            lower = room.lower
            scale = lower[p, p] * lower[p, p] / (gene.n - p)
            for row in range(len(rows)):
                for i in range(p):
                    turned[row, i] = rows[row, i]
                    for j in range(i):
                        turned[row, i] -= lower[i, j] * turned[row, j]
                    turned[row, i] /= lower[i, i]
            for c in range(len(first) - 1):
                size = first[c + 1] - first[c]
                for a in range(size):
                    right[a] = 0.0
                    for i in range(p):
                        right[a] += turned[first[c] + a, i] * lower[p, i]
                    for e in range(a + 1):
                        form[a, e] = 0.0
                        for i in range(p):
                            form[a, e] += turned[first[c] + a, i] * turned[first[c] + e, i]
                if size == 1:
                    estimate[c, g, k], square[c, g, k] = right[0], form[0, 0] * scale
                cholesky(form, size)
                total = 0.0
                for a in range(size):
                    for e in range(a):
                        right[a] -= form[a, e] * right[e]
                    right[a] /= form[a, a]
                    total += right[a] * right[a]
                stat[c, g, k] = total / (size * scale)
