"""What a count model is to those who fit it, whatever its random effects, and what its fits are."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats, Texts
from nestde.design.design import Design
from nestde.fit.counts.columns import Grouped
from nestde.fit.counts.gene import Data
from nestde.fit.counts.separation import Unbounded


class Fitted(Protocol):
    """Fitted columns: `nestde.fit.counts.columns.Columns` and its like."""

    @property
    def q(self) -> Floats:
        """(n, r) group after group."""

    @property
    def back(self) -> Floats:
        """(p, r) from their coefficients to those of the design."""


class Ended(Protocol):
    """Where searches ended, of G genes, as `nestde.fit.counts.gene.Ends` has it."""

    @property
    def loglik(self) -> Floats:
        """(G,)."""

    @property
    def promise(self) -> Floats:
        """(G,) by which a Newton step would raise it."""

    @property
    def evaluations(self) -> NDArray[np.int64]:
        """(G,) of the likelihood."""

    @property
    def coefficients(self) -> Floats:
        """(G, r) of the fitted columns."""

    @property
    def covariance(self) -> Floats:
        """(G, r, r)."""

    @property
    def kappa(self) -> Floats:
        """(G,) log θ, infinite without overdispersion."""


@dataclass(frozen=True)
class CountModel(ABC):
    """The part of a model that is free of the counts.

    Attributes
    ----------
    design
        Of n cells.
    family
        Of `nestde.fit.counts.fits.FAMILIES`.
    cells
        In the order of their groups: of cells that agree in all random factors.
    full
        All columns.
    """

    design: Design
    family: str
    cells: Grouped
    full: Any

    @abstractmethod
    def without(self, rows: Floats) -> Any:
        """The model in which combinations of coefficients, (q, p) of full row rank, are 0."""

    @abstractmethod
    def search(
        self,
        which: Any,
        data: Data,
        skip: NDArray[np.bool_],
        like: "tuple[Any, CountFits] | None",
        threads: int | None,
    ) -> Any:
        """Search for the maximum of some columns' likelihood, from another model's fits if there are; its `Ended`."""

    @abstractmethod
    def factors(self, ends: Any) -> tuple[Floats, ...]:
        """For each random factor (G, k, k) Λ: its covariance is ΛΛ'."""

    @abstractmethod
    def modes(self, ends: Any) -> tuple[Floats, ...]:
        """For each random factor (G, groups, k) conditional modes."""

    @property
    @abstractmethod
    def thetas(self) -> int:
        """Number of parameters of the random effects' covariance."""

    def kept(self, rows: Floats) -> Floats:
        """(p, p − q) of what is left of the coefficients where combinations of them, (q, p), are 0."""
        kept: Floats = np.linalg.svd(rows)[2][len(rows) :].T
        # columns that take no part stay as they are
        free = ~np.any(rows != 0, axis=0)
        return np.eye(len(free))[:, free] if free.sum() == kept.shape[1] else kept

    def groups(self) -> list[NDArray[np.int64]]:
        """For each random factor (S,) the group of each group of cells."""
        first = self.cells.order[self.cells.begin[:-1]]
        return [factor.codes[first].astype(np.int64) for factor in self.design.random]


@dataclass(frozen=True)
class CountFits:
    """One count model fitted to G genes, on the scale of the formula; NaN where `status` tells why.

    Attributes
    ----------
    design
        Of the model.
    family
        Of `nestde.fit.counts.fits.FAMILIES`.
    thetas
        Number of parameters of the random effects' covariance.
    loglik
        (G,) log-likelihood by Laplace's approximation.
    coef, se
        (G, p) coefficients and standard errors; ±∞ and ∞ where the likelihood rises without end.
    vcov
        (G, p, p) covariance of the coefficients, of what has bounds.
    factors
        For each random factor the (G, k, k) Λ: its covariance is ΛΛ'.
    dispersion
        (G,) 1/θ: a count's variance is μ + μ²/θ; 0 but for NB.
    modes
        For each random factor (G, groups, k) conditional modes.
    evaluations
        (G,) of the likelihood.
    status, reason
        (G,) as `nestde.fit.record.Fits`.
    separated
        Gene -> in which directions its likelihood rises without end.
    ends
        On the fitted scale, to start others from.
    """

    design: Design
    family: str
    thetas: int
    loglik: Floats
    coef: Floats
    se: Floats
    vcov: Floats
    factors: tuple[Floats, ...]
    dispersion: Floats
    modes: tuple[Floats, ...]
    evaluations: NDArray[np.int64]
    status: Texts
    reason: Texts
    separated: dict[int, Unbounded]
    ends: Any

    @property
    def reml(self) -> bool:
        """By ML, all of them."""
        return False

    @property
    def df(self) -> int:
        """Number of parameters."""
        return int(self.coef.shape[1] + self.thetas + (self.family == "negative_binomial"))

    def sd(self) -> tuple[Floats, ...]:
        """For each random factor the (G, k) standard deviations of its effects."""
        return tuple(np.linalg.norm(part, axis=2) for part in self.factors)

    def corr(self) -> tuple[Floats, ...]:
        """For each random factor the (G, k, k) correlations of its effects, NaN with an effect of no variance."""
        out = []
        for part in self.factors:
            with np.errstate(invalid="ignore", divide="ignore"):
                unit = part / np.linalg.norm(part, axis=2)[:, :, None]
            out.append(np.clip(unit @ unit.swapaxes(1, 2), -1.0, 1.0))
        return tuple(out)

    def effect(self, weights: Floats) -> tuple[Floats, Floats]:
        """Estimate of a combination of coefficients and its standard error, each gene by itself."""
        variance = (self.vcov * np.outer(weights, weights)).sum(axis=(1, 2))
        finite = self.coef.copy()
        for g, found in self.separated.items():
            finite[g] = found.finite
        estimate, se = (finite * weights).sum(axis=1), np.sqrt(np.maximum(variance, 0))
        for g, found in self.separated.items():
            if found.concerns(weights):
                estimate[g], se[g] = found.sign(weights) * np.inf, np.inf
        return estimate, se


@dataclass(frozen=True)
class CountRatio:
    """Likelihood-ratio test for G genes, as `nestde.fit.record.LikelihoodRatio`.

    Attributes
    ----------
    reduced
        The fits in which the tested combinations are 0.
    stat, df, log_p
        (G,) twice the difference of the log-likelihoods; rows tested; (G,) log of χ²'s tail.
    status, reason
        (G,) of the worse of both fits.
    """

    reduced: CountFits
    stat: Floats
    df: int
    log_p: Floats
    status: Texts
    reason: Texts


def higher(ends: Any, others: Any) -> Any:
    """Of each gene the end of higher likelihood, both of one kind."""
    take = others.loglik > ends.loglik
    return type(ends)(
        *(
            np.where(take.reshape(-1, *[1] * (one.ndim - 1)), other, one)
            for one, other in zip(ends, others, strict=True)
        )
    )
