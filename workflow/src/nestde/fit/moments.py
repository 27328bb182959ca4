"""Traces and quadratic forms in the first and second derivatives of REML's deviance, from strata only.

With V = σ²V₀, V₀ = I + Σ ψ_r Z D_r Z', everything Kenward & Roger (1997, Biometrics 53, section 2) ask of V, n × n, follows
from M = Z'V₀⁻¹Z, U = Z'V₀⁻¹Q and u = Z'V₀⁻¹(y − Qb), which are solves of the strata's size (Q: orthonormal
columns that span X). The residual variance is replaced as a direction by V₀ itself, a linear change of parameters
under which their results do not change: its traces are n and those of first order, and nothing cancels.

With V_i = ∂V/∂σ_i, all of section 2 but R_ij, which is 0 as V is linear in its parameters:

    symbol of theirs                                                    array
    Φ = (X'V⁻¹X)⁻¹                                                      Moments.phi (p, p), of Q, / σ²
    P_i = X' ∂V⁻¹/∂σ_i X = −X'V⁻¹V_iV⁻¹X                                −Moments.inner (1 + R, p, p)
    Q_ij = X' ∂V⁻¹/∂σ_i V ∂V⁻¹/∂σ_j X = X'V⁻¹V_iV⁻¹V_jV⁻¹X              Moments.outer (1 + R, 1 + R, p, p)
    I_E: 2 (I_E)_ij = tr(V⁻¹V_iV⁻¹V_j) − tr(2ΦQ_ij − ΦP_iΦP_j)          Moments.expected (1 + R, 1 + R); W is its inverse

    of a stratum                       array
    ψ_r, ∂ψ_r/∂θ_t                     psi (R,), Moments.slope (R, T)
    [M, U, u], D_r [M, U, u]           solved (m, m + p + 1), moved (R, m, m + p + 1)
    over all strata                    array
    [U, u]'D_r[U, u]                   once (R, p + 1, p + 1)
    [U, u]'D_rMD_s[U, u]               twice (R, R, p + 1, p + 1)
    tr(D_rM), tr(D_rMD_sM)             first (R,), second (R, R)
    Q'V₀⁻¹Q                            information (p, p)
"""

from typing import NamedTuple

import numpy as np

from nestde.arrays import Floats
from nestde.fit.clusters import Products
from nestde.fit.compiled import compiled


class Moments(NamedTuple):
    """Of one response at its REML estimates.

    Attributes
    ----------
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

    phi: Floats
    inner: Floats
    outer: Floats
    expected: Floats
    gradient: Floats
    hessian: Floats
    slope: Floats


class _Sums(NamedTuple):
    """Sums over strata, as in the table above; the last of the p + 1 rows and columns is u."""

    once: Floats
    twice: Floats
    first: Floats
    second: Floats
    information: Floats


class _Stratum(NamedTuple):
    """Room for one stratum: I + Z'ZΨ (m, m), and what is in the table above."""

    left: Floats
    solved: Floats
    moved: Floats


@compiled()
def moments(products: Products, theta: Floats, variance: float, b: Floats, zy: Floats) -> Moments:
    """Moments of one response at its REML estimates.

    Parameters
    ----------
    products
        C strata of m slots, p coefficients, R components, T thetas.
    theta, variance, b, zy
        (T,) θ; σ²; (p,) coefficients of Q; (C, m) Z'y.
    """
    strata, m, p = products.zx.shape
    components = len(products.forms)
    psi, slope = _components(products.forms, theta)
    sums = _Sums(
        np.zeros((components, p + 1, p + 1)),
        np.zeros((components, components, p + 1, p + 1)),
        np.zeros(components),
        np.zeros((components, components)),
        products.xx.copy(),
    )
    room = _Stratum(np.empty((m, m)), np.empty((m, m + p + 1)), np.empty((components, m, m + p + 1)))
    for c in range(strata):
        _solve_stratum(c, products, psi, b, zy, room)
        _move(c, products, psi, room, sums)
        for r in range(components):
            _add_first(r, room, sums)
            for s in range(r + 1):
                _add_second(r, s, room, sums)
    _mirror(sums)
    phi = np.eye(p)
    solve(sums.information.copy(), phi)
    inner, outer, traces = _directions(products.n, sums)
    expected = _expected(phi, inner, outer, traces)
    gradient, hessian = _derivatives(products.n, variance, phi, inner, expected, sums)
    return Moments(phi, inner, outer, expected, gradient, hessian, slope)


@compiled(inline=True)
def _components(forms: Floats, theta: Floats) -> tuple[Floats, Floats]:
    """ψ_r = ½ θ' F_r θ, and its derivative by θ."""
    components, thetas = len(forms), len(theta)
    slope = np.zeros((components, thetas))
    psi = np.zeros(components)
    for r in range(components):
        for i in range(thetas):
            for j in range(thetas):
                slope[r, i] += forms[r, i, j] * theta[j]
            psi[r] += 0.5 * slope[r, i] * theta[i]
    return psi, slope


@compiled(inline=True)
def _solve_stratum(c: int, products: Products, psi: Floats, b: Floats, zy: Floats, room: _Stratum) -> None:
    """[M, U, u] = (I + Z'ZΨ)⁻¹ [Z'Z, Z'Q, Z'(y − Qb)]: no difference of nearly equal matrices."""
    zz, zx, left, solved = products.zz[c], products.zx[c], room.left, room.solved
    m, p = zx.shape
    left[:] = 0.0
    for i in range(m):
        left[i, i] = 1.0
        for j in range(m):
            solved[i, j] = zz[i, j]
        solved[i, m + p] = zy[c, i]
        for j in range(p):
            solved[i, m + j] = zx[i, j]
            solved[i, m + p] -= zx[i, j] * b[j]
    for r, row, column in products.entries:
        for i in range(m):
            left[i, column] += zz[i, row] * psi[r]
    solve(left, solved)


@compiled(inline=True)
def _move(c: int, products: Products, psi: Floats, room: _Stratum, sums: _Sums) -> None:
    """D_r [M, U, u], and what a stratum takes of Q'V₀⁻¹Q = Q'Q − Σ ψ_r Q'Z D_r U."""
    zx, solved, moved = products.zx[c], room.solved, room.moved
    m, p = zx.shape
    moved[:] = 0.0
    for r, row, column in products.entries:
        for j in range(m + p + 1):
            moved[r, row, j] += solved[column, j]
        for i in range(p):
            for j in range(p):
                sums.information[i, j] -= psi[r] * zx[row, i] * solved[column, m + j]


@compiled(inline=True)
def _add_first(r: int, room: _Stratum, sums: _Sums) -> None:
    """tr(D_rM) and [U, u]'D_r[U, u] of a stratum."""
    solved, moved, once = room.solved, room.moved[r], sums.once[r]
    m = len(solved)
    for i in range(m):
        sums.first[r] += moved[i, i]
        for a in range(len(once)):
            for e in range(len(once)):
                once[a, e] += solved[i, m + a] * moved[i, m + e]


@compiled(inline=True)
def _add_second(r: int, s: int, room: _Stratum, sums: _Sums) -> None:
    """tr(D_rMD_sM) and [U, u]'D_rMD_s[U, u] of a stratum."""
    solved, of_r, of_s, twice = room.solved, room.moved[r], room.moved[s], sums.twice[r, s]
    m = len(solved)
    for i in range(m):
        for j in range(m):
            sums.second[r, s] += of_r[i, j] * of_s[j, i]
            for a in range(len(twice)):
                weight = of_r[i, m + a] * solved[i, j]
                for e in range(len(twice)):
                    twice[a, e] += weight * of_s[j, m + e]


@compiled(inline=True)
def _mirror(sums: _Sums) -> None:
    """Fill what is there by symmetry."""
    for r in range(len(sums.first)):
        for s in range(r):
            sums.second[s, r] = sums.second[r, s]
            for a in range(sums.once.shape[1]):
                for e in range(sums.once.shape[1]):
                    sums.twice[s, r, a, e] = sums.twice[r, s, e, a]
    for i in range(len(sums.information)):
        for j in range(i):
            mean = 0.5 * (sums.information[i, j] + sums.information[j, i])
            sums.information[i, j] = sums.information[j, i] = mean


@compiled(inline=True)
def _directions(n: int, sums: _Sums) -> tuple[Floats, Floats, Floats]:
    """−P_i, Q_ij and tr(V⁻¹V_iV⁻¹V_j), with V₀ set before the components."""
    p, components = len(sums.information), len(sums.first)
    inner = np.empty((1 + components, p, p))
    outer = np.empty((1 + components, 1 + components, p, p))
    traces = np.empty((1 + components, 1 + components))
    traces[0, 0] = n
    for r in range(components):
        traces[0, 1 + r] = traces[1 + r, 0] = sums.first[r]
        for s in range(components):
            traces[1 + r, 1 + s] = sums.second[r, s]
    for i in range(p):
        for j in range(p):
            inner[0, i, j] = sums.information[i, j]
            for r in range(components):
                inner[1 + r, i, j] = sums.once[r, i, j]
                for s in range(components):
                    outer[1 + r, 1 + s, i, j] = sums.twice[r, s, i, j]
            for r in range(1 + components):
                outer[0, r, i, j] = outer[r, 0, i, j] = inner[r, i, j]
    return inner, outer, traces


@compiled(inline=True)
def _expected(phi: Floats, inner: Floats, outer: Floats, traces: Floats) -> Floats:
    """Expected information of the REML likelihood, ½ (tr(V⁻¹V_iV⁻¹V_j) − tr(2ΦQ_ij − ΦP_iΦP_j))."""
    p = len(phi)
    expected = np.empty_like(traces)
    for r in range(len(traces)):
        scaled = product(phi, inner[r])
        for s in range(r + 1):
            value = traces[r, s]
            other = product(phi, inner[s])
            for i in range(p):
                for j in range(p):
                    value += scaled[i, j] * other[j, i] - 2.0 * phi[i, j] * outer[r, s, j, i]
            expected[r, s] = expected[s, r] = 0.5 * value
    return expected


@compiled(inline=True)
def _derivatives(
    n: int, variance: float, phi: Floats, inner: Floats, expected: Floats, sums: _Sums
) -> tuple[Floats, Floats]:
    """Gradient tr(PV_i) − y'PV_iPy and Hessian 2 y'PV_iPV_jPy − tr(PV_iPV_j) of the REML deviance.

    P = V⁻¹ − V⁻¹XΦX'V⁻¹. Quadratic forms are in units of σ²; along V₀ they are y'Py = (n − p)σ², and those of first order.
    """
    p, directions = len(phi), len(inner)
    gradient = np.empty(directions)
    cubic = np.empty_like(expected)
    gradient[0], cubic[0, 0] = 0.0, n - p
    for r in range(1, directions):
        scaled = product(phi, inner[r])
        quadratic = sums.once[r - 1, p, p] / variance
        gradient[r] = sums.first[r - 1] - quadratic
        for i in range(p):
            gradient[r] -= scaled[i, i]
        cubic[0, r] = cubic[r, 0] = quadratic
        for s in range(1, r + 1):
            value = sums.twice[r - 1, s - 1, p, p]
            for i in range(p):
                for j in range(p):
                    value -= sums.once[r - 1, i, p] * phi[i, j] * sums.once[s - 1, j, p]
            cubic[r, s] = cubic[s, r] = value / variance
    for r in range(directions):
        for s in range(directions):
            cubic[r, s] = 2.0 * (cubic[r, s] - expected[r, s])
    return gradient, cubic


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
