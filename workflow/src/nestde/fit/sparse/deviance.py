"""Kernels: the profiled deviance of Bates et al. (2015, J Stat Softw 67(1), eq. 34 and 42) from `Sparse`.

For each node, in order: [Λ'Z̃'Z̃Λ + I; Q'Z̃Λ; y'Z̃Λ] less what earlier nodes explain of it (left-looking), then L of each
member and the rows B times L⁻ᵀ. At the end [Q, y]'[Q, y] is left with r², as in the blocks of nested factors.

    symbol     array
    L, B       Work.factor, at `square_at` and `panel_at`
    [Q, y]'[Q, y] less what the effects explain      Work.last
"""

from typing import NamedTuple

import numpy as np

from nestde.arrays import Floats
from nestde.fit.compiled import compiled
from nestde.fit.deviance import profile
from nestde.fit.sparse.layout import Sparse
from nestde.fit.sparse.products import Rows, add_products, dot, factorise, shifted, solve_rows


class Work(NamedTuple):
    """Space for one response.

    Attributes
    ----------
    factor
        L and the rows below it.
    covariance
        Conditional covariance of the spherical effects, in the same places, by `gradient`.
    last
        (p + 1, p + 1) of the coefficients and y.
    lam, g
        (factors, K, K) Λ of each factor, and the derivative by it.
    zy
        (effects,) Z̃'y.
    u, modes, w
        (effects,) spherical modes, conditional modes b, and Z̃'(y − Z̃b − Qβ).
    update
        For what one link explains.
    upper, across, explained, joint
        Of one node L⁻ᵀ by members; L⁻ᵀB'; that times the covariance of its rows' effects; and that covariance.
    """

    factor: Floats
    covariance: Floats
    last: Floats
    lam: Floats
    g: Floats
    zy: Floats
    u: Floats
    modes: Floats
    w: Floats
    update: Floats
    upper: Floats
    across: Floats
    explained: Floats
    joint: Floats


@compiled()
def space(blocks: Sparse) -> Work:
    """Room for the work on one response."""
    effects, p = blocks.zq.shape
    update, upper, across, joint, factors = 1, 1, 1, 1, len(blocks.size)
    for node in range(len(blocks.k)):
        rows = blocks.row_at[node + 1] - blocks.row_at[node] + p
        own = blocks.members[node] * blocks.k[node]
        upper = max(upper, own * blocks.k[node])
        across = max(across, own * rows)
        joint = max(joint, rows * rows)
    for i in range(len(blocks.link)):
        source = blocks.link[i, 0]
        rows = blocks.row_at[source + 1] - blocks.row_at[source] - blocks.link[i, 1] + p + 1
        update = max(update, rows * blocks.link[i, 2])
    largest = 1
    for f in range(factors):
        largest = max(largest, blocks.size[f])
    length = blocks.square_at[len(blocks.k)]
    return Work(
        np.empty(length),
        np.empty(length),
        np.empty((p + 1, p + 1)),
        np.zeros((factors, largest, largest)),
        np.empty((factors, largest, largest)),
        np.empty(effects),
        np.empty(effects),
        np.empty(effects),
        np.empty(effects),
        np.empty(update),
        np.empty(upper),
        np.empty(across),
        np.empty(across),
        np.empty(joint),
    )


@compiled()
def deviance(
    theta: Floats, blocks: Sparse, zy: Floats, qy: Floats, yy: float, freedom: float, reml: bool, work: Work
) -> tuple[float, float]:
    """Log-determinants + freedom · log r², and r², at θ: as `nestde.fit.deviance.deviance`."""
    p = len(qy)
    for t in range(len(theta)):
        work.lam[blocks.place[t, 0], blocks.place[t, 1], blocks.place[t, 2]] = theta[t]
    for e in range(len(zy)):
        work.zy[e] = zy[e]
    for i in range(p + 1):
        for j in range(p + 1):
            work.last[i, j] = 1.0 if i == j else 0.0
    for j in range(p):
        work.last[p, j] = work.last[j, p] = qy[j]
    work.last[p, p] = yy
    _assemble(blocks, work)
    logdet = 0.0
    for node in range(len(blocks.k)):
        for i in range(blocks.link_at[node], blocks.link_at[node + 1]):
            _explain(blocks, work, node, i)
        k, members = blocks.k[node], blocks.members[node]
        rows, wide = blocks.row_at[node + 1] - blocks.row_at[node], members * k
        panel = Rows(work.factor, blocks.panel_at[node], wide)
        for member in range(members):
            lower = Rows(work.factor, blocks.square_at[node] + member * k * k, k)
            logdet += factorise(lower, k)
            solve_rows(lower, shifted(panel, 0, member * k), rows + p + 1, 0, k)
        for i in range(p + 1):
            for j in range(i + 1):
                work.last[i, j] -= dot(panel, rows + i, panel, rows + j, 0, wide)
                work.last[j, i] = work.last[i, j]
    return profile(work.last, logdet, freedom, reml)


@compiled()
def _assemble(blocks: Sparse, work: Work) -> None:
    """Put Λ'Z̃'Z̃Λ + I, Q'Z̃Λ and y'Z̃Λ in their places."""
    factor, lam, p = work.factor, work.lam, blocks.zq.shape[1]
    for i in range(len(factor)):
        factor[i] = 0.0
    for e in range(len(blocks.entry)):
        at, step, f, _, g, _, cross = blocks.entry[e]
        height, wide = blocks.size[f], blocks.size[g]
        for i in range(height):
            for j in range(wide):
                total = 0.0
                for m in range(i, height):
                    for n in range(j, wide):
                        total += lam[f, m, i] * blocks.cross[cross + m * wide + n] * lam[g, n, j]
                factor[at + i * step + j] = total
    at = 0
    for node in range(len(blocks.k)):
        k, members = blocks.k[node], blocks.members[node]
        wide, rows = members * k, blocks.row_at[node + 1] - blocks.row_at[node]
        for member in range(members):
            for i in range(k):
                factor[blocks.square_at[node] + member * k * k + i * (k + 1)] += 1.0
        first, stop = blocks.effect_at[node], blocks.effect_at[node + 1]
        below = blocks.panel_at[node] + rows * wide
        while at < len(blocks.group) and blocks.group[at, 1] < stop:
            f, effect = blocks.group[at]
            for i in range(blocks.size[f]):
                for m in range(i, blocks.size[f]):
                    weight, here = lam[f, m, i], below + effect + i - first
                    for j in range(p):
                        factor[here + j * wide] += weight * blocks.zq[effect + m, j]
                    factor[here + p * wide] += weight * work.zy[effect + m]
            at += 1


@compiled()
def place(blocks: Sparse, node: int, column: int, own: int) -> int:
    """Where the square of a node has its effects `own` (row) and `column`, both numbered within the node."""
    k = blocks.k[node]
    member = column // k
    return int(blocks.square_at[node] + member * k * k + (own - member * k) * k + column - member * k)


@compiled()
def _explain(blocks: Sparse, work: Work, node: int, which: int) -> None:
    """Take from a node's columns what an earlier node explains of them."""
    source, first, own, relative = blocks.link[which]
    wide, p = blocks.members[source] * blocks.k[source], blocks.zq.shape[1]
    rows = blocks.row_at[source + 1] - blocks.row_at[source]
    below = Rows(work.factor, blocks.panel_at[source] + first * wide, wide)
    height, update = rows - first + p + 1, work.update
    for i in range(height * own):
        update[i] = 0.0
    add_products(below, height, below, own, 0, wide, 1.0, True, Rows(update, 0, own))
    begin, target_wide = blocks.effect_at[node], blocks.members[node] * blocks.k[node]
    target_rows = blocks.row_at[node + 1] - blocks.row_at[node]
    effects = blocks.row_at[source] + first
    for j in range(own):
        column = blocks.row[effects + j] - begin
        for i in range(j, own):
            work.factor[place(blocks, node, column, blocks.row[effects + i] - begin)] -= update[i * own + j]
    for i in range(own, height):
        at = blocks.relative[relative + i - own] if i < rows - first else target_rows + i - (rows - first)
        here = blocks.panel_at[node] + at * target_wide
        for j in range(own):
            work.factor[here + blocks.row[effects + j] - begin] -= update[i * own + j]
