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

import numpy as np
from numpy.typing import NDArray

from nestde.fit.compiled import compiled, spread
from nestde.fit.dense import cholesky, inverse
from nestde.fit.state import Record

Floats = NDArray[np.float64]

# Neighbours on the grid differ by 10^(1/4) in ψ; each group's terms bend over more than a decade.
_PER_DECADE = 4
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


def search(
    a: Floats,
    zq: Floats,
    zy: Floats,
    qy: Floats,
    yy: Floats,
    freedom: float,
    reml: bool,
    skip: NDArray[np.bool_],
    threads: int | None,
) -> Record:
    """Find the global optimum for each of G responses that is not skipped.

    Parameters
    ----------
    a, zq
        (N,) Z̃'Z̃ and (N, p) Z̃'Q of the groups.
    zy, qy, yy
        (G, N) Z̃'y, (G, p) Q'y, (G,) y'y.
    freedom
        n for ML, n − p for REML.
    reml
        REML, else ML.
    skip
        (G,) responses that are left NaN.
    threads
        As for `spread`.
    """
    lines = grid(a, zq, reml)
    psi, slope, margin = np.full(len(yy), np.nan), np.full(len(yy), np.nan), np.full(len(yy), np.inf)
    evaluations, optima = np.zeros(len(yy), np.int64), np.zeros(len(yy), np.int64)
    spread(
        _minimise, len(yy), threads, lines.psi, lines.shrink, lines.covariance, lines.slope, a, zq,
        zy, qy, yy, freedom, reml, skip, psi, slope, evaluations, optima, margin,
    )  # fmt: skip
    theta = np.sqrt(psi)[:, None]
    return Record(
        start=np.zeros_like(theta),
        end=theta,
        evaluations=evaluations,
        gradient=np.abs(2.0 * theta[:, 0] * slope) / math.sqrt(a.mean()),
        decrease=np.abs(slope) * psi,
        optima=optima,
        margin=margin,
    )


@compiled()
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


@compiled()
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


@compiled()
def _search(
    psi: Floats,
    shrink: Floats,
    covariance: Floats,
    slope: Floats,
    a: Floats,
    zq: Floats,
    zy: Floats,
    qy: Floats,
    yy: float,
    freedom: float,
    reml: bool,
) -> tuple[float, float, int, int, float]:
    """For one response what `_minimise` fills."""
    p = len(qy)
    cov, beta = np.empty((p, p)), np.empty(p)
    best, best_psi, best_slope, margin, evaluations, optima = np.inf, np.nan, np.nan, np.inf, 0, 0
    before = -1.0  # as if the deviance fell towards 0, so that an optimum there counts
    for k in range(len(psi)):
        here = _slope_on_grid(k, psi, shrink, covariance, slope, zq, zy, qy, yy, freedom)
        evaluations += 1
        if before < 0.0 <= here:
            root = psi[k]
            if k > 0:
                root, used = _root(
                    psi[k - 1], psi[k], before, here, a, zq, zy, qy, yy, freedom, reml, cov, beta
                )
                evaluations += used
            at_root, value, _ = _at(root, a, zq, zy, qy, yy, freedom, reml, cov, beta)
            evaluations += 1
            optima += 1
            margin = min(margin, abs(value - best))
            if value < best:
                best, best_psi, best_slope = value, root, at_root
        before = here
    if before < 0.0:  # still falling where groups are fixed effects: no residual is left within groups
        best_psi = np.nan
    return best_psi, best_slope, evaluations, optima, margin


@compiled()
def _minimise(
    begin: int,
    end: int,
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
    best: Floats,
    slopes: Floats,
    evaluations: NDArray[np.int64],
    optima: NDArray[np.int64],
    margin: Floats,
) -> None:
    """Fill for some responses, all (G,), ψ (NaN where it is unbounded), the derivative there and the record."""
    for gene in range(begin, end):
        if not skip[gene]:
            best[gene], slopes[gene], evaluations[gene], optima[gene], margin[gene] = _search(
                psi, shrink, covariance, slope, a, zq, zy[gene], qy[gene], yy[gene], freedom, reml
            )


@compiled()
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
