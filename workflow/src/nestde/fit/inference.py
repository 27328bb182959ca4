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
from nestde.fit.kenward_roger import FEWEST, adjusted_covariance, kenward_roger_df, unit_free_inverse
from nestde.fit.layout import flatten
from nestde.fit.log_sf import log_f_sf
from nestde.fit.moments import moments, sandwich, solve
from nestde.fit.record import Fits
from nestde.fit.satterthwaite import flat_inverse, hessian_of, satterthwaite_df


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
    if not fits.reml or fits.columns.shape[1] != fits.design.x.shape[1]:
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
            curvature = flat_inverse(found.hessian)
            for i, rows in enumerate(turned):
                covariance = fits.sigma[g] ** 2 * sandwich(rows, found.phi)
                se[i][g] = np.sqrt(np.diag(covariance))
                f[i, g] = _wald(covariance, estimates[i][g][:, None].copy()) / len(rows)
                df[i, g] = satterthwaite_df(rows, found.phi, found.inner, np.eye(thetas), curvature)

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
        curvature = flat_inverse(hessian_of(found, products.forms))
        weights = unit_free_inverse(found.expected)
        adjusted = adjusted_covariance(found, weights)
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
            results[g, i, 1] = satterthwaite_df(contrast, found.phi, found.inner, found.slope, curvature)
            scale, results[g, i, 3] = kenward_roger_df(contrast, found.phi, found.inner, weights)
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
