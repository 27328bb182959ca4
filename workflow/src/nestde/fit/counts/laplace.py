"""The log-likelihood of one gene by Laplace's approximation, its exact gradient and its exact Hessian.

A count y of a cell has log mean η = offset + x'γ + t with t = z'α + b, and b ~ N(0, v) is its group's. Given t, a group's
log-likelihood is G, a sum over its cells, and the marginal one is, at the mode b̂,

    ℓ = G(b̂) − b̂²/2v − ½ log K        K = 1 − v ∂²G/∂t²        b̂ = v ∂G/∂t

as glmmTMB and lme4 have it (observed information). Of G all derivatives up to the fourth are sums of `cells.sum_up`: those
by τ (the group's z'α), γ and κ = log θ, with two more by t. That is enough for the gradient and the Hessian of ℓ, the moves
of b̂ included; both are finite at v = 0, so whether a variance of zero is the maximum comes for nothing.

Families differ in two sums over cells, A_k and T_k (see `_sums`): y counts once in A₁ … A₄ for NB; for Poisson all are Σμ.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.fit.compiled import compiled
from nestde.fit.counts.cells import ORDERS, Cells, buffer_of, sum_up

# Families.
POISSON, NEGATIVE_BINOMIAL, BERNOULLI = 0, 1, 2
# A mode is found when it is as near as this, and as near in posterior SDs, for estimates: sums at the mode are then those of
# Taylor's series, whose errors are of the fourth power in the gradient, and of the first in the least part of the Hessian.
CLOSE, _MOST = 3e-3, 60
# The longest step towards a mode, and within what the series tells of it.
_LONGEST, _SERIES = 1.5, 0.5
# A step of Newton's method that is the last where none of them passes over the cells.
_ROUNDING = 1e-9


class Model(NamedTuple):
    """What a model is, free of the counts: S groups, a columns that are constant in groups, c that are not.

    Attributes
    ----------
    family
        One of the numbers above.
    z
        (S, a) columns of the groups.
    cells
        All cells, c covariates.
    nodes
        Few points that stand for them where |γ| is within `served`, (c,); see `nestde.fit.counts.nodes`.
    served
        See `nodes`.
    pair
        From `pairs_of`.
    reach
        (c,) largest |covariate|.
    """

    family: int
    z: Floats
    cells: Cells
    nodes: Cells
    served: Floats
    pair: NDArray[np.int64]
    reach: Floats


class Gene(NamedTuple):
    """What a gene's counts are.

    Attributes
    ----------
    cells
        Those that have a count, which is their weight.
    total
        (S, 1 + c) sums of counts, and of counts times covariates.
    constant
        Σ count · offset − log count!.
    above
        (largest count,) cells whose count is above 0, 1, …
    """

    cells: Cells
    total: Floats
    constant: float
    above: Floats


class Point(NamedTuple):
    """Where the likelihood is looked at, and what it is there; D parameters: α, γ, κ (NB only), v.

    Attributes
    ----------
    parameters
        (D,).
    modes
        (S,) b̂; on entry where to look first.
    moves
        (S, d) derivatives of the modes by τ, γ, κ, v.
    gradient, hessian
        (D,), (D, D).
    """

    parameters: Floats
    modes: Floats
    moves: Floats
    gradient: Floats
    hessian: Floats


class Room(NamedTuple):
    """Room for one group: sums and derivatives of G (d − 1, …), those of ℓ (d, …); the first is by τ, the last by v."""

    buffer: Floats
    a: Floats
    t: Floats
    g1: Floats
    g2: Floats
    g3: Floats
    g4: Floats
    k1: Floats
    gradient: Floats
    hessian: Floats


@compiled()
def local(model: Model) -> int:
    """Number of parameters that a group has: τ, γ, κ, v."""
    return len(model.pair) + (2 if model.family == NEGATIVE_BINOMIAL else 1)


@compiled()
def point_of(model: Model) -> Point:
    """An empty point."""
    d = local(model)
    groups, a = model.z.shape
    size = a + d - 1
    return Point(
        np.zeros(size), np.zeros(groups), np.zeros((groups, d)), np.zeros(size), np.zeros((size, size))
    )


@compiled()
def room_of(model: Model) -> Room:
    """Room for groups of a model."""
    d, width = local(model), model.cells.products.shape[0]
    n = d - 1
    return Room(
        buffer_of(),
        np.zeros((ORDERS, width)), np.zeros((ORDERS, width)),
        np.zeros(n), np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, n)),
        np.zeros(d), np.zeros(d), np.zeros((d, d)),
    )  # fmt: skip


@compiled()
def evaluate(model: Model, cells: Cells, gene: Gene, point: Point, room: Room, close: float) -> float:
    """Log-likelihood at the parameters of a point; fills the rest of it.

    `cells` are the model's cells or its nodes; `close` is as `CLOSE`.
    """
    groups, a = model.z.shape
    parameters = point.parameters
    v = parameters[-1]
    gamma = parameters[a : a + len(model.pair) - 1]
    kappa = parameters[-2] if model.family == NEGATIVE_BINOMIAL else 0.0
    for i in range(len(parameters)):
        point.gradient[i] = 0.0
        for j in range(len(parameters)):
            point.hessian[i, j] = 0.0
    value = gene.constant
    if model.family == NEGATIVE_BINOMIAL:
        value += _dispersion(gene.above, kappa, point)
    for s in range(groups):
        tau = 0.0
        for i in range(a):
            tau += model.z[s, i] * parameters[i]
        _mode(
            s,
            model.family,
            cells,
            gene.cells,
            gene.total[s, 0],
            tau,
            gamma,
            kappa,
            v,
            point.modes,
            room,
            close,
        )
        value += _value(gene.total[s], tau + point.modes[s], gamma, point.modes[s], v, room)
        _derivatives_of_g(model.family, model.pair, gene.total[s], room)
        _derivatives(v, point.moves[s], room)
        _scatter(model.z[s], point, room)
    return value


@compiled()
def _sums(
    s: int, family: int, cells: Cells, own: Cells, kappa: float, shift: float, gamma: Floats, room: Room
) -> None:
    """Fill T_k = Σ P_k and A_k, which is T_k for Poisson and Bernoulli and Σ y P_k + θ T_k for NB, of a group."""
    sum_up(s, cells, shift, gamma, family == POISSON, room.buffer, room.t)
    if family == NEGATIVE_BINOMIAL:
        sum_up(s, own, shift, gamma, False, room.buffer, room.a)
        theta = math.exp(kappa)
        for k in range(ORDERS):
            for j in range(room.t.shape[1]):
                room.t[k, j] *= theta
                room.a[k, j] += room.t[k, j]
    else:
        for k in range(ORDERS):
            for j in range(room.t.shape[1]):
                room.a[k, j] = room.t[k, j]


@compiled()
def _mode(
    s: int,
    family: int,
    cells: Cells,
    own: Cells,
    total: float,
    tau: float,
    gamma: Floats,
    kappa: float,
    v: float,
    modes: Floats,
    room: Room,
    close: float,
) -> None:
    """Find a group's mode and fill the sums there."""
    if v <= 0.0:
        modes[s] = 0.0
    for _ in range(_MOST):
        _sums(s, family, cells, own, kappa, tau + modes[s] - kappa, gamma, room)
        if v <= 0.0:
            break
        if family == POISSON:
            modes[s] += _whole_way(total, modes[s], v, room.a)
            break
        step = _step(total, modes[s], v, room.a)
        modes[s] += max(-_LONGEST, min(_LONGEST, step))
        if abs(step) * math.sqrt(max(1.0, 1.0 / v + room.a[2, 0])) < close:
            _move(step, room.a)
            if family == NEGATIVE_BINOMIAL:
                _move(step, room.t)
            break


@compiled()
def _whole_way(total: float, mode: float, v: float, sums: Floats) -> float:
    """From a point to the mode, of Poisson's family, whose sums all grow as e^step; makes them those there."""
    step = 0.0
    for _ in range(_MOST):
        rate = v * sums[1, 0] * math.exp(step)
        more = (v * total - rate - mode - step) / (1.0 + rate)
        step += max(-_LONGEST, min(_LONGEST, more))
        if abs(more) < _ROUNDING:
            break
    grown = math.exp(step)
    for k in range(ORDERS):
        for j in range(sums.shape[1]):
            sums[k, j] *= grown
    return step


@compiled()
def _step(total: float, mode: float, v: float, a: Floats) -> float:
    """From a point to the mode: Newton's step, and where that is short the root of Taylor's series of the same sums."""
    step = (v * (total - a[1, 0]) - mode) / (1.0 + v * a[2, 0])
    if abs(step) < _SERIES:
        for _ in range(2):
            slope = a[1, 0] + step * (a[2, 0] + step * (a[3, 0] / 2.0 + step * a[4, 0] / 6.0))
            bend = a[2, 0] + step * (a[3, 0] + step * a[4, 0] / 2.0)
            step += (v * (total - slope) - mode - step) / (1.0 + v * bend)
    return float(step)


@compiled()
def _move(step: float, sums: Floats) -> None:
    """Make sums those at a point nearby: each order is the derivative of the one before."""
    for j in range(sums.shape[1]):
        for k in range(0 if j == 0 else 1, ORDERS - 1):
            ahead = sums[ORDERS - 1, j]
            for m in range(ORDERS - 1, k, -1):
                ahead = sums[m - 1, j] + ahead * step / (m - k)
            sums[k, j] = ahead


@compiled()
def _value(total: Floats, t: float, gamma: Floats, mode: float, v: float, room: Room) -> float:
    """A group's part of the log-likelihood."""
    value = total[0] * t - room.a[0, 0]
    for j in range(len(gamma)):
        value += gamma[j] * total[1 + j]
    if v > 0.0:
        value -= 0.5 * (mode * mode / v + math.log(1.0 + v * room.a[2, 0]))
    return float(value)


@compiled()
def _dispersion(above: Floats, kappa: float, point: Point) -> float:
    """Σ log Γ(y + θ)/Γ(θ)θ^y as Σ_k #(y > k) log(1 + k/θ), which loses no digits as θ grows; adds its derivatives by κ."""
    theta = math.exp(kappa)
    value, slope, bend = 0.0, 0.0, 0.0
    for k in range(1, len(above)):
        rate = k / (theta + k)
        value += above[k] * math.log1p(k / theta)
        slope -= above[k] * rate
        bend += above[k] * rate * (1.0 - rate)
    point.gradient[-2] += slope
    point.hessian[-2, -2] += bend
    return value


@compiled()
def _derivatives_of_g(family: int, pair: NDArray[np.int64], total: Floats, room: Room) -> None:
    """Fill ∂G, ∂∂G, ∂ₜ∂∂G and ∂ₜ²∂∂G by τ, γ, κ of a group."""
    a, t, within = room.a, room.t, len(pair)
    for j in range(within):
        room.g1[j] = total[j] - a[1, j]
        for k in range(within):
            at = pair[j, k]
            room.g2[j, k] = -a[2, at]
            room.g3[j, k] = -a[3, at]
            room.g4[j, k] = -a[4, at]
    if family != NEGATIVE_BINOMIAL:
        return
    last = within
    for j in range(within):
        room.g2[j, last] = room.g2[last, j] = a[2, j] - t[1, j]
        room.g3[j, last] = room.g3[last, j] = a[3, j] - t[2, j]
        room.g4[j, last] = room.g4[last, j] = a[4, j] - t[3, j]
    room.g1[last] = a[1, 0] - t[0, 0]
    room.g2[last, last] = 2.0 * t[1, 0] - t[0, 0] - a[2, 0]
    room.g3[last, last] = 2.0 * t[2, 0] - t[1, 0] - a[3, 0]
    room.g4[last, last] = 2.0 * t[3, 0] - t[2, 0] - a[4, 0]


@compiled()
def _derivatives(v: float, move: Floats, room: Room) -> None:
    """Fill gradient and Hessian of a group's part by τ, γ, κ, v, and the derivatives of its mode.

    With c = ∂²G/∂t² and K = 1 − vc: ∂b̂ = (v/K) ∂ₜ∂G and ∂b̂/∂v = (∂G/∂t)/K; dots below are derivatives along with the mode.
    """
    g1, g2, g3, g4, k1 = room.g1, room.g2, room.g3, room.g4, room.k1
    n = len(g1)
    c, c_t, c_tt, g = g2[0, 0], g3[0, 0], g4[0, 0], g1[0]
    k = 1.0 - v * c
    ratio = v / k
    move[n] = g / k
    for j in range(n):
        move[j] = ratio * g2[0, j]
        k1[j] = -v * (g3[0, j] + c_t * move[j])
    k1[n] = -c - v * c_t * move[n]
    for j in range(n):
        room.gradient[j] = g1[j] - 0.5 * k1[j] / k
        c_j = g3[0, j] + c_t * move[j]
        for i in range(j + 1):
            c_i = g3[0, i] + c_t * move[i]
            move_ij = ratio * (g3[i, j] + g3[0, j] * move[i] + c_i * move[j])
            c_ij = (
                g4[i, j] + g4[0, i] * move[j] + g4[0, j] * move[i] + c_tt * move[i] * move[j] + c_t * move_ij
            )
            k_ij = -v * c_ij
            room.hessian[i, j] = g2[i, j] + g2[0, j] * move[i] - 0.5 * (k_ij / k - k1[i] * k1[j] / (k * k))
            room.hessian[j, i] = room.hessian[i, j]
        move_jv = ratio * move[n] * c_j + g2[0, j] / (k * k)
        c_jv = (g4[0, j] + c_tt * move[j]) * move[n] + c_t * move_jv
        k_jv = -c_j - v * c_jv
        room.hessian[j, n] = g2[0, j] * move[n] - 0.5 * (k_jv / k - k1[j] * k1[n] / (k * k))
        room.hessian[n, j] = room.hessian[j, n]
    room.gradient[n] = 0.5 * g * g - 0.5 * k1[n] / k
    move_vv = g * (c - k1[n]) / (k * k)
    k_vv = -2.0 * c_t * move[n] - v * (c_tt * move[n] * move[n] + c_t * move_vv)
    room.hessian[n, n] = g * g * c / k - 0.5 * (k_vv / k - k1[n] * k1[n] / (k * k))


@compiled()
def _scatter(z: Floats, point: Point, room: Room) -> None:
    """Add a group's derivatives to those by the parameters: τ is z'α."""
    a, d = len(z), len(room.gradient)
    for i in range(a):
        point.gradient[i] += z[i] * room.gradient[0]
        for j in range(a):
            point.hessian[i, j] += z[i] * z[j] * room.hessian[0, 0]
        for j in range(1, d):
            both = z[i] * room.hessian[0, j]
            point.hessian[i, a - 1 + j] += both
            point.hessian[a - 1 + j, i] += both
    for j in range(1, d):
        point.gradient[a - 1 + j] += room.gradient[j]
        for i in range(1, d):
            point.hessian[a - 1 + i, a - 1 + j] += room.hessian[i, j]
