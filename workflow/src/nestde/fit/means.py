"""The test that asks least of the model: moderated t and F tests of the samples' means.

Every sample counts once, by the mean of its cells; a gene's residual variance is squeezed towards that of all genes
(Smyth 2004, Stat Appl Genet Mol Biol 3(1), section 6; limma's lmFit and eBayes). No variance within samples, no
distribution of cells and no random effect enters it; where samples have very different numbers of cells that costs power.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, polygamma

from nestde.arrays import Floats
from nestde.design.design import Design
from nestde.design.within import constant_within
from nestde.fit.containment import unit_of
from nestde.fit.leaf_sums import LeafSums
from nestde.fit.log_sf import log_f_sf

# limma's: a variance below this share of the median is taken for that, lest its logarithm rule the prior.
_SMALLEST = 1e-5


@dataclass(frozen=True)
class Spread:
    """What all genes tell of a gene's residual variance.

    Attributes
    ----------
    variance
        s₀².
    df
        d₀, the degrees of freedom that it is worth; infinite where all genes' variances agree.
    """

    variance: float
    df: float

    def squeeze(self, variance: Floats, df: int) -> Floats:
        """Posterior variances of genes with residual variances of `df` degrees of freedom."""
        if np.isinf(self.df):
            return np.full(len(variance), self.variance)
        return (self.df * self.variance + df * variance) / (self.df + df)


@dataclass(frozen=True)
class MeansTest:
    """Moderated tests of one contrast for G genes.

    Attributes
    ----------
    log_p
        (G,) natural log of the p-value.
    coef, se
        (G, rows) estimates of the contrast's rows, and their standard errors by the squeezed variances.
    df_residual
        Degrees of freedom: the samples', and those that all other genes lend.
    spread
        What was learnt from them.
    """

    log_p: Floats
    coef: Floats
    se: Floats
    df_residual: float
    spread: Spread


def means_tests(
    design: Design, statistics: LeafSums, contrasts: Sequence[Floats], spread: Spread | None = None
) -> list[MeansTest] | str:
    """Test contrasts of the coefficients of X on the means of the units that they compare.

    Parameters
    ----------
    design
        Of n cells.
    statistics
        Of G genes in these cells, all that were tested.
    contrasts
        Each (rows, p) for the columns of X.
    spread
        What was learnt before; None learns it from these genes.

    Returns
    -------
    list of MeansTest, or str
        One for each contrast; or why there is none: the contrasts vary within every grouping factor, groups cross
        the units, or too few units are left.
    """
    tested = np.flatnonzero(np.any(np.vstack(contrasts) != 0, axis=0))
    unit = unit_of(design, tested.tolist())
    if unit is None:
        return "what is tested varies between the cells of a sample"
    x = _means(unit.codes, design.x)
    for factor in design.random:
        if factor is unit:
            continue
        if unit.nested_in(factor):
            if not constant_within(design.x[:, tested], factor).all():
                first = np.unique(unit.codes, return_index=True)[1]
                x = np.hstack([x, np.eye(len(factor.levels))[factor.codes[first]]])
        elif not factor.nested_in(unit):
            return f"{factor.name} crosses {unit.name}, so the means of the latter are not independent"
    df = len(x) - int(np.linalg.matrix_rank(x))
    if df < 1:
        return f"the coefficients take up all {len(x)} groups of {unit.name}"
    leaf_unit = unit.codes[np.unique(statistics.grain.code, return_index=True)[1]]
    order, size = np.argsort(leaf_unit, kind="stable"), np.bincount(unit.codes)
    begins = np.searchsorted(leaf_unit[order], np.arange(len(size)))
    y = np.add.reduceat(statistics.sums[:, order, 0], begins, axis=1)
    return moderated_tests(y / size, x, df, contrasts, spread)


def _means(codes: NDArray[np.int32], columns: Floats) -> Floats:
    return (
        np.stack([np.bincount(codes, column) for column in columns.T], axis=1) / np.bincount(codes)[:, None]
    )


def moderated_tests(
    y: Floats, x: Floats, df: int, contrasts: Sequence[Floats], spread: Spread | None = None
) -> list[MeansTest] | str:
    """Test what N samples have (G, N) by a model (N, c) whose first columns are those of the contrasts, with `df` left."""
    inverse = np.linalg.pinv(x.T @ x, hermitian=True)
    coef = np.einsum("gn,nc,cd->gd", y, x, inverse, optimize=True)
    residual = y - np.einsum("gc,nc->gn", coef, x)
    variance = np.sum(residual**2, axis=1) / df
    spread = spread or learn(variance, df)
    squeezed = spread.squeeze(variance, df)
    found = []
    for rows in contrasts:
        wide = np.hstack([rows, np.zeros((len(rows), x.shape[1] - rows.shape[1]))])
        if not np.allclose(wide @ inverse @ (x.T @ x), wide, atol=1e-8):
            return "the samples' means cannot tell what is tested from the other columns"
        estimate = np.einsum("gc,rc->gr", coef, wide)
        unscaled = wide @ inverse @ wide.T
        se = np.sqrt(np.outer(squeezed, np.diag(unscaled)))
        solved = np.einsum("gr,rs->gs", estimate, np.linalg.inv(unscaled))
        f = np.sum(estimate * solved, axis=1) / len(rows) / squeezed
        total = min(df + spread.df, df * len(y))
        log_p = log_f_sf(f, len(rows), np.full(len(f), total))
        found.append(MeansTest(log_p, estimate, se, total, spread))
    return found


def learn(variance: Floats, df: int) -> Spread:
    """Fit the prior to the residual variances of G genes.

    Parameters
    ----------
    variance
        (G,) residual variances.
    df
        Their degrees of freedom.

    Notes
    -----
    If σ² is a scaled inverse χ² of d₀ degrees of freedom over the genes, log s² has variance ψ'(d/2) + ψ'(d₀/2) and
    mean log s₀² + ψ(d/2) − log(d/2) − ψ(d₀/2) + log(d₀/2): Smyth's moments give d₀ and s₀².
    """
    bounded = np.maximum(variance, _SMALLEST * (np.median(variance) or 1.0))
    e = np.log(bounded) - digamma(df / 2) + np.log(df / 2)
    excess = (e.var(ddof=1) if len(e) > 1 else 0.0) - float(polygamma(1, df / 2))
    if excess <= 0:
        return Spread(float(bounded.mean()), np.inf)
    lent = 2 * _trigamma_inverse(excess)
    return Spread(float(np.exp(e.mean() + digamma(lent / 2) - np.log(lent / 2))), lent)


def _trigamma_inverse(value: float) -> float:
    """Newton on 1/ψ', which is all but linear: the root of ψ'(x) = value, for any positive value."""
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if -step / x < 1e-8:
            break
    return x
