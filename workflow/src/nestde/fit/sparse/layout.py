"""The y-free cross-products of a model with crossed factors of many levels, laid out for sparse elimination.

Effects stand in the order of their elimination. A node is some groups that are eliminated together: its own columns
of [Z̃, Q, y]'Z̃ are a panel, whose rows are its own effects (a square for each member, members are not connected),
the later effects that it meets, the p coefficients and y. L, and the conditional covariance of the effects, have the
same places. This is the supernodal Cholesky factor of CHOLMOD (Chen, Davis, Hager, Rajamanickam 2008, ACM TOMS
35(3)), with the fixed effects and y carried along as rows.

    symbol            array
    Z̃'Z̃ by groups    cross, at the places that entry says
    Z̃'Q              zq
    Λ                 Work.lam, one for each factor
"""

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nestde.arrays import Floats, Integers
from nestde.design.design import Design
from nestde.fit.basis import Basis
from nestde.fit.blocks import scales
from nestde.fit.crossproducts import Leaves
from nestde.fit.sparse.order import OrderNode, eliminate


class Sparse(NamedTuple):
    """Nodes 0 … N − 1 in the order of their elimination; read by the kernels.

    Attributes
    ----------
    members, k
        (N,) members of each node, effects of each member.
    effect_at
        (N + 1,) where a node's effects begin among all effects.
    row_at
        (N + 1,) where the later effects that a node meets begin in `row`.
    row
        Those effects, in order.
    square_at, panel_at
        (N + 1,), (N,) where a node's squares (members, k, k), and its rows (later effects + p + 1, members · k), begin
        in what is eliminated; the former's last is its length.
    link_at
        (N + 1,) where the links into a node begin in `link`.
    link
        (L, 4) earlier node whose rows are among this one's effects, first such row, their number, and where in
        `relative` the places of its further rows begin.
    relative
        For each further row of a link, the row that it is in the later node's panel.
    out_at, out
        (N + 1,), (L, 2) the links out of each node: later node, link.
    group
        (groups, 2) factor and first effect of each group, in the order of effects.
    entry
        (B, 7) of each non-zero block of Z̃'Z̃ the place, the step from row to row, factor and first effect of the
        rows, factor and first effect of the columns, place in `cross`.
    cross
        The blocks' values.
    zq
        (effects, p) Z̃'Q.
    place
        (T, 3) factor, row and column in its Λ of each theta.
    size
        (factors,) effects of a group of each factor.
    scale
        (T,) 1/√(mean Z'Z), as in `Blocks`.
    """

    members: Integers
    k: Integers
    effect_at: Integers
    row_at: Integers
    row: Integers
    square_at: Integers
    panel_at: Integers
    link_at: Integers
    link: Integers
    relative: Integers
    out_at: Integers
    out: Integers
    group: Integers
    entry: Integers
    cross: Floats
    zq: Floats
    place: Integers
    size: Integers
    scale: Floats


@dataclass(frozen=True)
class Order:
    """How the groups of a design are eliminated.

    Attributes
    ----------
    nodes
        Groups, numbered one factor after the other.
    first
        (groups,) first effect of each group in the order of elimination.
    """

    nodes: list[OrderNode]
    first: Integers

    def work(self, size: Integers, p: int) -> float:
        """Multiplications of one evaluation of the deviance and its gradient, about; `size` effects of each group."""
        total = 0.0
        for node in self.nodes:
            k = float(size[list(node.members[0])].sum())
            rows = float(size[list(node.below)].sum()) + p + 1
            total += len(node.members) * (0.5 * k**3 + 2.0 * k * k * rows + 1.5 * k * rows**2)
        return total


def sizes(design: Design) -> Integers:
    """(groups,) effects of each group of all factors, one factor after the other."""
    return np.repeat([len(f.effects) for f in design.random], [len(f.levels) for f in design.random])


def order(design: Design, groups: Integers) -> Order:
    """Find the order of a design's groups, given the (factors, leaves) `groups` of its leaves."""
    nodes = eliminate([len(factor.levels) for factor in design.random], groups)
    size = sizes(design)
    sequence = [group for node in nodes for member in node.members for group in member]
    first = np.empty(len(size), np.int64)
    first[sequence] = np.cumsum(size[sequence]) - size[sequence]
    return Order(nodes, first)


def flatten(design: Design, order: Order, zy: tuple[Floats, ...]) -> Floats:
    """(G, effects) Z̃'y in the order of elimination, from one array (G, groups, k) for each factor."""
    out = np.empty((len(zy[0]), sizes(design).sum()))
    for part, places in zip(zy, _places(design, order), strict=True):
        out[:, places] = part
    return out


def unflatten(design: Design, order: Order, values: Floats) -> list[Floats]:
    """The way back: for each factor (G, groups, k)."""
    return [values[:, places] for places in _places(design, order)]


def _places(design: Design, order: Order) -> list[Integers]:
    """For each factor the (groups, k) places of its effects in the order of elimination."""
    bounds = np.cumsum([0, *(len(factor.levels) for factor in design.random)])
    return [
        order.first[bounds[f] : bounds[f + 1], None] + np.arange(len(factor.effects))
        for f, factor in enumerate(design.random)
    ]


def layout(design: Design, basis: Basis, leaf: Leaves, order: Order, keep: Floats) -> Sparse:
    """Lay out a model whose fixed effects are Q `keep`, (p, r)."""
    size, p, nodes = sizes(design), keep.shape[1], order.nodes
    members = np.array([len(node.members) for node in nodes], np.int64)
    k = np.array([size[list(node.members[0])].sum() for node in nodes], np.int64)
    rows = [_effects(order, size, node.below) for node in nodes]
    row_at, effect_at = np.cumsum([0, *map(len, rows)]), np.cumsum([0, *(members * k)])
    square_at = np.cumsum([0, *(members * k * (k + np.diff(row_at) + p + 1))])
    panels = _Panels(k, effect_at, row_at, np.concatenate(rows), square_at, square_at[:-1] + members * k * k)
    link_at, link, relative = _links(panels)
    entry, cross = _entries(design, leaf, order, panels)
    zq = np.zeros((effect_at[-1], p))
    for f, at in enumerate(_places(design, order)):
        zq[at] = leaf.of_factor(design, f)[1] @ keep
    by_source = np.argsort(link[:, 0], kind="stable")
    target = np.repeat(np.arange(len(nodes)), np.diff(link_at))
    factor = np.repeat(np.arange(len(design.random)), [len(f.levels) for f in design.random])
    in_order = np.argsort(order.first)
    return Sparse(
        members=members,
        k=k,
        effect_at=effect_at,
        row_at=row_at,
        row=panels.row,
        square_at=square_at,
        panel_at=panels.panel_at,
        link_at=link_at,
        link=link,
        relative=relative,
        out_at=np.searchsorted(link[by_source, 0], np.arange(len(nodes) + 1)),
        out=np.stack([target[by_source], by_source], axis=1),
        group=np.stack([factor[in_order], order.first[in_order]], axis=1),
        entry=entry,
        cross=cross,
        zq=zq,
        place=basis.theta,
        size=np.array([len(f.effects) for f in design.random], np.int64),
        scale=scales(design, basis, leaf),
    )


@dataclass(frozen=True)
class _Panels:
    """The shape of the factor: arrays of the same names in `Sparse`."""

    k: Integers
    effect_at: Integers
    row_at: Integers
    row: Integers
    square_at: Integers
    panel_at: Integers

    def node_of(self, effect: Integers) -> Integers:
        """Node whose own an effect is."""
        return np.searchsorted(self.effect_at, effect, side="right") - 1

    def row_of(self, node: Integers, effect: Integers) -> Integers:
        """Row of a node's panel that belongs to a later effect."""
        effects = int(self.effect_at[-1])
        keys = np.repeat(np.arange(len(self.k)), np.diff(self.row_at)) * effects + self.row
        return np.searchsorted(keys, node * effects + effect) - self.row_at[node]

    def place(self, row: Integers, column: Integers) -> tuple[Integers, Integers]:
        """Where the element of two effects stands, `row` not before `column`, and the step to the next row."""
        node, own = self.node_of(column), self.node_of(row) == self.node_of(column)
        k, local = self.k[node], column - self.effect_at[node]
        first = column - local % k  # of its member
        wide = np.diff(self.effect_at)[node]
        square = self.square_at[node] + (local // k) * k * k + (row - first) * k + column - first
        at = np.where(own, 0, self.row_of(node, np.where(own, self.effect_at[-1], row)))
        return np.where(own, square, self.panel_at[node] + at * wide + local), np.where(own, k, wide)


def _effects(order: Order, size: Integers, groups: tuple[int, ...]) -> Integers:
    """Effects of some groups, in the order of elimination."""
    chosen = np.array(sorted(groups, key=lambda group: order.first[group]), np.int64)
    within = np.arange(size[chosen].sum()) - np.repeat(np.cumsum(size[chosen]) - size[chosen], size[chosen])
    found: Integers = np.repeat(order.first[chosen], size[chosen]) + within
    return found


def _links(panels: _Panels) -> tuple[Integers, Integers, Integers]:
    """`link_at`, `link` and `relative` of `Sparse`."""
    source = np.repeat(np.arange(len(panels.k)), np.diff(panels.row_at))
    target = panels.node_of(panels.row)
    # a link is a run of rows of one source that are one target's own
    new = np.flatnonzero(np.diff(source, prepend=-1) | np.diff(target, prepend=-1))
    count = np.diff(np.append(new, len(source)))
    further = panels.row_at[source[new] + 1] - new - count
    begin = np.cumsum([0, *further])
    relative = np.empty(begin[-1], np.int64)
    for i, (first, number) in enumerate(zip(new, count, strict=True)):
        rest = panels.row[first + number : panels.row_at[source[first] + 1]]
        if len(rest):
            node = target[first]
            relative[begin[i] : begin[i + 1]] = np.searchsorted(
                panels.row[panels.row_at[node] : panels.row_at[node + 1]], rest
            )
    link = np.stack([source[new], new - panels.row_at[source[new]], count, begin[:-1]], axis=1)
    in_order = np.argsort(target[new], kind="stable")
    return np.searchsorted(target[new][in_order], np.arange(len(panels.k) + 1)), link[in_order], relative


def _entries(design: Design, leaf: Leaves, order: Order, panels: _Panels) -> tuple[Integers, Floats]:
    """`entry` and `cross` of `Sparse`."""
    bounds = np.cumsum([0, *(len(factor.levels) for factor in design.random)])
    column = np.cumsum([0, *(len(factor.effects) for factor in design.random)])
    entries, values, used = [], [], 0
    for f, g in itertools.combinations_with_replacement(range(len(design.random)), 2):
        pair = leaf.groups[f] * (bounds[g + 1] - bounds[g]) + leaf.groups[g]
        distinct, of_leaf = np.unique(pair, return_inverse=True)
        block = np.zeros((len(distinct), column[f + 1] - column[f], column[g + 1] - column[g]))
        np.add.at(
            block, of_leaf.reshape(-1), leaf.cross[:, column[f] : column[f + 1], column[g] : column[g + 1]]
        )
        one, other = np.divmod(distinct, bounds[g + 1] - bounds[g])
        a, b = order.first[bounds[f] + one], order.first[bounds[g] + other]
        # rows are those of the later effects
        for swapped in (False, True):
            some = (a < b) == swapped
            part = block[some].swapaxes(1, 2) if swapped else block[some]
            row, col = (b[some], a[some]) if swapped else (a[some], b[some])
            at, step = panels.place(row, col)
            here = used + np.arange(len(part)) * part[0].size if len(part) else np.empty(0, np.int64)
            factors = np.full(len(part), g if swapped else f), np.full(len(part), f if swapped else g)
            entries.append(np.stack([at, step, factors[0], row, factors[1], col, here], axis=1))
            values.append(part.reshape(-1))
            used += part.size
    return np.concatenate(entries), np.concatenate(values)
