"""What is kept of the counts for count models, the counts themselves, as a cell's likelihood is no sum over samples; their fits."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from nestde.arrays import Floats, Texts
from nestde.design.contrasts import Contrast, joint
from nestde.design.design import Design
from nestde.fit.counts.bartlett import factors
from nestde.fit.counts.fits import data_of, fit_tests, prepare, trusted
from nestde.fit.counts.gene import Data
from nestde.fit.counts.record import CountFits, CountModel, CountRatio

if TYPE_CHECKING:
    from nestde.fit.family.family import Family, Fitted


# Added to a gene's count, so that it has a logarithm.
_HALF = 0.5


@dataclass(frozen=True)
class CellCounts:
    """Counts of G genes in n cells.

    Attributes
    ----------
    family
        Whose fits they are for.
    genes
        (G,) names.
    offset
        (n,) logarithm of the size factors.
    counts
        (n, G) compressed by gene.
    """

    family: "Family"
    genes: NDArray[np.object_]
    offset: Floats
    counts: scipy.sparse.csc_array

    @property
    def mean(self) -> Floats:
        """(G,) logarithm of the mean count at a size factor of 1."""
        total = np.asarray(self.counts.sum(axis=0), float).reshape(-1)
        return np.asarray(np.log((total + _HALF) / max(np.exp(self.offset).sum(), 1.0)))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What is stored of them."""
        return {
            "offset": self.offset,
            "begin": self.counts.indptr,
            "cell": self.counts.indices,
            "count": self.counts.data,
        }

    def of(self, chosen: NDArray[Any] | slice) -> Self:
        """Those of some genes."""
        return replace(self, genes=self.genes[chosen], counts=self.counts[:, chosen])

    def of_cells(self, kept: NDArray[np.bool_]) -> Self:
        """Those of some cells."""
        return replace(self, offset=self.offset[kept], counts=self.counts[np.flatnonzero(kept)])

    def above(self, others: Sequence[Self]) -> Self:
        """With those of other genes of the same cells below."""
        parts = [self, *others]
        return replace(
            self,
            genes=np.concatenate([part.genes for part in parts]),
            counts=scipy.sparse.csc_array(scipy.sparse.hstack([part.counts for part in parts])),
        )

    def fitted(
        self, design: Design, threads: int | None = None, learnt: dict[str, Any] | None = None
    ) -> "Fitted":
        """Fits of a design of these cells."""
        return CountFitted(design, self, threads, learnt)


def keep(
    family: "Family",
    counts: scipy.sparse.csc_array,
    size_factor: Floats,
    genes: Sequence[str] | NDArray[np.object_],
) -> CellCounts:
    """Keep the counts (n, G) of cells with some size factors; see `Family.sum_up`."""
    kept = scipy.sparse.csc_array(counts, copy=True)
    kept.sum_duplicates()
    kept.eliminate_zeros()
    kept.data = kept.data.astype(np.int32)
    return CellCounts(family, np.asarray(genes, object), np.log(np.asarray(size_factor, float)), kept)


def restore(family: "Family", genes: NDArray[np.object_], arrays: Mapping[str, NDArray[Any]]) -> CellCounts:
    """Counts from what `CellCounts.arrays` gave."""
    offset = arrays["offset"]
    parts = (arrays["count"], arrays["cell"], arrays["begin"])
    counts = scipy.sparse.csc_array(parts, shape=(len(offset), len(genes)))
    return CellCounts(family, genes, offset, counts)


class CountFitted:
    """A design and the counts of genes, and their fits: made when a method asks for them, once.

    Parameters
    ----------
    design, statistics, threads, learnt
        As `Fitted`.
    """

    def __init__(
        self,
        design: Design,
        statistics: CellCounts,
        threads: int | None = None,
        learnt: dict[str, Any] | None = None,
    ):
        self.design, self.statistics, self.threads = design, statistics, threads
        self.learnt: dict[str, Any] = {} if learnt is None else learnt
        self._ratios: dict[bytes, CountRatio] = {}
        self._factors: dict[bytes, Floats] = {}

    @cached_property
    def model(self) -> tuple[CountModel, Data]:
        """What is free of the counts, and the counts."""
        model = prepare(self.design, self.statistics.family.name, self.statistics.offset)
        return model, data_of(model.cells, self.statistics.counts)

    @cached_property
    def full(self) -> CountFits:
        """With all columns; where a model without a tested term shows that there is a higher maximum, at that."""
        rows = [joint(self.design, term).rows for term in self.design.tests]
        full, ratios = fit_tests(*self.model, rows, threads=self.threads)
        self._ratios |= {each.tobytes(): ratio for each, ratio in zip(rows, ratios, strict=True)}
        return full

    def ratio(self, contrast: Contrast) -> CountRatio:
        """Likelihood ratio of a contrast."""
        full, key = self.full, contrast.rows.tobytes()
        if key not in self._ratios:
            _, (self._ratios[key],) = fit_tests(*self.model, [contrast.rows], full, threads=self.threads)
        return self._ratios[key]

    def bartlett(self, contrast: Contrast) -> Floats:
        """(G,) Bartlett's factor of a contrast's likelihood ratio."""
        key = contrast.rows.tobytes()
        if key not in self._factors:
            reduced, own = self.ratio(contrast).reduced, self.statistics
            self._factors[key] = factors(
                self.model[0], reduced, contrast.rows, own.offset, own.genes, self.threads
            )
        return self._factors[key]

    def _of_term(self, term: str) -> CountRatio:

        return self.ratio(joint(self.design, term))

    def coefficients(self, by: str) -> tuple[Floats, Floats]:
        """(G, p) coefficients and standard errors, ±∞ where they have no bound."""
        del by
        return self.full.coef, self.full.se

    def effect(self, by: str, weights: Floats) -> tuple[Floats, Floats]:
        """Estimate of one contrast and its standard error."""
        del by
        return self.full.effect(weights)

    def components(self, by: str) -> dict[str, Floats]:
        """SDs and correlations of random effects, that of the first factor's intercept once more; dispersion of NB."""
        del by
        found = dict[str, Floats]()
        for factor, sd, corr in zip(self.design.random, self.full.sd(), self.full.corr(), strict=True):
            for i, effect in enumerate(factor.effects):
                found[f"sd_{factor.name}_{effect}"] = sd[:, i]
            for i, j in itertools.combinations(range(len(factor.effects)), 2):
                if factor.blocks[i] == factor.blocks[j]:
                    found[f"corr_{factor.name}_{factor.effects[i]}_{factor.effects[j]}"] = corr[:, i, j]
        found["sd"] = self.full.sd()[0][:, 0]
        if self.full.family == "negative_binomial":
            found["dispersion"] = self.full.dispersion
        return found

    def trusted(self, by: str, term: str) -> NDArray[np.bool_]:
        """Whether both fits of the likelihood ratio are to be believed."""
        del by
        return trusted(self._of_term(term).status)

    def status(self, by: str, term: str) -> tuple[Texts, Texts]:
        """Status and reason of both fits of the likelihood ratio, the worse of them."""
        del by
        ratio = self._of_term(term)
        return ratio.status, ratio.reason.astype(object)

    def evaluations(self, term: str) -> NDArray[np.int64]:
        """Of the likelihood, with and without the term."""
        return self.full.evaluations + self._of_term(term).reduced.evaluations
