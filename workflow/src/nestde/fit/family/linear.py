"""Families whose response is a number for each cell, fitted by linear mixed models: what differs is what a count becomes."""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.fit.family.family import Alike, Component, Family, Texts

if TYPE_CHECKING:
    import scipy.sparse

    from nestde.design.contrasts import Contrast
    from nestde.design.design import Design
    from nestde.design.formula import Formula
    from nestde.fit.crossproducts import Sums, Values
    from nestde.fit.genes import FitModel
    from nestde.fit.inference import FTests
    from nestde.fit.leaf_sums import LeafSums
    from nestde.fit.record import Fits, GeneFits

ENGINE = "linear"
# A single random effect has kernels of its own; any other model takes the general ones.
_SINGLE, _GENERAL = "~ x + (1 | a)", "~ x + (x | a / b)"
# The moderated test has the same kernels for every model, with and without arms.
_BETWEEN = "~ x + d + (1 | a)"


class LinearFitted:
    """A design and sums of genes over its leaves, and their fits: made when a method asks for them, once.

    Parameters
    ----------
    design, statistics, threads, learnt
        As `Fitted`.
    """

    def __init__(
        self,
        design: "Design",
        statistics: "LeafSums",
        threads: int | None = None,
        learnt: dict[str, Any] | None = None,
    ):
        self.design, self.statistics, self.threads = design, statistics, threads
        self.learnt: dict[str, Any] = {} if learnt is None else learnt
        self._f_tests: dict[bytes, FTests] = {}

    @cached_property
    def model(self) -> tuple["FitModel", "Sums"]:
        """The y-free part, and the cross-products of the genes."""
        return self.statistics.model_of(self.design)

    @cached_property
    def ml(self) -> "GeneFits":
        """By ML, with and without each tested term."""
        from nestde.fit.genes import fit_tests

        return fit_tests(*self.model, threads=self.threads)

    @cached_property
    def reml(self) -> "Fits":
        """By REML, all columns."""
        from nestde.fit.genes import fit

        return fit(*self.model, tuple(range(self.design.x.shape[1])), True, threads=self.threads)

    def f_tests(self, contrasts: Sequence["Contrast"]) -> list["FTests"]:
        """Tests of contrasts by REML, t or F."""
        from nestde.fit.inference import f_tests

        new = {contrast.rows.tobytes(): contrast.rows for contrast in contrasts}
        new = {key: rows for key, rows in new.items() if key not in self._f_tests}
        if new:
            found = f_tests(self.reml, list(new.values()), threads=self.threads)
            self._f_tests |= dict(zip(new, found, strict=True))
        return [self._f_tests[contrast.rows.tobytes()] for contrast in contrasts]

    def _fits(self, by: str) -> "Fits":
        return self.ml.full if by == "ML" else self.reml

    def coefficients(self, by: str) -> tuple[Floats, Floats]:
        """(G, p) coefficients and standard errors."""
        fits = self._fits(by)
        return fits.coef, fits.se

    def effect(self, by: str, weights: Floats) -> tuple[Floats, Floats]:
        """Estimate of one contrast and its standard error; each gene by itself, so that chunks do not matter."""
        fits = self._fits(by)
        variance = (fits.vcov * np.outer(weights, weights)).sum(axis=(1, 2))
        return (fits.coef * weights).sum(axis=1), np.sqrt(np.maximum(variance, 0))

    def components(self, by: str) -> dict[str, Floats]:
        """Residual SD, SDs and correlations of random effects and, for intercepts alone, the intraclass correlation."""
        return variance_components(self._fits(by))

    def trusted(self, by: str, term: str) -> NDArray[np.bool_]:
        """Whether fits are to be believed: both by ML, or the one by REML."""
        return _trusted(self.ml.tests[term].status if by == "ML" else self.reml.status)

    def status(self, by: str, term: str) -> tuple[Texts, Texts]:
        """Status and reason of the fits that estimates and headline are of; the reason tells of the others' faults too.

        Where estimates are by ML these are the two fits of the likelihood ratio, else the one by REML.
        """
        test, reml = self.ml.tests[term], self.reml
        by_ml = (test.status, test.reason, "by ML, so no likelihood-ratio test")
        by_reml = (reml.status, reml.reason, "by REML, so no t and F tests")
        (status, reason, _), (other, why, what) = (by_ml, by_reml) if by == "ML" else (by_reml, by_ml)
        told = reason.astype(object)
        for g in np.flatnonzero(_trusted(status) & ~_trusted(other)):
            told[g] = "; ".join(filter(None, (told[g], f"{other[g]} {what}: {why[g]}")))
        return status, self._with_degrees_of_freedom(told, term)

    def _with_degrees_of_freedom(self, reason: Texts, term: str) -> Texts:
        """Reasons, why there is a test less, and whose degrees of freedom were below 1 and replaced.

        The cap of singular fits is told by `df_method`.
        """
        from nestde.design.contrasts import joint
        from nestde.fit.differences import why_not_kenward_roger

        told = reason.copy()
        no_kenward_roger = why_not_kenward_roger(self.design)
        if no_kenward_roger:
            told[:] = ["; ".join(filter(None, (words, no_kenward_roger))) for words in told]
        (tests,) = self.f_tests([joint(self.design, term)])
        singular = self.reml.status == "singular"
        instead = {"containment": "those by containment", "one": "1"}
        for whose, found, replaced in (
            (
                "Satterthwaite's",
                tests.satterthwaite,
                (tests.satterthwaite.method != "satterthwaite") & ~singular,
            ),
            ("Kenward and Roger's", tests.kenward_roger, tests.kenward_roger.method != "kenward_roger"),
        ):
            for g in np.flatnonzero(replaced):
                words = f"{whose} degrees of freedom are below 1: {instead[str(found.method[g])]} taken"
                told[g] = "; ".join(filter(None, (told[g], words)))
        return told

    def evaluations(self, term: str) -> NDArray[np.int64]:
        """Of the deviance by ML, with and without the term."""
        return self.ml.full.record.evaluations + self.ml.tests[term].reduced.record.evaluations


def _trusted(status: Texts) -> NDArray[np.bool_]:
    return np.isin(status, ("ok", "singular"))


def variance_components(fits: "Fits") -> dict[str, Floats]:
    """Residual SD, SDs and correlations of random effects and, for intercepts alone, the intraclass correlation.

    ICC is the share of a factor's intercept variance in the sum of all variances.
    """
    found: dict[str, Floats] = {"sigma": fits.sigma}
    for factor, sd, corr in zip(fits.design.random, fits.sd(), fits.corr(), strict=True):
        for i, effect in enumerate(factor.effects):
            found[f"sd_{factor.name}_{effect}"] = sd[:, i]
        for i, j in itertools.combinations(range(len(factor.effects)), 2):
            if factor.blocks[i] == factor.blocks[j]:
                found[f"corr_{factor.name}_{factor.effects[i]}_{factor.effects[j]}"] = corr[:, i, j]
    if all(factor.effects == ("(Intercept)",) for factor in fits.design.random):
        variances = [sd[:, 0] ** 2 for sd in fits.sd()]
        total = sum(variances, fits.sigma**2)
        for factor, variance in zip(fits.design.random, variances, strict=True):
            found["icc" if len(variances) == 1 else f"icc_{factor.name}"] = variance / total
    return found


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
        design: "Design",
        counts: "scipy.sparse.csc_array",
        size_factor: Floats,
        genes: Sequence[str] | Texts,
        threads: int | None = None,
    ) -> "LeafSums":
        """Sums over the leaves of the design of what counts become."""
        from nestde.fit.leaf_sums import sum_up

        return sum_up(self, design, counts, self.values(size_factor), genes, threads)

    def restore(self, genes: NDArray[Any], arrays: Mapping[str, NDArray[Any]]) -> "LeafSums":
        """Sums as they were stored."""
        from nestde.fit.leaf_sums import STORED, LeafSums

        return LeafSums(self, genes, *(arrays[name] for name in STORED))

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
