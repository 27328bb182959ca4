"""Relative covariances of the random effects at which a posterior is summed: a grid that serves all genes.

An axis is a variance, as a multiple ψ of the residual variance, or a correlation. Variances are 0 and values that grow
by a constant factor, from where the data of a group can hardly tell ψ from 0 to where groups are all but fixed effects.
These are the nodes whose weights a prior has. A likelihood is narrower: of groups of n cells it is about as wide in
log(1 + nψ) as that of a variance of so many groups, √(2 / groups), so between nodes there are points that lie as densely
as that; what the prior's weight is of there is interpolated in log ψ.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nestde.arrays import Floats, Integers
from nestde.design.design import Design, RandomFactor
from nestde.fit.blocks import chain
from nestde.fit.genes import FitModel

# Dimensions are variances and correlations. Smallest ψ in units of 1/(mean Z'Z of a group).
_SMALLEST = 0.02
# Nodes of each variance by the number of dimensions; of a correlation, and steps of points from one to the next.
_NODES = {1: 31, 2: 15, 3: 10, 4: 6}
_CORRELATIONS, _BETWEEN = (-0.8, -0.4, 0.0, 0.4, 0.8), 2
# So many arms have each a variance of its own; of more, each has one of two.
_MOST_ALONE = 3
# Crossed effects times all effects: what is kept at each point grows with it.
_CROSSED = 50_000


class Density(NamedTuple):
    """How far and how densely points lie.

    Attributes
    ----------
    largest
        ψ with one variance, with more.
    step, width
        Steps of points in log(1 + nψ) by the number of dimensions, and in units of a likelihood's width √(2 / groups): the most.
    most
        More points than this are not looked at; steps are wider then.
    """

    largest: tuple[float, float]
    step: Mapping[int, float]
    width: float
    most: int


LINEAR = Density((30.0, 10.0), {1: 0.28, 2: 0.6, 3: 0.5, 4: 1.0}, 0.9, 10_000)


@dataclass(frozen=True)
class Arms:
    """Groups of a random intercept by what is tested, each with a variance of its own.

    Attributes
    ----------
    names
        Of the arms.
    arm
        (groups,) index into `names`.
    """

    names: tuple[str, ...]
    arm: Integers


@dataclass(frozen=True)
class Grid:
    """K points of D axes, and C nodes among them.

    Attributes
    ----------
    axes
        (D,) what each is: ``sample_id``, ``sample_id [AD]``, ``sample_id (Intercept)``, ``sample_id corr``.
    values, nodes
        (K, D) and (C, D) ψ, or the correlation.
    place
        (K, variances) number of each ψ among the values of its axis.
    node, share
        (K, J) nodes that a point is between, and what it takes of each one's weight; a node's shares have sum 1.
    flat
        (C,) weights, of sum 1, that are even in log(1 + nψ), n the mean Z'Z of a group.
    factors
        For each random factor (K, arms, k, k) Λ on the fitted basis; one arm unless variances are by arm.
    arms
        Names of the arms; none if variances are the same in all.
    ways
        (ways, variances) which axis of the grid each variance is on: its own; of many arms one of two, in each way that they part,
        and each way has as many of the points, one after the other.
    intercepts
        Whether every random effect is an intercept, so that its share of the variance makes sense.
    """

    axes: list[str]
    values: Floats
    nodes: Floats
    place: Integers
    node: Integers
    share: Floats
    flat: Floats
    factors: tuple[Floats, ...]
    arms: tuple[str, ...]
    ways: Integers
    intercepts: bool

    def of_points(self, weights: Floats) -> Floats:
        """(S, K) weights of the points from those of the nodes, (S, C)."""
        return np.asarray((weights[:, self.node] * self.share).sum(axis=2))

    def shares(self) -> Floats:
        """Share of the variance that each axis is, (K, D); with arms its share in that arm; (K, 0) beside slopes."""
        if not self.intercepts:
            return np.empty((len(self.values), 0))
        beside = self.values if self.arms else self.values.sum(axis=1, keepdims=True)
        return self.values / (1.0 + beside)


def infeasible(design: Design) -> str:
    """Say why there is no grid for a design's random effects; '' if there is one."""
    blocks = [factor.blocks.count(block) for factor in design.random for block in set(factor.blocks)]
    if max(blocks) > 2 or (max(blocks) == 2 and len(blocks) > 1):
        return "its correlated random effects are more than a grid of variances and correlations can hold"
    if len(blocks) > max(_NODES):
        return f"its random effects have {len(blocks)} variances; a grid holds up to {max(_NODES)}"
    number = [len(factor.levels) * len(factor.effects) for factor in design.random]
    crossed = chain(design)[1]
    if sum(number[f] for f in crossed) * sum(number) > _CROSSED:
        names = " and ".join(design.random[f].name for f in crossed)
        return f"groups of {names} cross others and are too many to be taken together at each point of a grid"
    return ""


def build(model: FitModel, arms: Arms | None = None) -> Grid:
    """Lay out the grid of a model, see `infeasible`; with an own variance in each arm of its only random effect, if any."""
    return lay_out(model.design.random, *_variances(model, arms), LINEAR, arms)


def lay_out(
    random: Sequence[RandomFactor],
    axes: list[str],
    sizes: list[float],
    groups: list[int],
    density: Density,
    arms: Arms | None = None,
) -> Grid:
    """Lay out a grid.

    Parameters
    ----------
    random
        Random factors.
    axes, sizes, groups
        Name of each variance; n, see above, and number of the groups that have it.
    density
        Of the points.
    arms
        As for `build`.
    """
    whose = _sharing(len(axes), arms)
    own = int(whose.max()) + 1
    if own < len(axes):
        sizes, groups = [float(np.average(sizes, weights=groups))] * own, [sum(groups) - min(groups)] * own
    correlated = any(factor.blocks == (0, 0) for factor in random)
    rho = fine = np.zeros(1)
    if correlated:
        rho = np.array(_CORRELATIONS)
        fine = np.interp(np.arange((len(rho) - 1) * _BETWEEN + 1) / _BETWEEN, np.arange(len(rho)), rho)
    dimensions = own + correlated
    psi = [_of_axis(size, dimensions, density) for size in sizes]
    among = _among(psi, sizes, groups, density, dimensions, len(whose) * len(fine))
    finer = [_at(nodes, axis.where) for nodes, axis in zip(psi, among, strict=True)]

    at_node, at_point = _product(psi, rho), _product(finer, fine)
    among.append(_Among(np.arange(len(fine)) / _BETWEEN, np.ones(len(fine))))
    node, share = _interpolation(at_node, at_point, among)
    even = [np.gradient(np.log1p(size * nodes)) for size, nodes in zip(sizes, psi, strict=True)]
    flat = np.prod([each[at_node[:, d]] for d, each in enumerate(even)], axis=0)
    flat[(_values(psi, rho, at_node)[:, :-1] > 0).all(axis=1)] /= len(rho)
    # the grid of two kinds of arms, for each way to tell them apart
    nodes, values, place = (
        np.concatenate([at[:, [*kinds, *range(own, at.shape[1])]] for kinds in whose])
        for at in (_values(psi, rho, at_node), _values(finer, fine, at_point), at_point)
    )
    shown = len(axes) + correlated
    return Grid(
        axes=[*axes, f"{random[0].name} corr"][:shown],
        values=values[:, :shown],
        nodes=nodes[:, :shown],
        place=place[:, :-1],
        node=np.concatenate([node + way * len(at_node) for way in range(len(whose))]),
        share=np.tile(share, (len(whose), 1)),
        flat=np.tile(flat / flat.sum(), len(whose)) / len(whose),
        factors=_factors(random, values, 1 if arms is None else len(arms.names)),
        arms=() if arms is None else arms.names,
        ways=whose,
        intercepts=all(factor.effects == ("(Intercept)",) for factor in random),
    )


def _sharing(variances: int, arms: Arms | None) -> Integers:
    """(ways, variances) of which axis of the grid each variance is: its own; of many arms, of two in every way that they part."""
    if arms is None or variances <= _MOST_ALONE:
        return np.arange(variances)[None]
    parted = itertools.product((0, 1), repeat=variances - 1)
    return np.array([(0, *others) for others in parted if any(others)])


def _variances(model: FitModel, arms: Arms | None) -> tuple[list[str], list[float], list[int]]:
    """Name of each variance, and of the groups that have it mean Z'Z and number."""
    axes, sizes, groups = list[str](), list[float](), list[int]()
    for f, factor in enumerate(model.design.random):
        each = np.einsum("gii->ig", model.leaf.of_factor(model.design, f)[0])
        for effect, size in zip(factor.effects, each, strict=True):
            name = factor.name if factor.effects == ("(Intercept)",) else f"{factor.name} {effect}"
            if arms is None:
                parts = {name: size}
            else:
                parts = {f"{name} [{arm}]": size[arms.arm == a] for a, arm in enumerate(arms.names)}
            axes += parts
            sizes += [float(part.mean()) for part in parts.values()]
            groups += [len(part) for part in parts.values()]
    return axes, sizes, groups


def _of_axis(size: float, dimensions: int, density: Density) -> Floats:
    """Nodes of one ψ."""
    low, high = _SMALLEST / size, density.largest[min(dimensions, 2) - 1]
    return np.concatenate([[0.0], np.geomspace(low, high, _NODES[dimensions] - 1)])


class _Among(NamedTuple):
    """Points of an axis among its nodes.

    Attributes
    ----------
    where
        Place of each: 2.5 is half way from the third node to the fourth.
    extent
        What each stands for, in steps between nodes.
    """

    where: Floats
    extent: Floats


def _among(
    psi: list[Floats], sizes: list[float], groups: list[int], density: Density, dimensions: int, copies: int
) -> list[_Among]:
    """Points of each variance; a grid has so many copies of them."""
    most = density.step[dimensions]
    steps = [min(most, density.width * math.sqrt(2.0 / number)) for number in groups]
    while True:
        among = [
            _gauss(np.log1p(size * nodes), step) for size, nodes, step in zip(sizes, psi, steps, strict=True)
        ]
        if copies * math.prod(len(axis.where) for axis in among) <= density.most:
            return among
        steps = [1.05 * step for step in steps]


def _gauss(at: Floats, step: float) -> _Among:
    """Between nodes Gauss and Legendre's points, one for each `step` or part of it; 0, the first node, stands alone."""
    where, extent = [np.zeros(1)], [np.ones(1)]
    for i, points in enumerate(np.ceil(np.diff(at[1:]) / step).astype(int), start=1):
        x, weight = np.polynomial.legendre.leggauss(points)
        where.append(i + 0.5 * (x + 1.0))
        extent.append(0.5 * weight)
    return _Among(np.concatenate(where), np.concatenate(extent))


def _at(nodes: Floats, where: Floats) -> Floats:
    """ψ at places among its nodes, of which the first is 0."""
    return np.where(where < 1, 0.0, np.exp(np.interp(where, np.arange(1, len(nodes)), np.log(nodes[1:]))))


def _product(psi: list[Floats], rho: Floats) -> Integers:
    """(points, D) indices of all combinations; where a variance is 0 there is no correlation."""
    some = np.logical_and.reduce(np.meshgrid(*(values > 0 for values in psi), indexing="ij"))
    return np.argwhere(some[..., None] | (rho == 0.0))


def _values(psi: list[Floats], rho: Floats, place: Integers) -> Floats:
    """(points, D) of the indices."""
    return np.stack([values[at] for values, at in zip([*psi, rho], place.T, strict=True)], axis=1)


def _interpolation(at_node: Integers, at_point: Integers, among: list[_Among]) -> tuple[Integers, Floats]:
    """(K, 2^D) nodes around each point and their shares, linear in log ψ and correlation along each axis."""
    number = np.zeros(at_node.max(axis=0) + 1, np.int64)
    number[tuple(at_node.T)] = np.arange(len(at_node))
    where = np.stack([axis.where[at] for axis, at in zip(among, at_point.T, strict=True)], axis=1)
    left = where.astype(np.int64)
    beyond = where - left
    extent = np.prod([axis.extent[at] for axis, at in zip(among, at_point.T, strict=True)], axis=0)
    node, share = [], []
    for side in itertools.product(*((0, 1) if part.any() else (0,) for part in beyond.T)):
        here = left + (np.array(side) & (beyond > 0))
        node.append(number[tuple(here.T)])
        share.append(np.where(side, beyond, 1.0 - beyond).prod(axis=1) * extent)
    nodes, shares = np.stack(node, axis=1), np.stack(share, axis=1)
    total = np.bincount(nodes.ravel(), shares.ravel(), len(at_node))
    return nodes, shares / total[nodes]


def _factors(random: Sequence[RandomFactor], values: Floats, arms: int) -> tuple[Floats, ...]:
    """Λ of each factor at each point; the last column of `values` is the correlation."""
    out, at = [], 0
    for factor in random:
        k = len(factor.effects)
        sd = np.sqrt(values[:, at : at + k * arms]).reshape(-1, k, arms).swapaxes(1, 2)
        lam = np.einsum("kai,ij->kaij", sd, np.eye(k))
        if factor.blocks == (0, 0):
            rho = values[:, None, -1]
            lam[:, :, 1, 0] = rho * sd[:, :, 1]
            lam[:, :, 1, 1] = np.sqrt(1.0 - rho**2) * sd[:, :, 1]
        out.append(lam)
        at += k * arms
    return tuple(out)
