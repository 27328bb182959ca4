"""The moderated test of count models with nested, paired and slope structures: as `nestde.fit.counts.moderated`, on a grid."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.design.design import Design
from nestde.fit import grid as grids
from nestde.fit import prior as priors
from nestde.fit.compiled import spread
from nestde.fit.counts.fits import trusted
from nestde.fit.counts.gene import Data
from nestde.fit.counts.general.gene import GeneralEnds
from nestde.fit.counts.general.model import GeneralModel
from nestde.fit.counts.general.profile import Lattice, test_some, weigh_some
from nestde.fit.counts.general.strata import GeneralColumns, together
from nestde.fit.counts.moderated import COVERAGE, LARGEST, SMALLEST, CountModerated, CountTests, without_bound
from nestde.fit.counts.record import CountFits
from nestde.fit.counts.separation import walls_of
from nestde.fit.grid import Density, Grid
from nestde.fit.log_tail import log_tail
from nestde.fit.prior import Prior

# Variances are of the linear predictor, so that their range and steps are the same for every design.
DENSITY = Density((LARGEST, LARGEST), dict.fromkeys((1, 2, 3, 4), 1.0), 1.5, 3000)
SIZE = 0.02 / SMALLEST
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
    return grids.lay_out(design.random, axes, [SIZE] * len(axes), groups, DENSITY)


class Setting(NamedTuple):
    """A model on a grid, and its fits to G genes.

    Attributes
    ----------
    grid, lattice
        Of K points.
    full, without
        All columns, and those that are left where a contrast is 0.
    ends, start
        Fits of all columns; (G,) the point next to each.
    variances
        (K, M) whose posterior means are wanted.
    """

    grid: Grid
    lattice: Lattice
    full: GeneralColumns
    without: Callable[[Floats], GeneralColumns]
    ends: GeneralEnds
    start: NDArray[np.int64]
    variances: Floats


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
    at = Lattice(_lambda(on, model), beside(on))
    setting = Setting(
        on, at, model.full, model.without, full.ends, _starts(on, model, full), _variances(on, model)
    )
    tests, means, prior = tested(setting, data, full, contrasts, expression, prior, threads)
    return CountModerated(tests, dict(zip(_names(model.design), means.T, strict=True)), prior)


def tested(
    setting: Setting,
    data: Data,
    full: CountFits,
    contrasts: Sequence[Floats],
    expression: Floats,
    prior: Prior | None,
    threads: int | None,
) -> tuple[list[CountTests], Floats, Prior]:
    """Tests of each contrast, (G, M) posterior means of the variances, and the prior, which is learnt unless it is given."""
    which, skip = setting.full, ~trusted(full.status)
    genes = len(skip)
    walls = walls_of(full.separated, genes, which.q.shape[1])
    if prior is None:
        prior = _learn(setting, data, skip, walls, expression, threads)
    left, beyond = prior.place(expression)
    weights = setting.grid.of_points(prior.weights)
    means, tests = np.full((genes, setting.variances.shape[1]), np.nan), dict[bytes, CountTests]()
    for rows in {each.tobytes(): each for each in contrasts}.values():
        less = setting.without(rows)
        turn = np.linalg.solve(less.q.T @ less.q, less.q.T @ which.q)
        log_p, moments = np.full(genes, np.nan), np.full((genes, 4), np.nan)
        spread(
            test_some, genes, threads, which.model, less.model, which.points, data, skip, setting.start, setting.ends, *walls, turn,
            setting.lattice, weights, left, beyond, rows[0] @ which.back, len(rows), log_tail([len(rows)], math.inf),
            setting.variances, 1.0 - COVERAGE if len(rows) == 1 else 0.0, log_p, moments, means,
        )  # fmt: skip
        without_bound(full, rows, moments)
        tests[rows.tobytes()] = CountTests(log_p, *moments.T)
    return [tests[rows.tobytes()] for rows in contrasts], means, prior


def _learn(
    setting: Setting,
    data: Data,
    skip: NDArray[np.bool_],
    walls: tuple[NDArray[np.int64], Floats],
    expression: Floats,
    threads: int | None,
) -> Prior:
    """Fit the prior to the genes that are not skipped."""
    on = setting.grid
    chosen, sampled = priors.sample(on, skip, expression)
    likelihood, which = np.empty((len(chosen), len(on.flat)), np.float32), setting.full
    spread(
        weigh_some, len(chosen), threads, which.model, which.points, data, chosen, setting.start, setting.ends, *walls,
        setting.lattice, on.node, on.share, likelihood,
    )  # fmt: skip
    known = np.isfinite(likelihood).all(axis=1)
    return priors.fit(on, likelihood[known], expression[chosen[known]], sampled, threads)


def places(on: Grid) -> tuple[list[Floats], NDArray[np.int64], NDArray[np.int64]]:
    """Values of each axis, (points, D) the place of each point among them, and the number of the point at each place, or -1.

    Of many arms the axes are the two kinds of them, and the points those of the first way that they part.
    """
    points = len(on.values) // len(on.ways)
    at = on.values[:points] if len(on.ways) == 1 else on.values[:points, [0, int(np.argmax(on.ways[0]))]]
    values = [np.unique(axis) for axis in at.T]
    place = np.stack([np.searchsorted(axis, each) for axis, each in zip(values, at.T, strict=True)], axis=1)
    number = np.full([len(axis) for axis in values], -1)
    number[tuple(place.T)] = np.arange(len(place))
    return values, place, number


def beside(on: Grid) -> NDArray[np.int64]:
    """Points side by side, see `Lattice`; where all arms are of a kind also those of other ways to part them."""
    _, place, number = places(on)
    points, ways = len(place), len(on.ways)
    out = np.full((points, 2 * place.shape[1]), -1)
    for d in range(place.shape[1]):
        for side, step in enumerate((-1, 1)):
            there = place.copy()
            there[:, d] += step
            inside = (there[:, d] >= 0) & (there[:, d] < number.shape[d])
            out[inside, 2 * d + side] = number[tuple(there[inside].T)]
    if ways == 1:
        return out
    every = np.concatenate([np.where(out < 0, -1, out + way * points) for way in range(ways)])
    bridge = np.full((ways, points, 2), -1)
    alike = np.flatnonzero(place[:, 0] == place[:, 1])
    for way in range(ways):
        for side, step in enumerate((-1, 1)):
            bridge[way, alike, side] = alike + (way + step) % ways * points
    return np.hstack([every, bridge.reshape(-1, 2)])


def _lambda(on: Grid, model: GeneralModel) -> Floats:
    """(K, k, k) Λ of all factors at each point."""
    shift, widths = model.frame.empty.shift, [len(factor.effects) for factor in model.design.random]
    lam = np.zeros((len(on.values), sum(widths), sum(widths)))
    for begin, width, part in zip(shift, widths, on.factors, strict=True):
        lam[:, begin : begin + width, begin : begin + width] = part[:, 0]
    return lam


def nearest(axis: Floats, variance: Floats) -> NDArray[np.int64]:
    """Place among the values of an axis of (G,) variances."""
    return np.asarray(np.abs(np.log(axis + SMALLEST) - np.log(variance + SMALLEST)[:, None]).argmin(axis=1))


def _starts(on: Grid, model: GeneralModel, full: CountFits) -> NDArray[np.int64]:
    """(G,) the point next to each gene's fit."""
    values, _, number = places(on)
    fitted = [np.zeros((len(full.status), len(turn), len(turn))) for turn in model.frame.basis.turn]
    for t, (f, row, column) in enumerate(model.frame.basis.theta):
        fitted[f][:, row, column] = np.nan_to_num(full.ends.theta[:, t])
    at = [variance for part in fitted for variance in (part**2).sum(axis=2).T]
    near = [nearest(axis, v) for axis, v in zip(values, at, strict=False)]
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
