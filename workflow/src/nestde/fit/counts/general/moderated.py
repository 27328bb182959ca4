"""The moderated test of count models with nested, paired and slope structures: as `nestde.fit.counts.moderated`, on a grid."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.design.design import Design
from nestde.fit import grid as grids
from nestde.fit import prior as priors
from nestde.fit.compiled import spread
from nestde.fit.counts.fits import trusted
from nestde.fit.counts.gene import Data
from nestde.fit.counts.general.model import GeneralModel
from nestde.fit.counts.general.profile import Lattice, test_some, weigh_some
from nestde.fit.counts.general.strata import together
from nestde.fit.counts.moderated import COVERAGE, LARGEST, SMALLEST, CountModerated, CountTests, without_bound
from nestde.fit.counts.record import CountFits
from nestde.fit.counts.separation import walls_of
from nestde.fit.grid import Density, Grid
from nestde.fit.log_tail import log_tail
from nestde.fit.prior import Prior

# Variances are of the linear predictor, so that their range and steps are the same for every design.
_DENSITY = Density((LARGEST, LARGEST), dict.fromkeys((1, 2, 3, 4), 1.0), 1.5, 3000)
_SIZE = 0.02 / SMALLEST
# So many random effects that hang together are factorised at each point.
_TOGETHER = 60


def infeasible(design: Design) -> str:
    """Say why there is no grid for a design's random effects, or too long a way over it; '' if there is one."""
    most = together(design)
    if most > _TOGETHER:
        return f"{most} random effects hang together by cells they share; the moderated test of count models takes {_TOGETHER}"
    return grids.infeasible(design)


def grid(design: Design) -> Grid:
    """Lay out the covariances at which a posterior is summed."""
    axes, groups = list[str](), list[int]()
    for factor in design.random:
        for effect in factor.effects:
            axes.append(factor.name if factor.effects == ("(Intercept)",) else f"{factor.name} {effect}")
            groups.append(len(factor.levels))
    return grids.lay_out(design.random, axes, [_SIZE] * len(axes), groups, _DENSITY)


def moderate(
    model: GeneralModel,
    data: Data,
    full: CountFits,
    contrasts: Sequence[Floats],
    expression: Floats,
    prior: Prior | None = None,
    threads: int | None = None,
) -> CountModerated:
    """Test contrasts of the coefficients for all genes of a cell type; see `nestde.fit.counts.moderated.moderate`."""
    on = grid(model.design) if prior is None else prior.grid
    lattice, start = _lattice(on, model), _starts(on, model, full)
    which, skip = model.full, ~trusted(full.status)
    genes = len(skip)
    walls = walls_of(full.separated, genes, which.q.shape[1])
    if prior is None:
        prior = _learn(on, lattice, model, data, full, skip, start, walls, expression, threads)
    left, beyond = prior.place(expression)
    weights, functions = on.of_points(prior.weights), _variances(on, model)
    means, tests = np.full((genes, functions.shape[1]), np.nan), dict[bytes, CountTests]()
    for rows in {each.tobytes(): each for each in contrasts}.values():
        less = model.without(rows)
        turn = np.linalg.solve(less.q.T @ less.q, less.q.T @ which.q)
        log_p, moments = np.full(genes, np.nan), np.full((genes, 4), np.nan)
        spread(
            test_some, genes, threads, which.model, less.model, which.points, data, skip, start, full.ends, *walls, turn, lattice,
            weights, left, beyond, rows[0] @ which.back, len(rows), log_tail([len(rows)], math.inf), functions,
            1.0 - COVERAGE if len(rows) == 1 else 0.0, log_p, moments, means,
        )  # fmt: skip
        without_bound(full, rows, moments)
        tests[rows.tobytes()] = CountTests(log_p, *moments.T)
    named = zip(_names(model.design), means.T, strict=True)
    return CountModerated([tests[rows.tobytes()] for rows in contrasts], dict(named), prior)


def _learn(
    on: Grid,
    lattice: Lattice,
    model: GeneralModel,
    data: Data,
    full: CountFits,
    skip: NDArray[np.bool_],
    start: NDArray[np.int64],
    walls: tuple[NDArray[np.int64], Floats],
    expression: Floats,
    threads: int | None,
) -> Prior:
    """Fit the prior to the genes that are not skipped."""
    chosen, sampled = priors.sample(on, skip, expression)
    likelihood = np.empty((len(chosen), len(on.flat)), np.float32)
    spread(
        weigh_some, len(chosen), threads, model.full.model, model.full.points, data, chosen, start, full.ends, *walls, lattice,
        on.node, on.share, likelihood,
    )  # fmt: skip
    known = np.isfinite(likelihood).all(axis=1)
    return priors.fit(on, likelihood[known], expression[chosen[known]], sampled, threads)


def _places(on: Grid) -> tuple[list[Floats], NDArray[np.int64], NDArray[np.int64]]:
    """Values of each axis, (K, D) the place of each point among them, and the number of the point at each place, or -1."""
    values = [np.unique(axis) for axis in on.values.T]
    place = np.stack(
        [np.searchsorted(axis, at) for axis, at in zip(values, on.values.T, strict=True)], axis=1
    )
    number = np.full([len(axis) for axis in values], -1)
    number[tuple(place.T)] = np.arange(len(place))
    return values, place, number


def _lattice(on: Grid, model: GeneralModel) -> Lattice:
    """Λ of all factors at each point, and which points are side by side."""
    _, place, number = _places(on)
    beside = np.full((len(place), 2 * place.shape[1]), -1)
    for d in range(place.shape[1]):
        for side, step in enumerate((-1, 1)):
            there = place.copy()
            there[:, d] += step
            inside = (there[:, d] >= 0) & (there[:, d] < number.shape[d])
            beside[inside, 2 * d + side] = number[tuple(there[inside].T)]
    shift, widths = model.frame.empty.shift, [len(factor.effects) for factor in model.design.random]
    lam = np.zeros((len(place), sum(widths), sum(widths)))
    for begin, width, part in zip(shift, widths, on.factors, strict=True):
        lam[:, begin : begin + width, begin : begin + width] = part[:, 0]
    return Lattice(lam, beside)


def _starts(on: Grid, model: GeneralModel, full: CountFits) -> NDArray[np.int64]:
    """(G,) the point next to each gene's fit."""
    values, _, number = _places(on)
    fitted = [np.zeros((len(full.status), len(turn), len(turn))) for turn in model.frame.basis.turn]
    for t, (f, row, column) in enumerate(model.frame.basis.theta):
        fitted[f][:, row, column] = np.nan_to_num(full.ends.theta[:, t])
    at = [variance for part in fitted for variance in (part**2).sum(axis=2).T]
    near = [
        np.abs(np.log(axis + SMALLEST) - np.log(v + SMALLEST)[:, None]).argmin(axis=1)
        for axis, v in zip(values, at, strict=False)
    ]
    if len(values) > len(at):
        none = int(np.searchsorted(values[-1], 0.0))
        (part,) = (each for each in fitted if each.shape[1] == 2)
        rho = part[:, 1, 0] / np.maximum(np.sqrt(at[1]), 1e-12)
        some = np.logical_and.reduce([each > 0 for each in near])
        near.append(np.where(some, np.abs(values[-1] - rho[:, None]).argmin(axis=1), none))
    return np.ascontiguousarray(number[tuple(near)], np.int64)


def _variances(on: Grid, model: GeneralModel) -> Floats:
    """(K, M) variance of each random effect, on the scale of the formula."""
    theta = np.stack([on.factors[f][:, 0, row, column] for f, row, column in model.frame.basis.theta], axis=1)
    return np.hstack([(part**2).sum(axis=2) for part in model.frame.basis.factors(theta)])


def _names(design: Design) -> list[str]:
    """Columns of the variances."""
    several = any(len(factor.effects) > 1 for factor in design.random)
    return [
        "_".join(["variance_moderated", factor.name, *([effect] if several else [])])
        for factor in design.random
        for effect in factor.effects
    ]
