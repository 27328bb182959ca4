"""The y-free cross-products of a model, laid out for elimination from the finest grouping factor to the coarsest.

A chain of nested factors (images, animals, diets) comes first: a group of one shares rows with one group of each
coarser factor only. Factors that cross it (plates by samples) are put together in a last level of one group, whose
effects are all of theirs. A group's rows hold Z'[Z, Z of coarser levels, Q, y], and eliminating it changes rows of
coarser levels only: this is the blocked Cholesky factor of MixedModels.jl. Groups lie side by side in memory, so
that the kernels treat several in one instruction.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np

from nestde.arrays import Floats, Integers
from nestde.design.design import Design
from nestde.fit.basis import Basis
from nestde.fit.crossproducts import Leaves


class Blocks(NamedTuple):
    """Levels 0 … d − 1 and, after them, the fixed effects; read by the kernels.

    Attributes
    ----------
    groups, k
        (d,) groups of each level, effects of each of its groups.
    width
        (d + 1,) columns of a row: effects of this and coarser levels, p coefficients, y; the last is p + 1.
    row_at
        (d + 2,) where a level's rows begin in `rows`, and where the block [Q, y]'[Q, y] begins and ends.
    group_at
        (d,) where a level's groups begin among all groups.
    effect_at
        (d + 1,) where a level's effects begin among all effects, (groups, k) each.
    parent
        (groups,) its group in the next level; 0 in the last.
    rows
        Cross-products: for each level (k, width, groups), groups side by side; those with y are zero.
    place
        (entries, 4) level, row and column in the level's Λ of each free element, and the theta that it is.
    scale
        (T,) 1/√(mean Z'Z): the size of a theta at which a group's data begin to outweigh the prior.
    """

    groups: Integers
    k: Integers
    width: Integers
    row_at: Integers
    group_at: Integers
    effect_at: Integers
    parent: Integers
    rows: Floats
    place: Integers
    scale: Floats


def chain(design: Design) -> tuple[list[int], list[int]]:
    """Random factors each nested in the next, and those that cross them."""
    nested, crossed = [0], list[int]()
    for f in range(1, len(design.random)):
        fine, coarse = design.random[nested[-1]], design.random[f]
        (nested if fine.nested_in(coarse) else crossed).append(f)
    return nested, crossed


def blocks(design: Design, basis: Basis, leaf: Leaves, keep: Floats) -> Blocks:
    """Lay out a model whose fixed effects are Q `keep`, (p, r)."""
    nested, crossed = chain(design)
    levels = [[f] for f in nested] + ([crossed] if crossed else [])
    sizes = [len(factor.effects) for factor in design.random]
    begin = np.cumsum([0, *sizes])
    # of each level: its groups, the group of each leaf; of each effect: its column in U and, by leaf, in the level
    count, k, own, columns = [], [], [], []
    for factors in levels:
        tail = factors == crossed
        count.append(1 if tail else len(design.random[factors[0]].levels))
        own.append(np.zeros(leaf.groups.shape[1], np.int64) if tail else leaf.groups[factors[0]])
        places, used = [], 0
        for f in factors:
            for i in range(sizes[f]):
                at = used + i + (leaf.groups[f] * sizes[f] if tail else np.zeros_like(own[-1]))
                places.append((int(begin[f]) + i, at))
            used += sizes[f] * (len(design.random[f].levels) if tail else 1)
        columns.append(places)
        k.append(used)
    p = keep.shape[1]
    width = [sum(k[level:]) + p + 1 for level in range(len(k))] + [p + 1]
    parts = []
    for level, places in enumerate(columns):
        rows = np.zeros((k[level], width[level], count[level]))
        for u, at in places:
            start = 0
            for other in range(level, len(columns)):
                for v, there in columns[other]:
                    np.add.at(rows, (at, start + there, own[level]), leaf.cross[:, u, v])
                start += k[other]
            for j, by_leaf in enumerate((leaf.cross[:, u, begin[-1] :] @ keep).T):
                np.add.at(rows, (at, np.full_like(at, start + j), own[level]), by_leaf)
        parts.append(rows.reshape(-1))
    last = np.zeros((p + 1, p + 1))
    last[:p, :p] = np.eye(p)
    parent = [np.zeros(sum(count), np.int64)]
    group = np.cumsum([0, *count])
    for level in range(len(levels) - 1):
        parent[0][group[level] + own[level]] = own[level + 1]
    return Blocks(
        groups=np.array(count, np.int64),
        k=np.array(k, np.int64),
        width=np.array(width, np.int64),
        row_at=np.cumsum([0, *(len(part) for part in parts), last.size]),
        group_at=group[:-1],
        effect_at=np.cumsum([0, *(c * size for c, size in zip(count, k, strict=True))]),
        parent=parent[0],
        rows=np.concatenate([*parts, last.reshape(-1)]),
        place=_places(design, basis, levels, crossed),
        scale=scales(design, basis, leaf),
    )


def _places(design: Design, basis: Basis, levels: list[list[int]], crossed: list[int]) -> Integers:
    """Elements of each level's Λ that each theta is; in the level of crossed factors it is repeated by group."""
    out = []
    for level, factors in enumerate(levels):
        used = 0
        for f in factors:
            k = len(design.random[f].effects)
            repeats = len(design.random[f].levels) if factors == crossed else 1
            for t, (owner, row, column) in enumerate(basis.theta):
                if owner == f:
                    out += [(level, used + g * k + row, used + g * k + column, t) for g in range(repeats)]
            used += k * repeats
    return np.array(out, np.int64).reshape(-1, 4)


def scales(design: Design, basis: Basis, leaf: Leaves) -> Floats:
    """1/√(mean Z'Z) of each theta."""
    mean = [np.einsum("gii->i", leaf.of_factor(design, f)[0]) for f in range(len(design.random))]
    groups = [len(factor.levels) for factor in design.random]
    return np.array([1.0 / np.sqrt(mean[f][row] / groups[f]) for f, row, _ in basis.theta])


def flatten(design: Design, zy: tuple[Floats, ...]) -> Floats:
    """(G, effects) Z̃'y in the order of the blocks' levels, from one array (G, groups, k) for each factor."""
    nested, crossed = chain(design)
    return np.concatenate(
        [zy[f].reshape(len(zy[f]), math.prod(zy[f].shape[1:])) for f in nested + crossed], axis=1
    )


def unflatten(design: Design, values: Floats) -> list[Floats]:
    """The way back: for each factor (G, groups, k)."""
    parts, first = {}, 0
    for f in itertools.chain(*chain(design)):
        shape = len(design.random[f].levels), len(design.random[f].effects)
        parts[f] = values[:, first : first + shape[0] * shape[1]].reshape(-1, *shape)
        first += shape[0] * shape[1]
    return [parts[f] for f in range(len(design.random))]
