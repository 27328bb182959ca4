"""Families whose response is the count of a cell, or whether it has one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from nestde.arrays import Floats, Texts
from nestde.fit.family.family import Alike, Component, CrossReference, Family

if TYPE_CHECKING:
    import scipy.sparse

    from nestde.design.formula import Formula
    from nestde.fit.counts.statistics import CellCounts
    from nestde.fit.grain import Grain

ENGINE = "counts"
# A random intercept has kernels of its own; any other model takes the general ones.
_SINGLE, _BETWEEN = "~ x + (1 | a)", "~ x + d + (1 | a)"
_GENERAL, _GENERAL_BETWEEN = "~ x + (x | a / b)", "~ x + d + (1 | a / b)"

SD = Component(
    "sd", "SD between samples", "SD of the random intercept, on the natural logarithm's scale", "{:.2f}"
)
DISPERSION = Component(
    "dispersion", "dispersion", "A count of mean μ has variance μ + dispersion · μ²", "{:.2g}"
)


@dataclass(frozen=True, kw_only=True)
class CountFamily(Family):
    """A family of count models."""

    engine: str = ENGINE
    estimates: str = "ML"
    pairs: str = "lrt_f"
    fits: int = 2
    calibrated: int = 1_000  # milliseconds each, for each of thirty relabellings
    shown: tuple[Component, ...] = (SD,)
    reference: CrossReference | None = None
    oracles: str = "glmmTMB, lme4"
    between: str = "v / (1 + v) of the variance v between samples, on the natural logarithm's scale"

    def sum_up(
        self,
        grain: "Grain",
        counts: "scipy.sparse.csc_array",
        size_factor: Floats,
        genes: Sequence[str] | Texts,
        threads: int | None = None,
    ) -> "CellCounts":
        """Keep the counts as they are, and the logarithm of the size factors as an offset."""
        from nestde.fit.counts.statistics import keep

        del grain, threads
        return keep(self, counts, size_factor, genes)

    def restore(self, genes: NDArray[Any], arrays: Mapping[str, NDArray[Any]]) -> "CellCounts":
        """Counts as they were stored."""
        from nestde.fit.counts.statistics import restore

        return restore(self, genes, arrays)

    def alike(self, formula: "Formula") -> Alike:
        """Models with the same kernels."""
        from nestde.fit.moderated import LEAST_GENES

        random = formula.random
        if len(random) == 1 and random[0].effects.strip() == "1" and len(random[0].factors) == 1:
            return Alike(_SINGLE, _BETWEEN, LEAST_GENES)
        return Alike(_GENERAL, _GENERAL_BETWEEN, LEAST_GENES)
