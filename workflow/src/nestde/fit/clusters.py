"""Cross-products of a design by strata: independent clusters of groups, padded to one shape.

Groups that share rows, directly or through other factors, form a stratum: a sample, an animal with its
images, everything if factors are crossed. All strata have the same slots (an effect of the i-th group of
a factor), so one relative covariance matrix serves all; the slots of absent groups stay zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from nestde.arrays import Floats
from nestde.design.design import Design, RandomFactor
from nestde.fit.basis import Basis
from nestde.fit.crossproducts import Leaves


class Products(NamedTuple):
    """What kernels read of a design's strata; C strata of m slots, p coefficients, R components, T thetas.

    Attributes
    ----------
    n
        Number of rows.
    zz
        (C, m, m) Z̃'Z̃ of each stratum.
    zx
        (C, m, p) Z̃'Q of each stratum.
    xx
        (p, p) Q'Q.
    entries
        (E, 3) component, row, column: where the random effects' covariance holds that variance or covariance.
    forms
        (R, T, T) the components as quadratic forms: component r = ½ θ' `forms[r]` θ, because the
        relative covariance is ΛΛ'.
    """

    n: int
    zz: Floats
    zx: Floats
    xx: Floats
    entries: NDArray[np.int64]
    forms: Floats


@dataclass(frozen=True)
class Strata:
    """What inference needs to know of a design.

    Attributes
    ----------
    products
        What the kernels read.
    r
        (p, p) X = Q `r`; Q has orthonormal columns.
    slots
        For each factor the (groups, k) places of its effects in the C · m slots.
    """

    products: Products
    r: Floats
    slots: tuple[NDArray[np.int64], ...]

    def place(self, values: Sequence[Floats]) -> Floats:
        """Lay out one array (G, groups, k) for each factor in strata: (G, C, m)."""
        count, m = self.products.zz.shape[:2]
        out = np.zeros((len(values[0]), count * m))
        for slots, part in zip(self.slots, values, strict=True):
            out[:, slots] = part
        return out.reshape(-1, count, m)


def clusters_of(design: Design, basis: Basis, leaf: Leaves) -> Strata:
    """Cut a design into strata and sum the leaves' cross-products over each."""
    stratum = connected(design.random)
    count = 1 + max(int(part.max()) for part in stratum)
    slots, m = [], 0
    for factor, of_group in zip(design.random, stratum, strict=True):
        k = len(factor.effects)
        order = np.argsort(of_group, kind="stable")
        first = np.searchsorted(of_group[order], np.arange(count))
        local = np.empty(len(of_group), np.int64)
        local[order] = np.arange(len(of_group)) - first[of_group[order]]
        slots.append(m + local[:, None] * k + np.arange(k))
        m += k * (1 + int(local.max()))
    entries, forms = _components(design.random, slots)
    slots = [place + of_group[:, None] * m for place, of_group in zip(slots, stratum, strict=True)]

    # (leaves, columns of Z̃) where each leaf's effects stand
    places = np.hstack([place[group] for place, group in zip(slots, leaf.groups, strict=True)])
    effects, p = places.shape[1], basis.q.shape[1]
    zz = np.zeros(count * m * m)
    zx = np.zeros((count * m, p))
    for i in range(effects):
        np.add.at(zx, places[:, i], leaf.cross[:, i, effects:])
        for j in range(effects):
            zz += np.bincount(places[:, i] * m + places[:, j] % m, leaf.cross[:, i, j], len(zz))
    products = Products(
        n=design.n,
        zz=zz.reshape(count, m, m),
        zx=zx.reshape(count, m, p),
        xx=basis.q.T @ basis.q,
        entries=entries,
        forms=forms,
    )
    return Strata(products, basis.r, tuple(slots))


def connected(random: Sequence[RandomFactor]) -> list[NDArray[np.int64]]:
    """Stratum of every group of every factor: connected components of "share a row"."""
    offsets = np.cumsum([0, *(len(factor.levels) for factor in random)])
    nodes = int(offsets[-1])
    edges = [(random[0].codes + offsets[0], factor.codes + offsets[i]) for i, factor in enumerate(random)]
    rows = np.concatenate([a for a, _ in edges])
    columns = np.concatenate([b for _, b in edges])
    graph = sparse.coo_array((np.ones(len(rows), np.int8), (rows, columns)), (nodes, nodes))
    labels = sparse.csgraph.connected_components(graph.tocsr(), directed=False)[1].astype(np.int64)
    return [labels[offsets[i] : offsets[i + 1]] for i in range(len(random))]


def _components(
    random: Sequence[RandomFactor], places: Sequence[NDArray[np.int64]]
) -> tuple[NDArray[np.int64], Floats]:
    """Entries of the variance components in a stratum, and their quadratic forms in θ."""
    free = [
        (f, row, column)
        for f, factor in enumerate(random)
        for column in range(len(factor.blocks))
        for row in range(column, len(factor.blocks))
        if factor.blocks[row] == factor.blocks[column]
    ]
    entries = []
    forms = np.zeros((len(free), len(free), len(free)))
    for r, (f, row, column) in enumerate(free):
        for slots in np.unique(places[f], axis=0):
            pairs = {(slots[row], slots[column]), (slots[column], slots[row])}
            entries += [(r, int(a), int(b)) for a, b in sorted(pairs)]
        # component (row, column) of ΛΛ' is the sum over c of Λ[row, c] Λ[column, c]
        for i, (f_i, row_i, column_i) in enumerate(free):
            for j, (f_j, row_j, column_j) in enumerate(free):
                if f_i == f_j == f and column_i == column_j:
                    forms[r, i, j] = (row_i == row) * (row_j == column) + (row_j == row) * (row_i == column)
    return np.array(entries, np.int64), forms
