"""Hurdle models: whether a cell has a count, and how much the cells have that do, as MAST but with the sample's random effect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from nestde.arrays import Floats, Texts
from nestde.fit.family import bernoulli
from nestde.fit.family.counted import CountFamily
from nestde.fit.family.family import Component, Scale

if TYPE_CHECKING:
    import scipy.sparse

    from nestde.design.design import Design
    from nestde.fit.grain import Grain
    from nestde.fit.hurdle.statistics import HurdleCounts


@dataclass(frozen=True, kw_only=True)
class HurdleFamily(CountFamily):
    """A family of two parts.

    Attributes
    ----------
    detection
        Family of the first.
    """

    detection: CountFamily

    def sum_up(
        self,
        grain: "Grain",
        counts: "scipy.sparse.csc_array",
        size_factor: Floats,
        genes: Sequence[str] | Texts,
        threads: int | None = None,
    ) -> "HurdleCounts":
        """Keep the counts as they are, and the logarithm of the size factors."""
        from nestde.fit.hurdle.statistics import HurdleCounts

        kept = super().sum_up(grain, counts, size_factor, genes, threads)
        return HurdleCounts(self, kept.genes, kept.offset, kept.counts)

    def restore(self, genes: NDArray[Any], arrays: Mapping[str, NDArray[Any]]) -> "HurdleCounts":
        """Counts as they were stored."""
        from nestde.fit.hurdle.statistics import HurdleCounts

        kept = super().restore(genes, arrays)
        return HurdleCounts(self, kept.genes, kept.offset, kept.counts)

    def why_not(self, design: "Design") -> str:
        """One random intercept is what both parts have."""
        from nestde.fit.counts.fits import single

        if design.random and not single(design):
            return (
                "the hurdle family has one random intercept, as (1 | sample_id), and this formula has other random effects: "
                "take bernoulli for detection and gaussian for amounts, or negative_binomial for both"
            )
        return ""


FAMILY = HurdleFamily(
    name="hurdle",
    label="hurdle mixed model",
    sentence=(
        "hurdle mixed models, as MAST has them: logistic mixed models of whether a cell has a count, and linear mixed models of "
        "log(1 + counts per 10,000) among the cells that have one"
    ),
    engine="hurdle",
    estimates="ML",
    fits=5,
    scale=Scale(
        response="ln(odds of a count / size factor), and ln(1 + counts per 10,000) of cells with a count",
        noise="",
        spread="detection ~ Bernoulli; among cells with a count ε ~ N(0, σ²)",
        effect=(
            "the change of mean ln(1 + counts per 10,000) that both parts make together at the mean cell, as MAST's log fold "
            "change"
        ),
        short="natural log scale, both parts",
    ),
    shown=(
        Component("sd_detection", "SD, detection", "SD between samples of the log odds of a count", "{:.2f}"),
        Component(
            "sd_continuous",
            "SD, amount",
            "SD between samples of ln(1 + counts per 10,000), among cells with a count",
            "{:.2f}",
        ),
    ),
    oracles="lme4",
    between="v / (1 + v) of the variance v between samples, of log odds for detection, in units of that between cells for amounts",
    detection=bernoulli.FAMILY,
)
