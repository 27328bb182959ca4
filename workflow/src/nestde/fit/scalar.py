"""One variance component, ``(1 | g)``: the global optimum of a function of one variable, in spectral form.

With ψ = θ², P₀ = I − QQ' and Z'P₀Z = U diag(μ) U', a response is the numbers u = U'Z'P₀y / √μ and what these leave
of y'P₀y: the profiled deviance (Bates et al. 2015, eq. 34 and 42) is

    Σ log(1 + ψd) + freedom · log r²        r² = rest + Σ u² / (1 + ψμ)

with d = μ and freedom n − p for REML, d = Z_g'Z_g and n for ML. Its derivative by ψ has a root for each local optimum;
the signs on a grid from ψ = 0 to where groups are all but fixed effects bracket them all. Each is found to the last
digits, and the best is taken. All that is free of y is computed once.

    symbol                      array
    ψ, on the grid              Spectrum.psi (K,), the first is 0
    μ, d                        Spectrum.mu (m,), Spectrum.d (m,) or (N,)
    U / √μ                      Spectrum.turn (N, m)
    Z'Q, Z'y, Q'y, y'y          Spectrum.zq (N, p); Responses.zy, qy, yy
    u², rest                    Curve.u (m,), Curve.rest
    r², Σ u²μ / (1 + ψμ)²       r2, fall (K,) on the grid
    ψ̂, derivative, r², d(ψ̂)    Ends.psi, slope, r2, value (G,)
    β, (Q'V₀⁻¹Q)⁻¹              Solution.beta (G, p), Solution.covariance (G, p, p)
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.fit.compiled import compiled, spread
from nestde.fit.dense import cholesky, inverse
from nestde.fit.record import Record, unsearched
from nestde.fit.responses import Criterion, Responses, Solution, unsolved

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
    responses: Responses,
    criterion: Criterion,
    skip: NDArray[np.bool_],
    threads: int | None,
) -> tuple[Record, Solution]:
    """Find the global optimum for each of G responses that is not skipped, and what is estimated there.

    Parameters
    ----------
    a, zq
        (N,) Z̃'Z̃ and (N, p) Z̃'Q of the groups.
    responses
        Of G, effects are groups.
    criterion
        Which likelihood.
    skip
        (G,) responses that are left NaN.
    threads
        As for `spread`.
    """
    genes, p = responses.qy.shape
    free = spectrum(a, zq, criterion.reml)
    record, solution = unsearched(genes, 1), unsolved(genes, p)
    psi, slope = np.full((2, genes), np.nan)
    ends = Ends(psi, slope, solution.r2, solution.value, record.evaluations, record.optima, record.margin)
    spread(_minimise, genes, threads, free, responses, criterion.freedom, skip, ends)
    spread(_solve, genes, threads, psi, a, free.zq, responses, solution)
    theta = np.sqrt(psi)[:, None]
    return record._replace(
        start=np.zeros_like(theta),
        end=theta,
        gradient=np.abs(2.0 * theta[:, 0] * slope) / math.sqrt(a.mean()),
        decrease=np.abs(slope) * psi,
    ), solution


class Ends(NamedTuple):
    """Where G searches ended: all (G,).

    Attributes
    ----------
    psi, slope
        ψ, NaN where it is unbounded, and the derivative of the deviance there.
    r2, value
        As in `Solution`.
    evaluations, optima, margin
        As in `Record`.
    """

    psi: Floats
    slope: Floats
    r2: Floats
    value: Floats
    evaluations: NDArray[np.int64]
    optima: NDArray[np.int64]
    margin: Floats


class Curve(NamedTuple):
    """The profiled deviance of one response as a function of ψ: `mu` and `d` of `Spectrum`, u², what is left, and freedom."""

    mu: Floats
    d: Floats
    u: Floats
    rest: float
    freedom: float


@compiled()
def _minimise(
    begin: int,
    end: int,
    free: Spectrum,
    responses: Responses,
    freedom: float,
    skip: NDArray[np.bool_],
    ends: Ends,
) -> None:
    """Fill the ends of some responses."""
    u, r2, fall = np.empty(len(free.mu)), np.empty(len(free.psi)), np.empty(len(free.psi))
    for gene in range(begin, end):
        if skip[gene]:
            continue
        yy = responses.yy[gene]
        rest = _project(free, responses.zy[gene], responses.qy[gene], yy, u)
        if not rest > _CANCELLED * yy:  # no residual is left within groups: ψ has no bound
            continue
        curve = Curve(free.mu, free.d, u, rest, freedom)
        _on_grid(free, u, rest, r2, fall)
        ends.evaluations[gene] = len(free.psi)
        here = -1.0  # as if the deviance fell towards 0, so that an optimum there counts
        for k in range(len(free.psi)):
            before = here
            here = free.slope[k] - freedom * fall[k] / r2[k]
            if not before < 0.0 <= here:
                continue
            psi, slope = free.psi[k], here
            if k > 0:
                psi, slope, used = _root(free.psi[k - 1], psi, before, here, curve)
                ends.evaluations[gene] += used
            square, value = _deviance(psi, curve)
            if ends.optima[gene] > 0:
                ends.margin[gene] = min(ends.margin[gene], abs(value - ends.value[gene]))
            if ends.optima[gene] == 0 or value < ends.value[gene]:
                ends.psi[gene], ends.slope[gene] = psi, slope
                ends.r2[gene], ends.value[gene] = square, value
            ends.optima[gene] += 1


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
def _derivatives(psi: float, curve: Curve) -> tuple[float, float]:
    """First and second derivative of the deviance at ψ."""
    mu, d, u, freedom = curve.mu, curve.d, curve.u, curve.freedom
    r2, fall, bend = curve.rest, 0.0, 0.0
    for s in range(len(mu)):
        shrink = 1.0 / (1.0 + psi * mu[s])
        part, rate = u[s] * shrink, mu[s] * shrink
        r2 += part
        fall += part * rate
        bend += part * rate * rate
    slope, second = 0.0, 0.0
    for s in range(len(d)):
        rate = d[s] / (1.0 + psi * d[s])
        slope += rate
        second += rate * rate
    fall /= r2
    return slope - freedom * fall, freedom * (2.0 * bend / r2 - fall * fall) - second


@compiled()
def _deviance(psi: float, curve: Curve) -> tuple[float, float]:
    """r² and the deviance, but for its constants, at ψ."""
    r2, logdet = curve.rest, 0.0
    for s in range(len(curve.mu)):
        r2 += curve.u[s] / (1.0 + psi * curve.mu[s])
    for s in range(len(curve.d)):
        logdet += math.log1p(psi * curve.d[s])
    return r2, logdet + curve.freedom * math.log(r2)


@compiled()
def _root(low: float, high: float, at_low: float, at_high: float, curve: Curve) -> tuple[float, float, int]:
    """Root of the derivative between a negative and a positive one, by Newton's method kept within its bracket."""
    psi = (low * at_high - high * at_low) / (at_high - at_low)
    slope, used, last = at_high, 0, False
    while used < _MOST:
        slope, second = _derivatives(psi, curve)
        used += 1
        if last or slope == 0.0:
            break
        if slope < 0.0:
            low = psi
        else:
            high = psi
        ahead = psi - slope / second
        last = second > 0.0 and abs(ahead - psi) <= _STEP * psi
        psi = ahead if last or (second > 0.0 and low < ahead < high) else 0.5 * (low + high)
    return psi, slope, used


@compiled()
def _solve(
    begin: int, end: int, psi: Floats, a: Floats, zq: Floats, responses: Responses, solution: Solution
) -> None:
    """Fill for some responses β and (Q'V₀⁻¹Q)⁻¹ at ψ, (G,)."""
    p, zy, qy, beta = zq.shape[1], responses.zy, responses.qy, solution.beta
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
        covariance = solution.covariance[gene]
        inverse(information, p, covariance)
        for i in range(p):
            beta[gene, i] = 0.0
            for j in range(p):
                beta[gene, i] += covariance[i, j] * c[j]
