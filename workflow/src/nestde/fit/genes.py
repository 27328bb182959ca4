"""Fit one design to many responses: all genes of a matrix, or columns of numbers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from nestde.design import Design
from nestde.fit import scalar, status
from nestde.fit.basis import Basis, basis
from nestde.fit.crossproducts import Leaves, Sums, leaves, sums_of_counts, sums_of_responses
from nestde.fit.state import Fits, GeneFits, LikelihoodRatio, Record

if TYPE_CHECKING:
    import scipy.sparse

Floats = NDArray[np.float64]


def fit_genes(
    design: Design,
    counts: "scipy.sparse.csc_array",
    size_factor: Floats,
    *,
    test: str | None = None,
    reml: bool = False,
    threads: int | None = None,
) -> GeneFits:
    """Fit log(1 + count / size factor) of every gene; test terms by likelihood ratio, if by ML.

    Parameters
    ----------
    design
        Of n cells.
    counts
        (n, G) raw counts, compressed by column. Memory beside it: a few numbers per gene and group.
    size_factor
        (n,) of each cell, positive.
    test
        One of `design.tests`; None tests each of them.
    reml
        Fit by REML, without tests.
    threads
        None: all that numba has. The result does not depend on it.
    """
    tests = {} if reml else design.tests if test is None else {test: design.tests[test]}
    with _threads(threads):
        model = prepare(design)
        sums = sums_of_counts(design, model.leaf, counts, size_factor)
        full = tuple(range(design.x.shape[1]))
        if not tests:
            return GeneFits(fit(model, sums, full, reml), {})
        kept = {term: tuple(sorted(set(full) - set(columns))) for term, columns in tests.items()}
        reduced = {columns: fit(model, sums, columns, False) for columns in set(kept.values())}
        whole = fit(model, sums, full, False, [fits.record.end for fits in reduced.values()])
        return GeneFits(whole, {term: ratio(whole, reduced[columns]) for term, columns in kept.items()})


def fit_responses(design: Design, y: Floats, *, reml: bool = False, threads: int | None = None) -> Fits:
    """Fit each column of `y`, (n, G) or (n,), by ML or REML."""
    with _threads(threads):
        model = prepare(design)
        sums = sums_of_responses(design, model.basis, model.leaf, np.asarray(y, float).reshape(design.n, -1))
        return fit(model, sums, tuple(range(design.x.shape[1])), reml)


@dataclass(frozen=True)
class Model:
    """The y-free part of a design."""

    design: Design
    basis: Basis
    leaf: Leaves


def prepare(design: Design) -> Model:
    """Build the y-free part, once for all responses and all models that leave out columns of X."""
    turned = basis(design)
    return Model(design, turned, leaves(design, turned))


def fit(
    model: Model, sums: Sums, columns: tuple[int, ...], reml: bool, starts: Sequence[Floats] = ()
) -> Fits:
    """Fit the model with some columns of X.

    Parameters
    ----------
    model
        From `prepare`.
    sums
        Cross-products of the responses.
    columns
        Of `design.x`.
    reml
        REML, else ML.
    starts
        Further (G, T) starting values on the fitted basis.
    """
    design = model.design
    # an orthonormal basis of the kept columns, as combinations of Q's: no second pass over the rows
    keep, r = np.linalg.qr(model.basis.r[:, columns])
    qy = sums.qy @ keep
    freedom = float(design.n - len(columns) if reml else design.n)
    untested = status.untestable(sums.yy, np.einsum("gi,gi->g", qy, qy))
    skip = untested[0] != ""

    zz, zq = model.leaf.of_factor(design, 0)
    a, zq = np.ascontiguousarray(zz[:, 0, 0]), zq[:, 0] @ keep
    zy = np.ascontiguousarray(sums.zy[0][:, :, 0])
    lines = scalar.grid(a, zq, reml)
    psi, slope, evaluations, margin = scalar.minimise(
        lines.psi, lines.shrink, lines.covariance, lines.slope, a, zq, zy, qy, sums.yy, freedom, reml, skip
    )
    beta, covariance, r2, value = scalar.solve(psi, a, zq, zy, qy, sums.yy, freedom, reml)
    theta = np.sqrt(psi)[:, None]
    decrease = np.where(psi > 0, np.abs(slope) * psi, 0.0)
    record = Record(
        start=np.zeros_like(theta),
        end=theta,
        evaluations=evaluations,
        gradient=np.abs(2.0 * theta[:, 0] * slope),
        decrease=decrease,
        optima=np.where(np.isfinite(margin), 2, 1),
    )
    outcome, reason = status.judge(
        untested,
        theta,
        model.basis.theta[:, 1] == model.basis.theta[:, 2],
        decrease,
        margin,
        zero_names(design, model.basis),
    )
    constant = freedom * (1.0 + np.log(2.0 * np.pi / freedom))
    if reml:
        constant += 2.0 * np.log(np.abs(np.diag(r))).sum()
    sigma = np.sqrt(r2 / freedom)
    back = np.linalg.inv(r)
    vcov = np.einsum("g,ia,gab,jb->gij", sigma**2, back, covariance, back, optimize=True)
    factors = model.basis.factors(theta)
    return Fits(
        design=design,
        reml=reml,
        columns=columns,
        loglik=-0.5 * (value + constant),
        theta=model.basis.theta_of(factors),
        sigma=sigma,
        coef=(beta + sums.shift @ keep) @ back.T,
        se=np.sqrt(np.einsum("gii->gi", vcov)),
        vcov=vcov,
        factors=tuple(factors),
        zy=tuple(part @ turn for part, turn in zip(sums.zy, model.basis.turn, strict=True)),
        shift=sums.shift @ keep @ back.T,
        status=outcome,
        reason=reason,
        record=record,
    )


def ratio(full: Fits, reduced: Fits) -> LikelihoodRatio:
    """Likelihood-ratio test of the columns that `reduced` leaves out; both by ML."""
    stat = np.maximum(2.0 * (full.loglik - reduced.loglik), 0.0)
    df = len(full.columns) - len(reduced.columns)
    order = {name: rank for rank, name in enumerate(("ok", "singular", "unstable", "failed", "not_testable"))}
    rank = np.array([[order[name] for name in fits.status] for fits in (full, reduced)]).reshape(2, -1)
    worse = rank[1] > rank[0]
    # a singular reduced model is no blemish of the test's full fit, a fault of either is
    worse &= rank[1] > order["singular"]
    return LikelihoodRatio(
        loglik_reduced=reduced.loglik,
        stat=stat,
        df=df,
        log_p=chi2.logsf(stat, df),
        status=np.where(worse, reduced.status, full.status),
        reason=np.where(worse, reduced.reason, full.reason),
        reduced=reduced,
    )


def zero_names(design: Design, turned: Basis) -> list[str]:
    """What it means that each theta is zero, for diagonal ones."""
    names = []
    for f, row, _ in turned.theta:
        factor = design.random[f]
        alone = factor.blocks.count(factor.blocks[row]) == 1
        what = factor.effects[row] if alone else f"{' + '.join(factor.effects)} (covariance of lower rank)"
        names.append(f"no variance of {what} between {factor.name}")
    return names


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    before = numba.get_num_threads()
    numba.set_num_threads(min(number or before, numba.config.NUMBA_NUM_THREADS))
    try:
        yield
    finally:
        numba.set_num_threads(before)
