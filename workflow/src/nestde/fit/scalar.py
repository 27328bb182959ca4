"""One variance component, ``(1 | g)``: the global optimum of a function of one variable, in spectral form.

With ψ = θ², P₀ = I − QQ' and Z'P₀Z = U diag(μ) U', a response is the numbers u = U'Z'P₀y / √μ and what these leave
of y'P₀y: the profiled deviance (Bates et al. 2015, eq. 34 and 42) is

    Σ log(1 + ψd) + freedom · log r²        r² = rest + Σ u² / (1 + ψμ)

with d = μ and freedom n − p for REML, d = Z_g'Z_g and n for ML. Its derivative by ψ has a root for each local optimum;
the signs on a grid from ψ = 0 to where groups are all but fixed effects bracket them all. Each is found to the last
digits, and the best is taken. All that is free of y is computed once.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.fit.compiled import compiled, spread
from nestde.fit.dense import cholesky, inverse
from nestde.fit.record import Record

# Neighbours on the grid differ by 10^(1/6) in ψ; each term bends over more than a decade.
_PER_DECADE = 6
# The deviance is smooth below the first of these times 1/max μ; beyond the second times 1/min μ it has one bend left.
_SMALL, _LARGE, _LARGEST = 1e-2, 1e2, 1e10
# Of the largest Z_g'Z_g, an eigenvalue below this share is rounding: fixed effects leave nothing of that direction.
_ROUNDING = 1e-12
# Of y'y, a residual sum of squares within groups below this share is rounding.
_CANCELLED = 1e-12
# A Newton step below this share of ψ is the last: the next would be its square. Halving alone takes 60 to get there.
_STEP, _MOST = 1e-9, 100


class Spectrum(NamedTuple):
    """The y-free part of a model: N groups, of which fixed effects leave m directions; K values of ψ.

    Attributes
    ----------
    zq
        (N, p) Z'Q.
    turn
        (N, m) U / √μ.
    mu
        (m,) eigenvalues of Z'P₀Z.
    d
        (m,) or (N,) what multiplies ψ in the log-determinant.
    psi
        (K,) the grid, the first is 0.
    shrink, falls
        (m, K) 1 / (1 + ψμ) and, less its sign, that one's derivative by ψ.
    slope
        (K,) derivative of the log-determinant.
    """

    zq: Floats
    turn: Floats
    mu: Floats
    d: Floats
    psi: Floats
    shrink: Floats
    falls: Floats
    slope: Floats


def spectrum(a: Floats, zq: Floats, reml: bool) -> Spectrum:
    """Diagonalise for groups of Z'Z `a`, (N,), and Z'Q `zq`, (N, p)."""
    values, vectors = np.linalg.eigh(np.diag(a) - zq @ zq.T)
    left = values > _ROUNDING * a.max()
    mu = values[left]
    d = mu if reml else a[a > 0]
    psi = grid(np.concatenate([mu, d]))
    shrink = 1.0 / (1.0 + mu[:, None] * psi)
    return Spectrum(
        zq=np.ascontiguousarray(zq),
        turn=np.ascontiguousarray(vectors[:, left] / np.sqrt(mu)),
        mu=mu,
        d=d,
        psi=psi,
        shrink=shrink,
        falls=mu[:, None] * shrink**2,
        slope=np.sum(d / (1.0 + psi[:, None] * d), axis=1),
    )


def grid(mu: Floats) -> Floats:
    """Values of ψ at which the derivative's sign tells where all of its roots are."""
    if not len(mu):
        return np.zeros(1)
    first, last = math.log10(_SMALL / mu.max()), math.log10(_LARGE / mu.min())
    dense = np.logspace(first, last, 1 + math.ceil((last - first) * _PER_DECADE))
    far = np.logspace(last, math.log10(_LARGEST / mu.min()), 1 + round(math.log10(_LARGEST / _LARGE)))
    return np.concatenate([[0.0], dense, far[1:]])


def fit(
    a: Floats,
    zq: Floats,
    zy: Floats,
    qy: Floats,
    yy: Floats,
    freedom: float,
    reml: bool,
    skip: NDArray[np.bool_],
    threads: int | None,
) -> tuple[Record, Floats, Floats, Floats, Floats]:
    """Find the global optimum for each of G responses that is not skipped, and what is estimated there.

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

    Returns
    -------
    tuple
        The record, (G, p) β, (G, p, p) (Q'V₀⁻¹Q)⁻¹, (G,) r² and deviance but for its constants.
    """
    genes, p = qy.shape
    free = spectrum(a, zq, reml)
    evaluations, optima, margin = np.zeros(genes, np.int64), np.zeros(genes, np.int64), np.full(genes, np.inf)
    psi, slope, r2, value = np.full((4, genes), np.nan)
    spread(
        _minimise, genes, threads, free, zy, qy, yy, freedom, skip,
        psi, slope, r2, value, evaluations, optima, margin,
    )  # fmt: skip
    beta, covariance = np.full((genes, p), np.nan), np.full((genes, p, p), np.nan)
    spread(_solve, genes, threads, psi, a, free.zq, zy, qy, beta, covariance)
    theta = np.sqrt(psi)[:, None]
    record = Record(
        start=np.zeros_like(theta),
        end=theta,
        evaluations=evaluations,
        gradient=np.abs(2.0 * theta[:, 0] * slope) / math.sqrt(a.mean()),
        decrease=np.abs(slope) * psi,
        optima=optima,
        margin=margin,
    )
    return record, beta, covariance, r2, value


@compiled()
def _minimise(
    begin: int,
    end: int,
    free: Spectrum,
    zy: Floats,
    qy: Floats,
    yy: Floats,
    freedom: float,
    skip: NDArray[np.bool_],
    best: Floats,
    slopes: Floats,
    residual: Floats,
    lowest: Floats,
    evaluations: NDArray[np.int64],
    optima: NDArray[np.int64],
    margin: Floats,
) -> None:
    """Fill for some responses, all (G,), ψ (NaN where it is unbounded), derivative, r², deviance and the record."""
    u, r2, fall = np.empty(len(free.mu)), np.empty(len(free.psi)), np.empty(len(free.psi))
    for gene in range(begin, end):
        if skip[gene]:
            continue
        rest = _project(free, zy[gene], qy[gene], yy[gene], u)
        if not rest > _CANCELLED * yy[gene]:  # no residual is left within groups: ψ has no bound
            continue
        _on_grid(free, u, rest, r2, fall)
        evaluations[gene] = len(free.psi)
        here = -1.0  # as if the deviance fell towards 0, so that an optimum there counts
        for k in range(len(free.psi)):
            before = here
            here = free.slope[k] - freedom * fall[k] / r2[k]
            if not before < 0.0 <= here:
                continue
            psi, slope = free.psi[k], here
            if k > 0:
                psi, slope, used = _root(
                    free.psi[k - 1], psi, before, here, free.mu, free.d, u, rest, freedom
                )
                evaluations[gene] += used
            square, value = _deviance(psi, free.mu, free.d, u, rest, freedom)
            if optima[gene] > 0:
                margin[gene] = min(margin[gene], abs(value - lowest[gene]))
            if optima[gene] == 0 or value < lowest[gene]:
                best[gene], slopes[gene], residual[gene], lowest[gene] = psi, slope, square, value
            optima[gene] += 1


@compiled()
def _project(free: Spectrum, zy: Floats, qy: Floats, yy: float, u: Floats) -> float:
    """Fill `u` with the squares u², (m,), of one response; return the rest of y'P₀y."""
    for s in range(len(u)):
        u[s] = 0.0
    for g in range(len(zy)):
        left = zy[g]
        for i in range(len(qy)):
            left -= free.zq[g, i] * qy[i]
        for s in range(len(u)):
            u[s] += left * free.turn[g, s]
    rest = yy
    for i in range(len(qy)):
        rest -= qy[i] * qy[i]
    for s in range(len(u)):
        u[s] *= u[s]
        rest -= u[s]
    return max(rest, 0.0)


@compiled()
def _on_grid(free: Spectrum, u: Floats, rest: float, r2: Floats, fall: Floats) -> None:
    """Fill r² and, less its sign, its derivative, (K,), at every ψ of the grid."""
    for k in range(len(r2)):
        r2[k], fall[k] = rest, 0.0
    for s in range(len(u)):
        square = u[s]
        for k in range(len(r2)):
            r2[k] += square * free.shrink[s, k]
            fall[k] += square * free.falls[s, k]


@compiled(sums=True)
def _derivatives(
    psi: float, mu: Floats, d: Floats, u: Floats, rest: float, freedom: float
) -> tuple[float, float]:
    """First and second derivative of the deviance at ψ."""
    r2, fall, bend = rest, 0.0, 0.0
    for s in range(len(mu)):
        shrink = 1.0 / (1.0 + psi * mu[s])
        part, rate = u[s] * shrink, mu[s] * shrink
        r2 += part
        fall += part * rate
        bend += part * rate * rate
    slope, curve = 0.0, 0.0
    for s in range(len(d)):
        rate = d[s] / (1.0 + psi * d[s])
        slope += rate
        curve += rate * rate
    fall /= r2
    return slope - freedom * fall, freedom * (2.0 * bend / r2 - fall * fall) - curve


@compiled()
def _deviance(
    psi: float, mu: Floats, d: Floats, u: Floats, rest: float, freedom: float
) -> tuple[float, float]:
    """r² and the deviance, but for its constants, at ψ."""
    r2, logdet = rest, 0.0
    for s in range(len(mu)):
        r2 += u[s] / (1.0 + psi * mu[s])
    for s in range(len(d)):
        logdet += math.log1p(psi * d[s])
    return r2, logdet + freedom * math.log(r2)


@compiled()
def _root(
    low: float,
    high: float,
    at_low: float,
    at_high: float,
    mu: Floats,
    d: Floats,
    u: Floats,
    rest: float,
    freedom: float,
) -> tuple[float, float, int]:
    """Root of the derivative between a negative and a positive one, by Newton's method kept within its bracket."""
    psi = (low * at_high - high * at_low) / (at_high - at_low)
    slope, used, last = at_high, 0, False
    while used < _MOST:
        slope, curve = _derivatives(psi, mu, d, u, rest, freedom)
        used += 1
        if last or slope == 0.0:
            break
        if slope < 0.0:
            low = psi
        else:
            high = psi
        ahead = psi - slope / curve
        last = curve > 0.0 and abs(ahead - psi) <= _STEP * psi
        psi = ahead if last or (curve > 0.0 and low < ahead < high) else 0.5 * (low + high)
    return psi, slope, used


@compiled()
def _solve(
    begin: int,
    end: int,
    psi: Floats,
    a: Floats,
    zq: Floats,
    zy: Floats,
    qy: Floats,
    beta: Floats,
    covariance: Floats,
) -> None:
    """Fill for some responses β and (Q'V₀⁻¹Q)⁻¹ at ψ, (G,)."""
    p = zq.shape[1]
    information, c = np.empty((p, p)), np.empty(p)
    for gene in range(begin, end):
        if math.isnan(psi[gene]):
            continue
        for i in range(p):
            c[i] = qy[gene, i]
            for j in range(i + 1):
                information[i, j] = 1.0 if i == j else 0.0
        for g in range(len(a)):
            h = psi[gene] / (1.0 + psi[gene] * a[g])
            for i in range(p):
                weighted = h * zq[g, i]
                c[i] -= weighted * zy[gene, g]
                for j in range(i + 1):
                    information[i, j] -= weighted * zq[g, j]
        cholesky(information, p)
        inverse(information, p, covariance[gene])
        for i in range(p):
            beta[gene, i] = 0.0
            for j in range(p):
                beta[gene, i] += covariance[gene, i, j] * c[j]
