"""What a count becomes on the scale of the linear models: mean and SD of log(1 + count per 10,000) where counts are drawn.

A count is negative binomial given the cell's size factor: Poisson of mean λ, λ gamma with mean (mean per 10,000) × (size factor)
and squared coefficient of variation φ. Moments are taken over Poisson exactly up to 60 counts, beyond by the second-order
delta method, over gamma by midpoints of equal probability, and over some size factors.

From a gene's mean and the SD of its y within samples follows φ; from φ how far y moves with the logarithm of the mean.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from nestde.arrays import Floats

# Range of means; means and dispersions of the table; Poisson means up to which sums are taken; midpoints of gamma.
MEANS = 1e-3, 1e4
_MEANS, _DISPERSIONS = np.geomspace(*MEANS, 141), np.geomspace(1e-3, 30.0, 46)
_EXACT, _MIDPOINTS = 60.0, 200
_SIZES = 7


@dataclass(frozen=True)
class Moments:
    """Mean and SD of y by the mean per 10,000 and the dispersion of a gene.

    Attributes
    ----------
    mean, sd
        (means, dispersions) at `_MEANS` and `_DISPERSIONS`.
    """

    mean: Floats
    sd: Floats

    def at(self, mean: Floats, dispersion: Floats) -> tuple[Floats, Floats]:
        """Mean and SD of y of genes, (G,)."""
        return _between(self.mean, mean, dispersion), _between(self.sd, mean, dispersion)

    def slope(self, mean: Floats, dispersion: Floats) -> Floats:
        """How far the mean of y moves per unit of the natural logarithm of a gene's mean, (G,)."""
        return self.shift(mean, dispersion, 0.2) / 0.2

    def shift(self, mean: Floats, dispersion: Floats, effect: float | Floats) -> Floats:
        """How far the mean of y lies apart where half of a log fold change lies on each side of a gene's mean, (G,)."""
        up, _ = self.at(mean * np.exp(effect / 2), dispersion)
        down, _ = self.at(mean * np.exp(-np.asarray(effect) / 2), dispersion)
        return up - down

    def dispersion(self, mean: Floats, sd: Floats) -> Floats:
        """Dispersion that gives genes their SD of y, the smallest if there are several; the nearest there is, (G,)."""
        number = len(_DISPERSIONS)
        along = np.stack([_between(self.sd, mean, np.full(len(mean), d)) for d in _DISPERSIONS], axis=1)
        reached = along >= sd[:, None]
        first = np.where(reached.any(axis=1), reached.argmax(axis=1), along.argmax(axis=1))
        before = np.maximum(first - 1, 0)
        rows = np.arange(len(mean))
        low, high = along[rows, before], along[rows, first]
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(high > low, (sd - low) / (high - low), 0.0)
        log = np.log(_DISPERSIONS)
        found: Floats = np.exp(
            log[before] + np.clip(share, 0.0, 1.0) * (log[np.minimum(first, number - 1)] - log[before])
        )
        return found


def moments(size_factor: Floats) -> Moments:
    """Tabulate for cells of some size factors, in units of 10,000 counts."""
    middle = (np.arange(_SIZES) + 0.5) / _SIZES
    sizes = np.quantile(np.asarray(size_factor, float), middle)
    middle = (np.arange(_MIDPOINTS) + 0.5) / _MIDPOINTS
    first, second = np.zeros((2, len(_MEANS), len(_DISPERSIONS)))
    for size in sizes:
        top = _MEANS[-1] * size * 40
        log_rate = np.linspace(math.log(1e-6), math.log(top), 1200)
        table = _of_poisson(np.exp(log_rate), size)
        for j, dispersion in enumerate(_DISPERSIONS):
            nodes = stats.gamma.ppf(middle, 1 / dispersion)
            nodes *= 1 / nodes.mean()
            rate = _MEANS[:, None] * size * nodes
            place = np.log(np.clip(rate, 1e-6, top))
            for into, values in ((first, table[0]), (second, table[1])):
                into[:, j] += np.where(rate > 1e-6, np.interp(place, log_rate, values), 0.0).mean(
                    axis=1
                ) / len(sizes)
    return Moments(first, np.sqrt(np.maximum(second - first**2, 0.0)))


def _of_poisson(rate: Floats, size: float) -> tuple[Floats, Floats]:
    """Means of y and y² of Poisson counts."""
    small = rate <= _EXACT
    count = np.arange(int(_EXACT + 12 * math.sqrt(_EXACT)))
    log_p = count * np.log(rate[small, None]) - rate[small, None] - special.gammaln(count + 1)
    y = np.log1p(count / size)
    out = np.empty((2, len(rate)))
    out[0, small], out[1, small] = np.exp(log_p) @ y, np.exp(log_p) @ y**2
    large = rate[~small]
    y, slope = np.log1p(large / size), 1 / (size + large)
    out[0, ~small] = y - 0.5 * large * slope**2
    out[1, ~small] = out[0, ~small] ** 2 + large * slope**2
    return out[0], out[1]


def _between(table: Floats, mean: Floats, dispersion: Floats) -> Floats:
    """Interpolate linearly in both logarithms."""
    x = _place(_MEANS, mean)
    y = _place(_DISPERSIONS, dispersion)
    i, j = x.astype(int), y.astype(int)
    u, v = x - i, y - j
    found: Floats = (1 - u) * ((1 - v) * table[i, j] + v * table[i, j + 1]) + u * (
        (1 - v) * table[i + 1, j] + v * table[i + 1, j + 1]
    )
    return found


def _place(values: Floats, at: Floats) -> Floats:
    found: Floats = np.interp(np.log(np.maximum(at, values[0])), np.log(values), np.arange(len(values)))
    return np.minimum(found, len(values) - 1 - 1e-9)
