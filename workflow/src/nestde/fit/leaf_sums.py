"""What linear mixed models keep of the counts, sums over the leaves of a design, and their fits.

The sums belong to the cells, their groups and the columns that vary within a group, not to the other columns of the
formula: a test of another covariate of the samples, of relabelled samples or of fewer samples starts from them and
never from the counts.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from nestde.arrays import Floats, Texts
from nestde.design.design import Design
from nestde.errors import NestdeError
from nestde.fit import genes as engine
from nestde.fit.basis import basis
from nestde.fit.crossproducts import Sums, Values, collect, leaves, sums_of_counts
from nestde.fit.genes import FitModel, grouped
from nestde.fit.grain import Grain

if TYPE_CHECKING:
    from nestde.design.contrasts import Contrast
    from nestde.fit.family.family import Family
    from nestde.fit.inference import FTests
    from nestde.fit.record import Fits, GeneFits


@dataclass(frozen=True)
class LeafSums:
    """Sufficient statistics of G genes for linear mixed models of n cells in L leaves; y is what the family makes of a count.

    Attributes
    ----------
    family
        Whose they are.
    genes
        (G,) names.
    grain
        Leaves of the cells, and the w columns that vary within them.
    sums
        (G, L, 1 + w) sums of y and of y times each of these columns over the cells of each leaf.
    squares
        (G, L) sums of y² over the cells of each leaf.
    """

    family: "Family"
    genes: NDArray[np.object_]
    grain: Grain
    sums: Floats
    squares: Floats

    @property
    def mean(self) -> Floats:
        """(G,) mean of y over all cells."""
        return np.asarray(np.sum(self.sums[:, :, 0], axis=1) / max(len(self.grain.code), 1))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What is stored of them."""
        return {"code": self.grain.code, "f": self.grain.f, "sums": self.sums, "squares": self.squares}

    def fitted(
        self, design: Design, threads: int | None = None, learnt: dict[str, Any] | None = None
    ) -> "LinearFitted":
        """Fits of a design of these cells."""
        return LinearFitted(design, self, threads, learnt)

    def model_of(self, design: Design) -> tuple[FitModel, Sums]:
        """What `fit.genes` fits of a design of these cells.

        Raises
        ------
        NestdeError
            The design groups the cells in another way, or varies within groups by what the sums do not hold; or it
            has no random effects.
        """
        grouped(design)
        turned = basis(design)
        leaf = leaves(design, turned, self.grain)
        if leaf is None:
            raise NestdeError(
                f'"{design.formula.text}" has random effects, or covariates of single cells, that the statistics do not '
                "hold. Run `nestde run` again: it makes them from the counts."
            )
        return FitModel(design, turned, leaf), collect(design, leaf, self.sums, self.squares)

    def of(self, chosen: NDArray[Any] | slice) -> Self:
        """Those of some genes."""
        return replace(self, genes=self.genes[chosen], sums=self.sums[chosen], squares=self.squares[chosen])

    def of_cells(self, kept: NDArray[np.bool_]) -> Self:
        """Those of some leaves, given as the (n,) cells that stay: all of a leaf or none.

        Raises
        ------
        ValueError
            A leaf would lose a part of its cells.
        """
        stays = np.bincount(self.grain.code[kept], minlength=self.grain.leaves) > 0
        return replace(
            self,
            grain=self.grain.of_cells(kept),
            sums=np.ascontiguousarray(self.sums[:, stays]),
            squares=np.ascontiguousarray(self.squares[:, stays]),
        )

    def above(self, others: Sequence[Self]) -> Self:
        """With those of other genes of the same cells below."""
        parts = [self, *others]
        return replace(
            self,
            genes=np.concatenate([part.genes for part in parts]),
            sums=np.concatenate([part.sums for part in parts]),
            squares=np.concatenate([part.squares for part in parts]),
        )


def sum_up(
    family: "Family",
    grain: Grain,
    counts: scipy.sparse.csc_array,
    values: Values,
    genes: Sequence[str] | NDArray[np.object_],
    threads: int | None = None,
) -> LeafSums:
    """Sum up what `values` makes of the counts of each gene; see `Family.sum_up`."""
    return LeafSums(family, np.asarray(genes, object), grain, *sums_of_counts(grain, counts, values, threads))


def restore(family: "Family", genes: NDArray[Any], arrays: Mapping[str, NDArray[Any]]) -> LeafSums:
    """Sums from what `LeafSums.arrays` gave."""
    return LeafSums(family, genes, Grain(arrays["code"], arrays["f"]), arrays["sums"], arrays["squares"])


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
        return engine.fit_tests(*self.model, threads=self.threads)

    @cached_property
    def reml(self) -> "Fits":
        """By REML, all columns."""
        return engine.fit(*self.model, np.eye(self.design.x.shape[1]), True, threads=self.threads)

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
