"""One gene after the other: its counts, where to start, its fits."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.fit.compiled import compiled
from nestde.fit.counts.cells import Cells, sum_up
from nestde.fit.counts.laplace import (
    BERNOULLI,
    CLOSE,
    NEGATIVE_BINOMIAL,
    Gene,
    Model,
    Point,
    Room,
    point_of,
    room_of,
)
from nestde.fit.counts.newton import FINAL, LEAST, Found, Scale, Search, maximise, search_of
from nestde.fit.dense import cholesky, inverse

# Added to a group's count, so that it has a logarithm.
_HALF = 0.5
# The smallest ā, the range of the first v, and that of the first c/θ.
LEAST_INFORMATION, _FIRST_V, FIRST_OVER = 0.2, (0.01, 2.0), (1e-3, 20.0)
# Where a search that begins from another fit puts v at least: from 0 it would not see a second maximum.
_LEAST_V = 1e-3


class Data(NamedTuple):
    """Counts by gene, and the cells that hold them, group after group.

    Attributes
    ----------
    begin, cell, counts
        (G + 1,), (entries,), (entries,) the non-zeros of each gene, compressed by gene; cells rise.
    group, offset, exposure
        (n,), (n,) of each cell; (S,) sum of e^offset over each group.
    log_factorial
        Of 0, 1, …: counts below its length need no logarithm of their own.
    """

    begin: NDArray[Any]
    cell: NDArray[Any]
    counts: NDArray[Any]
    group: NDArray[np.int64]
    offset: Floats
    exposure: Floats
    log_factorial: Floats


class Starts(NamedTuple):
    """Where fits begin: (G, r) α and γ, (G,) v, (G,) log θ, (G, S) linear predictors of the groups; NaN: nowhere known."""

    coefficients: Floats
    variance: Floats
    kappa: Floats
    level: Floats


class Ends(NamedTuple):
    """Where fits end, of G genes.

    Attributes
    ----------
    loglik, promise, evaluations
        (G,) each, see `newton.Found`.
    coefficients, covariance
        (G, r) α and γ; (G, r, r).
    variance, kappa
        (G,) v; log θ, infinite without overdispersion.
    level, mode
        (G, S) linear predictor of each group, and what of it is the group's own.
    """

    loglik: Floats
    promise: Floats
    evaluations: NDArray[np.int64]
    coefficients: Floats
    covariance: Floats
    variance: Floats
    kappa: Floats
    level: Floats
    mode: Floats


@compiled()
def fit_some(
    begin: int,
    end: int,
    model: Model,
    simple: Model,
    data: Data,
    skip: NDArray[np.bool_],
    starts: Starts,
    ends: Ends,
) -> None:
    """Fit some genes; `simple` is the same model of the Poisson family where `model` is NB, else `model` itself."""
    r = model.z.shape[1] + len(model.pair) - 1
    search, room = search_of(point_of(simple), point_of(simple)), room_of(simple)
    search_nb, room_nb = search_of(point_of(model), point_of(model)), room_of(model)
    for g in range(begin, end):
        if skip[g]:
            continue
        gene = load(g, model, data)
        here = search.here
        information = _first(g, simple, gene, data, starts, here)
        scale = Scale(information, 1.0, False, FINAL, CLOSE)
        found = ascend(simple, gene, scale, search, room)
        kappa = np.inf
        spent = found.evaluations
        _store(g, r, found, spent, kappa, simple, search, ends)
        if model.family != NEGATIVE_BINOMIAL:
            continue
        over, c = overdispersion(model, gene, here, room)
        if math.isfinite(starts.kappa[g]):
            over = c * math.exp(-starts.kappa[g])
        over = max(FIRST_OVER[0], min(FIRST_OVER[1], over))
        there = search_nb.here
        for i in range(r):
            there.parameters[i] = here.parameters[i]
        there.parameters[-2], there.parameters[-1] = math.log(c / over), here.parameters[-1]
        for s in range(len(here.modes)):
            there.modes[s] = here.modes[s]
        scale = Scale(max(information / (1.0 + over), LEAST_INFORMATION), c, False, FINAL, CLOSE)
        kinder = ascend(model, gene, scale, search_nb, room_nb)
        spent += kinder.evaluations
        ends.evaluations[g] = spent
        # without overdispersion the NB family is the Poisson family
        if c * math.exp(-there.parameters[-2]) > LEAST * (1.0 + 1e-3) and kinder.loglik >= found.loglik:
            _store(g, r, kinder, spent, there.parameters[-2], model, search_nb, ends)


@compiled()
def occupied(begin: int, end: int, data: Data, cells: NDArray[np.int64], counts: Floats) -> None:
    """Fill of some genes how many cells of each group have a count, and the sums of counts, (G, S) each."""
    for g in range(begin, end):
        for at in range(data.begin[g], data.begin[g + 1]):
            s = data.group[data.cell[at]]
            cells[g, s] += 1
            counts[g, s] += data.counts[at]


@compiled()
def load(g: int, model: Any, data: Data) -> Gene:
    """Gather the counts of a gene."""
    first, last = data.begin[g], data.begin[g + 1]
    groups, width, c = len(model.cells.begin) - 1, model.cells.products.shape[0], len(model.pair) - 1
    offset, weight, products = np.empty(last - first), np.empty(last - first), np.empty((width, last - first))
    begin, total = np.zeros(groups + 1, np.int64), np.zeros((groups, 1 + c))
    few = np.zeros(len(data.log_factorial))  # cells with a count, of those that have a factorial at hand
    constant, largest = 0.0, 1
    for i in range(last - first):
        cell = data.cell[first + i]
        count = 1 if model.family == BERNOULLI else int(data.counts[first + i])
        offset[i], weight[i] = data.offset[cell], count
        begin[data.group[cell] + 1] += 1
        largest = max(largest, count)
        if count < len(few):
            few[count] += 1.0
        else:
            constant -= math.lgamma(count + 1.0)
    for s in range(groups):
        begin[s + 1] += begin[s]
    for j in range(width):
        own, every = products[j], model.cells.products[j]
        for i in range(last - first):
            own[i] = every[data.cell[first + i]]
    for s in range(groups):
        for i in range(begin[s], begin[s + 1]):
            constant += weight[i] * offset[i]
            for j in range(1 + c):
                total[s, j] += weight[i] * products[j, i]
    for k in range(len(few)):
        constant -= few[k] * data.log_factorial[k]
    above = np.zeros(largest)
    for k in range(min(largest + 1, len(few)) - 1):
        above[k] = few[k + 1]
    if largest >= len(few):
        for i in range(last - first):
            if weight[i] >= len(few):
                above[int(weight[i]) - 1] += 1.0
    for k in range(largest - 2, -1, -1):
        above[k] += above[k + 1]
    return Gene(Cells(begin, offset, weight, products), total, constant, above)


@compiled()
def rates(model: Any, gene: Gene, data: Data, rate: Floats, weight: Floats) -> None:
    """Fill each group's log rate (log odds for Bernoulli) by itself, (S,), and what its counts tell of it."""
    total, exposed = 0.0, 0.0
    for s in range(len(rate)):
        total += gene.total[s, 0]
        exposed += data.exposure[s]
    for s in range(len(rate)):
        count = gene.total[s, 0] + _HALF
        if model.family == BERNOULLI:
            size = float(model.cells.begin[s + 1] - model.cells.begin[s])
            without = size + 2.0 * _HALF - count
            rate[s] = math.log(count / without * size / data.exposure[s])
            weight[s] = count * without / (size + 2.0 * _HALF)
        else:
            rate[s] = math.log(count / (data.exposure[s] + _HALF * exposed / total))
            weight[s] = count


@compiled()
def weighted(model: Model, rate: Floats, weight: Floats, alpha: Floats) -> float:
    """Fill α by weighted least squares of the groups' rates; return a moment estimate of v."""
    groups, a = model.z.shape
    lower, covariance, right = np.zeros((a, a)), np.zeros((a, a)), np.zeros(a)
    for s in range(groups):
        for i in range(a):
            right[i] += weight[s] * model.z[s, i] * rate[s]
            for j in range(a):
                lower[i, j] += weight[s] * model.z[s, i] * model.z[s, j]
    cholesky(lower, a)
    inverse(lower, a, covariance)
    for i in range(a):
        alpha[i] = 0.0
        for j in range(a):
            alpha[i] += covariance[i, j] * right[j]
    square, information = 0.0, 0.0
    for s in range(groups):
        left = rate[s]
        for i in range(a):
            left -= model.z[s, i] * alpha[i]
        square += weight[s] * left * left
        information += weight[s]
    return float((square - (groups - a)) / information)


@compiled()
def _first(g: int, model: Model, gene: Gene, data: Data, starts: Starts, point: Point) -> float:
    """Fill where the search of the simple family begins; return ā."""
    groups, a = model.z.shape
    rate, weight = np.empty(groups), np.empty(groups)
    rates(model, gene, data, rate, weight)
    parameters = point.parameters
    fresh = math.isnan(starts.variance[g])
    if fresh:
        v = weighted(model, rate, weight, parameters)
        for j in range(a, len(parameters) - 1):
            parameters[j] = 0.0
        v = max(_FIRST_V[0], min(_FIRST_V[1], v))
    else:
        for j in range(len(parameters) - 1):
            parameters[j] = starts.coefficients[g, j]
        v = starts.variance[g]
        for s in range(groups):
            rate[s] = starts.level[g, s]
    parameters[-1] = v
    information, square = 0.0, 0.0
    for s in range(groups):
        left = rate[s]
        for i in range(a):
            left -= model.z[s, i] * parameters[i]
        point.modes[s] = left * v * weight[s] / (1.0 + v * weight[s]) if fresh else left
        square += left * left
        information += weight[s]
    if not fresh:
        parameters[-1] = max(v, square / groups, _LEAST_V)
    return float(max(information / groups, LEAST_INFORMATION))


@compiled()
def overdispersion(model: Model, gene: Gene, point: Point, room: Room) -> tuple[float, float]:
    """Moment estimate of c/θ at a Poisson fit, and c = Σμ²/Σμ."""
    a, c = model.z.shape[1], len(model.pair) - 1
    gamma = point.parameters[a : a + c]
    first, second, product = 0.0, 0.0, 0.0
    for s in range(len(model.z)):
        level = point.modes[s]
        for i in range(a):
            level += model.z[s, i] * point.parameters[i]
        sum_up(s, gene.cells, level, gamma, True, room.buffer, room.t)
        product += room.t[1, 0]
        for i in range(model.nodes.begin[s], model.nodes.begin[s + 1]):
            eta = model.nodes.offset[i] + level
            for j in range(c):
                eta += gamma[j] * model.nodes.products[1 + j, i]
            mean = math.exp(min(eta, 300.0))
            first += model.nodes.weight[i] * mean
            second += model.nodes.weight[i] * mean * mean
    square = 0.0
    for count in gene.cells.weight:
        square += count * count
    return (square - 2.0 * product + second - first) / first, max(second / first, 1e-3)


@compiled()
def ascend(model: Model, gene: Gene, scale: Scale, search: Search, room: Room) -> Found:
    """Search by the nodes; by all cells where a slope is beyond what nodes serve."""
    found = maximise(model, model.nodes, gene, scale, search, room)
    a = model.z.shape[1]
    for j in range(len(model.served)):
        if abs(search.here.parameters[a + j]) > model.served[j]:
            again = maximise(model, model.cells, gene, scale, search, room)
            return Found(again.loglik, again.promise, found.evaluations + again.evaluations, again.free)
    return found


@compiled()
def _store(
    g: int, r: int, found: Found, spent: int, kappa: float, model: Model, search: Search, ends: Ends
) -> None:
    """Keep the end of a search."""
    here = search.here
    ends.loglik[g], ends.promise[g], ends.evaluations[g] = found.loglik, found.promise, spent
    ends.variance[g], ends.kappa[g] = here.parameters[-1], kappa
    for i in range(r):
        ends.coefficients[g, i] = here.parameters[i]
    for s in range(len(here.modes)):
        ends.mode[g, s] = here.modes[s]
        ends.level[g, s] = here.modes[s]
        for i in range(model.z.shape[1]):
            ends.level[g, s] += model.z[s, i] * here.parameters[i]
    covariance = np.empty((found.free, found.free))
    inverse(search.lower, found.free, covariance)
    for i in range(r):
        for j in range(r):
            ends.covariance[g, i, j] = covariance[i, j]
