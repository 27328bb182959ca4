"""A gene's likelihood at any covariance of its random effects, from its fit alone, in microseconds: a stand-in for Laplace's.

Given the dispersion, a stratum is to the random effects a function of its predictor u alone. That function is replaced, around
the fit's û (where that runs away, around where it stays), by that of n cells with one mean and p = μ / (μ + θ), with δ = u − û:

    G(δ) = ĝ'δ − n [log(1 − p + p e^q) − p (δ₀ + m'δ₁)]        q = δ₀ + m'δ₁ + ½ δ₁'Vδ₁

whose value, slope and curvature at û are the gene's own, as is the third derivative along the intercept: n p (1 − p) = W₀₀ and
1 − 2p = Σ P₃ / W₀₀. It has the gene's tails, too: of Poisson's family it is e^q, of others it bends where θ or the number of
cells ends it. The maximum over φ and the effects b together is found by Newton's method, and Laplace's approximation taken there.

    symbol                              array
    û, ĝ                                Standin.base, Standin.score (S, 1 + c)
    n, p, m, V                          Standin.cells, Standin.share (S,), Standin.mean (S, c), Standin.bent (S, c, c)
    H = I + Λ'WΛ of a component         Room.h (components, m, m), its Cholesky factor
    L⁻¹Λ'R'WF, L⁻¹(Λ'g − u)             Room.by (E, r + 1)
    J, the information of φ             Room.j (r, r), its Cholesky factor
"""

import math
from typing import NamedTuple

import numpy as np

from nestde.arrays import Floats
from nestde.fit.compiled import compiled
from nestde.fit.counts.cells import ORDERS, Cells, buffer_of, sum_up
from nestde.fit.counts.general.laplace import collect, penalised, spread_modes
from nestde.fit.counts.general.strata import Strata
from nestde.fit.counts.laplace import NEGATIVE_BINOMIAL, POISSON, Gene
from nestde.fit.dense import cholesky

# p of Poisson's family: so small that (1 + px)^(1/p) is e^x to rounding, and the largest.
_LEAST, _LARGEST = 1e-10, 1.0 - 1e-6
# Of fewer expected counts a stratum without any is looked at where it has one.
_RARE = 1e-2
# The rise that a Newton step promises: below it the step is the last; the most there are.
_CLOSE, _MOST = 1e-5, 60
# The longest step of a predictor, and what is left of one that was too long.
_LONGEST, _SHORTER = 2.0, 0.3


class Standin(NamedTuple):
    """Of one gene, see above."""

    base: Floats
    score: Floats
    cells: Floats
    share: Floats
    mean: Floats
    bent: Floats


class Room(NamedTuple):
    """Room for a climb, see above: δ, g and W of each stratum, steps of φ and u, Λ times them, and parts of one component.

    `wall`, (r, r), is added to J; see `nestde.fit.counts.separation.walls_of`.
    """

    delta: Floats
    score: Floats
    bend: Floats
    h: Floats
    half: Floats
    by: Floats
    j: Floats
    right: Floats
    step: Floats
    move: Floats
    whole: Floats
    w: Floats
    right_of: Floats
    rest: Floats
    wall: Floats


@compiled()
def standin_of(model: Strata) -> Standin:
    """Room for a gene's."""
    strata, within = model.fixed.shape[:2]
    return Standin(
        np.zeros((strata, within)), np.zeros((strata, within)), np.zeros(strata), np.zeros(strata),
        np.zeros((strata, within - 1)), np.zeros((strata, within - 1, within - 1)),
    )  # fmt: skip


@compiled()
def room_for(model: Strata) -> Room:
    """Room for climbs of one model."""
    strata, within, r = model.fixed.shape
    effects, largest = len(model.slot), 0
    for c in range(len(model.first) - 1):
        largest = max(largest, model.first[c + 1] - model.first[c])
    return Room(
        np.zeros((strata, within)), np.zeros((strata, within)), np.zeros((strata, within, within)),
        np.zeros((len(model.first) - 1, largest, largest)), np.zeros((largest, largest)),
        np.zeros((effects, r + 1)), np.zeros((r, r)), np.zeros(r), np.zeros(r), np.zeros(effects), np.zeros(effects),
        np.zeros((largest, largest)), np.zeros((largest, r)), np.zeros((2, largest)), np.zeros((r, r)),
    )  # fmt: skip


@compiled()
def expand(
    model: Strata,
    family: int,
    cells: Cells,
    gene: Gene,
    phi: Floats,
    kappa: float,
    lam: Floats,
    u: Floats,
    out: Standin,
) -> None:
    """Fill a gene's stand-in around a fit: φ, log θ and û under Λ."""
    within, k = len(model.pair), model.place.shape[1]
    width, nb = cells.products.shape[0], family == NEGATIVE_BINOMIAL
    theta, share = (math.exp(kappa), 1.0) if nb else (1.0, 0.0)
    shift = kappa if nb else 0.0
    a, t, buffer = np.zeros((ORDERS, width)), np.zeros((ORDERS, width)), buffer_of()
    b = np.zeros(len(u))
    for c in range(len(model.first) - 1):
        first, last = model.first[c], model.first[c + 1]
        spread_modes(first, lam, model.slot, model.lead, u[first:last], b[first:last])
    for s in range(len(model.fixed)):
        local = out.base[s]
        for j in range(within):
            local[j] = 0.0
            for i in range(len(phi)):
                local[j] += model.fixed[s, j, i] * phi[i]
            for e in range(k):
                local[j] += model.effect[s, j, e] * b[model.place[s, e]]
        sum_up(s, cells, local[0] - shift, local[1:], family == POISSON, buffer, t)
        if gene.total[s, 0] == 0.0 and 0.0 < theta * t[1, 0] < _RARE:
            # of a stratum whose fit runs away, in the range to which other variances and the reduced model lead
            local[0] -= math.log(theta * t[1, 0])
            sum_up(s, cells, local[0] - shift, local[1:], family == POISSON, buffer, t)
        if nb:
            sum_up(s, gene.cells, local[0] - shift, local[1:], False, buffer, a)
        second = theta * t[2, 0] + share * a[2, 0]
        third = theta * t[3, 0] + share * a[3, 0]
        p = min(max(0.5 * (1.0 - third / second), _LEAST), _LARGEST) if second > 0.0 else _LEAST
        out.share[s], out.cells[s] = p, second / (p * (1.0 - p))
        for j in range(within):
            out.score[s, j] = gene.total[s, j] - theta * t[1, j] - share * a[1, j]
        for j in range(within - 1):
            at = model.pair[0, 1 + j]
            out.mean[s, j] = (theta * t[2, at] + share * a[2, at]) / second if second > 0.0 else 0.0
        for i in range(within - 1):
            for j in range(within - 1):
                at = model.pair[1 + i, 1 + j]
                square = (theta * t[2, at] + share * a[2, at]) / second if second > 0.0 else 0.0
                out.bent[s, i, j] = (1.0 - p) * (square - out.mean[s, i] * out.mean[s, j])


@compiled()
def climb(
    model: Strata, gene: Standin, lam: Floats, phi: Floats, u: Floats, room: Room
) -> tuple[float, float, float]:
    """Move φ and u to the maximum at Λ; return its height above û's with u'u / 2 taken off, log|H| and log|J|."""
    strata, within, r = model.fixed.shape
    before, promise, length, value, logdet, logdet_j = -np.inf, np.inf, 0.0, 0.0, 0.0, 0.0
    for _ in range(_MOST):
        value = _height(model, gene, lam, phi, u, room)
        if value < before - 1e-9 * (1.0 + abs(before)) and length > 1e-6:
            # too long a step
            back = (1.0 - _SHORTER) * length
            length *= _SHORTER
            for i in range(r):
                phi[i] -= back * room.step[i]
            for e in range(len(u)):
                u[e] -= back * room.move[e]
            continue
        before = value
        for i in range(r):
            room.right[i] = 0.0
            for j in range(r):
                room.j[i, j] = room.wall[i, j]
        for s in range(strata):
            for j in range(within):
                for i in range(r):
                    room.right[i] += model.fixed[s, j, i] * room.score[s, j]
                    bent = 0.0
                    for n in range(within):
                        bent += room.bend[s, j, n] * model.fixed[s, n, i]
                    for n in range(i + 1):
                        room.j[i, n] += model.fixed[s, j, n] * bent
        logdet, promise = 0.0, 0.0
        for c in range(len(model.first) - 1):
            more = _component(c, model, lam, u, room)
            logdet += more
            first, last = model.first[c], model.first[c + 1]
            for e in range(first, last):
                promise += room.by[e, r] * room.by[e, r]
                for i in range(r):
                    room.right[i] -= room.by[e, i] * room.by[e, r]
                    for j in range(i + 1):
                        room.j[i, j] -= room.by[e, i] * room.by[e, j]
        logdet_j = cholesky(room.j, r)
        if logdet_j == -np.inf:
            return -np.inf, logdet, logdet_j
        for i in range(r):
            room.step[i] = room.right[i]
            for j in range(i):
                room.step[i] -= room.j[i, j] * room.step[j]
            room.step[i] /= room.j[i, i]
            promise += room.step[i] * room.step[i]
        for i in range(r - 1, -1, -1):
            for j in range(i + 1, r):
                room.step[i] -= room.j[j, i] * room.step[j]
            room.step[i] /= room.j[i, i]
        if promise < _CLOSE:
            return value + 0.5 * promise, logdet, logdet_j
        _back(model, u, room)
        length = _length(model, lam, room)
        for i in range(r):
            phi[i] += length * room.step[i]
        for e in range(len(u)):
            u[e] += length * room.move[e]
    return -np.inf, logdet, logdet_j


@compiled()
def _height(model: Strata, gene: Standin, lam: Floats, phi: Floats, u: Floats, room: Room) -> float:
    """The penalised likelihood; fills g and W of each stratum."""
    within, value = model.fixed.shape[1], 0.0
    for c in range(len(model.first) - 1):
        first, last = model.first[c], model.first[c + 1]
        spread_modes(first, lam, model.slot, model.lead, u[first:last], room.whole[first:last])
    for e in range(len(u)):
        value -= 0.5 * u[e] * u[e]
    for s in range(len(model.fixed)):
        delta, p, n = room.delta[s], gene.share[s], gene.cells[s]
        for j in range(within):
            delta[j] = -gene.base[s, j]
            for i in range(len(phi)):
                delta[j] += model.fixed[s, j, i] * phi[i]
            for e in range(model.place.shape[1]):
                delta[j] += model.effect[s, j, e] * room.whole[model.place[s, e]]
            value += gene.score[s, j] * delta[j]
        line, curve = delta[0], 0.0
        for i in range(within - 1):
            line += gene.mean[s, i] * delta[1 + i]
            for j in range(within - 1):
                curve += gene.bent[s, i, j] * delta[1 + i] * delta[1 + j]
        more = math.expm1(min(line + 0.5 * curve, 300.0))
        whole = 1.0 + p * more
        value -= n * (math.log1p(p * more) - p * line)
        of_all, above = p * (1.0 + more) / whole, p * more * (1.0 - p) / whole
        once, twice = n * of_all, n * of_all * (1.0 - of_all)
        score, bend = room.score[s], room.bend[s]
        score[0], bend[0, 0] = gene.score[s, 0] - n * above, twice
        for i in range(within - 1):
            turned = 0.0
            for j in range(within - 1):
                turned += gene.bent[s, i, j] * delta[1 + j]
            score[1 + i] = gene.score[s, 1 + i] - n * above * gene.mean[s, i] - once * turned
            bend[0, 1 + i] = gene.mean[s, i] + turned
        for i in range(within - 1):
            for j in range(within - 1):
                bend[1 + i, 1 + j] = twice * bend[0, 1 + i] * bend[0, 1 + j] + once * gene.bent[s, i, j]
        for i in range(within - 1):
            bend[0, 1 + i] *= twice
            bend[1 + i, 0] = bend[0, 1 + i]
    return value


@compiled()
def _component(c: int, model: Strata, lam: Floats, u: Floats, room: Room) -> float:
    """Factorise H of a component and fill its rows of `Room.by`; return log|H|."""
    first, last = model.first[c], model.first[c + 1]
    size, within, r = last - first, model.fixed.shape[1], model.fixed.shape[2]
    h, by = room.h[c], room.by[first:last]
    w, right, g, rest = room.w, room.right_of, room.rest[0], room.rest[1]
    for e in range(size):
        g[e] = 0.0
        for n in range(size):
            w[e, n] = 0.0
        for i in range(r):
            right[e, i] = 0.0
    for s in range(model.strata[c], model.strata[c + 1]):
        effect, place, bend = model.effect[s], model.place[s], room.bend[s]
        collect(effect, place, first, room.score[s], bend, g, w)
        for i in range(r):
            for j in range(within):
                bent = 0.0
                for n in range(within):
                    bent += bend[j, n] * model.fixed[s, n, i]
                for e in range(len(place)):
                    right[place[e] - first, i] += effect[j, e] * bent
    logdet = penalised(first, lam, model.slot, model.tail, w, g, u[first:last], room.half, h, rest)
    for e in range(size):
        for i in range(r):
            total = 0.0
            for n in range(e, model.tail[first + e] - first):
                total += lam[model.slot[first + n], model.slot[first + e]] * right[n, i]
            by[e, i] = total
        by[e, r] = rest[e]
    for i in range(r + 1):
        for e in range(size):
            for n in range(e):
                by[e, i] -= h[e, n] * by[n, i]
            by[e, i] /= h[e, e]
    return logdet


@compiled()
def _back(model: Strata, u: Floats, room: Room) -> None:
    """Fill u's step from that of φ."""
    r = len(room.step)
    for c in range(len(model.first) - 1):
        first, last = model.first[c], model.first[c + 1]
        h, move = room.h[c], room.move[first:last]
        for e in range(last - first):
            move[e] = room.by[first + e, r]
            for i in range(r):
                move[e] -= room.by[first + e, i] * room.step[i]
        for e in range(last - first - 1, -1, -1):
            for n in range(e + 1, last - first):
                move[e] -= h[n, e] * move[n]
            move[e] /= h[e, e]


@compiled()
def _length(model: Strata, lam: Floats, room: Room) -> float:
    """The share of a step that is within the cap."""
    share = 1.0
    for c in range(len(model.first) - 1):
        first, last = model.first[c], model.first[c + 1]
        spread_modes(first, lam, model.slot, model.lead, room.move[first:last], room.whole[first:last])
    for s in range(len(model.fixed)):
        far = 0.0
        for j in range(model.fixed.shape[1]):
            move = 0.0
            for i in range(len(room.step)):
                move += model.fixed[s, j, i] * room.step[i]
            for e in range(model.place.shape[1]):
                move += model.effect[s, j, e] * room.whole[model.place[s, e]]
            far += abs(move) * (model.reach[j - 1] if j > 0 else 1.0)
        share = min(share, _LONGEST / max(far, 1e-300))
    return share
