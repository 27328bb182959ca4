"""The continuous part of a hurdle model: linear mixed models among the cells that have a count, and why a gene has none."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats, Texts
from nestde.design.design import Design
from nestde.design.within import constant_within
from nestde.fit import status as words
from nestde.fit.basis import combine
from nestde.fit.compiled import spread
from nestde.fit.hurdle.curve import Ends, fit_some
from nestde.fit.hurdle.sums import Sums

# Of a column's sum of squares among detecting cells, what the columns before leave below this share is rounding.
_ALIASED = 1e-10
# Of y's, what columns and samples leave below this share is rounding.
_PERFECT = 1e-12

NO_COUNT = "no cell has a count"
PERFECT = "no variance is left among detecting cells within samples"


@dataclass(frozen=True)
class Model:
    """A design on columns that are orthonormal but for a factor: X = `q` `r`.

    Attributes
    ----------
    design
        With one random intercept.
    q
        (n, p) of mean square 1.
    r
        (p, p) upper triangle.
    sample
        (n,) group of each cell.
    """

    design: Design
    q: Floats
    r: Floats
    sample: NDArray[np.int64]


@dataclass(frozen=True)
class Fits:
    """One model fitted to the detecting cells of G genes, on the scale of the formula; NaN where `status` tells why.

    Attributes
    ----------
    loglik
        (G,) by ML or REML.
    coef, vcov
        (G, p), (G, p, p) of the design's columns.
    sigma, sd
        (G,) standard deviations between cells and between samples.
    status, reason
        (G,).
    evaluations
        (G,) of the likelihood.
    """

    loglik: Floats
    coef: Floats
    vcov: Floats
    sigma: Floats
    sd: Floats
    status: Texts
    reason: Texts
    evaluations: NDArray[np.int64]


def model_of(design: Design) -> Model:
    """Turn and scale the columns of a design."""
    q, r = np.linalg.qr(design.x)
    size = np.sqrt(design.n)
    return Model(design, q * size, r / size, design.random[0].codes.astype(np.int64))


def untestable(model: Model, sums: Sums) -> Texts:
    """(G,) why the continuous part of a gene cannot be fitted; '' if it can."""
    design = model.design
    between = int(constant_within(design.x, design.random[0]).sum())
    cells, samples = sums.cells.sum(axis=1), (sums.cells > 0).sum(axis=1)
    total = sums.within + np.einsum("gs,gsi,gsj->gij", sums.cells, sums.mean, sums.mean)
    reason = np.full(len(cells), "", object)
    reason[samples <= between] = [
        f"{n} {'sample has' if n == 1 else 'samples have'} a count: too few to tell how they differ"
        for n in samples[samples <= between]
    ]
    reason[cells == 0] = NO_COUNT
    few = (reason == "") & (cells <= np.maximum(samples, design.x.shape[1] + 1))
    reason[few] = [
        f"{n:.0f} detecting cells in {s} samples are too few"
        for n, s in zip(cells[few], samples[few], strict=True)
    ]
    left = np.zeros_like(total)
    for j, name in enumerate(design.coef_names):
        rest = total[:, j, j] - np.sum(left[:, j, :j] ** 2, axis=1)
        gone = (reason == "") & ~(rest > _ALIASED * total[:, j, j])
        reason[gone] = f"among detecting cells {name} cannot be told from the rest"
        left[:, j, j] = np.sqrt(np.where(rest > 0, rest, 1.0))
        for i in range(j + 1, total.shape[1]):
            left[:, i, j] = (total[:, i, j] - np.sum(left[:, i, :j] * left[:, j, :j], axis=1)) / left[:, j, j]
    within = sums.within[:, -1, -1] - _explained(sums.within)
    reason[(reason == "") & ~(within > _PERFECT * total[:, -1, -1])] = PERFECT
    return reason


def _explained(within: Floats) -> Floats:
    """(G,) what of y's square within samples the columns explain."""
    p = within.shape[1] - 1
    found = np.zeros(len(within))
    left = within.copy()
    for j in range(p):
        pivot = left[:, j, j].copy()
        use = pivot > _ALIASED * np.maximum(within[:, j, j], 1e-300)
        scale = np.where(use, 1.0 / np.where(use, pivot, 1.0), 0.0)
        found += scale * left[:, j, p] ** 2
        left = left - scale[:, None, None] * left[:, :, j, None] * left[:, None, j]
    return found


def fit(
    model: Model, sums: Sums, columns: Floats, reml: bool, reason: Texts, threads: int | None = None
) -> Fits:
    """Fit the columns X `columns`, (p, r), to every gene of which `reason` says nothing."""
    keep, r = np.linalg.qr(model.r @ columns)
    genes, width = len(reason), keep.shape[1]
    skip = reason != ""

    def empty(*shape: int) -> Floats:
        return np.full((genes, *shape), np.nan)

    ends = Ends(
        empty(), empty(), empty(), empty(), empty(width), empty(width, width), np.zeros(genes, np.int64)
    )
    spread(fit_some, genes, threads, sums, np.ascontiguousarray(keep), reml, skip, ends)
    freedom = sums.cells.sum(axis=1) - (width if reml else 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        constant = freedom * (1.0 + np.log(2.0 * np.pi / freedom))
        sigma = np.sqrt(ends.r2 / freedom)
    if reml:
        constant += 2.0 * np.log(np.abs(np.diag(r))).sum()
    back = columns @ np.linalg.inv(r)
    half = np.stack([np.sum(ends.covariance * row, axis=2) for row in back], axis=2)
    spread_ = np.stack([np.sum(half * row[:, None], axis=1) for row in back], axis=1)
    status = np.where(skip, "not_testable", np.where(ends.psi == 0, "singular", "ok")).astype(object)
    told = reason.astype(object)
    name = model.design.random[0].name
    told[status == "singular"] = f"no variance of (Intercept) between {name}"
    lost = ~skip & ~(np.abs(ends.slope) * ends.psi <= words.DECREASE)
    status[lost], told[lost] = "unstable", words.NOT_OPTIMAL
    return Fits(
        loglik=-0.5 * (ends.value + constant),
        coef=combine(ends.b, back),
        vcov=(sigma**2)[:, None, None] * spread_,
        sigma=sigma,
        sd=sigma * np.sqrt(ends.psi),
        status=status.astype(str),
        reason=told.astype(str),
        evaluations=ends.evaluations,
    )


def worse(full: Fits, reduced: Fits) -> tuple[Texts, Texts]:
    """Status and reason of a test, those of the worse of its fits."""
    lost = ~np.isin(reduced.status, ("ok", "singular")) & np.isin(full.status, ("ok", "singular"))
    return np.where(lost, reduced.status, full.status), np.where(lost, reduced.reason, full.reason)
