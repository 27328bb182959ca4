"""Count models of many genes: fits with and without what is tested, and when they are to be believed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.special import gammaln

from nestde.arrays import Floats, Texts
from nestde.design.design import Design, RandomFactor
from nestde.errors import NestdeError
from nestde.fit import status as words
from nestde.fit.compiled import spread
from nestde.fit.counts.columns import Grouped
from nestde.fit.counts.gene import Data, occupied
from nestde.fit.counts.general.model import general_model
from nestde.fit.counts.intercept import intercept_model
from nestde.fit.counts.laplace import BERNOULLI, NEGATIVE_BINOMIAL, POISSON
from nestde.fit.counts.record import CountFits, CountModel, CountRatio, Ended, Fitted, higher
from nestde.fit.counts.separation import unbounded
from nestde.fit.log_sf import log_chi2_sf

FAMILIES = {"poisson": POISSON, "negative_binomial": NEGATIVE_BINOMIAL, "bernoulli": BERNOULLI}
# Counts below this have their factorials in a table.
_FEW = 256
# A reduced model whose likelihood is higher than the full one's by this shows that the full one is not at its maximum.
_HIGHER = 1e-9

EVERY_CELL = "every cell has a count: there is nothing to tell detection from"
NO_OVERDISPERSION = "no overdispersion: the Poisson fit"


def single(design: Design) -> bool:
    """Whether all that is random is one intercept."""
    return len(design.random) == 1 and design.random[0].effects == ("(Intercept)",)


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
        The design has no random effects.
    """
    if not design.random:
        raise NestdeError(design.formula.ungrouped())
    build = intercept_model if single(design) else general_model
    return build(design, family, FAMILIES[family], offset)


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


def fit(
    model: CountModel,
    which: Any,
    data: Data,
    like: tuple[Any, CountFits] | None = None,
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
    return _fit(model, which, data, _untestable(model, data, threads), like, threads)


def _fit(
    model: CountModel,
    which: Any,
    data: Data,
    untested: tuple[Texts, Texts],
    like: tuple[Any, CountFits] | None,
    threads: int | None,
) -> CountFits:
    """As `fit`, of genes whose counts were looked at."""
    return _judged(model, which, data, untested, model.search(which, data, untested[0] != "", like, threads))


def fit_tests(
    model: CountModel,
    data: Data,
    contrasts: Sequence[Floats],
    full: CountFits | None = None,
    threads: int | None = None,
) -> tuple[CountFits, list[CountRatio]]:
    """Fit with all columns, unless that is given, and with each contrast, rows (q, p), being 0; compare the likelihoods."""
    untested = _untestable(model, data, threads)
    if full is None:
        full = _fit(model, model.full, data, untested, None, threads)
    reduced = []
    for rows in contrasts:
        which = model.without(rows)
        less = _fit(model, which, data, untested, (model.full, full), threads)
        low = less.loglik > full.loglik + _HIGHER
        if low.any():  # the full model's search ended on a lower hill
            again = model.search(model.full, data, ~low, (which, less), threads)
            full = _judged(model, model.full, data, untested, higher(full.ends, again))
        reduced.append(less)
    return full, [_ratio(full, less, len(rows)) for less, rows in zip(reduced, contrasts, strict=True)]


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
    every = np.diff(model.cells.begin)
    reason = np.full(len(cells), "", object)
    for factor, group in zip(model.design.random, model.groups(), strict=True):
        with_counts = _groups_with(cells, group)
        lone = f"a single group of {factor.name} has a count: how groups differ cannot be told"
        reason[with_counts == 1] = lone
        reason[with_counts == 0] = words.CONSTANT
        if model.family == "bernoulli":
            without = _groups_with(every - cells, group)
            all_but = (
                f"a single group of {factor.name} has cells without a count: how groups differ cannot be told"
            )
            reason[without == 1] = all_but
            reason[without == 0] = EVERY_CELL
    return np.where(reason != "", "not_testable", ""), reason.astype(str)


def _groups_with(cells: NDArray[np.int64], group: NDArray[np.int64]) -> NDArray[np.int64]:
    """(G,) how many groups of a factor have some of (G, S) cells, of which each S is in one group."""
    found = np.zeros((len(cells), int(group.max()) + 1), bool)
    for s, g in enumerate(group):
        found[:, g] |= cells[:, s] > 0
    return np.asarray(found.sum(axis=1))


def _judged(
    model: CountModel, which: Fitted, data: Data, untested: tuple[Texts, Texts], ends: Ended
) -> CountFits:
    """Turn fits to the scale of the formula, and say what is to be thought of them."""
    status, reason = (text.astype(object) for text in untested)
    open_ = status == ""
    factors = model.factors(ends)
    still = _still(model.design, factors)
    status[open_] = "ok"
    singular = open_ & np.any([zero for zero, _ in still], axis=0)
    lost = open_ & ~np.isfinite(ends.loglik)
    unstable = open_ & ~lost & ~(ends.promise <= words.DECREASE)
    if model.family == "negative_binomial":
        reason[open_ & np.isinf(ends.kappa)] = NO_OVERDISPERSION
    for where, word, why in (
        *((open_ & zero, "singular", why) for zero, why in still),
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
        thetas=model.thetas,
        loglik=ends.loglik,
        coef=coef,
        se=se,
        vcov=vcov,
        factors=factors,
        dispersion=np.exp(-ends.kappa) if model.family == "negative_binomial" else 0.0 * ends.loglik,
        modes=model.modes(ends),
        evaluations=ends.evaluations,
        status=status.astype(str),
        reason=reason.astype(str),
        separated=separated,
        ends=ends,
    )


def _still(design: Design, factors: tuple[Floats, ...]) -> list[tuple[NDArray[np.bool_], str]]:
    """Of each random effect (G,) whether it has no variance of its own, and the words for that."""
    return [
        (factors[f][:, i, i] == 0, _no_variance(factor, i, bool(i) and len(set(factor.blocks)) == 1))
        for f, factor in enumerate(design.random)
        for i in range(len(factor.effects))
    ]


def _no_variance(factor: RandomFactor, effect: int, correlated: bool) -> str:
    of_its_own = " of its own" if correlated else ""
    return f"no variance{of_its_own} of {factor.effects[effect]} between {factor.name}"


def _on_formula(which: Fitted, coefficients: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """(G, p) coefficients of the design's columns and (G, p, p) their covariance, each gene by itself."""
    coef = np.stack([np.sum(coefficients * row, axis=1) for row in which.back], axis=1)
    half = np.stack([np.sum(covariance * row, axis=2) for row in which.back], axis=2)
    return coef, np.stack([np.sum(half * row[:, None], axis=1) for row in which.back], axis=1)
