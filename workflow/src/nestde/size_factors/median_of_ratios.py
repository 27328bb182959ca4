"""The cell's total, times what its sample's composition asks for: DESeq2's size factor of the sample, over its total.

Where a few genes take a large share of the counts of one arm, all others have fewer per total there, though nothing
differs. The median over genes of the ratio to the mean sample (Anders, Huber 2010, Genome Biol 11, R106, eq. 5) is moved
by none of the few. A sample's factor is the same for all of its cells: single cells have too few counts for ratios.

The ratios are of genes that can be expected to have `LEAST` counts in the shallowest sample by their share of all
samples' counts, and have some in each. To ask only for counts in each sample, as DESeq2 does, takes of the rarer genes
those that happen to be seen in a shallow sample, and so tells it deeper than it is: by 8 % on each side of 3 samples of
20 cells against 3 of 200 (tests/bench/composition.py). So would DESeq2's *poscounts*, by far more; with fewer than
`FEWEST` such genes, the total is taken as it is.
"""

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.size_factors.size_factor import PER, Counted, Scaled, SizeFactor

LEAST = 5.0  # counts of a gene to be expected in the shallowest sample
FEWEST = 50  # genes whose median is taken


def scale(counted: Counted) -> Scaled:
    """Total counts of each cell, per `PER`, times its sample's correction; the corrections' geometric mean is 1."""
    library = counted.total / PER
    if counted.samples < 2:
        return Scaled(library)
    usable = abundant(counted.profiles)
    if usable.sum() < FEWEST:
        return Scaled(
            library,
            f"{usable.sum():,} genes can be expected to have {LEAST:g} counts in the shallowest sample, of which a median of "
            f"ratios asks for {FEWEST}: counts are divided by the total of the cell",
        )
    correction = median_ratios(counted.profiles[:, usable]) / counted.depth
    correction /= np.exp(np.log(correction).mean())
    return Scaled(library * correction[counted.sample])


def abundant(profiles: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(m,) whether a gene's ratios can be trusted in each of the (S, m) profiles."""
    depth = profiles.sum(axis=1)
    share = (profiles / np.maximum(depth, 1)[:, None]).mean(axis=0)
    return np.asarray((share * depth.min() >= LEAST) & (profiles > 0).all(axis=0))


def median_ratios(profiles: NDArray[np.int64]) -> Floats:
    """(S,) median over genes of the ratio of (S, m) positive counts to their geometric mean over samples."""
    logs = np.log(profiles)
    return np.asarray(np.exp(np.median(logs - logs.mean(axis=0), axis=1)))


SIZE_FACTOR = SizeFactor(
    "median_of_ratios",
    "median of ratios",
    "median_of_ratios divides by the total counts of the cell, per 10,000, times its sample's median of ratios (DESeq2's size "
    "factor of the sample, over its total), so that a few genes that take many of the counts of some samples do not move all others.",
    scale,
)
