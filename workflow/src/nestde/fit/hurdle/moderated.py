"""The moderated test of detecting cells: exact F tests at each ratio of variances, averaged over what is known of it.

As `nestde.fit.moderated`, where cells, and with them degrees of freedom, are each gene's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nestde.arrays import Floats, Texts
from nestde.fit import genes as linear
from nestde.fit import grid as grids
from nestde.fit import prior as priors
from nestde.fit.compiled import spread
from nestde.fit.hurdle.continuous import Model
from nestde.fit.hurdle.curve import profile_some
from nestde.fit.hurdle.sums import Sums
from nestde.fit.log_sf import log_f_sf
from nestde.fit.prior import Prior


@dataclass(frozen=True)
class ContinuousTest:
    """Of one contrast (G,) log p and, of one row, posterior mean of the effect and its standard deviation; NaN where skipped."""

    log_p: Floats
    estimate: Floats
    se: Floats


def moderate(
    model: Model,
    sums: Sums,
    contrasts: Sequence[Floats],
    expression: Floats,
    reason: Texts,
    prior: Prior | None = None,
    threads: int | None = None,
) -> tuple[list[ContinuousTest], Prior]:
    """Test contrasts, each (rows, p), of all genes of a cell type of which `reason` says nothing; see `fit.moderated.moderate`."""
    on = grids.build(linear.prepare(model.design)) if prior is None else prior.grid
    skip = reason != ""
    genes, points, first = len(skip), len(on.values), np.cumsum([0, *(len(rows) for rows in contrasts)])
    rows = np.ascontiguousarray(np.concatenate(contrasts) @ np.linalg.inv(model.r))
    loglik = np.full((genes, points), -np.inf)
    stat, estimate, square = np.full((3, len(contrasts), genes, points), np.nan)
    spread(
        profile_some, genes, threads, sums, np.ascontiguousarray(on.values[:, 0]), rows, first, skip,
        loglik, stat, estimate, square,
    )  # fmt: skip
    skip = skip | ~np.isfinite(loglik).all(axis=1)
    if prior is None:
        prior = priors.learn(on, loglik, skip, expression, threads)
    left, share = prior.place(expression)
    weights = on.of_points(prior.weights)
    right = np.minimum(left + 1, len(weights) - 1)
    found = [np.full((3, genes), np.nan) for _ in contrasts]
    use = np.flatnonzero(~skip)
    of_points = weights[left[use]] + share[use, None] * (weights[right[use]] - weights[left[use]])
    with np.errstate(divide="ignore"):
        log_posterior = loglik[use] + np.log(of_points)
    log_posterior -= _log_sum(log_posterior)[:, None]
    posterior = np.exp(log_posterior)
    freedom = sums.cells[use].sum(axis=1) - rows.shape[1]
    for c, into in enumerate(found):
        log_p = log_f_sf(stat[c, use], first[c + 1] - first[c], freedom[:, None])
        into[0, use] = np.minimum(_log_sum(log_posterior + log_p), 0.0)
        mean = np.sum(posterior * estimate[c, use], axis=1)
        apart = square[c, use] + (estimate[c, use] - mean[:, None]) ** 2
        into[1, use], into[2, use] = mean, np.sqrt(np.sum(posterior * apart, axis=1))
    return [ContinuousTest(*each) for each in found], prior


def _log_sum(logs: Floats) -> Floats:
    """(G,) log of the sum of exponentials of (G, K)."""
    top = logs.max(axis=1)
    return np.asarray(top + np.log(np.sum(np.exp(logs - top[:, None]), axis=1)))
