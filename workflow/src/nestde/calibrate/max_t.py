"""Adjusted p-values that hold for all genes of a cell type at once: Westfall and Young's (1993) step-down max-T.

A gene's adjusted p-value is the share of relabellings in which any gene that is no more significant than this one is as
significant as it. It bounds the chance of a single false finding among all, however genes go together; nothing is asked of
the statistic but that relabelling changes nothing where nothing differs.
"""

import numpy as np

from nestde.arrays import Floats

# Statistics that differ by less, relatively, are one: the same groups under other names, rounded in another order.
_ROUNDING = 1e-9


class StepDown:
    """Counts over relabellings, in whatever order they come.

    Parameters
    ----------
    observed
        (G,) statistics under the true labels, larger for more significant; NaN where there is none.
    """

    def __init__(self, observed: Floats) -> None:
        self.genes = len(observed)
        known = np.flatnonzero(np.isfinite(observed))
        self.order = known[np.argsort(-observed[known], kind="stable")]
        self.least = observed[self.order] * (1.0 - _ROUNDING)
        self.reached, self.relabellings = np.zeros(len(known), np.int64), 0

    def add(self, statistic: Floats) -> None:
        """Count a relabelling by its (G,) statistics."""
        of_known = np.nan_to_num(statistic[self.order], nan=-np.inf, posinf=np.inf, neginf=-np.inf)
        most = np.maximum.accumulate(of_known[::-1])[::-1]
        self.reached += most >= self.least
        self.relabellings += 1

    def adjusted(self) -> Floats:
        """(G,) adjusted p-values; the true labels are one of the relabellings."""
        found = np.full(self.genes, np.nan)
        found[self.order] = np.maximum.accumulate((1 + self.reached) / (1 + self.relabellings))
        return found
