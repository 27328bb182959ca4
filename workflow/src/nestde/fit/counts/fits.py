"""Count models of many genes: fits with and without what is tested, and when they are to be believed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.special import gammaln

from nestde.arrays import Floats, Texts
from nestde.design.design import Design
from nestde.errors import NestdeError
from nestde.fit import status as words
from nestde.fit.compiled import spread
from nestde.fit.counts.columns import Columns, Grouped, columns, group
from nestde.fit.counts.gene import Data, Ends, Starts, fit_some, occupied
from nestde.fit.counts.laplace import BERNOULLI, NEGATIVE_BINOMIAL, POISSON
from nestde.fit.counts.separation import Unbounded, unbounded
from nestde.fit.log_sf import log_chi2_sf

FAMILIES = {"poisson": POISSON, "negative_binomial": NEGATIVE_BINOMIAL, "bernoulli": BERNOULLI}
# Counts below this have their factorials in a table.
_FEW = 256
# Above this v the likelihood may have several maxima; it is then looked for from other starts too, one so much farther.
_WIDE, _FARTHER = 4.0, 4.0
# A reduced model whose likelihood is higher than the full one's by this shows that the full one is not at its maximum.
_HIGHER = 1e-9

EVERY_CELL = "every cell has a count: there is nothing to tell detection from"
NO_OVERDISPERSION = "no overdispersion: the Poisson fit"


@dataclass(frozen=True)
class CountModel:
    """The part of a model that is free of the counts.

    Attributes
    ----------
    design
        Of n cells, with one random intercept.
    family
        Of `FAMILIES`.
    cells
        In the order of their groups.
    full
        All columns.
    """

    design: Design
    family: str
    cells: Grouped
    full: Columns

    def without(self, rows: Floats) -> Columns:
        """The model in which combinations of coefficients, (q, p) of full row rank, are 0."""
        kept = np.linalg.svd(rows)[2][len(rows) :].T
        # columns that take no part stay as they are
        free = ~np.any(rows != 0, axis=0)
        if free.sum() == kept.shape[1]:
            kept = np.eye(len(free))[:, free]
        return columns(self.design, self.cells, FAMILIES[self.family], kept, self.full)


def why_not(design: Design) -> str:
    """Say why a design has no count models here; '' if it has."""
    if len(design.random) == 1 and design.random[0].effects == ("(Intercept)",):
        return ""
    return (
        f'"{design.formula.text}": count models have one random intercept, such as (1 | sample_id). '
        "Take the gaussian family for nested, crossed or slope terms."
    )


def prepare(design: Design, family: str, offset: Floats) -> CountModel:
    """Build what is free of the counts.

    Parameters
    ----------
    design
        Of n cells.
    family
        Of `FAMILIES`.
    offset
        (n,) added to the linear predictor of each cell.

    Raises
    ------
    NestdeError
        See `why_not`.
    """
    reason = design.formula.ungrouped() if not design.random else why_not(design)
    if reason:
        raise NestdeError(reason)
    cells = group(design.random[0].codes, offset)
    full = columns(design, cells, FAMILIES[family], np.eye(design.x.shape[1]))
    return CountModel(design, family, cells, full)


def data_of(cells: Grouped, counts: scipy.sparse.csc_array) -> Data:
    """Counts (n, G), compressed by gene, for the kernels."""
    counts = scipy.sparse.csc_array(counts)
    if (cells.order != np.arange(len(cells.order))).any():
        counts = counts[cells.order]
    if not counts.has_canonical_format:
        counts = counts.copy()
        counts.sum_duplicates()
    if (counts.data == 0).any():
        counts = counts.copy()
        counts.eliminate_zeros()
    table = gammaln(np.arange(_FEW) + 1.0)
    return Data(counts.indptr, counts.indices, counts.data, cells.group, cells.offset, cells.exposure, table)


@dataclass(frozen=True)
class CountFits:
    """One count model fitted to G genes, on the scale of the formula; NaN where `status` tells why.

    Attributes
    ----------
    design
        Of the model.
    family
        Of `FAMILIES`.
    loglik
        (G,) log-likelihood by Laplace's approximation.
    coef, se
        (G, p) coefficients and standard errors; ±∞ and ∞ where the likelihood rises without end.
    vcov
        (G, p, p) covariance of the coefficients, of what has bounds.
    sd
        (G,) of the random intercept.
    dispersion
        (G,) 1/θ: a count's variance is μ + μ²/θ; 0 but for NB.
    modes
        (G, S) conditional modes of the random intercept.
    evaluations
        (G,) of the likelihood.
    status, reason
        (G,) as `nestde.fit.record.Fits`.
    separated
        Gene -> in which directions its likelihood rises without end.
    ends
        On the fitted scale, to start others from.
    """

    design: Design
    family: str
    loglik: Floats
    coef: Floats
    se: Floats
    vcov: Floats
    sd: Floats
    dispersion: Floats
    modes: Floats
    evaluations: NDArray[np.int64]
    status: Texts
    reason: Texts
    separated: dict[int, Unbounded]
    ends: Ends

    @property
    def reml(self) -> bool:
        """By ML, all of them."""
        return False

    @property
    def df(self) -> int:
        """Number of parameters."""
        return int(self.coef.shape[1] + (2 if self.family == "negative_binomial" else 1))

    def effect(self, weights: Floats) -> tuple[Floats, Floats]:
        """Estimate of a combination of coefficients and its standard error, each gene by itself."""
        variance = (self.vcov * np.outer(weights, weights)).sum(axis=(1, 2))
        finite = self.coef.copy()
        for g, found in self.separated.items():
            finite[g] = found.finite
        estimate, se = (finite * weights).sum(axis=1), np.sqrt(np.maximum(variance, 0))
        for g, found in self.separated.items():
            if found.concerns(weights):
                estimate[g], se[g] = found.sign(weights) * np.inf, np.inf
        return estimate, se


@dataclass(frozen=True)
class CountRatio:
    """Likelihood-ratio test for G genes, as `nestde.fit.record.LikelihoodRatio`.

    Attributes
    ----------
    reduced
        The fits in which the tested combinations are 0.
    stat, df, log_p
        (G,) twice the difference of the log-likelihoods; rows tested; (G,) log of χ²'s tail.
    status, reason
        (G,) of the worse of both fits.
    """

    reduced: CountFits
    stat: Floats
    df: int
    log_p: Floats
    status: Texts
    reason: Texts


def fit(
    model: CountModel,
    which: Columns,
    data: Data,
    like: tuple[Columns, CountFits] | None = None,
    threads: int | None = None,
) -> CountFits:
    """Fit one model to every gene.

    Parameters
    ----------
    model
        From `prepare`.
    which
        Its columns: `CountModel.full` or from `CountModel.without`.
    data
        From `data_of`.
    like
        Another model's columns and fits, from which the searches begin.
    threads
        None: one per processor. The result does not depend on it.
    """
    untested = _untestable(model, data, threads)
    skip = untested[0] != ""
    ends = _search(which, data, skip, None if like is None else starts_from(which, *like), threads)
    wide = ends.variance > _WIDE
    if wide.any():
        farther = Starts(ends.coefficients, _FARTHER * ends.variance, ends.kappa, ends.level)
        for starts in (None, farther):
            ends = _higher(ends, _search(which, data, ~wide, starts, threads))
    return _judged(model, which, data, untested, ends)


def fit_tests(
    model: CountModel,
    data: Data,
    contrasts: Sequence[Floats],
    full: CountFits | None = None,
    threads: int | None = None,
) -> tuple[CountFits, list[CountRatio]]:
    """Fit with all columns, unless that is given, and with each contrast, rows (q, p), being 0; compare the likelihoods."""
    if full is None:
        full = fit(model, model.full, data, threads=threads)
    reduced = []
    for rows in contrasts:
        which = model.without(rows)
        less = fit(model, which, data, (model.full, full), threads)
        low = less.loglik > full.loglik + _HIGHER
        if low.any():  # the full model's search ended on a lower hill
            again = _search(model.full, data, ~low, starts_from(model.full, which, less), threads)
            untested = _untestable(model, data, threads)
            full = _judged(model, model.full, data, untested, _higher(full.ends, again))
        reduced.append(less)
    return full, [_ratio(full, less, len(rows)) for less, rows in zip(reduced, contrasts, strict=True)]


def starts_from(which: Columns, other: Columns, fits: CountFits) -> Starts:
    """Where another model's fits ended."""
    ends = fits.ends
    return Starts(which.of(other, ends.coefficients), ends.variance, ends.kappa, ends.level)


def _search(
    which: Columns, data: Data, skip: NDArray[np.bool_], starts: Starts | None, threads: int | None
) -> Ends:
    """Search from some starts, or from what each gene's counts say."""
    genes, groups, r = len(data.begin) - 1, len(data.exposure), which.q.shape[1]

    def empty(*shape: int) -> Floats:
        return np.full((genes, *shape), np.nan)

    if starts is None:
        starts = Starts(empty(r), empty(), empty(), empty(groups))
    ends = Ends(
        empty(), empty(), np.zeros(genes, np.int64), empty(r), empty(r, r), empty(), empty(), empty(groups), empty(groups)
    )  # fmt: skip
    spread(fit_some, genes, threads, which.model, which.simple, data, skip, starts, ends)
    return ends


def _higher(ends: Ends, others: Ends) -> Ends:
    """Of each gene the end of higher likelihood."""
    take = others.loglik > ends.loglik
    return Ends(
        *(
            np.where(take.reshape(-1, *[1] * (one.ndim - 1)), other, one)
            for one, other in zip(ends, others, strict=True)
        )
    )


def _ratio(full: CountFits, reduced: CountFits, df: int) -> CountRatio:
    """Compare two fits."""
    stat = np.maximum(2.0 * (full.loglik - reduced.loglik), 0.0)
    worse = ~trusted(reduced.status) & trusted(full.status)
    return CountRatio(
        reduced=reduced,
        stat=stat,
        df=df,
        log_p=log_chi2_sf(stat, df),
        status=np.where(worse, reduced.status, full.status),
        reason=np.where(worse, reduced.reason, full.reason),
    )


def trusted(status: Texts) -> NDArray[np.bool_]:
    """Whether fits are to be believed."""
    return np.isin(status, ("ok", "singular"))


def detected(
    model_cells: Grouped, data: Data, threads: int | None = None
) -> tuple[NDArray[np.int64], Floats]:
    """(G, S) cells of each group that have a count, and (G, S) sums of counts."""
    genes, groups = len(data.begin) - 1, len(model_cells.begin) - 1
    cells, counts = np.zeros((genes, groups), np.int64), np.zeros((genes, groups))
    spread(occupied, genes, threads, data, cells, counts)
    return cells, counts


def _untestable(model: CountModel, data: Data, threads: int | None) -> tuple[Texts, Texts]:
    """Status ('' or not_testable) and reason of each gene."""
    cells, _ = detected(model.cells, data, threads)
    name = model.design.random[0].name
    with_counts = (cells > 0).sum(axis=1)
    lone = f"a single group of {name} has a count: how groups differ cannot be told"
    reason = np.where(with_counts == 0, words.CONSTANT, np.where(with_counts == 1, lone, ""))
    if model.family == "bernoulli":
        without = (cells < np.diff(model.cells.begin)).sum(axis=1)
        all_but = f"a single group of {name} has cells without a count: how groups differ cannot be told"
        reason = np.where(without == 0, EVERY_CELL, np.where(without == 1, all_but, reason))
    return np.where(reason != "", "not_testable", ""), reason


def _judged(
    model: CountModel, which: Columns, data: Data, untested: tuple[Texts, Texts], ends: Ends
) -> CountFits:
    """Turn fits to the scale of the formula, and say what is to be thought of them."""
    status, reason = (text.astype(object) for text in untested)
    open_ = status == ""
    name = model.design.random[0].name
    status[open_] = "ok"
    singular = open_ & (ends.variance == 0)
    lost = open_ & ~np.isfinite(ends.loglik)
    unstable = open_ & ~lost & ~(ends.promise <= words.DECREASE)
    if model.family == "negative_binomial":
        reason[open_ & np.isinf(ends.kappa)] = NO_OVERDISPERSION
    for where, word, why in (
        (singular, "singular", f"no variance of (Intercept) between {name}"),
        (unstable, "unstable", words.NOT_OPTIMAL),
        (lost, "failed", words.NOT_OPTIMAL),
    ):
        status[where] = word
        reason[where] = ["; ".join(filter(None, (why, told))) for told in reason[where]]
    coef, vcov = _on_formula(which, ends.coefficients, ends.covariance)
    se = np.sqrt(np.einsum("gii->gi", vcov))
    separated = unbounded(which, data, model.family, ends, status == "unstable")
    for g, found in separated.items():
        coef[g], vcov[g] = found.coef, found.vcov
        se[g] = np.where(np.isinf(found.coef), np.inf, np.sqrt(np.maximum(np.diag(found.vcov), 0.0)))
        told = found.words(model.design.coef_names)
        status[g] = "singular" if singular[g] else "ok"
        reason[g] = "; ".join(filter(None, (told, reason[g] if status[g] == "singular" else "")))
    return CountFits(
        design=model.design,
        family=model.family,
        loglik=ends.loglik,
        coef=coef,
        se=se,
        vcov=vcov,
        sd=np.sqrt(ends.variance),
        dispersion=np.exp(-ends.kappa) if model.family == "negative_binomial" else 0.0 * ends.variance,
        modes=ends.mode,
        evaluations=ends.evaluations,
        status=status.astype(str),
        reason=reason.astype(str),
        separated=separated,
        ends=ends,
    )


def _on_formula(which: Columns, coefficients: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """(G, p) coefficients of the design's columns and (G, p, p) their covariance, each gene by itself."""
    coef = np.stack([np.sum(coefficients * row, axis=1) for row in which.back], axis=1)
    half = np.stack([np.sum(covariance * row, axis=2) for row in which.back], axis=2)
    return coef, np.stack([np.sum(half * row[:, None], axis=1) for row in which.back], axis=1)
