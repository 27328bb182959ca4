"""`nestde.lrt`: two nested models of one response, compared by their likelihoods."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nestde.arrays import Floats
from nestde.design.design import Design, RandomFactor
from nestde.errors import NestdeError
from nestde.fit.log_sf import log_chi2_sf

if TYPE_CHECKING:
    from nestde.api.glmm import GLMMResult
    from nestde.api.lmm import LMMResult

# Of a column of the smaller model, what the larger cannot explain must be below this share.
_ROUNDING = 1e-8


@dataclass(frozen=True)
class LRT:
    """Likelihood-ratio test of two nested models.

    Attributes
    ----------
    statistic
        Twice the difference of the log-likelihoods.
    df
        Difference of the numbers of parameters.
    p, log_p
        Upper tail of χ², and its natural log, which is finite where p is 0.
    note
        What to know when reading it; '' if nothing.
    """

    statistic: float
    df: int
    p: float
    log_p: float
    note: str

    def __str__(self) -> str:
        p = f"{self.p:.4g}" if self.p > 0 else f"10^{self.log_p / np.log(10):.1f}"
        line = f"Likelihood-ratio test: chi2 = {self.statistic:.4f}, df = {self.df}, p = {p}"
        return f"{line}\n{self.note}" if self.note else line


def lrt(full: "LMMResult | GLMMResult", reduced: "LMMResult | GLMMResult") -> LRT:
    """Compare two nested models of the same response by their likelihoods.

    Parameters
    ----------
    full, reduced
        Both from `nestde.lmm`, by ML; or by REML, if their fixed effects are the same. Or both from `nestde.glmm`, of one
        family.

    Raises
    ------
    NestdeError
        The comparison has no meaning: other data, REML with different fixed effects, models not nested.
    """
    if not np.array_equal(full.y, reduced.y):
        raise NestdeError(
            f"lrt: the models are of different data ({full.design.n:,} and {reduced.design.n:,} observations"
            f"{', with other values' if full.design.n == reduced.design.n else ''}). Fit both to the same rows."
        )
    if full.family != reduced.family:
        raise NestdeError(
            f"lrt: the models are of different families, {full.family} and {reduced.family}; their likelihoods differ by more "
            "than what is left out. Fit both by the same."
        )
    if not np.array_equal(full.shift, reduced.shift):
        raise NestdeError("lrt: the models have not the same offset. Give both the same.")
    if full.fits.reml != reduced.fits.reml:
        raise NestdeError("lrt: one model is fitted by REML and the other by ML. Refit both with reml=False.")
    within = _spans(full.design.x, reduced.design.x)
    same_x = within and full.design.x.shape[1] == reduced.design.x.shape[1]
    if full.fits.reml and not same_x:
        raise NestdeError(
            "lrt: both models are fitted by REML and their fixed effects differ. REML's likelihood is that of the data "
            "after the fixed effects are taken out, so with different fixed effects it is of different data and cannot be "
            "compared. Refit both with reml=False."
        )
    df = full.fits.df - reduced.fits.df
    random_within = _random_within(full.design, reduced.design)
    if not within or not random_within or df <= 0:
        if _spans(reduced.design.x, full.design.x) and _random_within(reduced.design, full.design) and df < 0:
            raise NestdeError("lrt: the first model is nested in the second. Give the larger model first.")
        what = "fixed effects" if not within else "random effects" if not random_within else "parameters"
        raise NestdeError(
            "lrt: the models have the same parameters; there is nothing to test."
            if df == 0 and within and random_within
            else f"lrt: the second model is not nested in the first: its {what} are not all in the first. "
            "Compare such models by AIC or BIC."
        )
    statistic = max(2.0 * (full.loglik - reduced.loglik), 0.0)
    log_p = float(log_chi2_sf(statistic, df))
    note = ""
    if _variances(full.design) > _variances(reduced.design):
        note = "A variance is tested at the edge of its range, zero: p is too large, for one variance by a factor of two."
    return LRT(statistic, df, float(np.exp(log_p)), log_p, note)


def _spans(x: Floats, columns: Floats) -> bool:
    """Whether the columns are combinations of those of x."""
    size = np.linalg.norm(columns, axis=0)
    q, _ = np.linalg.qr(x)
    unit = columns / np.where(size > 0, size, 1.0)
    return bool(np.all(np.abs(unit - q @ (q.T @ unit)) <= _ROUNDING))


def _random_within(full: Design, reduced: Design) -> bool:
    """Whether each random effect of `reduced`, and each correlation, is one of `full`."""
    return all(any(_factor_within(larger, factor) for larger in full.random) for factor in reduced.random)


def _factor_within(full: RandomFactor, reduced: RandomFactor) -> bool:
    if not np.array_equal(full.codes, reduced.codes) or not _spans(full.z, reduced.z):
        return False
    if not set(reduced.effects) <= set(full.effects):
        # another basis of the same effects, such as 0 + f for f: only without the restriction to no correlation
        return len(set(full.blocks)) == 1
    place = [full.effects.index(effect) for effect in reduced.effects]
    return all(
        full.blocks[place[i]] == full.blocks[place[j]]
        for i in range(len(place))
        for j in range(i)
        if reduced.blocks[i] == reduced.blocks[j]
    )


def _variances(design: Design) -> int:
    return sum(len(factor.effects) for factor in design.random)
