"""One gene after the other, with any random effects: where to start, its fits."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats, Integers
from nestde.fit.compiled import compiled
from nestde.fit.counts.cells import ORDERS, buffer_of, sum_up_to_two
from nestde.fit.counts.gene import FIRST_OVER, Data, load, rates
from nestde.fit.counts.general.descent import (
    Descent,
    accepted,
    advance,
    descent_of,
    done,
    kappa_of,
    over_of,
    slope_by_omega,
)
from nestde.fit.counts.general.descent import begin as begin_descent
from nestde.fit.counts.general.laplace import evaluate_general, fill_lambda
from nestde.fit.counts.general.strata import Points, Strata
from nestde.fit.counts.laplace import NEGATIVE_BINOMIAL, POISSON, Gene
from nestde.fit.counts.newton import LEAST
from nestde.fit.dense import cholesky, cholesky_over, copy, inverse

# Range of the first variance, of all effects together; what thetas begin with at least.
_FIRST_V, _LEAST_THETA = (0.01, 2.0), 0.05
# c/θ below which the Poisson fit is tried beside that of NB.
_LITTLE = 1e-2
# Information that a direction of which the likelihood tells nothing is given, so that there is an inverse: a variance far beyond
# what `separation` asks of, and not so far that the others' digits go.
_NOTHING = 1e-6
# Of the Hessian's largest element, what the rounding of its differences can make of nothing.
_ROUNDING = 1e-6


class GeneralStarts(NamedTuple):
    """Where fits begin: (G, r) φ, (G, T) thetas, (G,) log θ, (G, E) û; NaN: nowhere known."""

    coefficients: Floats
    theta: Floats
    kappa: Floats
    modes: Floats


class GeneralEnds(NamedTuple):
    """Where fits end, of G genes.

    Attributes
    ----------
    loglik, promise, evaluations
        (G,) each.
    coefficients, covariance
        (G, r) φ; (G, r, r).
    theta, kappa
        (G, T) thetas on the fitted basis; (G,) log θ, infinite without overdispersion.
    modes
        (G, E) û.
    """

    loglik: Floats
    promise: Floats
    evaluations: NDArray[np.int64]
    coefficients: Floats
    covariance: Floats
    theta: Floats
    kappa: Floats
    modes: Floats


@compiled()
def fit_some_general(
    begin: int,
    end: int,
    model: Strata,
    points: Points,
    data: Data,
    skip: NDArray[np.bool_],
    starts: GeneralStarts,
    ends: GeneralEnds,
) -> None:
    """Fit some genes.

    Each by the points that stand for cells; by all cells where a slope is beyond what they serve; and by the Poisson family,
    which NB is without overdispersion, where there is little.
    """
    r, thetas, effects = model.fixed.shape[2], starts.theta.shape[1], len(model.slot)
    d, k = descent_of(r + 1 + thetas), model.effect.shape[2]
    modes, tried, lam = np.zeros(effects), np.zeros(effects), np.zeros((k, k))
    for g in range(begin, end):
        if skip[g]:
            continue
        gene, c, spent = load(g, points, data), 1.0, 0
        family, cells, every = points.family, points.nodes, False
        _first(g, model, points, gene, data, starts, d.x, modes)
        if family == NEGATIVE_BINOMIAL:
            over, c = _overdispersion(points, gene, data)
            if math.isfinite(starts.kappa[g]):
                over = c * math.exp(-starts.kappa[g])
            over = max(FIRST_OVER[0], min(FIRST_OVER[1], over))
            d.x[r] = math.sqrt(math.log1p(over))
        while True:
            nb = family == NEGATIVE_BINOMIAL
            begin_descent(d, r, nb)
            while not done(d):
                copy(modes, tried)
                omega = float(d.moved[r])
                kappa = kappa_of(omega, c) if nb else 0.0
                value = evaluate_general(model, family, cells, gene, d.moved, kappa, tried, d.there)
                d.there[r] *= slope_by_omega(omega)
                for i in range(len(d.there)):
                    d.there[i] *= -2.0
                spent += 1
                advance(d, -2.0 * value, r, nb, model.element, model.fixed, model.reach)
                if accepted(d):
                    copy(tried, modes)
            fill_lambda(d.x[r + 1 :], model.element, model.shift, lam)
            served = every or is_served(d.x, modes, lam, model.fixed, model.effect, model.place, model.slot, model.lead, points.served)  # fmt: skip
            omega = float(d.x[r])
            if served and (not nb or over_of(omega) > LEAST):
                _keep(g, r, d, modes, kappa_of(omega, c) if nb else np.inf, ends)
            if served and (not nb or over_of(omega) > _LITTLE):
                break
            if served:
                family, d.x[r] = POISSON, 0.0
            else:
                cells, every = points.cells, True
            _raise(model.element, d.x[r + 1 :])
        ends.evaluations[g] = spent


@compiled()
def is_served(
    x: Floats,
    modes: Floats,
    lam: Floats,
    fixed: Floats,
    effect: Floats,
    place: Integers,
    slot: Integers,
    lead: Integers,
    served: Floats,
) -> bool:
    """Whether the nodes serve the slopes of all strata."""
    for s in range(len(fixed)):
        for j in range(1, fixed.shape[1]):
            slope = 0.0
            for i in range(fixed.shape[2]):
                slope += fixed[s, j, i] * x[i]
            for e in range(place.shape[1]):
                at = place[s, e]
                for m in range(lead[at], at + 1):
                    slope += effect[s, j, e] * lam[slot[at], slot[m]] * modes[m]
            if not abs(slope) <= served[j - 1]:
                return False
    return True


@compiled()
def _raise(element: Integers, thetas: Floats) -> None:
    """Put thetas that are zero where they can leave it."""
    for f in range(len(element)):
        for i in range(element.shape[1]):
            t = element[f, i, i]
            if t >= 0:
                thetas[t] = max(thetas[t], _LEAST_THETA)


@compiled()
def _first(
    g: int,
    model: Strata,
    points: Points,
    gene: Gene,
    data: Data,
    starts: GeneralStarts,
    x: Floats,
    modes: Floats,
) -> None:
    """Fill where the search begins, but for ω."""
    r = model.fixed.shape[2]
    for i in range(len(x)):
        x[i] = 0.0
    if not math.isnan(starts.theta[g, 0]):
        copy(starts.coefficients[g], x[:r])
        copy(starts.theta[g], x[r + 1 :])
        _raise(model.element, x[r + 1 :])
        copy(starts.modes[g], modes)
        return
    for e in range(len(modes)):
        modes[e] = 0.0
    strata = len(model.fixed)
    rate, weight = np.empty(strata), np.empty(strata)
    rates(points, gene, data, rate, weight)
    v = max(_FIRST_V[0], min(_FIRST_V[1], _weighted(model.fixed[:, 0], model.constant, rate, weight, x)))
    for f in range(len(model.element)):
        for i in range(model.element.shape[1]):
            t = model.element[f, i, i]
            if t >= 0:
                x[r + 1 + t] = math.sqrt(v / model.place.shape[1])


@compiled()
def _weighted(fixed: Floats, a: int, rate: Floats, weight: Floats, x: Floats) -> float:
    """Fill the first a of φ by weighted least squares of the strata's rates; return a moment estimate of their variance."""
    lower, covariance, right = np.zeros((a, a)), np.zeros((a, a)), np.zeros(a)
    for s in range(len(rate)):
        for i in range(a):
            right[i] += weight[s] * fixed[s, i] * rate[s]
            for j in range(a):
                lower[i, j] += weight[s] * fixed[s, i] * fixed[s, j]
    if a > 0 and cholesky(lower, a) > -np.inf:
        inverse(lower, a, covariance)
        for i in range(a):
            for j in range(a):
                x[i] += covariance[i, j] * right[j]
    square, information = 0.0, 0.0
    for s in range(len(rate)):
        left = rate[s]
        for i in range(a):
            left -= fixed[s, i] * x[i]
        square += weight[s] * left * left
        information += weight[s]
    return float((square - (len(rate) - a)) / information)


@compiled()
def _overdispersion(points: Points, gene: Gene, data: Data) -> tuple[float, float]:
    """Moment estimate of c/θ at rates that each stratum has by itself, and c = Σμ²/Σμ."""
    strata, nodes = len(points.nodes.begin) - 1, points.nodes
    rate, weight = np.empty(strata), np.empty(strata)
    rates(points, gene, data, rate, weight)
    buffer, sums, flat = buffer_of(), np.zeros((ORDERS, 1)), np.zeros(0)
    first, second, product, square = 0.0, 0.0, 0.0, 0.0
    for s in range(strata):
        sum_up_to_two(s, gene.cells, rate[s], flat, True, 1, buffer, sums)
        product += sums[1, 0]
        for i in range(nodes.begin[s], nodes.begin[s + 1]):
            mean = math.exp(min(nodes.offset[i] + rate[s], 300.0))
            first += nodes.weight[i] * mean
            second += nodes.weight[i] * mean * mean
    for count in gene.cells.weight:
        square += count * count
    return (square - 2.0 * product + second - first) / first, max(second / first, 1e-3)


@compiled()
def _keep(g: int, r: int, d: Descent, modes: Floats, kappa: float, ends: GeneralEnds) -> None:
    """Keep the end of a search that is higher than what is kept."""
    loglik, x = -0.5 * d.value[0], d.x
    if not loglik >= ends.loglik[g] and not math.isnan(ends.loglik[g]):
        return
    ends.loglik[g], ends.promise[g], ends.kappa[g] = loglik, 0.5 * d.value[1], kappa
    copy(x[:r], ends.coefficients[g])
    copy(x[r + 1 :], ends.theta[g])
    copy(modes, ends.modes[g])
    # the free parameters' information, φ behind the others: what is nothing in it would be noise in them
    size, largest = 0, 0.0
    place = np.zeros(len(x), np.int64)
    for step in range(len(x)):
        i = (r + step) % len(x)
        if d.free[i]:
            place[size] = i
            size += 1
            largest = max(largest, abs(d.hessian[i, i]))
    lower, covariance = np.zeros((size, size)), np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            lower[i, j] = 0.5 * d.hessian[place[i], place[j]]
    known = cholesky_over(lower, size, _NOTHING, _ROUNDING * largest) > -np.inf
    if known:
        inverse(lower, size, covariance)
    for i in range(r):
        for j in range(r):
            ends.covariance[g, i, j] = covariance[size - r + i, size - r + j] if known else np.nan
