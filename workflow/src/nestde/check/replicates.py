"""What a test rests on: its replicates, degrees of freedom, the true size of its LRT, the smallest effect it can see."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import optimize, stats

from nestde.arrays import Floats
from nestde.fit.noncentral import t_power

# Intraclass correlations that effects are stated for; the headline is 0.1, common for expressed genes.
ICC = 0.1
ICCS = (0.05, 0.1, 0.3)


@dataclass(frozen=True)
class Replicates:
    """The stratum of the data in which a term is tested.

    Attributes
    ----------
    unit
        The grouping factor whose groups are the replicates (``sample_id``); '' where they are cells.
    groups
        Number of replicates.
    dimension
        Independent contrasts among them, the fixed effects' included: `groups`, less what coarser random
        factors take up (each donor's mean, where samples are compared within donors).
    df
        Of these, those that no fixed effect takes up.
    columns
        Coefficients tested, q.
    """

    unit: str
    groups: int
    dimension: int
    df: int
    columns: int


def lrt_size(dimension: int, df: int, columns: int, nominal: float = 0.05) -> float:
    """True size of the χ² likelihood-ratio test (ML) at a nominal one, where replicates clearly differ.

    In a balanced nested design the profile likelihood of a stratum depends on its residual sum of squares S alone,
    by ``-(dimension / 2) log S``, as its variance is estimated by S / dimension. Hence

        LRT = dimension · log(S0 / S1) = dimension · log(1 + columns · F / df),   F ~ F(columns, df) under H0

    and the size is P(F > df/columns · (exp(χ²(1 - nominal; columns) / dimension) - 1)). With 3 v 3 samples it is 0.131
    and not 0.05 (Pinheiro & Bates 2000, section 2.4.2, show the same by simulation).

    Parameters
    ----------
    dimension, df, columns
        See `Replicates`.
    """
    if df <= 0:
        return math.nan
    critical = stats.chi2.isf(nominal, columns)
    return float(stats.f.sf(df / columns * math.expm1(critical / dimension), columns, df))


@lru_cache(maxsize=256)
def lrt_size_at(
    dimension: int, df: int, columns: int, cells: float, icc: float, nominal: float = 0.05
) -> float:
    """True size of the χ² likelihood-ratio test (ML) where replicates differ by a given amount.

    The estimate of their variance can be zero, the less often the more there is; all squares are then pooled, and the
    test is milder than `lrt_size`, which this tends to. With S the residual sum of squares between replicates (of means,
    times cells), W that within and ν its degrees of freedom, -2 log L is, up to a constant,

        dimension · log(S / dimension) + ν · log(W / ν)             if S / dimension > W / ν
        (dimension + ν) · log((S + W) / (dimension + ν))            else

    (Searle, Casella & McCulloch 1992, section 4.8, balanced data). S1 / λ ~ χ²(df), W ~ χ²(ν), λ = 1 + cells · icc / (1 - icc),
    and under H0 leaving the term out adds an independent λ χ²(columns) to S1. Integrated over S1 and W by midpoints of
    equal probability: right to about 1e-4.

    Parameters
    ----------
    dimension, df, columns
        See `Replicates`.
    cells
        Cells per replicate.
    icc
        Intraclass correlation.
    """
    if df <= 0:
        return math.nan
    m, nu = dimension, max(dimension * (cells - 1), 1.0)
    scale = 1 + cells * icc / (1 - icc)
    s = scale * stats.chi2.ppf((np.arange(1000) + 0.5) / 1000, df)[:, None]
    w = stats.chi2.ppf((np.arange(30) + 0.5) / 30, nu)[None, :]
    apart = nu * np.log(w / nu)
    deviance = np.where(s / m > w / nu, m * np.log(s / m) + apart, (m + nu) * np.log((s + w) / (m + nu)))
    target = deviance + stats.chi2.isf(nominal, columns)
    free = m * np.exp((target - apart) / m)
    needed = np.where(free / m > w / nu, free, (m + nu) * np.exp(target / (m + nu)) - w)
    return float(np.mean(stats.chi2.sf((needed - s) / scale, columns)))


def size_without_groups(cells: float, icc: float, nominal: float = 0.05) -> float:
    """True size of a test between samples in a model that does not know of samples.

    The variance of a difference of means is 1 + (cells - 1) icc times what such a model takes it to be (the design
    effect: Kish 1965).

    Parameters
    ----------
    cells
        Cells per sample.
    icc
        Intraclass correlation: the share of the variance that is between samples.
    """
    inflation = 1 + max(cells - 1, 0) * icc
    return float(stats.chi2.sf(stats.chi2.isf(nominal, 1) / inflation, 1))


def smallest_effect(variance: float, df: int, power: float = 0.8, nominal: float = 0.05) -> float:
    """The effect that a two-sided t test finds with a given power, in units of the replicates' SD.

    Parameters
    ----------
    variance
        Of the estimate, when the replicates' variance is 1: c'(X'X)⁻¹c.
    df
        Degrees of freedom of the t test.
    """
    if df <= 0:
        return math.nan

    def lack(shift: float) -> float:
        return float(t_power(shift, df, nominal)) - power

    upper = 2.0 * float(stats.t.isf(nominal / 2, df))
    while lack(upper) < 0:
        upper *= 2
    return float(optimize.brentq(lack, 0.0, upper, xtol=1e-10) * math.sqrt(variance))


def estimated_icc(
    df: int, within: float, cells: float, icc: float, level: float = 0.95
) -> tuple[float, float, float]:
    """Between what an intraclass correlation will be estimated, and how often as exactly 0, in a balanced design.

    The ratio of the mean squares is (1 + cells · ψ) F, ψ = icc / (1 - icc), and REML's estimate of ψ the larger of 0 and
    (ratio - 1) / cells (Searle, Casella & McCulloch 1992, section 4.5).

    Parameters
    ----------
    df, within
        Degrees of freedom between replicates, and of cells within them.
    cells
        Cells per replicate.
    icc
        Intraclass correlation.
    level
        Share of studies between the limits.
    """
    scale = 1 + cells * icc / (1 - icc)
    tails = (0.5 - level / 2, 0.5 + level / 2)
    psi = [max(scale * stats.f.ppf(tail, df, within) - 1, 0.0) / cells for tail in tails]
    low, high = (value / (1 + value) for value in psi)
    return float(low), float(high), float(stats.f.cdf(1 / scale, df, within))


def contrast_variance(between: Floats, direction: Floats, weights: Floats) -> float:
    """Variance of a combination of coefficients that can be estimated, generalised least squares with known weights.

    Parameters
    ----------
    between
        (m, k) coefficients' columns, one row per replicate.
    direction
        (k,) weights of the coefficients: of a single one its row of the identity.
    weights
        (m,) inverse variances.
    """
    # of all unbiased combinations of the replicates the shortest
    shortest = np.linalg.lstsq((between * np.sqrt(weights)[:, None]).T, direction, rcond=None)[0]
    return float(np.sum(shortest**2))


def mean_weights(cells: Floats, icc: float) -> Floats:
    """Weights of replicates whose mean of some cells is observed, when the variance between replicates is 1.

    A mean of n cells has variance 1 + (1 - icc) / (icc n).
    """
    return 1.0 / (1.0 + (1.0 - icc) / (icc * np.asarray(cells, float)))


def generalised_vif(x: Floats, terms: dict[str, list[int]]) -> dict[str, tuple[float, str, float]]:
    """Generalised variance inflation of each term, and the other term it goes with most.

    GVIF = det(R_term) det(R_rest) / det(R) with R the correlation matrix of the columns; its power 1/df is
    comparable to a variance inflation factor whatever the number of columns (Fox & Monette 1992, J Am Stat Assoc 87).

    Parameters
    ----------
    x
        (n, p) fixed-effects matrix.
    terms
        Term -> its columns, without the intercept.

    Returns
    -------
    dict
        Term -> (GVIF^(1/df), nearest other term, its largest canonical correlation with that).
    """
    every = [column for columns in terms.values() for column in columns]
    if len(terms) < 2:
        return {}
    place = {column: i for i, column in enumerate(every)}
    r = np.atleast_2d(np.corrcoef(x[:, every], rowvar=False))
    found = {}
    for term, columns in terms.items():
        mine = [place[column] for column in columns]
        rest = [i for i in range(len(every)) if i not in mine]
        log = sum(
            sign * np.linalg.slogdet(r[np.ix_(part, part)])[1]
            for sign, part in ((1, mine), (1, rest), (-1, list(place.values())))
        )
        correlations = {
            other: _canonical(r, mine, [place[column] for column in others])
            for other, others in terms.items()
            if other != term
        }
        worst = max(correlations, key=correlations.__getitem__)
        found[term] = (math.exp(log / len(mine)), worst, correlations[worst])
    return found


def _canonical(r: Floats, a: list[int], b: list[int]) -> float:
    """Largest canonical correlation of two sets of columns."""
    half_a, half_b = (np.linalg.cholesky(r[np.ix_(part, part)]) for part in (a, b))
    inner = np.linalg.solve(half_a, r[np.ix_(a, b)])
    return float(np.linalg.svd(np.linalg.solve(half_b, inner.T), compute_uv=False)[0])
