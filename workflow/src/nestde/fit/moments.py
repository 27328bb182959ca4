"""Traces and quadratic forms in the first and second derivatives of REML's deviance, from strata only.

With V = σ²V₀, V₀ = I + Σ ψ_r Z D_r Z', everything Kenward & Roger (1997, Biometrics 53) ask of V, n × n, follows
from M = Z'V₀⁻¹Z, U = Z'V₀⁻¹Q and u = Z'V₀⁻¹(y − Qb), which are solves of the strata's size (Q: orthonormal
columns that span X). The residual variance is replaced as a direction by V₀ itself, a linear change of parameters
under which their results do not change: its traces are n and those of first order, and nothing cancels.
"""

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.fit.compiled import compiled


@compiled()
def moments(
    n: int,
    zz: Floats,
    zx: Floats,
    xx: Floats,
    entries: NDArray[np.int64],
    forms: Floats,
    theta: Floats,
    variance: float,
    b: Floats,
    zy: Floats,
) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats, Floats]:
    """Moments of one response at its REML estimates.

    Parameters
    ----------
    n, zz, zx, xx, entries, forms
        As in `Strata`: C strata of m slots, p coefficients, R components, T thetas.
    theta, variance, b, zy
        (T,) θ; σ²; (p,) coefficients of Q; (C, m) Z'y.

    Returns
    -------
    phi
        (p, p) (Q'V₀⁻¹Q)⁻¹, the coefficients' covariance in units of σ².
    inner
        (1+R, p, p) Q'V₀⁻¹ D V₀⁻¹Q for each direction D: V₀, D_1 … (minus the P of Kenward & Roger).
    outer
        (1+R, 1+R, p, p) Q'V₀⁻¹ D V₀⁻¹ E V₀⁻¹Q, their Q.
    expected
        (1+R, 1+R) expected information of the REML likelihood.
    gradient, hessian
        (1+R,), (1+R, 1+R) of the REML deviance.
    slope
        (R, T) derivative of the components by θ.
    """
    strata, m, p = zx.shape
    components, thetas = len(forms), len(theta)
    slope = np.zeros((components, thetas))
    psi = np.zeros(components)
    for r in range(components):
        for i in range(thetas):
            for j in range(thetas):
                slope[r, i] += forms[r, i, j] * theta[j]
            psi[r] += 0.5 * slope[r, i] * theta[i]

    # sums over strata; the last of the p + 1 columns is u
    once = np.zeros((components, p + 1, p + 1))
    twice = np.zeros((components, components, p + 1, p + 1))
    first = np.zeros(components)
    second = np.zeros((components, components))
    information = xx.copy()
    left = np.empty((m, m))
    solved = np.empty((m, m + p + 1))
    moved = np.empty((components, m, m + p + 1))
    for c in range(strata):
        left[:] = 0.0
        for i in range(m):
            left[i, i] = 1.0
            for j in range(m):
                solved[i, j] = zz[c, i, j]
            solved[i, m + p] = zy[c, i]
            for j in range(p):
                solved[i, m + j] = zx[c, i, j]
                solved[i, m + p] -= zx[c, i, j] * b[j]
        for r, row, column in entries:
            for i in range(m):
                left[i, column] += zz[c, i, row] * psi[r]
        solve(left, solved)  # (I + Z'ZΨ)⁻¹ [Z'Z, Z'Q, Z'(y − Qb)]: no difference of nearly equal matrices

        moved[:] = 0.0  # D_r [M, U, u]
        for r, row, column in entries:
            for j in range(m + p + 1):
                moved[r, row, j] += solved[column, j]
            for i in range(p):
                for j in range(p):
                    information[i, j] -= psi[r] * zx[c, row, i] * solved[column, m + j]
        for r in range(components):
            for i in range(m):
                first[r] += moved[r, i, i]
                for a in range(p + 1):
                    for e in range(p + 1):
                        once[r, a, e] += solved[i, m + a] * moved[r, i, m + e]
            for s in range(r + 1):
                for i in range(m):
                    for j in range(m):
                        second[r, s] += moved[r, i, j] * moved[s, j, i]
                        for a in range(p + 1):
                            weight = moved[r, i, m + a] * solved[i, j]
                            for e in range(p + 1):
                                twice[r, s, a, e] += weight * moved[s, j, m + e]

    for r in range(components):
        for s in range(r):
            second[s, r] = second[r, s]
            for a in range(p + 1):
                for e in range(p + 1):
                    twice[s, r, a, e] = twice[r, s, e, a]
    for i in range(p):
        for j in range(i):
            information[i, j] = information[j, i] = 0.5 * (information[i, j] + information[j, i])
    phi = np.eye(p)
    solve(information.copy(), phi)
    phi, inner, outer, expected, gradient, hessian = _directions(
        n, variance, information, phi, once, twice, first, second
    )
    return phi, inner, outer, expected, gradient, hessian, slope


@compiled()
def _directions(
    n: int,
    variance: float,
    information: Floats,
    phi: Floats,
    once: Floats,
    twice: Floats,
    first: Floats,
    second: Floats,
) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
    """Set V₀ before the components, and turn sums over V₀⁻¹ into those over REML's projection P."""
    p, components = len(phi), len(first)
    inner = np.empty((1 + components, p, p))
    outer = np.empty((1 + components, 1 + components, p, p))
    traces = np.empty((1 + components, 1 + components))
    traces[0, 0] = n
    for i in range(p):
        for j in range(p):
            inner[0, i, j] = information[i, j]
    for r in range(components):
        traces[0, 1 + r] = traces[1 + r, 0] = first[r]
        for s in range(components):
            traces[1 + r, 1 + s] = second[r, s]
        for i in range(p):
            for j in range(p):
                inner[1 + r, i, j] = once[r, i, j]
                for s in range(components):
                    outer[1 + r, 1 + s, i, j] = twice[r, s, i, j]
    for r in range(1 + components):
        for i in range(p):
            for j in range(p):
                outer[0, r, i, j] = outer[r, 0, i, j] = inner[r, i, j]

    expected = np.empty_like(traces)
    # y'PDPy and y'PDPEPy in units of σ²; along V₀ they are y'Py = (n − p)σ², and those of first order
    gradient = np.empty(1 + components)
    cubic = np.empty_like(traces)
    gradient[0], cubic[0, 0] = 0.0, n - p
    for r in range(1 + components):
        scaled = product(phi, inner[r])
        if r > 0:
            quadratic = once[r - 1, p, p] / variance
            gradient[r] = first[r - 1] - quadratic
            for i in range(p):
                gradient[r] -= scaled[i, i]
            cubic[0, r] = cubic[r, 0] = quadratic
        for s in range(r + 1):
            value = traces[r, s]
            other = product(phi, inner[s])
            for i in range(p):
                for j in range(p):
                    value += scaled[i, j] * other[j, i] - 2.0 * phi[i, j] * outer[r, s, j, i]
            expected[r, s] = expected[s, r] = 0.5 * value
            if s > 0:
                value = twice[r - 1, s - 1, p, p]
                for i in range(p):
                    for j in range(p):
                        value -= once[r - 1, i, p] * phi[i, j] * once[s - 1, j, p]
                cubic[r, s] = cubic[s, r] = value / variance
    for r in range(1 + components):
        for s in range(1 + components):
            cubic[r, s] = 2.0 * (cubic[r, s] - expected[r, s])
    return phi, inner, outer, expected, gradient, cubic


@compiled()
def solve(left: Floats, right: Floats) -> None:
    """Solve in place by elimination with pivots: strata are small, LAPACK's overhead is not."""
    m, columns = right.shape
    for k in range(m):
        pivot = k
        for i in range(k + 1, m):
            if abs(left[i, k]) > abs(left[pivot, k]):
                pivot = i
        if pivot != k:
            for j in range(k, m):
                left[k, j], left[pivot, j] = left[pivot, j], left[k, j]
            for j in range(columns):
                right[k, j], right[pivot, j] = right[pivot, j], right[k, j]
        for i in range(k + 1, m):
            factor = left[i, k] / left[k, k]
            if factor != 0.0:
                for j in range(k + 1, m):
                    left[i, j] -= factor * left[k, j]
                for j in range(columns):
                    right[i, j] -= factor * right[k, j]
    for k in range(m - 1, -1, -1):
        for i in range(k + 1, m):
            for j in range(columns):
                right[k, j] -= left[k, i] * right[i, j]
        for j in range(columns):
            right[k, j] /= left[k, k]


@compiled()
def product(a: Floats, b: Floats) -> Floats:
    """AB of small matrices: compiles and runs faster than a call of BLAS."""
    out = np.zeros((a.shape[0], b.shape[1]))
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            for j in range(b.shape[1]):
                out[i, j] += a[i, k] * b[k, j]
    return out


@compiled()
def sandwich(a: Floats, b: Floats) -> Floats:
    """ABA' of small matrices."""
    return product(product(a, b), a.T)
