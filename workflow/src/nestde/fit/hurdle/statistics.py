"""Hurdle models of genes: both parts, fitted when someone asks for them, and an effect of both together."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats, Texts
from nestde.design.contrasts import Contrast, joint
from nestde.design.design import Design
from nestde.fit.counts.fits import trusted
from nestde.fit.counts.statistics import CellCounts, CountFitted
from nestde.fit.hurdle import continuous
from nestde.fit.hurdle.continuous import Fits, Model, worse
from nestde.fit.hurdle.sums import Sums, sum_up

if TYPE_CHECKING:
    from nestde.fit.family.hurdle import HurdleFamily


@dataclass(frozen=True)
class HurdleCounts(CellCounts):
    """Counts of G genes in n cells, for hurdle models."""

    family: "HurdleFamily"

    def fitted(
        self, design: Design, threads: int | None = None, learnt: dict[str, Any] | None = None
    ) -> "HurdleFitted":
        """Fits of a design of these cells."""
        return HurdleFitted(design, self, threads, learnt)


@dataclass(frozen=True)
class Parts:
    """Likelihood ratios of a contrast: of detection and of detecting cells, NaN where a part has none, and what is tested.

    Attributes
    ----------
    detection, continuous
        (G,) likelihood ratios.
    df
        Rows of the contrast.
    loglik_full, loglik_reduced
        (G,) of the parts that there are, together.
    """

    detection: Floats
    continuous: Floats
    df: int
    loglik_full: Floats
    loglik_reduced: Floats


class HurdleFitted:
    """A design and the counts of genes, and the fits of both parts.

    Parameters
    ----------
    design, statistics, threads, learnt
        As `nestde.fit.family.Fitted`.
    """

    def __init__(
        self,
        design: Design,
        statistics: HurdleCounts,
        threads: int | None = None,
        learnt: dict[str, Any] | None = None,
    ):
        self.design, self.statistics, self.threads = design, statistics, threads
        self.learnt: dict[str, Any] = {} if learnt is None else learnt
        self._reduced: dict[bytes, Fits] = {}

    @cached_property
    def detection(self) -> CountFitted:
        """Whether a cell has a count."""
        counts = self.statistics
        own = CellCounts(counts.family.detection, counts.genes, counts.offset, counts.counts)
        return CountFitted(self.design, own, self.threads)

    @cached_property
    def model(self) -> Model:
        """Columns of the continuous part."""
        return continuous.model_of(self.design)

    @cached_property
    def sums(self) -> Sums:
        """Of the detecting cells of each gene."""
        return sum_up(
            self.model.q, self.model.sample, self.statistics.offset, self.statistics.counts, self.threads
        )

    @cached_property
    def untestable(self) -> Texts:
        """(G,) why a gene has no continuous part, or ''."""
        return continuous.untestable(self.model, self.sums)

    @cached_property
    def full(self) -> Fits:
        """Of the continuous part, by ML."""
        return self._fit(np.eye(self.design.x.shape[1]), False)

    @cached_property
    def reml(self) -> Fits:
        """Of the continuous part, by REML."""
        return self._fit(np.eye(self.design.x.shape[1]), True)

    def _fit(self, columns: Floats, reml: bool) -> Fits:
        return continuous.fit(self.model, self.sums, columns, reml, self.untestable, self.threads)

    def without(self, contrast: Contrast) -> Fits:
        """Of the continuous part, by ML, where a contrast is 0."""
        key = contrast.rows.tobytes()
        if key not in self._reduced:
            self._reduced[key] = self._fit(self.detection.model[0].kept(contrast.rows), False)
        return self._reduced[key]

    def usable(self, contrast: Contrast) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(G,) whether the fits with and without a contrast are to be believed, of detection and of detecting cells."""
        detection, amount = self.detection.ratio(contrast), worse(self.full, self.without(contrast))
        return trusted(detection.status), trusted(amount[0])

    def parts(self, contrast: Contrast) -> Parts:
        """Likelihood ratios of both parts."""
        ratio, without = self.detection.ratio(contrast), self.without(contrast)
        detects, counts = self.usable(contrast)
        both = [
            np.where(detects, first, 0.0) + np.where(counts, second, 0.0)
            for first, second in (
                (self.detection.full.loglik, self.full.loglik),
                (ratio.reduced.loglik, without.loglik),
            )
        ]
        some = detects | counts
        return Parts(
            np.where(detects, ratio.stat, np.nan),
            np.where(counts, np.maximum(2.0 * (self.full.loglik - without.loglik), 0.0), np.nan),
            len(contrast.rows),
            *(np.where(some, each, np.nan) for each in both),
        )

    def coefficients(self, by: str) -> tuple[Floats, Floats]:
        """(G, p) effects of both parts together, and their standard errors; an intercept has none."""
        coef, se = np.full((2, len(self.statistics.genes), self.design.x.shape[1]), np.nan)
        for j, weights in enumerate(np.eye(coef.shape[1])):
            if np.ptp(self.design.x[:, j]) > 0:
                coef[:, j], se[:, j] = self.effect(by, weights)
        return coef, se

    def effect(self, by: str, weights: Floats) -> tuple[Floats, Floats]:
        """By how much a step of a contrast changes the mean of the amounts' logarithm over all cells, and its standard error."""
        del by
        detection = self.detection.full
        return self.together(detection.effect(weights), _effect(self.reml, weights))

    def together(
        self, detection: tuple[Floats, Floats], amount: tuple[Floats, Floats]
    ) -> tuple[Floats, Floats]:
        """Put the effects of both parts together: P(1) m(1) − P(0) m(0), half a step to either side of the mean cell.

        With P the probability of a count and m the mean of cells that have one, as MAST's log fold change has it. The standard
        error takes the parts as independent, and the mean cell's P and m as known.

        Parameters
        ----------
        detection, amount
            (G,) effects on log odds and among detecting cells, each with its standard error.
        """
        middle = self.design.x.mean(axis=0)
        counts, cells = self.statistics.counts, self.design.n
        share = np.asarray(np.diff(counts.indptr), float) / cells
        coef = self.detection.full.coef
        odds = _value(np.where(np.isfinite(coef), coef, np.nan), middle) + self.statistics.offset.mean()
        mean = _value(self.reml.coef, middle)
        # of a part that has no fit, or no bound, what the cells say
        with np.errstate(divide="ignore"):
            plain = np.log(share) - np.log1p(-share)
        odds = np.where(np.isfinite(odds), odds, plain)
        total = np.sum(self.sums.cells * self.sums.mean[:, :, -1], axis=1)
        mean = np.where(np.isfinite(mean), mean, total / np.maximum(share * cells, 1.0))
        (a, se_a), (b, se_b) = (
            (np.where(np.isnan(step), 0.0, step), np.where(np.isnan(step), 0.0, se))
            for step, se in (detection, amount)
        )
        with np.errstate(over="ignore", invalid="ignore"):
            high, low = _logistic(odds + a / 2), _logistic(odds - a / 2)
            found = high * (mean + b / 2) - low * (mean - b / 2)
            of_a = (high * (1 - high) * (mean + b / 2) + low * (1 - low) * (mean - b / 2)) / 2
            of_b = (high + low) / 2
            se = np.where(np.isinf(se_a), np.inf, np.sqrt((of_a * se_a) ** 2 + (of_b * se_b) ** 2))
        none = np.isnan(detection[0]) & np.isnan(amount[0])
        return np.where(none, np.nan, found), np.where(none, np.nan, se)

    def components(self, by: str) -> dict[str, Floats]:
        """Each part's coefficients, and standard deviations."""
        del by
        found = dict[str, Floats]()
        coef, se = self.detection.coefficients("ML")
        variance = np.einsum("gii->gi", self.reml.vcov)
        for what, values, errors in (
            ("detection", coef, se),
            ("continuous", self.reml.coef, np.sqrt(variance)),
        ):
            for j, name in enumerate(self.design.coef_names):
                found |= {f"coef_{what}_{name}": values[:, j], f"se_{what}_{name}": errors[:, j]}
        found["sd_detection"] = self.detection.full.sd()[0][:, 0]
        return found | {"sd_continuous": self.reml.sd, "sigma_continuous": self.reml.sigma}

    def trusted(self, by: str, term: str) -> NDArray[np.bool_]:
        """Whether some part's fits are to be believed."""
        del by
        detects, counts = self.usable(joint(self.design, term))
        return detects | counts

    def status(self, by: str, term: str) -> tuple[Texts, Texts]:
        """Status of what there is, and what is to be said of each part."""
        del by
        whole = joint(self.design, term)
        ratio, (detects, counts) = self.detection.ratio(whole), self.usable(whole)
        amount = worse(self.full, self.without(whole))
        status, reason = np.full((2, len(detects)), "", object)
        for g in range(len(status)):
            own = [
                (ratio.status[g], ratio.reason[g], "detection"),
                (amount[0][g], amount[1][g], "detecting cells"),
            ]
            left = [each for each, fine in zip(own, (detects[g], counts[g]), strict=True) if fine] or own
            status[g] = "singular" if any(word == "singular" for word, *_ in left) else left[0][0]
            told = [f"{what}: {why}" for _, why, what in own if why]
            if detects[g] != counts[g]:
                told.append(f"the p-value is of {'detection' if detects[g] else 'detecting cells'} alone")
            reason[g] = "; ".join(told)
        return status.astype(str), reason

    def evaluations(self, term: str) -> NDArray[np.int64]:
        """Of both parts' likelihoods, with and without the term."""
        without = self.without(joint(self.design, term))
        return np.asarray(self.detection.evaluations(term) + self.full.evaluations + without.evaluations)


def _value(coef: Floats, row: Floats) -> Floats:
    """(G,) of a linear predictor, each gene by itself."""
    return np.asarray(np.sum(coef * row, axis=1))


def _effect(fits: Fits, weights: Floats) -> tuple[Floats, Floats]:
    variance = (fits.vcov * np.outer(weights, weights)).sum(axis=(1, 2))
    return _value(fits.coef, weights), np.sqrt(np.maximum(variance, 0.0))


def _logistic(x: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))
