"""The moderated test: exact F tests given the random effects' covariance, averaged over what all genes tell of it.

Given the relative covariance θ of the random effects the likelihood-ratio test is the F test of generalised least
squares, exact at any number of samples. One gene's few samples do not tell θ; its estimate, taken as known, makes tests too
bold (χ²) or, with degrees of freedom for the doubt, powerless. Here the p-value is the mean of the exact ones over the gene's
posterior of θ, from its REML likelihood and a prior that all genes of the cell type estimate: under that prior it is
uniform. It is right on average over genes, as limma's and edgeR's moderated tests are, not gene by gene.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.design.design import Design
from nestde.design.within import constant_within
from nestde.fit import grid as grids
from nestde.fit import points as free
from nestde.fit import prior as priors
from nestde.fit.compiled import spread
from nestde.fit.crossproducts import Sums
from nestde.fit.genes import FitModel
from nestde.fit.grid import Arms
from nestde.fit.log_tail import log_tail
from nestde.fit.mixture import Averages, KnownGenes, Wanted, average
from nestde.fit.prior import Prior
from nestde.fit.responses import Responses
from nestde.fit.status import untestable

# Fewer genes than this tell no prior.
LEAST_GENES = 200
# Arms of the tested term with fewer samples than this have no variance of their own; nor have more arms than this.
_LEAST_SAMPLES, _MOST_ARMS = 2, 5


@dataclass(frozen=True)
class ModeratedTests:
    """Moderated tests of one contrast for G responses; NaN for those that were skipped.

    Attributes
    ----------
    df
        Rows of the contrast.
    log_p
        (G,) natural log of the p-value, finite where the p-value itself would be 0.
    estimate, se
        (G,) of a contrast of one row: mean and standard deviation of its posterior, which takes in that the
        estimate moves with θ; NaN for several rows.
    lower, upper
        (G,) limits outside of which p < 1 − coverage; NaN for several rows.
    """

    df: int
    log_p: Floats
    estimate: Floats
    se: Floats
    lower: Floats
    upper: Floats


@dataclass(frozen=True)
class Moderated:
    """Moderated tests, and what they rest on.

    Attributes
    ----------
    tests
        For each contrast.
    icc
        Axis of the grid -> (G,) posterior mean of that component's share of the variance, where all random effects are
        intercepts; with variances by arm the share in that arm.
    variance
        Axis -> (G,) posterior mean of the variance.
    sigma2
        (G,) posterior mean of the residual variance.
    prior
        The prior, fitted or given.
    """

    tests: list[ModeratedTests]
    icc: dict[str, Floats]
    variance: dict[str, Floats]
    sigma2: Floats
    prior: Prior

    def columns(self) -> dict[str, Floats]:
        """For the table of results: shares of variance; with arms each one's variance, and the ratio of two."""
        arms = self.prior.grid.arms
        names = arms or (tuple(self.icc) if len(self.icc) > 1 else ("",))
        columns = {
            f"icc_moderated_{name}".rstrip("_"): share
            for name, share in zip(names, self.icc.values(), strict=False)
        }
        if arms:
            variances = list(self.variance.values())
            columns |= {f"variance_moderated_{arm}": each for arm, each in zip(arms, variances, strict=True)}
            if len(arms) == 2:
                columns["variance_ratio_moderated"] = variances[1] / variances[0]
        return columns


def too_few_genes(genes: int) -> str:
    """Say that so many genes tell no prior."""
    return f"{genes} genes are too few to tell how variances differ between genes; {LEAST_GENES} are needed"


def not_applicable(model: FitModel, genes: int | None = None) -> str:
    """Say why genes cannot be tested so; '' if they can. `genes` is how many make the prior, None where there is one."""
    if genes is not None and genes < LEAST_GENES:
        return too_few_genes(genes)
    reason = grids.infeasible(model.design)
    return f'formula "{model.design.formula.text}": {reason}' if reason else ""


def arms_of(design: Design, term: str) -> Arms | None:
    """Arms of a tested term whose samples may vary differently; None where there is one variance for all.

    That is for a single random intercept, beside a term that is constant in its groups and takes two to five values
    there, each in two groups at least.
    """
    if len(design.random) > 1 or design.random[0].effects != ("(Intercept)",):
        return None
    factor, columns = design.random[0], list(design.tests[term])
    if not constant_within(design.x[:, columns], factor).all():
        return None
    first = np.unique(factor.codes, return_index=True)[1]
    values, arm = np.unique(design.x[first][:, columns], axis=0, return_inverse=True)
    if not 2 <= len(values) <= _MOST_ARMS or np.bincount(arm.reshape(-1)).min() < _LEAST_SAMPLES:
        return None
    names = tuple(_arm_name(design, term, row) for row in values)
    return Arms(names, arm.reshape(-1).astype(np.int64))


def _arm_name(design: Design, term: str, row: Floats) -> str:
    """Level of a factor, or the values of the term's columns."""
    columns = [design.coef_names[j] for j in design.tests[term]]
    for factor, levels in design.levels.items():
        if {f"{factor}[{level}]" for level in levels[1:]} == set(columns):
            return next(
                (level for level in levels if (f"{factor}[{level}]", 1.0) in zip(columns, row, strict=True)),
                levels[0],
            )
    return ", ".join(f"{column} = {value:g}" for column, value in zip(columns, row, strict=True))


def moderate(
    model: FitModel,
    sums: Sums,
    contrasts: Sequence[Floats],
    expression: Floats,
    *,
    arms: Arms | None = None,
    prior: Prior | None = None,
    skip: NDArray[np.bool_] | None = None,
    estimates: bool = True,
    coverage: float = 0.95,
    threads: int | None = None,
) -> Moderated:
    """Test contrasts of the coefficients for all genes of a cell type, from what one pass over their counts summed.

    Parameters
    ----------
    model
        From `prepare`, see `not_applicable`.
    sums
        Cross-products of all G genes.
    contrasts
        Each (rows, p) for the columns of X, of full row rank; see `nestde.design.contrasts`.
    expression
        (G,) mean expression, with which the prior changes.
    arms
        From `arms_of`: the variance between groups is an own one in each arm; None: one for all.
    prior
        One that was fitted before, instead of these genes' own; with arms, to as many.
    skip
        (G,) genes without a fit, which are left NaN as those without counts are.
    estimates
        Whether estimates and their limits are wanted, which take half of the time; they are NaN where not.
    coverage
        Of the limits.
    threads
        None: one per processor. The result does not depend on it.

    Raises
    ------
    ValueError
        The prior given has another number of arms.
    """
    if prior is not None and len(prior.grid.arms) != (0 if arms is None else len(arms.names)):
        raise ValueError(f"the prior given is of {len(prior.grid.arms)} arms, the tests are not")
    # the two levels of a factor are tested by the contrast that the whole factor is tested by
    every = {rows.tobytes(): rows for rows in contrasts}
    place = [list(every).index(rows.tobytes()) for rows in contrasts]
    contrasts = list(every.values())
    # a prior serves other groups, and other labels of them, too
    grid = grids.build(model, arms) if prior is None else prior.grid
    points = free.build(model, grid, contrasts, arms)
    zy = free.place(model, sums.zy, arms)
    left_out = untestable(sums.yy - np.sum(sums.qy**2, axis=1), sums.rounding)[0] != ""
    if skip is not None:
        left_out |= skip
    if prior is None:
        chosen, sampled = priors.sample(grid, left_out, expression)
        some = Responses(zy[chosen], sums.qy[chosen], sums.yy[chosen])
        likelihood = free.marginals(points, grid, some, threads)
        known = np.isfinite(likelihood).all(axis=1)
        prior = priors.fit(grid, likelihood[known], expression[chosen[known]], sampled, threads)
    left, share = prior.place(expression)

    genes, rows = len(sums.yy), [len(contrast) for contrast in contrasts]
    shares = grid.shares()
    functions = np.vstack([shares.T, grid.values.T])
    distributions = sorted(set(rows))
    which = np.array([distributions.index(q) for q in rows])
    wanted = Wanted(
        log_tail(distributions, points.freedom), which, functions, 1.0 - coverage if estimates else 0.0
    )
    responses = Responses(zy, sums.qy, sums.yy)
    of_genes = KnownGenes(responses, sums.shift, left_out, grid.of_points(prior.weights), left, share)
    log_p, moments, means, variances = found = Averages(
        log_p=np.full((genes, len(rows)), np.nan),
        estimates=np.full((genes, len(rows), 4), np.nan),
        means=np.full((genes, len(functions)), np.nan),
        variances=np.full((genes, 1 + len(functions)), np.nan),
    )
    spread(average, math.ceil(genes / free.LANES), threads, points, wanted, of_genes, found)
    first = 1 + shares.shape[1]
    intercepts = shares.shape[1] > 0
    return Moderated(
        tests=[ModeratedTests(rows[c], log_p[:, c], *np.moveaxis(moments[:, c], 1, 0)) for c in place],
        icc={axis: means[:, d] for d, axis in enumerate(grid.axes)} if intercepts else {},
        variance={axis: variances[:, first + d] for d, axis in enumerate(grid.axes)} if intercepts else {},
        sigma2=variances[:, 0],
        prior=prior,
    )
