"""Fit one design to many responses: all genes of a matrix, or columns of numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse

from nestde.arrays import Floats
from nestde.design.design import Design
from nestde.errors import NestdeError
from nestde.fit import optimise, scalar, status
from nestde.fit.basis import Basis, basis, combine
from nestde.fit.crossproducts import (
    Leaves,
    Sums,
    Values,
    collect,
    own_leaves,
    sums_of_counts,
    sums_of_responses,
)
from nestde.fit.evaluate import Layout
from nestde.fit.faces import elements
from nestde.fit.layout import flatten, lay_out, order, unflatten
from nestde.fit.log_sf import log_chi2_sf
from nestde.fit.record import Fits, GeneFits, LikelihoodRatio
from nestde.fit.responses import Criterion, Responses
from nestde.fit.sparse.layout import Order


@dataclass(frozen=True)
class FitModel:
    """The y-free part of a design."""

    design: Design
    basis: Basis
    leaf: Leaves

    @cached_property
    def order(self) -> Order | None:
        """Order of elimination, if factors with many levels cross."""
        return order(self.design, self.leaf)

    def layout(self, keep: Floats) -> Layout:
        """The model whose fixed effects are Q `keep`, (p, r)."""
        return lay_out(self.design, self.basis, self.leaf, self.order, keep)


def fit_genes(
    design: Design,
    counts: scipy.sparse.csc_array,
    values: Values,
    *,
    reml: bool = False,
    threads: int | None = None,
) -> GeneFits:
    """Fit what `values` makes of the counts of every gene; test terms by likelihood ratio, if by ML.

    Parameters
    ----------
    design
        Of n cells.
    counts
        (n, G) raw counts, compressed by column. Memory beside it: a few numbers per gene and group.
    values
        What the response is.
    reml
        Fit by REML, without tests.
    threads
        None: one per processor. The result does not depend on it.
    """
    model = prepare(design)
    sums = collect(design, model.leaf, *sums_of_counts(model.leaf.grain, counts, values, threads))
    if reml:
        return GeneFits(fit(model, sums, np.eye(design.x.shape[1]), True, threads=threads), {})
    return fit_tests(model, sums, threads=threads)


def fit_tests(model: FitModel, sums: Sums, *, threads: int | None = None) -> GeneFits:
    """Fit by ML with and without each tested term, and compare the likelihoods."""
    kept = {term: model.design.without(term) for term in model.design.tests}
    different = {columns.tobytes(): columns for columns in kept.values()}
    reduced = {key: fit(model, sums, columns, False, threads=threads) for key, columns in different.items()}
    starts = [fits.record.end for fits in reduced.values()]
    full = fit(model, sums, np.eye(model.design.x.shape[1]), False, starts, threads=threads)
    return GeneFits(full, {term: ratio(full, reduced[columns.tobytes()]) for term, columns in kept.items()})


def fit_responses(design: Design, y: Floats, *, reml: bool = False, threads: int | None = None) -> Fits:
    """Fit each column of `y`, (n, G) or (n,), by ML or REML."""
    model = prepare(design)
    sums = sums_of_responses(design, model.basis, model.leaf, np.asarray(y, float).reshape(design.n, -1))
    return fit(model, sums, np.eye(design.x.shape[1]), reml, threads=threads)


def prepare(design: Design) -> FitModel:
    """Build the y-free part, once for all responses and all models that leave out columns of X.

    Raises
    ------
    NestdeError
        The design has no random effects.
    """
    grouped(design)
    turned = basis(design)
    return FitModel(design, turned, own_leaves(design, turned))


def grouped(design: Design) -> None:
    """Refuse a design without random effects, in words."""
    if not design.random:
        raise NestdeError(design.formula.ungrouped())


def fit(
    model: FitModel,
    sums: Sums,
    columns: Floats,
    reml: bool,
    starts: Sequence[Floats] = (),
    *,
    threads: int | None = None,
) -> Fits:
    """Fit the model with some columns of X, or combinations of them.

    Parameters
    ----------
    model
        From `prepare`.
    sums
        Cross-products of the responses.
    columns
        (p, r) combinations of the columns of `design.x`, linearly independent; the identity takes all as they are.
    reml
        REML, else ML.
    starts
        Further (G, T) starting values on the fitted basis.
    threads
        None: one per processor.
    """
    design, turned = model.design, model.basis
    # an orthonormal basis of the kept columns, as combinations of Q's: no second pass over the rows
    keep, r = np.linalg.qr(turned.r @ columns)
    qy = combine(sums.qy, keep.T)
    freedom = float(design.n - columns.shape[1] if reml else design.n)
    untested = status.untestable(sums.yy - np.sum(qy**2, axis=1), sums.rounding)
    skip = untested[0] != ""
    responses = Responses(flatten(design, model.order, sums.zy), qy, sums.yy)
    criterion = Criterion(freedom, reml)
    if len(turned.theta) == 1:
        zz, zq = model.leaf.of_factor(design, 0)
        a, zq = np.ascontiguousarray(zz[:, 0, 0]), zq[:, 0] @ keep
        record, solution = scalar.fit(a, zq, responses, criterion, skip, threads)
    else:
        layout = model.layout(keep)
        given = np.stack(starts, axis=1) if starts else np.empty((len(qy), 0, len(turned.theta)))
        record = optimise.search(layout, elements(turned), responses, criterion, skip, given, threads)
        solution = optimise.solve(record.end, layout, responses, criterion, threads)
    theta, (beta, covariance, r2, value) = record.end, solution
    outcome, reason = status.judge(
        untested, record, turned.theta[:, 1] == turned.theta[:, 2], _zeros(design, turned)
    )
    constant = freedom * (1.0 + np.log(2.0 * np.pi / freedom))
    if reml:
        constant += 2.0 * np.log(np.abs(np.diag(r))).sum()
    sigma = np.sqrt(r2 / freedom)
    back = np.linalg.inv(r)
    vcov = (sigma**2)[:, None, None] * (back @ covariance @ back.T)
    factors = turned.factors(theta)
    return Fits(
        design=design,
        reml=reml,
        columns=columns,
        loglik=-0.5 * (value + constant),
        theta=turned.theta_of(factors),
        sigma=sigma,
        coef=combine(beta + combine(sums.shift, keep.T), back),
        se=np.sqrt(np.einsum("gii->gi", vcov)),
        vcov=vcov,
        factors=tuple(factors),
        zy=tuple(part @ turn for part, turn in zip(sums.zy, turned.turn, strict=True)),
        qy=sums.qy,
        yy=sums.yy,
        shift=combine(combine(sums.shift, keep.T), back),
        status=outcome,
        reason=reason,
        record=record,
    )


def ratio(full: Fits, reduced: Fits) -> LikelihoodRatio:
    """Likelihood-ratio test of the columns that `reduced` leaves out; both by ML."""
    stat = np.maximum(2.0 * (full.loglik - reduced.loglik), 0.0)
    df = full.columns.shape[1] - reduced.columns.shape[1]
    order = {name: rank for rank, name in enumerate(("ok", "singular", "unstable", "failed", "not_testable"))}
    rank = np.array([[order[name] for name in fits.status] for fits in (full, reduced)]).reshape(2, -1)
    worse = rank[1] > rank[0]
    # a singular reduced model is no blemish of the test's full fit, a fault of either is
    worse &= rank[1] > order["singular"]
    return LikelihoodRatio(
        loglik_reduced=reduced.loglik,
        stat=stat,
        df=df,
        log_p=log_chi2_sf(stat, df),
        status=np.where(worse, reduced.status, full.status),
        reason=np.where(worse, reduced.reason, full.reason),
        reduced=reduced,
    )


def _zeros(design: Design, turned: Basis) -> list[str]:
    """What it means that each theta is zero, for diagonal ones."""
    names = []
    for f, row, _ in turned.theta:
        factor = design.random[f]
        alone = factor.blocks.count(factor.blocks[row]) == 1
        what = factor.effects[row] if alone else f"{' + '.join(factor.effects)} (covariance of lower rank)"
        names.append(f"no variance of {what} between {factor.name}")
    return names


def modes(model: FitModel, sums: Sums, fits: Fits) -> list[Floats]:
    """Conditional modes (BLUPs) of the random effects of each factor, (G, groups, k), on the scale of the formula.

    For fits of all columns of X to the responses of `sums`; NaN where there are no estimates.
    """
    design, turned = model.design, model.basis
    every = np.eye(design.x.shape[1])
    layout = model.layout(every)
    zy = flatten(design, model.order, sums.zy)
    found = np.full(zy.shape, np.nan)
    freedom = float(design.n - len(every) if fits.reml else design.n)
    responses = Responses(zy, sums.qy, sums.yy)
    optimise.modes(fits.record.end, layout, responses, Criterion(freedom, fits.reml), found)
    parts = unflatten(design, model.order, found)
    return [part @ np.linalg.inv(turn).T for part, turn in zip(parts, turned.turn, strict=True)]
