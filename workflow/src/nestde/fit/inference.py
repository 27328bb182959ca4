"""t and F tests of REML fits: Satterthwaite's and Kenward–Roger's degrees of freedom, replaced where they mislead.

Satterthwaite: Kuznetsova, Brockhoff, Christensen (2017, J Stat Softw 82(13)), in (θ, σ) as lmerTest does.
Kenward–Roger: Kenward & Roger (1997, Biometrics 53); Halekoh & Højsgaard (2014, J Stat Softw 59(9)).

    symbol                                                 array
    L, Lβ                                                  contrast (rows, p) for Q's coefficients; estimate (rows, 1)
    A, twice the inverse Hessian of d in (θ, σ)            curvature (T + 1, T + 1), the inverse
    W, covariance of the variances by I_E⁻¹                weights (1 + R, 1 + R)
    Φ, P, Q of Kenward & Roger                             of `Moments`
    Φ_A, their adjusted covariance                         adjusted (p, p)
    F, df by Satterthwaite; by Kenward and Roger           results[g, contrast] (4,)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.fit.basis import combine
from nestde.fit.clusters import Products, Strata, clusters_of
from nestde.fit.compiled import compiled, spread
from nestde.fit.containment import containment, containment_of
from nestde.fit.differences import derivatives, why_not_kenward_roger
from nestde.fit.genes import FitModel, prepare
from nestde.fit.layout import flatten
from nestde.fit.log_sf import log_f_sf
from nestde.fit.moments import Moments, moments, product, sandwich, solve
from nestde.fit.record import Fits

# Eigenvalues of the Hessian below this share of the largest carry no information (lmerTest drops them too).
_FLAT = 1e-10
# Below this many degrees of freedom F's tail is so heavy that no effect is found, however large: in 200 × 25 simulated genes
# with an effect, 3 v 3 samples of 10 to 200 cells, Kenward and Roger's df were below 1 in 3 %, of which none had p < 0.05;
# with containment's df 96 % had, and 3 % of those without an effect.
FEWEST = 1.0


@dataclass(frozen=True)
class Tests:
    """F tests of one contrast for G responses; with one row, F = t².

    Attributes
    ----------
    f
        (G,) F statistic, scaled as the method asks.
    df
        Numerator degrees of freedom: rows of the contrast.
    df_residual
        (G,) denominator degrees of freedom.
    log_p
        (G,) natural log of the p-value, finite where the p-value itself would be 0.
    se
        (G, rows) standard error of each row's estimate, adjusted for Kenward–Roger.
    method
        (G,) what `df_residual` is by: the method asked for, or what took its place, `containment` or `one`.
    """

    f: Floats
    df: int
    df_residual: Floats
    log_p: Floats
    se: Floats
    method: NDArray[np.str_]


@dataclass(frozen=True)
class FTests:
    """Tests of one contrast by each method."""

    satterthwaite: Tests
    kenward_roger: Tests
    containment: Tests


def f_tests(fits: Fits, contrasts: Sequence[Floats], *, threads: int | None = None) -> list[FTests]:
    """Test contrasts of the coefficients of REML fits: rows · β = 0.

    Parameters
    ----------
    fits
        By REML, with all columns of the design.
    contrasts
        Each (rows, p) for the columns of X, of full row rank; see `nestde.design.contrasts`.
    threads
        None: one per processor. The result does not depend on it.

    Returns
    -------
    list of FTests
        One for each contrast; NaN for responses without estimates. In a singular fit Satterthwaite's df jumps
        towards the number of rows, as if the variance estimated as zero were known to be: there containment, which
        does not look at the estimates, is its cap. Where Satterthwaite's or Kenward and Roger's df is below `FEWEST`,
        containment's takes its place; with random slopes, of which containment does not know, one. `method` says so.
        Kenward and Roger's are NaN in the designs of which `why_not_kenward_roger` tells.

    Raises
    ------
    ValueError
        The fits are not by REML or leave out columns.
    """
    if not fits.reml or len(fits.columns) != fits.design.x.shape[1]:
        raise ValueError("t and F tests want REML fits of all columns of the design")
    model = prepare(fits.design)
    zy = tuple(part @ np.linalg.inv(turn) for part, turn in zip(fits.zy, model.basis.turn, strict=True))
    if why_not_kenward_roger(fits.design):
        found = _by_differences(model, contrasts, fits, zy, threads)
    else:
        strata = clusters_of(model.design, model.basis, model.leaf)
        b = combine(fits.coef - fits.shift, model.basis.r)
        found = raw_tests(strata, contrasts, fits.record.end, fits.sigma, b, zy, fits.coef, threads)
    each = containment(fits.design)
    slopes = any(factor.effects != ("(Intercept)",) for factor in fits.design.random)
    floor = (FEWEST, "one") if slopes else None
    out = []
    for rows, (satterthwaite, kenward_roger) in zip(contrasts, found, strict=True):
        cap = containment_of(rows, each)
        capped = (fits.status == "singular") & (satterthwaite.df_residual > cap)
        plain = _tests(
            satterthwaite.f,
            len(rows),
            np.where(np.isnan(satterthwaite.df_residual), np.nan, cap),
            satterthwaite.se,
            "containment",
        )
        instead = floor or (cap, "containment")
        satterthwaite = _with_df(satterthwaite, capped, cap, "containment")
        satterthwaite, kenward_roger = (
            _with_df(tests, tests.df_residual < FEWEST, *instead) for tests in (satterthwaite, kenward_roger)
        )
        out.append(FTests(satterthwaite, kenward_roger, plain))
    return out


def raw_tests(
    strata: Strata,
    contrasts: Sequence[Floats],
    theta: Floats,
    sigma: Floats,
    b: Floats,
    zy: Sequence[Floats],
    coef: Floats,
    threads: int | None = None,
) -> list[tuple[Tests, Tests]]:
    """Satterthwaite's and Kenward–Roger's tests, as the formulas give them, at any REML estimates.

    Parameters
    ----------
    strata
        Of the design, see `strata.build`.
    contrasts
        Each (rows, p) for the columns of X, of full row rank.
    theta, sigma
        (G, T) on the fitted basis; (G,), NaN for responses without estimates.
    b, zy
        (G, p) coefficients of Q and, for each factor, (G, groups, k) Z̃'y; both for y less any combination of X's
        columns.
    coef
        (G, p) coefficients of X.
    threads
        As for `f_tests`.
    """
    # X = QR, so lβ = lR⁻¹ b
    rows = np.ascontiguousarray(np.linalg.solve(strata.r.T, np.vstack(contrasts).T).T)
    start = np.cumsum([0, *(len(contrast) for contrast in contrasts)])
    estimates = combine(coef, np.vstack(contrasts))
    results = np.full((len(theta), len(contrasts), 4), np.nan)
    variances = np.full((len(theta), len(rows), 2), np.nan)
    spread(
        *(_every_response, len(theta), threads),
        *(strata.products, _Contrasts(rows, start), _Estimates(theta, sigma, b, strata.place(zy), estimates)),
        *(results, variances),
    )
    se = np.sqrt(variances)
    out = []
    for i, contrast in enumerate(contrasts):
        f, df, of_rows = results[:, i, 0::2], results[:, i, 1::2], slice(start[i], start[i + 1])
        satterthwaite, kenward_roger = (
            _tests(f[:, m], len(contrast), df[:, m], se[:, of_rows, m], method)
            for m, method in enumerate(("satterthwaite", "kenward_roger"))
        )
        out.append((satterthwaite, kenward_roger))
    return out


def _by_differences(
    model: FitModel, contrasts: Sequence[Floats], fits: Fits, zy: tuple[Floats, ...], threads: int | None
) -> list[tuple[Tests, Tests]]:
    """Satterthwaite's tests of fits that are too large for `moments`; NaN for Kenward and Roger's."""
    layout, flat = model.layout(np.eye(fits.design.x.shape[1])), flatten(model.design, model.order, zy)
    count, thetas = fits.record.end.shape
    turned = [np.asarray(np.linalg.solve(model.basis.r.T, rows.T).T.copy(), float) for rows in contrasts]
    estimates = [combine(fits.coef, rows) for rows in contrasts]
    freedom = float(fits.design.n - fits.design.x.shape[1])
    f, df = np.full((2, len(contrasts), count), np.nan)
    se = [np.full((count, len(rows)), np.nan) for rows in contrasts]

    def some(begin: int, end: int) -> None:
        for g in range(begin, end):
            if not fits.sigma[g] > 0.0:
                continue
            found = derivatives(layout, fits.record.end[g], flat[g], fits.qy[g], fits.yy[g], freedom)
            curvature = _flat_inverse(found.hessian)
            for i, rows in enumerate(turned):
                covariance = fits.sigma[g] ** 2 * sandwich(rows, found.phi)
                se[i][g] = np.sqrt(np.diag(covariance))
                f[i, g] = _wald(covariance, estimates[i][g][:, None].copy()) / len(rows)
                df[i, g] = _satterthwaite_df(rows, found.phi, found.inner, np.eye(thetas), curvature)

    spread(some, count, threads)
    nothing = np.full(count, np.nan)
    return [
        (
            _tests(f[i], len(rows), df[i], se[i], "satterthwaite"),
            _tests(nothing, len(rows), nothing, np.full_like(se[i], np.nan), "kenward_roger"),
        )
        for i, rows in enumerate(contrasts)
    ]


def _tests(f: Floats, df: int, df_residual: Floats, se: Floats, method: str | NDArray[np.str_]) -> Tests:
    return Tests(f, df, df_residual, log_f_sf(f, df, df_residual), se, np.broadcast_to(method, f.shape))


def _with_df(tests: Tests, where: NDArray[np.bool_], df: float, method: str) -> Tests:
    """The same tests with other residual df, by another method, where asked for."""
    df_residual, methods = np.where(where, df, tests.df_residual), np.where(where, method, tests.method)
    return _tests(tests.f, tests.df, df_residual, tests.se, methods)


class _Contrasts(NamedTuple):
    """All contrasts below each other, (rows, p) for the coefficients of Q, and where each begins and ends."""

    rows: Floats
    start: NDArray[np.int64]


class _Estimates(NamedTuple):
    """Of G responses (G, T) θ, (G,) σ, (G, p) coefficients of Q, (G, C, m) Z̃'y and (G, rows) what contrasts are."""

    theta: Floats
    sigma: Floats
    b: Floats
    zy: Floats
    of_rows: Floats


@compiled()
def _every_response(
    begin: int,
    end: int,
    products: Products,
    contrasts: _Contrasts,
    estimates: _Estimates,
    results: Floats,
    variances: Floats,
) -> None:
    """Fill `results` (G, contrasts, 4: F, df, F, df) and `variances` (G, rows, 2) of responses begin … end − 1."""
    for g in range(begin, end):
        if not estimates.sigma[g] > 0.0:
            continue
        variance = estimates.sigma[g] ** 2
        found = moments(products, estimates.theta[g], variance, estimates.b[g], estimates.zy[g])
        curvature = _flat_inverse(_hessian(found, products.forms))
        weights = _unit_free_inverse(found.expected)
        adjusted = _adjusted(found, weights)
        for i in range(len(contrasts.start) - 1):
            first, last = contrasts.start[i], contrasts.start[i + 1]
            count = last - first
            contrast = contrasts.rows[first:last].copy()
            estimate = estimates.of_rows[g, first:last].copy().reshape(count, 1)
            plain, wide = sandwich(contrast, found.phi), sandwich(contrast, adjusted)
            for j in range(count):
                variances[g, first + j, 0] = plain[j, j] * variance
                variances[g, first + j, 1] = wide[j, j] * variance
            results[g, i, 0] = _wald(plain, estimate) / (count * variance)
            results[g, i, 1] = _satterthwaite_df(contrast, found.phi, found.inner, found.slope, curvature)
            scale, results[g, i, 3] = _kenward_roger_df(contrast, found.phi, found.inner, weights)
            results[g, i, 2] = scale * _wald(wide, estimate) / (count * variance)


@compiled()
def _wald(covariance: Floats, estimate: Floats) -> float:
    """e'C⁻¹e of a column e."""
    solved = estimate.copy()
    solve(covariance.copy(), solved)
    total = 0.0
    for i in range(len(estimate)):
        total += estimate[i, 0] * solved[i, 0]
    return total


@compiled()
def _hessian(found: Moments, forms: Floats) -> Floats:
    """Hessian of the REML deviance in (θ, σ/σ̂), by the chain rule; exact at zeros of θ too."""
    gradient, hessian, slope = found.gradient, found.hessian, found.slope
    components, thetas = slope.shape
    out = np.zeros((thetas + 1, thetas + 1))
    for t in range(thetas):
        for u in range(thetas):
            for r in range(components):
                out[t, u] += gradient[1 + r] * forms[r, t, u]
                for s in range(components):
                    out[t, u] += slope[r, t] * hessian[1 + r, 1 + s] * slope[s, u]
        for r in range(components):
            out[t, thetas] += 2.0 * slope[r, t] * (hessian[1 + r, 0] + gradient[1 + r])
        out[thetas, t] = out[t, thetas]
    out[thetas, thetas] = 4.0 * hessian[0, 0] + 2.0 * gradient[0]
    return out


@compiled()
def _flat_inverse(matrix: Floats) -> Floats:
    """Inverse of a symmetric matrix over its directions of positive curvature only."""
    values, vectors = np.linalg.eigh(matrix)
    out = np.zeros_like(matrix)
    for k in range(len(values)):
        if values[k] > _FLAT * values[-1]:
            for i in range(len(values)):
                for j in range(len(values)):
                    out[i, j] += vectors[i, k] * vectors[j, k] / values[k]
    return out


@compiled()
def _unit_free_inverse(matrix: Floats) -> Floats:
    """The same after scaling to a unit diagonal, so that the components' units do not matter."""
    size = np.ones(len(matrix))
    for i in range(len(matrix)):
        if matrix[i, i] > 0.0:
            size[i] = math.sqrt(matrix[i, i])
    scaled = matrix.copy()
    for i in range(len(matrix)):
        for j in range(len(matrix)):
            scaled[i, j] /= size[i] * size[j]
    out = _flat_inverse(scaled)
    for i in range(len(matrix)):
        for j in range(len(matrix)):
            out[i, j] /= size[i] * size[j]
    return out


@compiled()
def _satterthwaite_df(
    contrast: Floats, phi: Floats, inner: Floats, slope: Floats, curvature: Floats
) -> float:
    """Denominator df: of each eigenvector of the contrast's covariance, then of all together.

    One row: 2v² / g'Ag, v its variance, g the gradient of v, A twice the inverse Hessian of the deviance,
    both in (θ, σ). Several: df = 2E / (E − rows), E = Σ ν / (ν − 2), or 2 if some ν is not above 2.
    """
    rows = len(contrast)
    components, thetas = slope.shape
    values, vectors = np.linalg.eigh(sandwich(contrast, phi))
    turned = product(product(vectors.T.copy(), contrast), phi)
    gradient = np.zeros((rows, thetas + 1))
    for r in range(components):
        along = sandwich(turned, inner[1 + r])
        for k in range(rows):
            for t in range(thetas):
                gradient[k, t] += slope[r, t] * along[k, k]
    low, high, mean, total = np.inf, 0.0, 0.0, 0.0
    for k in range(rows):
        gradient[k, thetas] = 2.0 * values[k]
        below = 0.0
        for t in range(thetas + 1):
            for u in range(thetas + 1):
                below += gradient[k, t] * curvature[t, u] * gradient[k, u]
        df = values[k] * values[k] / below
        low, high, mean = min(low, df), max(high, df), mean + df / rows
        if df > 2.0:
            total += df / (df - 2.0)
    if high - low < 1e-8:
        return mean
    if low <= 2.0:
        return 2.0
    return 2.0 * total / (total - rows)


@compiled()
def _adjusted(found: Moments, weights: Floats) -> Floats:
    """Kenward & Roger's covariance of the coefficients, in units of σ²: Φ + 2Φ {ΣΣ W_ij (Q_ij − P_iΦP_j)} Φ.

    Their section 2; R_ij = 0, and `inner` is −P, whose sign is gone in the product of two.
    """
    phi, inner, outer = found.phi, found.inner, found.outer
    directions, p = len(inner), len(phi)
    bias = np.zeros_like(phi)
    for r in range(directions):
        left = product(inner[r], phi)
        for s in range(directions):
            both = product(left, inner[s])
            for i in range(p):
                for j in range(p):
                    bias[i, j] += weights[r, s] * (outer[r, s, i, j] - both[i, j])
    out = sandwich(phi, bias)
    for i in range(p):
        for j in range(p):
            out[i, j] = phi[i, j] + 2.0 * out[i, j]
    return out


@compiled()
def _kenward_roger_df(contrast: Floats, phi: Floats, inner: Floats, weights: Floats) -> tuple[float, float]:
    """Scale λ of F and denominator df m by matching moments (Kenward & Roger, section 3.2).

    ℓ rows L, Θ = L'(LΦL')⁻¹L; names are theirs, `expectation` is E*, `variance` V* and `ratio` ρ:

        A₁ = ΣΣ W_ij tr(ΘΦP_iΦ) tr(ΘΦP_jΦ)    A₂ = ΣΣ W_ij tr(ΘΦP_iΦΘΦP_jΦ)    B = (A₁ + 6A₂) / 2ℓ
        g = ((ℓ + 1)A₁ − (ℓ + 4)A₂) / ((ℓ + 2)A₂)    c₁, c₂, c₃ = (g, ℓ − g, ℓ + 2 − g) / (3ℓ + 2(1 − g))
        E* = (1 − A₂/ℓ)⁻¹    V* = (2/ℓ) (1 + c₁B) / ((1 − c₂B)² (1 − c₃B))    ρ = V* / 2E*²
        m = 4 + (ℓ + 2) / (ℓρ − 1)    λ = m / (E*(m − 2)); of one row m = 2/A₂ and λ = 1
    """
    directions, rows = len(inner), len(contrast)
    covariance, turned = sandwich(contrast, phi), product(contrast, phi)
    # Θ Φ P Φ acts on the contrast's rows only: in their coordinates it is (LΦL')⁻¹ LΦPΦL'
    parts = np.empty((directions, rows, rows))
    traces = np.zeros(directions)
    for r in range(directions):
        part = sandwich(turned, inner[r])
        solve(covariance.copy(), part)
        for i in range(rows):
            traces[r] += part[i, i]
            for j in range(rows):
                parts[r, i, j] = part[i, j]
    a1, a2 = 0.0, 0.0
    for r in range(directions):
        for s in range(directions):
            a1 += weights[r, s] * traces[r] * traces[s]
            for i in range(rows):
                for j in range(rows):
                    a2 += weights[r, s] * parts[r, i, j] * parts[s, j, i]
    if rows == 1:
        return 1.0, 2.0 / a2
    b = (a1 + 6.0 * a2) / (2.0 * rows)
    g = ((rows + 1.0) * a1 - (rows + 4.0) * a2) / ((rows + 2.0) * a2)
    below = 3.0 * rows + 2.0 * (1.0 - g)
    c1, c2, c3 = g / below, (rows - g) / below, (rows + 2.0 - g) / below
    expectation = 1.0 / (1.0 - a2 / rows)
    variance = 2.0 / rows * (1.0 + c1 * b) / ((1.0 - c2 * b) ** 2 * (1.0 - c3 * b))
    ratio = variance / (2.0 * expectation**2)
    df = 4.0 + (rows + 2.0) / (rows * ratio - 1.0)
    if (
        abs(df - 2.0) < 1e-2 or df < FEWEST
    ):  # the first as pbkrtest does; the second is of another df, see `f_tests`
        return 1.0, df
    return df / (expectation * (df - 2.0)), df
