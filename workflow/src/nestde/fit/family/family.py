"""What a model family is: how counts become what is fitted, how that is fitted, and the words for its scale.

A family is asked by everything that comes after the counts. It sums a gene's counts up once (`Family.sum_up`); of these
`Statistics` every fit, test, calibration and later question is made (`Statistics.fitted`), and never of the counts again.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats, Texts

if TYPE_CHECKING:
    import scipy.sparse

    from nestde.design.design import Design
    from nestde.design.formula import Formula
    from nestde.fit.grain import Grain


class Statistics(Protocol):
    """All that fits of a family's models need of the counts of G genes in n cells."""

    @property
    def family(self) -> "Family":
        """Whose they are."""

    @property
    def genes(self) -> NDArray[np.object_]:
        """(G,) names."""

    @property
    def mean(self) -> Floats:
        """(G,) mean expression, along which priors may change."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What is stored of them beside family and genes, by name: of it `Family.restore` makes them again."""

    def of(self, chosen: NDArray[Any] | slice) -> Self:
        """Those of some genes."""

    def of_cells(self, kept: NDArray[np.bool_]) -> Self:
        """Those of some cells, given as the (n,) cells that stay: all of a sample or none."""

    def above(self, others: Sequence[Self]) -> Self:
        """With those of other genes of the same cells below."""

    def fitted(
        self, design: "Design", threads: int | None = None, learnt: dict[str, Any] | None = None
    ) -> "Fitted":
        """Fits of a design of these cells, which may have any covariates of the samples."""


class Fitted(Protocol):
    """A design and genes' statistics, and their fits: made when someone asks for them, once.

    A family may fit in several ways (``ML``, ``REML``); `by` names one, as `Method.estimates` does.
    """

    @property
    def design(self) -> "Design":
        """Of n cells."""

    @property
    def statistics(self) -> "Statistics":
        """Of G genes in these cells."""

    @property
    def threads(self) -> int | None:
        """Threads to fit with; None takes all. Results do not depend on it."""

    @property
    def learnt(self) -> dict[str, Any]:
        """What methods learnt from all genes of a cell type, by the method's name.

        A method that finds its own there takes it, else it learns and puts it there. ``learnt["moderated"]`` is a mapping
        from a term to its prior, which has `columns()` for the table that the run keeps.
        """

    def coefficients(self, by: str) -> tuple[Floats, Floats]:
        """(G, p) coefficients of the full model and their standard errors."""

    def effect(self, by: str, weights: Floats) -> tuple[Floats, Floats]:
        """(G,) a combination of coefficients, by (p,) weights, and its standard error; each gene by itself."""

    def components(self, by: str) -> dict[str, Floats]:
        """(G,) each: columns for what is random or spread, as ``sigma``, ``sd_<group>_<effect>``, ``icc``, ``dispersion``."""

    def status(self, by: str, term: str) -> tuple[Texts, Texts]:
        """(G,) each: status of the fits that estimates are from, and what is to be said of any fit of the term."""

    def trusted(self, by: str, term: str) -> NDArray[np.bool_]:
        """(G,) whether the fits that a test of the term by such estimates needs are to be believed."""

    def evaluations(self, term: str) -> NDArray[np.int64]:
        """(G,) how often the likelihood was evaluated for the fits with and without the term."""


@dataclass(frozen=True)
class Scale:
    """The words for what a family fits.

    Attributes
    ----------
    response
        Left of the model's equation: ``ln(1 + counts per 10,000)``.
    noise
        Symbol that ends the right of the equation, '' where there is none.
    spread
        The law of what is not fixed: ``ε ~ N(0, σ²)``.
    effect
        What an effect is, after "The effect is": told below the volcano plots.
    short
        The same in a few words, for the head of a column.
    """

    response: str
    noise: str
    spread: str
    effect: str
    short: str

    def right(self, terms: Sequence[str]) -> list[str]:
        """What the right of the equation adds up."""
        return [*terms, *filter(None, [self.noise])]


@dataclass(frozen=True)
class Component:
    """A column of `Fitted.components` that the report shows beside each gene."""

    key: str
    title: str
    description: str
    format: str


@dataclass(frozen=True)
class CrossReference:
    """An independent implementation by which a sample of genes is fitted again in each run.

    Attributes
    ----------
    name
        Of the software, in columns and verdicts.
    sentence
        What it is, and how its results compare (Markdown).
    kind
        Which random effects it has, in words.
    why_not
        From a design to why it cannot be its reference; '' if it can.
    refit
        From a design, a tested term, the way of estimates, (n,) counts of a gene and (n,) size factors to both
        log-likelihoods by ML, with and without the term, and the (p,) coefficients; not finite where it has no fit.
    """

    name: str
    sentence: str
    kind: str
    why_not: Callable[["Design"], str]
    refit: Callable[["Design", str, str, Floats, Floats], tuple[float, float, Floats]]


@dataclass(frozen=True)
class Alike:
    """Small models of made-up cells, which compile all that fits of a formula call.

    In them x varies between cells and d between samples; b is nested in a.

    Attributes
    ----------
    fitted
        Formula in which x is tested, alone.
    moderated
        Formula in which x and d are tested by what needs all genes of a cell type.
    genes
        So many genes that this is done.
    """

    fitted: str
    moderated: str
    genes: int


@dataclass(frozen=True, kw_only=True)
class Family(ABC):
    """A model family.

    Attributes
    ----------
    name
        Of `model.family`.
    label
        For tables and headings.
    sentence
        What it is, and when to take it.
    engine
        Whose fits it has: `Method.engines` names those that a p-value can be computed of.
    estimates
        The way of estimates that is shown where no p-value asks for another.
    pairs
        Name of the method that compares level with level where the headline does not.
    fits
        Fits that each gene takes: full, reduced and others.
    scale
        Its words.
    shown
        What of the components the report shows.
    reference
        By which it is cross-checked in each run; None if by nothing. Its log-likelihoods are compared with ``loglik_full`` and
        ``loglik_reduced``, columns of the p-value ``lrt``, which a family with a reference has.
    oracles
        Implementations that the tests hold its fits against.
    calibrated
        On so many genes, drawn at random, p-values that cost much are measured with relabelled samples.
    within
        What is wrong with its tests of terms that vary within samples, as a sentence; '' if nothing is.
    between
        What ψ/(1 + ψ) is of a variance ψ between samples, as the priors of its moderated test have it.
    """

    name: str
    label: str
    sentence: str
    engine: str
    estimates: str
    pairs: str
    fits: int
    scale: Scale
    shown: tuple[Component, ...]
    reference: CrossReference | None
    oracles: str
    calibrated: int = 4_000
    within: str = ""
    between: str = "variance between samples, as a share of it and that between cells"

    @abstractmethod
    def sum_up(
        self,
        grain: "Grain",
        counts: "scipy.sparse.csc_array",
        size_factor: Floats,
        genes: Sequence[str] | Texts,
        threads: int | None = None,
    ) -> "Statistics":
        """Sum up the counts of each gene, in one pass over the non-zeros; see `fit.statistics.sum_up`.

        Parameters
        ----------
        grain
            Of n cells: their leaves, and what varies within these.
        counts
            (n, G) raw counts, compressed by column.
        size_factor
            (n,) of each cell, positive: what its counts are divided by, or the exponential of its offset.
        genes
            (G,) names.
        threads
            None: one per processor. The result does not depend on it.
        """

    @abstractmethod
    def restore(self, genes: NDArray[Any], arrays: Mapping[str, NDArray[Any]]) -> "Statistics":
        """Statistics from what their `arrays` gave; a missing one raises KeyError."""

    @abstractmethod
    def alike(self, formula: "Formula") -> Alike:
        """Small models that compile all kernels of a formula's fits."""

    def why_not(self, design: "Design") -> str:
        """Why the family has no fits of a design, as a sentence without its full stop; '' if it has."""
        del design
        return ""

    def seconds_per_fit(self, design: "Design") -> float:
        """Seconds of one core for one fit of a gene, an order of magnitude; 0 where it is nothing to speak of."""
        del design
        return 0.0

    def out_of_reach(self, design: "Design") -> str:
        """Which of its p-values a design is too large for; '' if it has all."""
        del design
        return ""
