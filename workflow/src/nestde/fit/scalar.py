"""One variance component, ``(1 | g)``: the global optimum of a function of one variable.

With ψ = θ² and a_g = Z_g'Z_g every group is a scalar. The derivative of the profiled deviance (Bates et al. 2015,
eq. 34 and 42) by ψ,

    Σ a_g / (1 + ψ a_g) − (n / r²) Σ w_g²        w = Z'V₀⁻¹(y − Qβ)

and for REML − tr[(Q'V₀⁻¹Q)⁻¹ Q'V₀⁻¹ZZ'V₀⁻¹Q] with n − p for n, has a root for each local optimum. Its sign on a
grid from ψ = 0 to where groups are all but fixed effects brackets them all; each is found to the last digits, and
the best is taken. The grid's y-free part is computed once for all responses.
"""

import math
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from nestde.fit.dense import cholesky, inverse

Floats = NDArray[np.float64]

# Neighbours on the grid differ by 10^(1/6) in ψ, a quarter of the width of a logistic bend in log ψ.
_PER_DECADE = 6
_SMALLEST, _LARGEST = 1e-6, 1e10


@dataclass(frozen=True)
class Grid:
    """The y-free part of a model with one component, on K values of ψ for N groups.

    Attributes
    ----------
    psi
        (K,), the first is 0.
    shrink
        (K, N) 1 / (1 + ψ a).
    covariance
        (K, p, p) (Q'V₀⁻¹Q)⁻¹.
    slope
        (K,) the part of the derivative that is free of y.
    """

    psi: Floats
    shrink: Floats
    covariance: Floats
    slope: Floats


def grid(a: Floats, zq: Floats, reml: bool) -> Grid:
    """Lay out the grid for groups of Z'Z `a`, (N,), and Z'Q `zq`, (N, p)."""
    some = a[a > 0]
    first, last = math.log10(_SMALLEST / some.max()), math.log10(_LARGEST / some.min())
    psi = np.concatenate([[0.0], np.logspace(first, last, math.ceil((last - first) * _PER_DECADE))])
    shrink = 1.0 / (1.0 + psi[:, None] * a)
    information = np.eye(zq.shape[1]) - np.einsum("k,kg,ga,gb->kab", psi, shrink, zq, zq, optimize=True)
    covariance = np.linalg.inv(information)
    slope = (a * shrink).sum(axis=1)
    if reml:
        slope -= np.einsum("kab,kg,ga,gb->k", covariance, shrink**2, zq, zq, optimize=True)
    return Grid(psi, shrink, covariance, slope)


@numba.njit(cache=True)
def _at(
    psi: float,
    a: Floats,
    zq: Floats,
    zy: Floats,
    qy: Floats,
    yy: float,
    freedom: float,
    reml: bool,
    covariance: Floats,
    beta: Floats,
) -> tuple[float, float, float]:
    """Derivative, −2 log-likelihood but for its constants, and r² at ψ; fills `covariance` and `beta`."""
    p = len(qy)
    information, by_psi, c = np.zeros((p, p)), np.zeros((p, p)), qy.copy()
    r2, slope, logdet = yy, 0.0, 0.0
    for g in range(len(a)):
        d = 1.0 / (1.0 + psi * a[g])
        h = psi * d
        r2 -= h * zy[g] * zy[g]
        slope += a[g] * d
        logdet += math.log1p(psi * a[g])
        for i in range(p):
            c[i] -= h * zq[g, i] * zy[g]
            for j in range(i + 1):
                information[i, j] -= h * zq[g, i] * zq[g, j]
                by_psi[i, j] += d * d * zq[g, i] * zq[g, j]
    for i in range(p):
        information[i, i] += 1.0
    logdet_q = cholesky(information, p)
    inverse(information, p, covariance)
    for i in range(p):
        beta[i] = 0.0
        for j in range(p):
            beta[i] += covariance[i, j] * c[j]
        r2 -= beta[i] * c[i]
    square = 0.0
    for g in range(len(a)):
        w = zy[g]
        for i in range(p):
            w -= zq[g, i] * beta[i]
        w /= 1.0 + psi * a[g]
        square += w * w
    if reml:
        logdet += logdet_q
        for i in range(p):
            slope -= covariance[i, i] * by_psi[i, i]
            for j in range(i):
                slope -= 2.0 * covariance[i, j] * by_psi[i, j]
    if not r2 > 0.0:
        return np.nan, np.nan, r2
    return slope - freedom * square / r2, logdet + freedom * math.log(r2), r2


@numba.njit(cache=True)
def _slope_on_grid(
    k: int,
    psi: Floats,
    shrink: Floats,
    covariance: Floats,
    slope: Floats,
    zq: Floats,
    zy: Floats,
    qy: Floats,
    yy: float,
    freedom: float,
) -> float:
    """Derivative at the k-th value of the grid; NaN where rounding leaves no residual."""
    p = len(qy)
    c, beta = qy.copy(), np.zeros(p)
    r2 = yy
    for g in range(len(zy)):
        h = psi[k] * shrink[k, g] * zy[g]
        r2 -= h * zy[g]
        for i in range(p):
            c[i] -= h * zq[g, i]
    for i in range(p):
        for j in range(p):
            beta[i] += covariance[k, i, j] * c[j]
        r2 -= beta[i] * c[i]
    square = 0.0
    for g in range(len(zy)):
        w = zy[g]
        for i in range(p):
            w -= zq[g, i] * beta[i]
        w *= shrink[k, g]
        square += w * w
    if not r2 > 0.0:
        return np.nan
    return slope[k] - freedom * square / r2


@numba.njit(parallel=True, cache=True)
def minimise(
    psi: Floats,
    shrink: Floats,
    covariance: Floats,
    slope: Floats,
    a: Floats,
    zq: Floats,
    zy: Floats,
    qy: Floats,
    yy: Floats,
    freedom: float,
    reml: bool,
    skip: NDArray[np.bool_],
) -> tuple[Floats, Floats, NDArray[np.int64], Floats]:
    """Minimise the profiled deviance of each of G responses that is not skipped.

    Returns
    -------
    tuple
        (G,) ψ at the global optimum, NaN where it is unbounded; (G,) derivative of the deviance by ψ there; (G,)
        evaluations; (G,) difference of the deviance to the next best local optimum, infinite if there is none.
    """
    genes, grid_size = len(yy), len(psi)
    best_psi = np.full(genes, np.nan)
    best_slope = np.full(genes, np.nan)
    evaluations = np.zeros(genes, np.int64)
    margin = np.full(genes, np.inf)
    for gene in numba.prange(genes):
        if skip[gene]:
            continue
        best = np.inf
        p = qy.shape[1]
        cov, beta = np.empty((p, p)), np.empty(p)
        before = -1.0  # as if the deviance fell towards 0, so that an optimum there counts
        for k in range(grid_size):
            here = _slope_on_grid(
                k, psi, shrink, covariance, slope, zq, zy[gene], qy[gene], yy[gene], freedom
            )
            evaluations[gene] += 1
            if before < 0.0 <= here:
                root = psi[k]
                if k > 0:
                    root, used = _root(
                        psi[k - 1],
                        psi[k],
                        before,
                        here,
                        a,
                        zq,
                        zy[gene],
                        qy[gene],
                        yy[gene],
                        freedom,
                        reml,
                        cov,
                        beta,
                    )
                    evaluations[gene] += used
                at_root, value, _ = _at(root, a, zq, zy[gene], qy[gene], yy[gene], freedom, reml, cov, beta)
                evaluations[gene] += 1
                if value < best:
                    margin[gene] = best - value
                    best, best_psi[gene], best_slope[gene] = value, root, at_root
                else:
                    margin[gene] = min(margin[gene], value - best)
            before = here
        if before < 0.0:  # still falling where groups are fixed effects: no residual is left within groups
            best_psi[gene] = np.nan
    return best_psi, best_slope, evaluations, margin


@numba.njit(cache=True)
def _root(
    low: float,
    high: float,
    at_low: float,
    at_high: float,
    a: Floats,
    zq: Floats,
    zy: Floats,
    qy: Floats,
    yy: float,
    freedom: float,
    reml: bool,
    cov: Floats,
    beta: Floats,
) -> tuple[float, int]:
    """Root of the derivative by Chandrupatla's method (1997, Adv Eng Softw 28): inverse quadratic or bisection."""
    if at_high == 0.0:
        return high, 0
    x1, x2, f1, f2 = high, low, at_high, at_low
    x3, f3 = x1, f1
    t, used = 0.5, 0
    for _ in range(80):
        x = x1 + t * (x2 - x1)
        f, _value, _r2 = _at(x, a, zq, zy, qy, yy, freedom, reml, cov, beta)
        used += 1
        if (f > 0.0) == (f1 > 0.0):
            x3, f3 = x1, f1
        else:
            x3, x2, f3, f2 = x2, x1, f2, f1
        x1, f1 = x, f
        if f1 == 0.0:
            return x1, used
        tolerance = 1e-15 * abs(x1) + 1e-300
        closest = abs(x2 - x1)
        if closest <= 4.0 * tolerance:
            break
        xi, phi = (x1 - x2) / (x3 - x2), (f1 - f2) / (f3 - f2)
        if phi * phi < xi and (1.0 - phi) * (1.0 - phi) < 1.0 - xi:
            t = f1 / (f2 - f1) * f3 / (f2 - f3) + (x3 - x1) / (x2 - x1) * f1 / (f3 - f1) * f2 / (f3 - f2)
        else:
            t = 0.5
        t = min(max(t, tolerance / closest), 1.0 - tolerance / closest)
    return (x1 if abs(f1) < abs(f2) else x2), used


@numba.njit(parallel=True, cache=True)
def solve(
    psi: Floats, a: Floats, zq: Floats, zy: Floats, qy: Floats, yy: Floats, freedom: float, reml: bool
) -> tuple[Floats, Floats, Floats, Floats]:
    """At ψ of each response: (G, p) β, (G, p, p) (Q'V₀⁻¹Q)⁻¹, (G,) r², (G,) log-determinants + freedom · log r²."""
    genes, p = qy.shape
    beta, covariance = np.full((genes, p), np.nan), np.full((genes, p, p), np.nan)
    r2, value = np.full(genes, np.nan), np.full(genes, np.nan)
    for g in numba.prange(genes):
        if not np.isnan(psi[g]):
            _, value[g], r2[g] = _at(
                psi[g], a, zq, zy[g], qy[g], yy[g], freedom, reml, covariance[g], beta[g]
            )
    return beta, covariance, r2, value
