"""What a model is, free of y, at each point of a grid: generalised least squares for all genes by the same matrices.

With H = I + Λ'Z'ZΛ = LL', T = L⁻¹Λ' and R'R = Q'Q − (TZ'Q)'TZ'Q, the weighted sums of squares of a response are

    r² = y'y − |t|² − |z|²        t = TZ'y,  z = R⁻ᵀ(Q'y − (TZ'Q)'t)

and rows Lβ of coefficients are estimated as LR⁻¹z with covariance LR⁻¹R⁻ᵀL' r²/(n − p). Under Lβ = 0 the increase of r²
is |Oz|², O an orthonormal basis of the rows of LR⁻¹: given Λ this is exactly the F test.

T has the sparsity of the blocked elimination: effects of the finest factor stand alone in it. Effects fall into classes
that depend on different variances, one for each arm: a class's part of |t|² and (TZ'Q)'t is summed once for each value of
its own variance, and a point adds up what its classes have. Without arms all is one class, whose values are the points.

    symbol                     array
    T at each value, sparse    Points.t (V, entries), at rows `begin` and columns `column`
    TZ'Q                       Points.tq (V, e, p)
    R⁻ᵀ                        Points.root (K, p, p)
    log|H| + log|R'R|          Points.logdet (K,)
    O, |LR⁻¹|                  Points.o (K, rows, p), Points.size (K, rows)
    |t|², (TZ'Q)'t             Block.part[class, value, 0], Block.part[class, value, 1:], (LANES,) each
    z, r²                      Block.z (p, LANES), Block.r2 (LANES,)
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats, Integers
from nestde.fit import clusters
from nestde.fit.compiled import compiled, spread
from nestde.fit.elementary import exps, logs
from nestde.fit.genes import FitModel
from nestde.fit.grid import Arms, Grid
from nestde.fit.responses import Responses

# Genes that are treated side by side, in one instruction where the processor can.
LANES = 64
# Numbers that are factorised at once.
_AT_ONCE = 1e6


class Points(NamedTuple):
    """K points, e effects in classes of V values at most, p coefficients, C contrasts of rows in all.

    Attributes
    ----------
    member
        (classes + 1,) where the effects of a class begin.
    length, value
        (classes,) values of each class; (K, classes) the one that a point has.
    begin, column
        (e + 1,) and (entries,) sparse rows of T: row i has `column[begin[i] : begin[i + 1]]`.
    t
        (V, entries) the entries of T, by the values of their class.
    tq
        (V, e, p) TZ'Q.
    root
        (K, p, p) R⁻ᵀ, lower triangle.
    logdet
        (K,) log|H| + log|R'R|, the determinants of REML.
    first
        (C + 1,) where a contrast's rows begin among `o`.
    o
        (K, rows, p) O of each contrast.
    back
        (K, rows, p) OR, which Oz lacks for each unit that was subtracted of Q's columns.
    size
        (K, rows) of a contrast of one row |LR⁻¹|.
    freedom
        n − p.
    """

    member: Integers
    length: Integers
    value: Integers
    begin: Integers
    column: Integers
    t: Floats
    tq: Floats
    root: Floats
    logdet: Floats
    first: Integers
    o: Floats
    back: Floats
    size: Floats
    freedom: float


def build(model: FitModel, grid: Grid, contrasts: Sequence[Floats], arms: Arms | None = None) -> Points:
    """Factorise at every point of the grid.

    Parameters
    ----------
    model
        From `prepare`.
    grid
        Of the model.
    contrasts
        Each (rows, p) for the columns of X, of full row rank.
    arms
        Of the only random factor, where the grid has arms.
    """
    cut = clusters.clusters_of(model.design, model.basis, model.leaf)
    used, pattern = _order(cut, arms), _pattern(cut)
    points, p, m = len(grid.values), len(cut.r), cut.products.zz.shape[1]
    # LR⁻¹ begins with the coefficients of X = Qr
    rows = [np.linalg.solve(cut.r.T, contrast.T).T for contrast in contrasts]
    first = np.cumsum([0, *(len(contrast) for contrast in rows)])
    effect = np.empty(cut.products.zz.shape[0] * m, np.int64)
    effect[used] = np.arange(len(used))
    row, column = (effect[pattern[0] * m + slot] for slot in pattern[1:])
    sort = np.lexsort((column, row))
    entry, row, column = pattern[:, sort], row[sort], column[sort]
    begin = np.searchsorted(row, np.arange(len(used) + 1))

    if arms is None:
        value, member = np.arange(points)[:, None], np.array([0, len(used)])
    else:
        # one layout in memory, with arms and without: the kernels are compiled once
        value, member = (
            np.ascontiguousarray(grid.place),
            np.cumsum([0, *np.bincount(arms.arm, minlength=len(arms.names))]),
        )
    length = value.max(axis=0) + 1
    t, tq = np.zeros((length.max(), len(row))), np.zeros((length.max(), len(used), p))
    root, logdet = np.empty((points, p, p)), np.empty(points)
    o, size = np.empty((points, int(first[-1]), p)), np.full((points, int(first[-1])), np.nan)
    back = np.empty_like(o)
    for some in np.array_split(np.arange(points), math.ceil(points * cut.products.zz.size / _AT_ONCE)):
        lam = _lambda(cut, [part[some] for part in grid.factors], arms)
        lower = np.linalg.cholesky(np.eye(m) + lam.swapaxes(-1, -2) @ cut.products.zz @ lam)
        whole = np.linalg.solve(lower, lam.swapaxes(-1, -2))
        by_q = (whole @ cut.products.zx).reshape(len(some), -1, p)
        entries, by_q = whole[:, *entry], by_q[:, used]
        for c in range(len(length)):
            effects = slice(member[c], member[c + 1])
            mine = slice(begin[member[c]], begin[member[c + 1]])
            t[value[some, c], mine], tq[value[some, c], effects] = entries[:, mine], by_q[:, effects]
        r = np.linalg.cholesky(cut.products.xx - by_q.swapaxes(-1, -2) @ by_q)
        root[some] = np.linalg.inv(r)
        diagonals = np.einsum("kcii->kci", lower).reshape(len(some), -1), np.einsum("kii->ki", r)
        logdet[some] = 2.0 * sum(np.log(diagonal).sum(axis=1) for diagonal in diagonals)
        for at, contrast in zip(first, rows, strict=False):
            a = contrast @ root[some].swapaxes(-1, -2)
            if len(contrast) == 1:
                size[some, at] = np.linalg.norm(a[:, 0], axis=1)
                o[some, at] = a[:, 0] / size[some, at, None]
            else:
                o[some, at : at + len(contrast)] = np.linalg.qr(a.swapaxes(-1, -2))[0].swapaxes(-1, -2)
        back[some] = o[some] @ r.swapaxes(-1, -2)
    return Points(
        *(member, length, value, begin, column, t, tq, root, logdet, first, o, back, size),
        freedom=float(model.design.n - p),
    )


def place(model: FitModel, zy: Sequence[Floats], arms: Arms | None = None) -> Floats:
    """Lay out Z̃'y of each factor as the effects of `Points`: (G, e)."""
    cut = clusters.clusters_of(model.design, model.basis, model.leaf)
    return np.ascontiguousarray(
        cut.place(zy).reshape(len(zy[0]), math.prod(cut.products.zz.shape[:2]))[:, _order(cut, arms)]
    )


def _order(cut: clusters.Strata, arms: Arms | None) -> Integers:
    """Slots, among all strata's, that a group has; those of an arm together."""
    if arms is None:
        return np.unique(np.concatenate([slots.ravel() for slots in cut.slots]))
    found: Integers = cut.slots[0][np.argsort(arms.arm, kind="stable"), 0]
    return found


def _lambda(cut: clusters.Strata, factors: Sequence[Floats], arms: Arms | None) -> Floats:
    """(points, C, m, m) Λ of every stratum, from that of each factor, (points, arms, k, k)."""
    count, m = cut.products.zz.shape[:2]
    lam = np.zeros((len(factors[0]), count * m, m))
    for factor, slots in zip(factors, cut.slots, strict=True):
        own = factor[:, np.zeros(len(slots), np.int64) if arms is None else arms.arm]
        for i, j in np.ndindex(own.shape[2:]):
            lam[:, slots[:, i], slots[:, j] % m] = own[:, :, i, j]
    return lam.reshape(-1, count, m, m)


def _pattern(cut: clusters.Strata) -> Integers:
    """(3, entries) stratum, row and column of what can be other than 0 in T."""
    count, m = cut.products.zz.shape[:2]
    joined = np.zeros((count * m, m), bool)
    for slots in cut.slots:
        for i, j in np.ndindex(slots.shape[1], slots.shape[1]):
            joined[slots[:, i], slots[:, j] % m] = True
    joined = joined.reshape(count, m, m)
    # all off the diagonal negative, and this the larger: nothing cancels in the factor's inverse
    linked = joined.astype(float) @ (cut.products.zz != 0) @ joined
    lower = np.linalg.cholesky((1.0 + linked.sum(axis=(1, 2)))[:, None, None] * 2.0 * np.eye(m) - linked)
    return np.array(np.nonzero(np.linalg.inv(lower) @ joined))


class Block(NamedTuple):
    """Genes side by side, and room for what is computed of them.

    Attributes
    ----------
    zy, qy, yy
        (e, LANES) Z̃'y, (p, LANES) Q'y, (LANES,) y'y.
    part
        (classes, V, 1 + p, LANES) |t|² and (TZ'Q)'t of a class.
    t, c
        (LANES,) and (p, LANES), room.
    z, r2
        (p, LANES), (LANES,) at a point.
    """

    zy: Floats
    qy: Floats
    yy: Floats
    part: Floats
    t: Floats
    c: Floats
    z: Floats
    r2: Floats


@compiled()
def block_of(points: Points) -> Block:
    """Room for a block of genes."""
    values, e, p = points.tq.shape
    return Block(
        np.empty((e, LANES)),
        np.empty((p, LANES)),
        np.empty(LANES),
        np.empty((len(points.length), values, 1 + p, LANES)),
        np.empty(LANES),
        np.empty((p, LANES)),
        np.empty((p, LANES)),
        np.empty(LANES),
    )


@compiled()
def load(begin: int, points: Points, responses: Responses, block: Block) -> int:
    """Lay genes begin, begin + 1, … side by side and sum up their classes; return how many genes there are."""
    count = min(LANES, len(responses.yy) - begin)
    for g in range(LANES):
        gene = begin + min(g, count - 1)
        block.yy[g] = responses.yy[gene]
        for e in range(len(block.zy)):
            block.zy[e, g] = responses.zy[gene, e]
        for i in range(len(block.qy)):
            block.qy[i, g] = responses.qy[gene, i]
    for c in range(len(points.length)):
        for v in range(points.length[c]):
            _sum_up(c, v, points, block)
    return count


@compiled()
def _sum_up(c: int, v: int, points: Points, block: Block) -> None:
    """Fill |t|² and (TZ'Q)'t of a class at one of its values."""
    part, t = block.part[c, v], block.t
    for i in range(len(part)):
        for g in range(LANES):
            part[i, g] = 0.0
    for e in range(points.member[c], points.member[c + 1]):
        for g in range(LANES):
            t[g] = 0.0
        for at in range(points.begin[e], points.begin[e + 1]):
            factor, column = points.t[v, at], points.column[at]
            for g in range(LANES):
                t[g] += factor * block.zy[column, g]
        for g in range(LANES):
            part[0, g] += t[g] * t[g]
        for i in range(points.tq.shape[2]):
            factor = points.tq[v, e, i]
            for g in range(LANES):
                part[1 + i, g] += factor * t[g]


@compiled()
def at_point(k: int, points: Points, block: Block) -> None:
    """Fill z and r² of a block at the k-th point."""
    p, c, z, r2 = len(block.qy), block.c, block.z, block.r2
    for s in range(len(points.length)):
        part, before, qy = block.part[s, points.value[k, s]], r2 if s else block.yy, c if s else block.qy
        for g in range(LANES):
            r2[g] = before[g] - part[0, g]
        for i in range(p):
            for g in range(LANES):
                c[i, g] = qy[i, g] - part[1 + i, g]
    for i in range(p):
        factor = points.root[k, i, 0]
        for g in range(LANES):
            z[i, g] = factor * c[0, g]
        for j in range(1, i + 1):
            factor = points.root[k, i, j]
            for g in range(LANES):
                z[i, g] += factor * c[j, g]
        for g in range(LANES):
            r2[g] -= z[i, g] * z[i, g]


def marginals(points: Points, grid: Grid, responses: Responses, threads: int | None) -> NDArray[np.float32]:
    """(G, C) likelihood of each response by node of the grid, relative to its largest; NaN where rounding leaves none."""
    out = np.empty((len(responses.yy), len(grid.flat)), np.float32)
    blocks = math.ceil(len(out) / LANES)
    spread(_marginals, blocks, threads, points, grid.node, grid.share, responses, out)
    return out


@compiled()
def _marginals(
    begin: int,
    end: int,
    points: Points,
    node: Integers,
    share: Floats,
    responses: Responses,
    out: NDArray[np.float32],
) -> None:
    """Fill what `marginals` returns of some blocks of genes."""
    block, r2 = block_of(points), np.empty((LANES, len(node)))
    loglik, room, likelihood = np.empty(len(node)), np.empty(len(node)), np.empty(len(node))
    sums = np.empty(out.shape[1])
    for which in range(begin, end):
        count = load(which * LANES, points, responses, block)
        for k in range(len(node)):
            at_point(k, points, block)
            for g in range(count):
                r2[g, k] = block.r2[g]
        for g in range(count):
            reml(points, r2[g], loglik)
            top = loglik.max()
            for k in range(len(node)):
                loglik[k] -= top
            exps(loglik, room, likelihood)
            for c in range(len(sums)):
                sums[c] = 0.0
            for k in range(len(node)):
                for j in range(node.shape[1]):
                    sums[node[k, j]] += share[k, j] * likelihood[k]
            for c in range(len(sums)):
                out[which * LANES + g, c] = sums[c]


@compiled()
def reml(points: Points, r2: Floats, out: Floats) -> None:
    """Fill REML log-likelihoods, but for their constants, of a response at all points, from its r²."""
    logs(r2, out)
    for k in range(len(out)):
        out[k] = -0.5 * (points.freedom * out[k] + points.logdet[k])
