"""Cross-products of a design by strata: independent clusters of groups, padded to one shape.

Groups that share rows, directly or through other factors, form a stratum: a sample, an animal with its
images, everything if factors are crossed. All strata have the same slots (an effect of the i-th group of
a factor), so one relative covariance matrix serves all; the slots of absent groups stay zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from nestde.design import RandomFactor

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Strata:
    """What inference needs to know of a design; C strata of m slots, p coefficients, R components, T thetas.

    Attributes
    ----------
    n
        Number of rows.
    zz
        (C, m, m) Z'Z of each stratum.
    zx
        (C, m, p) Z'Q of each stratum, X = Q `scale`.
    xx
        (p, p) Q'Q.
    scale
        (p, p) maps coefficients of X to those of Q, whose columns are orthonormal.
    patterns
        (R, m, m) derivative of the random effects' covariance by each variance and covariance.
    theta
        (R, T, T) the components as quadratic forms: component r = ½ θ' `theta[r]` θ, because the
        relative covariance is ΛΛ'.
    slots
        For each factor the (groups, k) places of its effects in the C · m slots.
    """

    n: int
    zz: Floats
    zx: Floats
    xx: Floats
    scale: Floats
    patterns: Floats
    theta: Floats
    slots: tuple[NDArray[np.int64], ...]

    def place(self, values: Sequence[Floats]) -> Floats:
        """Lay out one array (G, groups, k) for each factor in strata: (G, C, m)."""
        count, m = self.zz.shape[:2]
        out = np.zeros((len(values[0]), count * m))
        for slots, part in zip(self.slots, values, strict=True):
            out[:, slots] = part
        return out.reshape(-1, count, m)


def build(x: Floats, random: Sequence[RandomFactor]) -> Strata:
    """Cut a design into strata and sum its cross-products; one pass over the rows.

    Parameters
    ----------
    x
        (n, p) fixed-effects matrix of full rank.
    random
        Random factors; θ runs over them in this order, each as the lower triangle of Λ, column by column,
        within the factor's correlated blocks.
    """
    n, p = x.shape
    stratum = _connected(random)
    count = 1 + max(int(part.max()) for part in stratum)
    slots, m = [], 0
    for factor, of_level in zip(random, stratum, strict=True):
        k = factor.z.shape[1]
        order = np.argsort(of_level, kind="stable")
        first = np.searchsorted(of_level[order], np.arange(count))
        local = np.empty(len(of_level), np.int64)
        local[order] = np.arange(len(of_level)) - first[of_level[order]]
        slots.append(m + local[:, None] * k + np.arange(k))
        m += k * (1 + int(local.max()))
    slots = [part + of_level[:, None] * m for part, of_level in zip(slots, stratum, strict=True)]

    q, scale = _orthonormal(x)
    zx = np.zeros((count * m, p))
    zz = np.zeros(count * m * m)
    for factor, place in zip(random, slots, strict=True):
        rows = place[factor.codes]
        for a in range(rows.shape[1]):
            for j in range(p):
                zx[:, j] += np.bincount(rows[:, a], factor.z[:, a] * q[:, j], count * m)
            for other, elsewhere in zip(random, slots, strict=True):
                columns = elsewhere[other.codes]
                for b in range(columns.shape[1]):
                    cell = rows[:, a] * m + columns[:, b] % m
                    zz += np.bincount(cell, factor.z[:, a] * other.z[:, b], len(zz))
    patterns, theta = _components(random, [place % m for place in slots], m)
    return Strata(
        n=n,
        zz=zz.reshape(count, m, m),
        zx=zx.reshape(count, m, p),
        xx=q.T @ q,
        scale=scale,
        patterns=patterns,
        theta=theta,
        slots=tuple(slots),
    )


def _connected(random: Sequence[RandomFactor]) -> list[NDArray[np.int64]]:
    """Stratum of every group of every factor: connected components of "share a row"."""
    offsets = np.cumsum([0, *(len(factor.levels) for factor in random)])
    nodes = int(offsets[-1])
    edges = [(random[0].codes + offsets[0], factor.codes + offsets[i]) for i, factor in enumerate(random)]
    rows = np.concatenate([a for a, _ in edges])
    columns = np.concatenate([b for _, b in edges])
    graph = sparse.coo_array((np.ones(len(rows), np.int8), (rows, columns)), (nodes, nodes))
    labels = sparse.csgraph.connected_components(graph.tocsr(), directed=False)[1].astype(np.int64)
    return [labels[offsets[i] : offsets[i + 1]] for i in range(len(random))]


def _orthonormal(x: Floats) -> tuple[Floats, Floats]:
    """X = Q R by QR; Householder's is stable, whatever the columns' units."""
    q, r = np.linalg.qr(x)
    return q, r


def _components(
    random: Sequence[RandomFactor], places: Sequence[NDArray[np.int64]], m: int
) -> tuple[Floats, Floats]:
    """Patterns of the variance components and their quadratic forms in θ."""
    free = [
        (f, row, column)
        for f, factor in enumerate(random)
        for column in range(len(factor.blocks))
        for row in range(column, len(factor.blocks))
        if factor.blocks[row] == factor.blocks[column]
    ]
    patterns = np.zeros((len(free), m, m))
    theta = np.zeros((len(free), len(free), len(free)))
    for r, (f, row, column) in enumerate(free):
        slots = np.unique(places[f], axis=0)
        patterns[r, slots[:, row], slots[:, column]] = 1.0
        patterns[r, slots[:, column], slots[:, row]] = 1.0
        # component (row, column) of ΛΛ' is the sum over c of Λ[row, c] Λ[column, c]
        for i, (factor_i, row_i, column_i) in enumerate(free):
            for j, (factor_j, row_j, column_j) in enumerate(free):
                if factor_i == factor_j == f and column_i == column_j:
                    theta[r, i, j] = (row_i == row) * (row_j == column) + (row_j == row) * (row_i == column)
    return patterns, theta
