"""Kernels: one gene's likelihood over a grid of covariances, and tests averaged over what is known of them.

Points of the grid are gone through from the one next to the fit outwards, for as long as they are likely: few of thousands are.
At each the stand-in (`standin`) is climbed from where a neighbour's maximum is.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats, Integers
from nestde.fit.compiled import compiled
from nestde.fit.counts.gene import Data, load
from nestde.fit.counts.general.apart import climb_apart
from nestde.fit.counts.general.gene import GeneralEnds, is_served
from nestde.fit.counts.general.laplace import fill_lambda, spread_modes
from nestde.fit.counts.general.standin import Room, Standin, climb, expand, room_for, standin_of
from nestde.fit.counts.general.strata import Points, Strata
from nestde.fit.counts.laplace import NEGATIVE_BINOMIAL, POISSON
from nestde.fit.dense import copy, inverse
from nestde.fit.log_tail import LogTail, look_up
from nestde.fit.mixture import mean_estimate

# What is so far below the largest log-likelihood has no weight in a prior, and in a posterior.
_UNLIKELY, _FAR = 12.0, 30.0
# How far below a p-value's log the posterior of a point may be that is not looked at; the share of p that may be missing.
_BELOW, _MISSING = 8.0, 1e-3


class Lattice(NamedTuple):
    """K points of a grid: Λ of all factors (K, k, k), and in each direction of each axis the next one, or -1, (K, 2D)."""

    lam: Floats
    beside: NDArray[np.int64]


class Walk(NamedTuple):
    """Points that were visited, in that order, and what was found at each of the K.

    Attributes
    ----------
    order, state
        (K,) points in the order of visits; 0 not visited, 1 visited, 2 neighbours visited too.
    visits
        (1,) their number.
    loglik, adjusted
        (K,) maximum, and Cox and Reid's adjusted profile likelihood.
    estimate, square
        (K,) a contrast, and its squared standard error.
    phi, effects
        (K, r), (K, E) φ and b at the maximum.
    """

    order: NDArray[np.int64]
    state: NDArray[np.int64]
    visits: NDArray[np.int64]
    loglik: Floats
    adjusted: Floats
    estimate: Floats
    square: Floats
    phi: Floats
    effects: Floats


@compiled()
def _walk_of(points: int, r: int, effects: int) -> Walk:
    """Room for a walk."""
    return Walk(
        np.zeros(points, np.int64), np.zeros(points, np.int64), np.zeros(1, np.int64), np.zeros(points), np.zeros(points),
        np.zeros(points), np.zeros(points), np.zeros((points, r)), np.zeros((points, effects)),
    )  # fmt: skip


@compiled()
def _begin(
    g: int,
    start: int,
    model: Strata,
    points: Points,
    data: Data,
    ends: GeneralEnds,
    lattice: Lattice,
    gene: Standin,
    walk: Walk,
) -> None:
    """Fill a gene's stand-in, and begin a walk at the fit."""
    whole, k = load(g, points, data), lattice.lam.shape[1]
    lam, kappa = np.zeros((k, k)), ends.kappa[g]
    fill_lambda(ends.theta[g], model.element, model.shift, lam)
    family = POISSON if points.family == NEGATIVE_BINOMIAL and not math.isfinite(kappa) else points.family
    served = is_served(ends.coefficients[g], ends.modes[g], lam, model.fixed, model.effect, model.place, model.slot, model.lead, points.served)  # fmt: skip
    cells = points.nodes if served else points.cells
    expand(model, family, cells, whole, ends.coefficients[g], kappa, lam, ends.modes[g], gene)
    for i in range(walk.visits[0]):
        walk.state[walk.order[i]] = 0
    walk.visits[0] = 0
    copy(ends.coefficients[g], walk.phi[start])
    for c in range(len(model.first) - 1):
        first, last = model.first[c], model.first[c + 1]
        spread_modes(
            first, lam, model.slot, model.lead, ends.modes[g, first:last], walk.effects[start, first:last]
        )


@compiled()
def _visit(
    k: int,
    like: int,
    model: Strata,
    lattice: Lattice,
    gene: Standin,
    row: Floats,
    room: Room,
    u: Floats,
    walk: Walk,
) -> None:
    """Climb at a point from where another's maximum is."""
    r, lam = len(room.step), lattice.lam[k]
    phi, covariance = walk.phi[k], np.zeros((r, r))
    copy(walk.phi[like], phi)
    _modes_of(model, lam, walk.effects[like], u)
    height, logdet, of_phi = _climb(model, gene, lam, phi, u, room)
    walk.order[walk.visits[0]], walk.state[k] = k, 1
    walk.visits[0] += 1
    walk.loglik[k] = height - 0.5 * logdet
    walk.adjusted[k] = walk.loglik[k] - 0.5 * of_phi
    if not height > -np.inf:
        walk.loglik[k] = walk.adjusted[k] = -np.inf
        walk.state[k] = 2
        return
    for c in range(len(model.first) - 1):
        first, last = model.first[c], model.first[c + 1]
        spread_modes(first, lam, model.slot, model.lead, u[first:last], walk.effects[k, first:last])
    inverse(room.j, r, covariance)
    walk.estimate[k], walk.square[k] = 0.0, 0.0
    for i in range(r):
        walk.estimate[k] += row[i] * phi[i]
        for j in range(r):
            walk.square[k] += row[i] * covariance[i, j] * row[j]


@compiled()
def _climb(
    model: Strata, gene: Standin, lam: Floats, phi: Floats, u: Floats, room: Room
) -> tuple[float, float, float]:
    return (
        climb_apart(model, gene, lam, phi, u, room) if model.apart else climb(model, gene, lam, phi, u, room)
    )


@compiled()
def _modes_of(model: Strata, lam: Floats, b: Floats, u: Floats) -> None:
    """Fill u with Λu = b, 0 where Λ is."""
    for e in range(len(u)):
        u[e] = b[e]
        for n in range(model.lead[e], e):
            u[e] -= lam[model.slot[e], model.slot[n]] * u[n]
        pivot = lam[model.slot[e], model.slot[e]]
        u[e] = u[e] / pivot if pivot > 0.0 else 0.0


@compiled()
def _go(
    start: int,
    far: float,
    model: Strata,
    lattice: Lattice,
    gene: Standin,
    row: Floats,
    room: Room,
    u: Floats,
    walk: Walk,
) -> float:
    """Visit all likely points, within `far` of the largest adjusted likelihood, which is returned."""
    if walk.visits[0] == 0:
        _visit(start, start, model, lattice, gene, row, room, u, walk)
    top = -np.inf
    for i in range(walk.visits[0]):
        top = max(top, walk.adjusted[walk.order[i]])
    more = True
    while more:
        more = False
        i = 0
        while i < walk.visits[0]:
            k = walk.order[i]
            i += 1
            if walk.state[k] == 2 or walk.adjusted[k] < top - far:
                continue
            walk.state[k], more = 2, True
            for near in lattice.beside[k]:
                if near >= 0 and walk.state[near] == 0:
                    _visit(near, k, model, lattice, gene, row, room, u, walk)
                    top = max(top, walk.adjusted[near])
    return top


@compiled()
def weigh_some(
    begin: int,
    end: int,
    model: Strata,
    points: Points,
    data: Data,
    chosen: NDArray[np.int64],
    start: NDArray[np.int64],
    ends: GeneralEnds,
    wall: NDArray[np.int64],
    walls: Floats,
    lattice: Lattice,
    node: Integers,
    share: Floats,
    out: NDArray[np.float32],
) -> None:
    """Fill (genes, C) likelihoods by node of the grid, relative to the largest, of the chosen genes; NaN if there is none.

    `start` is (G,) the point next to each gene's fit, `wall` and `walls` are from `walls_of`, `node` and `share` the grid's.
    """
    r, effects = model.fixed.shape[2], len(model.slot)
    gene, room, u, row = standin_of(model), room_for(model), np.zeros(effects), np.zeros(r)
    walk = _walk_of(len(lattice.lam), r, effects)
    sums = np.empty(out.shape[1])
    for i in range(begin, end):
        g = chosen[i]
        _begin(g, start[g], model, points, data, ends, lattice, gene, walk)
        for j in range(r):
            copy(walls[wall[g], j], room.wall[j])
        top = _go(start[g], _UNLIKELY, model, lattice, gene, row, room, u, walk)
        for c in range(len(sums)):
            sums[c] = 0.0 if top > -np.inf else np.nan
        for n in range(walk.visits[0]):
            k = walk.order[n]
            likelihood = math.exp(walk.adjusted[k] - top)
            for j in range(node.shape[1]):
                sums[node[k, j]] += share[k, j] * likelihood
        for c in range(len(sums)):
            out[i, c] = sums[c]


@compiled()
def test_some(
    begin: int,
    end: int,
    model: Strata,
    reduced: Strata,
    points: Points,
    data: Data,
    skip: NDArray[np.bool_],
    start: NDArray[np.int64],
    ends: GeneralEnds,
    wall: NDArray[np.int64],
    walls: Floats,
    turn: Floats,
    lattice: Lattice,
    weights: Floats,
    left: NDArray[np.int64],
    beyond: Floats,
    row: Floats,
    df: int,
    table: LogTail,
    functions: Floats,
    alpha: float,
    log_p: Floats,
    moments: Floats,
    means: Floats,
) -> None:
    """Test one contrast in some genes.

    Parameters
    ----------
    begin, end, model, points, data, skip, start, ends, wall, walls, lattice
        As for `weigh_some`; (G,) genes that are left as they are.
    reduced, turn
        The model in which the contrast is 0; (r − q, r) from φ to that model's.
    weights, left, beyond
        (S, K) prior of the points at knots; (G,) the knot on a gene's left, and the share of the one on its right.
    row, df, table
        (r,) a contrast of φ; its rows, and the tail of χ².
    functions, alpha
        (K, M) whose means are wanted; one less the coverage of the limits, 0 for several rows.
    log_p, moments, means
        (G,), (G, 4) estimate, standard error and limits, (G, M).
    """
    r, effects = model.fixed.shape[2], len(model.slot)
    gene, room, less, u = standin_of(model), room_for(model), room_for(reduced), np.zeros(effects)
    walk, phi = _walk_of(len(lattice.lam), r, effects), np.zeros(len(turn))
    parts, size = np.empty((3, len(lattice.lam))), np.ones(len(lattice.lam))
    for g in range(begin, end):
        if skip[g]:
            continue
        _begin(g, start[g], model, points, data, ends, lattice, gene, walk)
        for i in range(r):
            copy(walls[wall[g], i], room.wall[i])
        top = _go(start[g], _BELOW, model, lattice, gene, row, room, u, walk)
        if not top > -np.inf:
            continue
        best = walk.order[0]
        for i in range(walk.visits[0]):
            if walk.adjusted[walk.order[i]] == top:
                best = walk.order[i]
        s = _root(best, reduced, lattice, gene, turn, phi, less, u, walk, df)
        far = min(_FAR, _BELOW - look_up(s, 0, table))
        _go(start[g], far, model, lattice, gene, row, room, u, walk)
        count = walk.visits[0]
        posterior = np.empty(count)
        for i in range(count):
            k = walk.order[i]
            prior = weights[left[g], k]
            if beyond[g] > 0.0:
                prior += beyond[g] * (weights[left[g] + 1, k] - prior)
            posterior[i] = walk.adjusted[k] - top + math.log(prior)
        order = np.argsort(-posterior)
        # of each, how much all that come after it have
        rest, total = np.zeros(count), 0.0
        for i in range(count - 1, -1, -1):
            rest[i] = total
            total += math.exp(posterior[order[i]])
        found, sure = -np.inf, math.log(total)
        for i in range(count):
            s = _root(walk.order[order[i]], reduced, lattice, gene, turn, phi, less, u, walk, df)
            term = posterior[order[i]] - sure + look_up(s, 0, table)
            found = max(found, term) + math.log1p(math.exp(-abs(found - term)))
            if rest[i] <= 0.0 or math.log(rest[i]) - sure < found + math.log(_MISSING):
                break
        log_p[g] = min(found, 0.0)
        for i in range(count):
            k = walk.order[i]
            posterior[i] = math.exp(posterior[i] - sure)
            parts[0, i], parts[1, i] = walk.estimate[k], walk.square[k]
            for m in range(functions.shape[1]):
                means[g, m] = (0.0 if i == 0 else means[g, m]) + posterior[i] * functions[k, m]
        if alpha > 0.0:
            along, scale = parts[0, :count].copy(), parts[1, :count].copy()
            mean_estimate(posterior, along, scale, size[:count], table, 0, alpha, parts, moments[g])


@compiled()
def _root(
    k: int,
    reduced: Strata,
    lattice: Lattice,
    gene: Standin,
    turn: Floats,
    phi: Floats,
    room: Room,
    u: Floats,
    walk: Walk,
    df: int,
) -> float:
    """Root of the likelihood ratio at a point that was visited, by its degrees of freedom."""
    lam = lattice.lam[k]
    for i in range(len(turn)):
        phi[i] = 0.0
        for j in range(turn.shape[1]):
            phi[i] += turn[i, j] * walk.phi[k, j]
    _modes_of(reduced, lam, walk.effects[k], u)
    height, logdet, _ = _climb(reduced, gene, lam, phi, u, room)
    if not height > -np.inf:  # no maximum found: nothing is said against the contrast being 0
        return 0.0
    return math.sqrt(max(2.0 * (walk.loglik[k] - (height - 0.5 * logdet)), 0.0) / df)
