"""What a fit is: estimates, and how they were reached, as arrays over responses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats, Texts
from nestde.design.design import Design


class Record(NamedTuple):
    """How G optimisations went, on the fitted basis (see `nestde.fit.basis`); kernels fill it.

    Attributes
    ----------
    start, end
        (G, T) θ.
    evaluations
        (G,) of the deviance or its gradient, over all starts.
    gradient
        (G,) largest absolute element, at the end, of the gradient of the deviance by θ in units of its scale (1/√(mean Z'Z)).
    decrease
        (G,) decrease of the deviance that a Newton step from the end promises.
    optima
        (G,) number of different local optima that were met.
    margin
        (G,) difference of the deviance to the next best of them, infinite if there is none.
    """

    start: Floats
    end: Floats
    evaluations: NDArray[np.int64]
    gradient: Floats
    decrease: Floats
    optima: NDArray[np.int64]
    margin: Floats


def unsearched(genes: int, thetas: int) -> Record:
    """Room for the records of G responses that are still to be fitted."""
    shape = genes, thetas
    return Record(
        start=np.full(shape, np.nan),
        end=np.full(shape, np.nan),
        evaluations=np.zeros(genes, np.int64),
        gradient=np.full(genes, np.nan),
        decrease=np.full(genes, np.nan),
        optima=np.zeros(genes, np.int64),
        margin=np.full(genes, np.inf),
    )


@dataclass(frozen=True)
class Fits:
    """One model fitted to G responses, on the scale of the formula; NaN where `status` tells why.

    Attributes
    ----------
    design
        Of the model.
    reml
        REML, else ML.
    columns
        (p, r) combinations of the columns of `design.x` that are in the model; the identity has all as they are.
    loglik
        (G,) log-likelihood at the estimates.
    theta
        (G, T) relative covariance parameters, as lme4 orders them: over `design.random`, Λ column by column.
    sigma
        (G,) residual SD.
    coef, se
        (G, r) coefficients and standard errors.
    vcov
        (G, r, r) covariance of the coefficients.
    factors
        For each random factor the (G, k, k) Λ: its covariance is σ²ΛΛ'.
    zy
        For each random factor (G, groups, k) Z'(y − X `shift`).
    qy, yy
        (G, P) Q'(y − X `shift`) of all columns of the design, on the fitted basis; (G,) the square of y − X `shift`.
    shift
        (G, p) what was subtracted from y for `zy`, as coefficients of X.
    status, reason
        (G,) `ok`, `singular`, `unstable`, `not_testable` or `failed`, and why.
    record
        How they were found.
    """

    design: Design
    reml: bool
    columns: Floats
    loglik: Floats
    theta: Floats
    sigma: Floats
    coef: Floats
    se: Floats
    vcov: Floats
    factors: tuple[Floats, ...]
    zy: tuple[Floats, ...]
    qy: Floats
    yy: Floats
    shift: Floats
    status: Texts
    reason: Texts
    record: Record

    @property
    def df(self) -> int:
        """Number of parameters: coefficients, thetas and the residual variance."""
        return int(self.columns.shape[1] + self.theta.shape[1] + 1)

    def sd(self) -> tuple[Floats, ...]:
        """For each random factor the (G, k) standard deviations of its effects."""
        return sd_of(self.factors, self.sigma)

    def corr(self) -> tuple[Floats, ...]:
        """For each random factor the (G, k, k) correlations of its effects, NaN with an effect of no variance."""
        return corr_of(self.factors)


def sd_of(factors: Sequence[Floats], sigma: Floats) -> tuple[Floats, ...]:
    """(G, k) standard deviations of each factor's effects, from its (G, k, k) Λ."""
    return tuple(np.linalg.norm(part, axis=2) * sigma[:, None] for part in factors)


def corr_of(factors: Sequence[Floats]) -> tuple[Floats, ...]:
    """(G, k, k) correlations of each factor's effects, NaN with an effect of no variance."""
    out = []
    for part in factors:
        size = np.linalg.norm(part, axis=2)
        with np.errstate(invalid="ignore", divide="ignore"):
            unit = part / size[:, :, None]
        out.append(np.clip(unit @ unit.swapaxes(1, 2), -1.0, 1.0))
    return tuple(out)


@dataclass(frozen=True)
class LikelihoodRatio:
    """Test of one term for G responses: ML with against without it.

    Attributes
    ----------
    loglik_reduced
        (G,) log-likelihood without the term.
    stat
        (G,) twice the difference of the log-likelihoods, ≥ 0.
    df
        Columns of the term.
    log_p
        (G,) natural log of χ²'s upper tail, finite where the p-value itself would be 0.
    status, reason
        (G,) of the pair: the worse of both fits.
    reduced
        The fits without the term.
    """

    loglik_reduced: Floats
    stat: Floats
    df: int
    log_p: Floats
    status: Texts
    reason: Texts
    reduced: Fits


@dataclass(frozen=True)
class GeneFits:
    """The full model of G genes and its likelihood-ratio tests, by term."""

    full: Fits
    tests: dict[str, LikelihoodRatio]
