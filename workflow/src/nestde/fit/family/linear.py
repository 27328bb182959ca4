"""Families whose response is a number for each cell, fitted by linear mixed models: what differs is what a count becomes."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from nestde.arrays import Floats, Texts
from nestde.fit.family.family import Alike, Component, Family

if TYPE_CHECKING:
    import scipy.sparse

    from nestde.design.design import Design
    from nestde.design.formula import Formula
    from nestde.fit.crossproducts import Values
    from nestde.fit.grain import Grain
    from nestde.fit.leaf_sums import LeafSums

ENGINE = "linear"
# A single random effect has kernels of its own; any other model takes the general ones.
_SINGLE, _GENERAL = "~ x + (1 | a)", "~ x + (x | a / b)"
# The moderated test has the same kernels for every model, with and without arms.
_BETWEEN = "~ x + d + (1 | a)"


ICC = Component("icc", "ICC", "Share of the residual variance that lies between samples", "{:.2f}")


@dataclass(frozen=True, kw_only=True)
class LinearFamily(Family):
    """A family of linear mixed models.

    Attributes
    ----------
    values
        From the (n,) size factors to what the counts of these cells become (see `crossproducts.Values`).
    """

    values: Callable[[Floats], "Values"]
    engine: str = ENGINE
    estimates: str = "REML"
    pairs: str = "satterthwaite"
    fits: int = 3  # full and reduced by ML, REML
    shown: tuple[Component, ...] = field(default=(ICC,))

    def sum_up(
        self,
        grain: "Grain",
        counts: "scipy.sparse.csc_array",
        size_factor: Floats,
        genes: Sequence[str] | Texts,
        threads: int | None = None,
    ) -> "LeafSums":
        """Sums over leaves of what counts become."""
        from nestde.fit.leaf_sums import sum_up

        return sum_up(self, grain, counts, self.values(size_factor), genes, threads)

    def restore(self, genes: NDArray[Any], arrays: Mapping[str, NDArray[Any]]) -> "LeafSums":
        """Sums as they were stored."""
        from nestde.fit.leaf_sums import restore

        return restore(self, genes, arrays)

    def alike(self, formula: "Formula") -> Alike:
        """Models with the same kernels."""
        from nestde.fit.moderated import LEAST_GENES

        random = formula.random
        single = len(random) == 1 and re.fullmatch(r"1|0\s*\+\s*[\w.]+", random[0].effects)
        return Alike(_SINGLE if single else _GENERAL, _BETWEEN, LEAST_GENES)

    def seconds_per_fit(self, design: "Design") -> float:
        """Seconds, where crossed factors have many levels."""
        from nestde.fit.cost import seconds_per_fit

        return seconds_per_fit(design)

    def out_of_reach(self, design: "Design") -> str:
        """Kenward and Roger's test, where crossed factors have many levels."""
        from nestde.fit.differences import why_not_kenward_roger

        return why_not_kenward_roger(design)
