"""P-values by rank where nothing differs: what a quantile plot of the true ones is held against."""

import math

import numpy as np

from nestde.arrays import Floats

RANKS = 40  # at most, evenly on the logarithm of the rank
RANGE = (0.025, 0.5, 0.975)
FEWEST = 3


def ranks(log_p: Floats) -> dict[str, list[float]]:
    """−log10 p at some ranks, and its median and 95 % range over relabellings; nothing where these are too few.

    Parameters
    ----------
    log_p
        (relabellings, genes) natural logarithms, NaN where there is none.

    Returns
    -------
    ``expected``, that of a p-value whose every value is equally likely; ``lower``, ``median`` and ``upper``, each from the
    smallest p-value on.
    """
    some = log_p[np.isfinite(log_p).any(axis=1)] if log_p.size else log_p
    if len(some) < FEWEST or not some.size:
        return {}
    genes = some.shape[1]
    rank = np.unique(np.geomspace(1, genes, RANKS).astype(int))
    share = (rank - 0.5) / genes
    # (ranks, relabellings): Hazen's quantiles, by which the k-th of n values stands at (k − 1/2)/n, as `share` has it
    of_each = np.nanquantile(some, share, axis=1, method="hazen") / -math.log(10)
    lower, median, upper = np.quantile(of_each, RANGE, axis=1)
    columns = {"expected": -np.log10(share), "lower": lower, "median": median, "upper": upper}
    return {name: values.round(4).tolist() for name, values in columns.items()}
