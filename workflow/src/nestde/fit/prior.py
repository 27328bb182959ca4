"""The prior of the random effects' covariance, from all genes of a cell type: what one gene's few samples cannot tell.

A non-parametric prior on a grid, fitted by maximum likelihood (Kiefer & Wolfowitz 1956) with a few pseudo-genes that are
spread evenly, so that no point is excluded. It changes with mean expression: weights are fitted at a few knots, and those of
a gene are interpolated between its neighbours, without jumps. The EM algorithm is accelerated by SQUAREM (Varadhan &
Roland 2008, Scand J Stat 35). Sums over genes are taken in blocks of fixed size, so threads do not change a bit.

    symbol                                               array
    L_gk, likelihood of gene g at node k                 likelihood (G, C), relative to its largest
    w_k at each knot                                     weights (S, C)
    a_k: pseudo-genes at each node                       pseudo (C,)
    Σ_g L_gk / (Lw)_g, of each block and knot            sums (blocks, S, C)
    r, v of SQUAREM, in log w; −its step length          r, v (S, C); length
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats, Integers
from nestde.fit.compiled import Threads, compiled
from nestde.fit.grid import Grid

# Likelihoods, genes times nodes, that are looked at: every so manieth gene, by mean expression, if there are more.
_LIKELIHOODS = 2e6
# Genes for each knot, and the most knots.
_GENES_A_KNOT, _KNOTS = 500, 5
# So many genes at each knot are taken to be spread evenly, or the share of them that is looked at.
_PSEUDO = 3.0
# Weights that an EM step moves by less in all are final.
_MOVED, _LEAPS = 5e-5, 150
_BLOCK = 1024


@dataclass(frozen=True)
class Prior:
    """Weights of C nodes of a grid at S knots of mean expression.

    Attributes
    ----------
    grid
        What the nodes are.
    knots
        (S,) mean expression, increasing.
    weights
        (S, C), each of sum 1.
    genes
        That it was fitted to.
    """

    grid: Grid
    knots: Floats
    weights: Floats
    genes: int

    def columns(self) -> dict[str, Floats]:
        """The prior as a table: a row for each knot and node, with its ψ (or correlation) on each axis."""
        knots, points = self.weights.shape
        axes = {
            axis: np.tile(values, knots)
            for axis, values in zip(self.grid.axes, self.grid.nodes.T, strict=True)
        }
        return {"expression": np.repeat(self.knots, points), **axes, "weight": self.weights.reshape(-1)}

    def place(self, expression: Floats) -> tuple[Integers, Floats]:
        """Knot on the left of each gene, (G,), and the share of the one on its right."""
        if len(self.knots) == 1:
            return np.zeros(len(expression), np.int64), np.zeros(len(expression))
        position = np.interp(expression, self.knots, np.arange(len(self.knots)))
        left = np.minimum(position.astype(np.int64), len(self.knots) - 2)
        return left, position - left


def sample(grid: Grid, left_out: NDArray[np.bool_], expression: Floats) -> tuple[Integers, float]:
    """Genes that the prior is fitted to, of those that are not left out, (G,): all, or a share that is spread evenly over mean expression; and the share."""
    of_use = np.flatnonzero(~left_out)
    every = max(1, math.ceil(len(of_use) * len(grid.flat) / _LIKELIHOODS))
    return of_use[np.argsort(expression[of_use], kind="stable")[::every]] if every > 1 else of_use, 1 / every


def learn(
    grid: Grid, loglik: Floats, skip: NDArray[np.bool_], expression: Floats, threads: int | None = None
) -> Prior:
    """Fit the prior to log-likelihoods at all points, (G, K), of the genes that are not skipped."""
    chosen, share = sample(grid, skip, expression)
    likelihood = np.exp(loglik[chosen] - loglik[chosen].max(axis=1, keepdims=True))
    of_nodes = np.zeros((len(grid.values), len(grid.flat)))
    np.add.at(of_nodes, (np.arange(len(grid.values))[:, None], grid.node), grid.share)
    by_node = np.stack([(likelihood * column).sum(axis=1) for column in of_nodes.T], axis=1)
    return fit(grid, by_node.astype(np.float32), expression[chosen], share, threads)


def fit(
    grid: Grid,
    likelihood: NDArray[np.float32],
    expression: Floats,
    share: float,
    threads: int | None = None,
) -> Prior:
    """Fit the prior; without genes it is even.

    Parameters
    ----------
    grid
        Of C nodes.
    likelihood
        (G, C) of each gene by node, relative to its largest.
    expression
        (G,) mean expression.
    share
        Of all genes, that these are.
    threads
        As for `spread`.
    """
    genes, nodes = likelihood.shape
    if not genes:
        return Prior(grid, np.zeros(1), grid.flat[None], 0)
    count = max(1, min(_KNOTS, genes // _GENES_A_KNOT))
    knots = np.unique(np.quantile(expression, (np.arange(count) + 0.5) / count))
    prior = Prior(grid, knots, np.full((len(knots), nodes), 1.0 / nodes), genes)
    left, beyond = prior.place(expression)
    order = np.argsort(left, kind="stable")
    with Threads(threads, math.ceil(genes / _BLOCK)) as several:
        step = _Step(likelihood[order], left[order], beyond[order], _PSEUDO * share * grid.flat, several)
        return replace(prior, weights=_fixed_point(step, prior.weights))


class _Step:
    """One EM step."""

    def __init__(
        self,
        likelihood: NDArray[np.float32],
        left: Integers,
        share: Floats,
        pseudo: Floats,
        threads: Threads,
    ) -> None:
        self.data, self.pseudo, self.threads = (likelihood, left, share), pseudo, threads
        self.blocks = math.ceil(len(left) / _BLOCK)

    def __call__(self, weights: Floats) -> tuple[Floats, float]:
        """Weights after a step, and the penalised log-likelihood before it."""
        sums = np.zeros((self.blocks, *weights.shape))
        logs = np.zeros(self.blocks)
        self.threads.spread(_responsibilities, self.blocks, *self.data, weights, sums, logs)
        total = sums.sum(axis=0) * weights + self.pseudo
        value = logs.sum() + float((self.pseudo * np.log(weights)).sum())
        return total / total.sum(axis=1, keepdims=True), value


def _fixed_point(step: _Step, weights: Floats) -> Floats:
    """Repeat EM steps, with SQUAREM's leaps, in the logs of the weights, wherever they are no step back."""
    for _ in range(_LEAPS):
        first, value = step(weights)
        if np.abs(first - weights).sum() < _MOVED * len(weights):
            return first
        second, _ = step(first)
        start, r = np.log(weights), np.log(first / weights)
        v = np.log(second / first) - r
        length = max(1.0, float(np.sqrt((r**2).sum() / max((v**2).sum(), 1e-300))))
        leap = np.exp(start + 2.0 * length * r + length**2 * v)
        leap /= leap.sum(axis=1, keepdims=True)
        landed, there = step(leap)
        weights = landed if there >= value else second
    return weights


@compiled(sums=True)
def _responsibilities(
    begin: int,
    end: int,
    likelihood: NDArray[np.float32],
    left: Integers,
    share: Floats,
    weights: Floats,
    sums: Floats,
    logs: Floats,
) -> None:
    """Sum, for some blocks of genes, likelihood / marginal by knot, (blocks, S, C), and the log marginals.

    Four genes between the same knots are taken at a time, so that weights and sums are fetched once for all of them.
    """
    nodes = weights.shape[1]
    for block in range(begin, end):
        first, last = block * _BLOCK, min((block + 1) * _BLOCK, len(left))
        while first < last:
            near, count = left[first], 1
            while count < 4 and first + count < last and left[first + count] == near:
                count += 1
            far = min(near + 1, len(weights) - 1)
            # where there are fewer, the last is taken again, and not counted
            g1, g2, g3 = first + min(1, count - 1), first + min(2, count - 1), first + count - 1
            a, b, c, d = likelihood[first], likelihood[g1], likelihood[g2], likelihood[g3]
            by_near, by_far = weights[near], weights[far]
            a0 = b0 = c0 = d0 = a1 = b1 = c1 = d1 = 0.0
            for k in range(nodes):
                at_near, at_far = by_near[k], by_far[k]
                a0 += a[k] * at_near
                b0 += b[k] * at_near
                c0 += c[k] * at_near
                d0 += d[k] * at_near
                a1 += a[k] * at_far
                b1 += b[k] * at_far
                c1 += c[k] * at_far
                d1 += d[k] * at_far
            a0, a1 = _parts(a0, a1, share[first], True, logs, block)
            b0, b1 = _parts(b0, b1, share[g1], count > 1, logs, block)
            c0, c1 = _parts(c0, c1, share[g2], count > 2, logs, block)
            d0, d1 = _parts(d0, d1, share[g3], count > 3, logs, block)
            of_near, of_far = sums[block, near], sums[block, far]
            for k in range(nodes):
                of_near[k] += a0 * a[k] + b0 * b[k] + c0 * c[k] + d0 * d[k]
                of_far[k] += a1 * a[k] + b1 * b[k] + c1 * c[k] + d1 * d[k]
            first += count


@compiled(inline=True)
def _parts(
    near: float, far: float, share: float, counted: bool, logs: Floats, block: int
) -> tuple[float, float]:
    """Parts of 1 / marginal that the knots on a gene's left and right have; the log marginal is added up."""
    if not counted:
        return 0.0, 0.0
    marginal = near + share * (far - near)
    logs[block] += math.log(marginal)
    return (1.0 - share) / marginal, share / marginal
