"""What a general count model is, free of the counts: strata, the components that they fall into, columns for each.

A stratum is a set of cells that agree in all grouping factors. Within it, columns of X and of the random effects are a
constant plus a combination of few covariates, so its linear predictor is offset + x'u with x = (1, covariates) and

    u = F φ + R b        F (1 + c, r) of the fixed, R (1 + c, K) of the random effects that meet there

A component is a set of random effects that share strata with no others: a sample with its slope, a donor with its samples.
The likelihood is a product over components; their random effects stand together, level after level.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from nestde.arrays import Floats, Integers
from nestde.design.design import Design
from nestde.fit.basis import Basis, basis
from nestde.fit.counts.cells import Cells, pairs_of, products_of
from nestde.fit.counts.columns import Grouped, group
from nestde.fit.counts.nodes import compress
from nestde.fit.crossproducts import own_leaves
from nestde.fit.faces import elements

# Of a column's mean square, what varies within strata below this share is rounding.
_ROUNDING = 1e-12


class Strata(NamedTuple):
    """A model for the kernels: S strata, c covariates, r fixed effects, K random effects in a stratum, E in all, T thetas.

    Attributes
    ----------
    pair, triple
        Rows of `Cells.products` of two and of three out of 1 and the covariates.
    reach
        (c,) largest |covariate|.
    fixed, effect
        (S, 1 + c, r) and (S, 1 + c, K) F and R.
    place
        (S, K) of the random effects of a stratum, among all E.
    strata, first
        (components + 1,) each: where their strata and their random effects begin.
    slot, lead, tail
        (E,) row of Λ that a random effect has; where the effects of its level begin and end.
    constant
        Number of fixed effects that are constant in strata; they are the first.
    element
        (factors, k, k) theta in each place of each Λ, see `nestde.fit.faces.elements`.
    shift
        (factors,) row of Λ at which a factor begins.
    apart
        Whether each stratum has an intercept of its own and no other random effect.
    """

    pair: NDArray[np.int64]
    triple: NDArray[np.int64]
    reach: Floats
    fixed: Floats
    effect: Floats
    place: NDArray[np.int64]
    strata: NDArray[np.int64]
    first: NDArray[np.int64]
    slot: NDArray[np.int64]
    lead: NDArray[np.int64]
    tail: NDArray[np.int64]
    constant: int
    element: Integers
    shift: NDArray[np.int64]
    apart: bool


class Points(NamedTuple):
    """What of a model its cells are.

    Attributes
    ----------
    family
        A family of `laplace`.
    cells, nodes, served
        As `laplace.Model`, of the strata; products of three covariates stand below those of two.
    pair
        As `Strata.pair`.
    """

    family: int
    cells: Cells
    nodes: Cells
    served: Floats
    pair: NDArray[np.int64]


@dataclass(frozen=True)
class GeneralColumns:
    """The fitted columns of a general model, as `nestde.fit.counts.columns.Columns`."""

    model: Strata
    points: Points
    q: Floats
    back: Floats

    def of(self, other: "GeneralColumns", coefficients: Floats) -> Floats:
        """(G, r) coefficients that are nearest to the other's."""
        turn = np.linalg.solve(self.q.T @ self.q, self.q.T @ other.q)
        return np.stack([np.sum(coefficients * row, axis=1) for row in turn], axis=1)


@dataclass(frozen=True)
class Frame:
    """What all models of a design share.

    Attributes
    ----------
    basis
        Of the random effects.
    cells
        In strata, component after component.
    covariates
        (n, c) in that order, in each stratum orthogonal, of mean 0 and mean square 1, or 0.
    level
        For each factor (E of it,) where the effects of its levels stand, level after level, among all.
    points
        Cells, and what stands for them.
    empty
        A model without fixed effects.
    """

    basis: Basis
    cells: Grouped
    covariates: Floats
    level: tuple[NDArray[np.int64], ...]
    points: Points
    empty: Strata


def frame(design: Design, family: int, offset: Floats) -> Frame:
    """Find strata and components of a design of n cells."""
    turned = basis(design)
    leaf = own_leaves(design, turned)
    member = _components(design, leaf.groups)
    order = np.argsort(member, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    cells = group(rank[leaf.grain.code].astype(np.int32), offset)
    root = np.sqrt(np.diff(cells.begin))
    covariates = np.ascontiguousarray(leaf.grain.f[cells.order] * root[cells.group, None])
    every = Cells(cells.begin, cells.offset, np.ones(design.n), products_of(covariates))
    nodes, served = compress(every)
    c = covariates.shape[1]
    widths = [len(factor.effects) for factor in design.random]
    effects = np.zeros((len(order), 1 + c, sum(widths)))
    effects[:, 0] = leaf.mean[order, : sum(widths)]
    effects[:, 1:] = leaf.within[order, :, : sum(widths)] / root[:, None, None]
    slot, lead, tail, first, level = _places(design, leaf.groups, member)
    shift = np.cumsum([0, *widths])[:-1]
    place = np.hstack([level[f].reshape(-1, widths[f])[leaf.groups[f, order]] for f in range(len(widths))])
    triple = _triples(c)
    empty = Strata(
        pair=pairs_of(c),
        triple=triple,
        reach=np.abs(covariates).max(axis=0, initial=0.0) if c else np.empty(0),
        fixed=np.empty((len(order), 1 + c, 0)),
        effect=effects,
        place=np.ascontiguousarray(place, np.int64),
        strata=np.cumsum([0, *np.bincount(member)]),
        first=first,
        slot=slot,
        lead=lead,
        tail=tail,
        constant=0,
        element=elements(turned),
        shift=shift.astype(np.int64),
        apart=False,
    )  # fmt: skip
    points = Points(family, _with_triples(every, c), _with_triples(nodes, c), served, empty.pair)
    return Frame(turned, cells, covariates, level, points, empty)


def columns(design: Design, of: Frame, kept: Floats) -> GeneralColumns:
    """Turn some columns of a design, `kept` (p, r), so that those that are constant in strata come first."""
    x = design.x[of.cells.order] @ kept
    q, upper = np.linalg.qr(x)
    q, upper = q * np.sqrt(len(q)), upper / np.sqrt(len(q))
    within = q - of.cells.means(q)[of.cells.group]
    share, turn = np.linalg.eigh(within.T @ within / len(q))
    q = q @ turn
    mean = of.cells.means(q)
    deviation = q - mean[of.cells.group]
    # in a stratum the covariates are orthogonal and of mean square 1
    along = [of.cells.means(column[:, None] * deviation) for column in of.covariates.T]
    fixed = np.stack([mean, *along], axis=1)
    constant = int(np.sum(share <= _ROUNDING))
    fixed[:, 1:, :constant] = 0.0
    model = of.empty._replace(fixed=fixed, constant=constant)
    return GeneralColumns(model, of.points, q, kept @ np.linalg.solve(upper, turn))


def together(design: Design) -> int:
    """The most random effects that share strata, directly or through others."""
    groups = np.unique(np.stack([factor.codes for factor in design.random]), axis=1)
    member = _components(design, groups.astype(np.int64))
    effects = np.zeros(member.max() + 1, np.int64)
    for f, factor in enumerate(design.random):
        first = np.unique(groups[f], return_index=True)[1]
        np.add.at(effects, member[first], len(factor.effects))
    return int(effects.max())


def _components(design: Design, groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """(S,) component of each stratum: strata that share a level of any factor are in one."""
    strata = groups.shape[1]
    first = np.cumsum([strata, *(len(factor.levels) for factor in design.random)])
    ends = (groups + first[:-1, None]).reshape(-1)
    begins = np.tile(np.arange(strata), len(groups))
    graph = scipy.sparse.coo_array((np.ones(len(ends)), (begins, ends)), shape=(first[-1], first[-1]))
    _, found = scipy.sparse.csgraph.connected_components(graph, directed=False)
    _, member = np.unique(found[:strata], return_inverse=True)
    return np.asarray(member.reshape(-1), np.int64)


def _places(
    design: Design, groups: NDArray[np.int64], member: NDArray[np.int64]
) -> tuple[
    NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], tuple[NDArray[np.int64], ...]
]:
    """`Strata.slot`, `lead`, `tail` and `first`, and `Frame.level`: components, in each factors, in these levels, in these effects."""
    rows: list[tuple[int, int, int, int]] = []  # component, factor, level, effect
    for f, factor in enumerate(design.random):
        of_level = np.zeros(len(factor.levels), np.int64)
        of_level[groups[f]] = member
        rows += [
            (int(of_level[g]), f, g, e) for g in range(len(factor.levels)) for e in range(len(factor.effects))
        ]
    rows.sort()
    listed = np.array(rows, np.int64)
    shift = np.cumsum([0, *(len(factor.effects) for factor in design.random)])
    slot = shift[listed[:, 1]] + listed[:, 3]
    lead = np.arange(len(listed)) - listed[:, 3]
    tail = lead + np.diff(shift)[listed[:, 1]]
    first = np.searchsorted(listed[:, 0], np.arange(member.max() + 2))
    level = tuple(
        np.flatnonzero(listed[:, 1] == f)[np.lexsort(listed[listed[:, 1] == f][:, [3, 2]].T)]
        for f in range(len(design.random))
    )
    return slot, lead, tail, first.astype(np.int64), level


def _triples(c: int) -> NDArray[np.int64]:
    """(1 + c, 1 + c, 1 + c) row of the products of three of 1 and the covariates, below those of two."""
    pair = pairs_of(c)
    out = np.zeros((1 + c, 1 + c, 1 + c), np.int64)
    out[0], out[:, 0], out[:, :, 0] = pair, pair, pair
    for number, three in enumerate(_threes(c)):
        for i in range(3):
            for j in range(3):
                if i != j:
                    a, b, d = three[i], three[j], three[3 - i - j]
                    out[1 + a, 1 + b, 1 + d] = pair.max() + 1 + number
    return out


def _threes(c: int) -> Sequence[tuple[int, int, int]]:
    return [(i, j, k) for i in range(c) for j in range(i, c) for k in range(j, c)]


def _with_triples(cells: Cells, c: int) -> Cells:
    """Cells whose products go up to three covariates."""
    x = cells.products[1 : 1 + c]
    more = [x[i] * x[j] * x[k] for i, j, k in _threes(c)]
    return cells._replace(products=np.ascontiguousarray(np.vstack([cells.products, *more])))
