"""`standin.climb` where each stratum has an intercept of its own and no other random effect: a number for each, in one pass.

With v = λ² the curvature of a stratum (`standin`), given its own intercept at its mode, is left with

    B − v B₀B₀' / (1 + v B₀₀)        B₀ = B₀₀ d, d = (1, m + Vδ₁)

so that all that a stratum has of J is a multiple of ff', f = F'd, and what its covariates' V has.

    f_s, λg₀ − u                        Room.by (S, r + 1)
    B₀₀                                 Room.bend (S, 1, 1)
    1 / (1 + v B₀₀)                     Room.whole (S,)
    q                                   Room.score (S, 1)
"""

import math

import numpy as np

from nestde.arrays import Floats
from nestde.fit.compiled import compiled
from nestde.fit.counts.elementary import exp
from nestde.fit.counts.general.standin import Room, Standin
from nestde.fit.counts.general.strata import Strata
from nestde.fit.dense import cholesky, copy

# The rise that a Newton step promises: below it the step is the last; the most there are.
_CLOSE, _MOST = 1e-4, 60
# The longest step of a predictor, and what is left of one that was too long.
_LONGEST, _SHORTER = 2.0, 0.3
# Above this a product is turned to a logarithm; the highest q.
_LARGE, _HIGHEST = 1e100, 300.0


@compiled()
def climb_apart(
    model: Strata, gene: Standin, lam: Floats, phi: Floats, u: Floats, room: Room
) -> tuple[float, float, float]:
    """Move φ and u to the maximum, as `standin.climb` does; a step is too long after which the next promises more."""
    strata, _, r = model.fixed.shape
    before, length = np.inf, 1.0
    for _ in range(_MOST):
        promise, logdet = _sum_up(model, gene, lam, phi, u, room)
        logdet_j = cholesky(room.j, r)
        if logdet_j == -np.inf:
            break
        step = room.right
        for i in range(r):
            for j in range(i):
                step[i] -= room.j[i, j] * step[j]
            step[i] /= room.j[i, i]
            promise += step[i] * step[i]
        if not promise <= before:
            back = (1.0 - _SHORTER) * length
            length *= _SHORTER
            for i in range(r):
                phi[i] -= back * room.step[i]
            for s in range(strata):
                u[s] -= back * room.move[s]
            continue
        before = promise
        for i in range(r - 1, -1, -1):
            for j in range(i + 1, r):
                step[i] -= room.j[j, i] * step[j]
            step[i] /= room.j[i, i]
        copy(step, room.step)
        farthest = 0.0
        for s in range(strata):
            sd, along = lam[model.slot[s], model.slot[s]], 0.0
            for i in range(r):
                along += room.by[s, i] * step[i]
            room.move[s] = (room.by[s, r] - sd * room.bend[s, 0, 0] * along) * room.whole[s]
            farthest = max(farthest, abs(along + sd * room.move[s]))
        length = min(1.0, _LONGEST / max(farthest, 1e-300))
        last = promise < _CLOSE
        height = _height(gene, u, room) + 0.5 * promise if last else 0.0
        for i in range(r):
            phi[i] += length * step[i]
        for s in range(strata):
            u[s] += length * room.move[s]
        if last:
            return height, logdet, logdet_j
    return -np.inf, 0.0, 0.0


@compiled()
def _sum_up(
    model: Strata, gene: Standin, lam: Floats, phi: Floats, u: Floats, room: Room
) -> tuple[float, float]:
    """Fill J, its right side, and what strata have of them; return what the strata's own intercepts promise, and log|H|."""
    strata, within, r = model.fixed.shape
    promise, logdet, product = 0.0, 0.0, 1.0
    for i in range(r):
        room.right[i] = 0.0
        for j in range(i + 1):
            room.j[i, j] = room.wall[i, j]
    for s in range(strata):
        fixed, delta, f, p, n = model.fixed[s], room.delta[s], room.by[s], gene.share[s], gene.cells[s]
        sd = lam[model.slot[s], model.slot[s]]
        for j in range(within):
            delta[j] = (sd * u[s] if j == 0 else 0.0) - gene.base[s, j]
            for i in range(r):
                delta[j] += fixed[j, i] * phi[i]
        for i in range(r):
            f[i] = fixed[0, i]
        line, curve = delta[0], 0.0
        for j in range(within - 1):
            turned = 0.0
            for i in range(within - 1):
                turned += gene.bent[s, j, i] * delta[1 + i]
            line += gene.mean[s, j] * delta[1 + j]
            curve += turned * delta[1 + j]
            for i in range(r):
                f[i] += (gene.mean[s, j] + turned) * fixed[1 + j, i]
        q = min(line + 0.5 * curve, _HIGHEST)
        odds = exp(q)
        share, above = (
            p * odds / (1.0 - p + p * odds),
            n * p * (1.0 - p) * (odds - 1.0) / (1.0 - p + p * odds),
        )
        once = n * share
        bend = once * (1.0 - share)
        h = 1.0 + sd * sd * bend
        room.score[s, 0] = q
        room.bend[s, 0, 0], room.whole[s] = bend, 1.0 / h
        product *= h
        if product > _LARGE:
            logdet += math.log(product)
            product = 1.0
        own = gene.score[s, 0] - above
        rest = sd * own - u[s]
        f[r] = rest
        promise += rest * rest * room.whole[s]
        left, kept = own - sd * bend * rest * room.whole[s], bend * room.whole[s]
        for i in range(r):
            room.right[i] += f[i] * left
            for j in range(i + 1):
                room.j[i, j] += kept * f[i] * f[j]
        for j in range(within - 1):
            more = gene.score[s, 1 + j] - gene.score[s, 0] * gene.mean[s, j]
            for i in range(within - 1):
                more -= (once - above + gene.score[s, 0]) * gene.bent[s, j, i] * delta[1 + i]
            for i in range(r):
                room.right[i] += fixed[1 + j, i] * more
                for k in range(within - 1):
                    for m in range(i + 1):
                        room.j[i, m] += once * fixed[1 + j, i] * gene.bent[s, j, k] * fixed[1 + k, m]
    return promise, logdet + math.log(product)


@compiled()
def _height(gene: Standin, u: Floats, room: Room) -> float:
    """The penalised likelihood where `_sum_up` was."""
    value = 0.0
    for s in range(len(u)):
        delta, p = room.delta[s], gene.share[s]
        line = delta[0]
        for j in range(len(delta)):
            value += gene.score[s, j] * delta[j]
            line += gene.mean[s, j - 1] * delta[j] if j > 0 else 0.0
        value -= 0.5 * u[s] * u[s]
        value -= gene.cells[s] * (math.log1p(p * (exp(room.score[s, 0]) - 1.0)) - p * line)
    return value
