"""Bartlett's factor of a count model's likelihood ratio: the mean that it has without an effect, by parametric bootstrap.

With few samples a likelihood ratio is larger without an effect than the rows that it tests. Its mean over counts that are
drawn from the gene's own fit without what is tested, and fitted as the gene was, over these rows is the factor; what is left
of the gene's own when divided by it follows χ² closely (Bartlett 1937, Proc R Soc Lond A 160; by bootstrap Rocke 1989, J Am Stat Assoc 84).
"""

import math
import zlib

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.fit.counts.fits import data_of, fit_tests, trusted
from nestde.fit.counts.record import CountFits, CountModel

# The mean is within a tenth, one standard error, for one tested row.
DRAWS = 199
# Counts are drawn from rates up to this; of directions without bound the rates are 0 or so large.
_LARGEST = 1e6
# Counts, of cells times draws, that are drawn at once.
_AT_ONCE = 4e6


def factors(
    model: CountModel,
    reduced: CountFits,
    rows: Floats,
    offset: Floats,
    genes: NDArray[np.object_],
    threads: int | None = None,
) -> Floats:
    """Estimate the factor of each gene; NaN without a fit that is to be believed.

    Parameters
    ----------
    model
        From `nestde.fit.counts.fits.prepare`.
    reduced
        Fits of G genes without what is tested.
    rows
        (q, p) what is tested.
    offset
        (n,) of the cells.
    genes
        (G,) names, each of which is the seed of its draws.
    threads
        None: one per processor. The result does not depend on it.
    """
    found = np.full(len(genes), np.nan)
    for g in np.flatnonzero(trusted(reduced.status)):
        rng = np.random.default_rng(zlib.crc32(str(genes[g]).encode()))
        parts = np.array_split(np.arange(DRAWS), math.ceil(len(offset) * DRAWS / _AT_ONCE))
        counts = scipy.sparse.hstack([_draw(reduced, int(g), offset, len(part), rng) for part in parts])
        _, (ratio,) = fit_tests(
            model, data_of(model.cells, scipy.sparse.csc_array(counts)), [rows], threads=threads
        )
        told = ratio.stat[trusted(ratio.status)]
        if len(told):
            found[g] = told.mean() / len(rows)
    return found


def _draw(
    fits: CountFits, gene: int, offset: Floats, number: int, rng: np.random.Generator
) -> scipy.sparse.csc_array:
    """(n, number) counts of cells by one gene's fit."""
    design, coef = fits.design, fits.coef[gene]
    # a coefficient without bound counts where its column is not 0
    fixed = (design.x * np.where(design.x == 0, 0.0, coef)).sum(axis=1)
    predictor = np.repeat((offset + fixed)[:, None], number, axis=1)
    for factor, spread in zip(design.random, fits.factors, strict=True):
        effects = rng.standard_normal((number, len(factor.levels), spread.shape[1])) @ spread[gene].T
        for i in range(spread.shape[1]):
            predictor += factor.z[:, i, None] * effects[:, factor.codes, i].T
    if fits.family == "bernoulli":
        drawn = rng.random(predictor.shape) * (1.0 + np.exp(-predictor)) < 1.0
    else:
        mean = np.exp(predictor)
        if dispersion := float(fits.dispersion[gene]):
            mean *= rng.gamma(1.0 / dispersion, dispersion, mean.shape)
        drawn = rng.poisson(np.minimum(mean, _LARGEST))
    return scipy.sparse.csc_array(drawn.astype(np.int32))
