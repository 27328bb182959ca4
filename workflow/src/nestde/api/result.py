"""What every fitted model of one response tells, whatever its family."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import pandas as pd
from scipy.stats import t as student

from nestde.api.printed import Summary
from nestde.arrays import Floats, Texts
from nestde.design.contrasts import contrasts
from nestde.design.design import Design, build_design
from nestde.design.formula import variables_of
from nestde.design.new_rows import NewRows, new_rows
from nestde.errors import NestdeError, a_few


class FitsOfOne(Protocol):
    """What it takes of an engine's fits, of which the first is the response's."""

    @property
    def loglik(self) -> Floats:
        """(1,)."""

    @property
    def coef(self) -> Floats:
        """(1, p) fixed effects."""

    @property
    def se(self) -> Floats:
        """(1, p) their standard errors."""

    @property
    def status(self) -> Texts:
        """(1,)."""

    @property
    def reason(self) -> Texts:
        """(1,)."""

    @property
    def vcov(self) -> Floats:
        """(1, p, p) covariance of the fixed effects."""

    @property
    def df(self) -> int:
        """Number of parameters."""


class Result(ABC):
    """A fitted mixed model: `LMMResult` and `GLMMResult` say what is particular to them.

    Its names are those of statsmodels where Python has one (`params`, `bse`, `pvalues`, `conf_int`, `fittedvalues`, `resid`,
    `predict`), and else lme4's (`ranef`).
    """

    design: Design
    y: Floats
    frame: pd.DataFrame
    shift: Floats

    @property
    @abstractmethod
    def _fits(self) -> FitsOfOne:
        """The engine's."""

    @abstractmethod
    def _modes(self) -> Sequence[Floats]:
        """For each random factor (groups, k) conditional modes."""

    @abstractmethod
    def _tested(self, rows: Sequence[Floats], method: str | None) -> pd.DataFrame:
        """Combinations of the coefficients, each (1, p), with estimate, se, df and p."""

    @abstractmethod
    def _mean(self, link: Floats) -> Floats:
        """The mean of the response at values of the linear predictor."""

    @abstractmethod
    def _shift_of(self, frame: pd.DataFrame) -> Floats:
        """(m,) what is added to the linear predictor of other rows beside what is fitted."""

    @property
    @abstractmethod
    def random_effects_covariance(self) -> dict[str, pd.DataFrame]:
        """Factor -> (k, k) covariance of its effects, on the scale of the linear predictor."""

    @abstractmethod
    def summary(self) -> Summary:
        """What is printed: likelihood, variances, fixed effects with their tests, reference levels, how the fit ended."""

    def __str__(self) -> str:
        return str(self.summary())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    @property
    def loglik(self) -> float:
        """Log-likelihood: REML's of such a fit, Laplace's approximation of a count model."""
        return float(self._fits.loglik[0])

    @property
    def deviance(self) -> float:
        """−2 log-likelihood; for REML its criterion."""
        return -2.0 * self.loglik

    @property
    def aic(self) -> float:
        """Akaike's information criterion."""
        return self.deviance + 2.0 * self._fits.df

    @property
    def bic(self) -> float:
        """Bayesian information criterion, with the number of observations."""
        return float(self.deviance + np.log(self.design.n) * self._fits.df)

    @property
    def coef(self) -> "pd.Series[float]":
        """(p,) fixed effects, on the scale of the linear predictor."""
        return pd.Series(self._fits.coef[0], self.design.coef_names, name="estimate")

    @property
    def se(self) -> "pd.Series[float]":
        """(p,) their standard errors."""
        return pd.Series(self._fits.se[0], self.design.coef_names, name="se")

    @property
    def params(self) -> "pd.Series[float]":
        """`coef`, as statsmodels calls it."""
        return self.coef

    @property
    def bse(self) -> "pd.Series[float]":
        """`se`, as statsmodels calls it."""
        return self.se

    @property
    def vcov(self) -> pd.DataFrame:
        """(p, p) covariance of the fixed effects."""
        names = list(self.design.coef_names)
        return pd.DataFrame(self._fits.vcov[0], names, names)

    @property
    def pvalues(self) -> "pd.Series[float]":
        """(p,) two-sided p-values of the fixed effects, as they are printed."""
        return self._coefficients()["p"]

    @property
    def status(self) -> str:
        """`ok`, `singular` (a variance is zero or a correlation ±1; the fit is valid) or `unstable`."""
        return str(self._fits.status[0])

    @property
    def fittedvalues(self) -> "pd.Series[float]":
        """(n,) means of the response at the fitted effects, the random ones included; indexed as the rows were."""
        return pd.Series(self._mean(self._link(self._fitted_rows()) + self.shift), self.frame.index)

    @property
    def resid(self) -> "pd.Series[float]":
        """(n,) response less `fittedvalues`, on the scale of the response."""
        return pd.Series(self.y, self.frame.index) - self.fittedvalues

    def ranef(self) -> dict[str, pd.DataFrame]:
        """Predicted random effects (conditional modes, BLUPs), on the scale of the linear predictor.

        Returns
        -------
        dict
            Factor -> frame, groups × effects. Bates, Mächler, Bolker, Walker (2015, J Stat Softw 67(1)), eq. 56.
        """
        return {
            factor.name: pd.DataFrame(part, list(factor.levels), list(factor.effects))
            for factor, part in zip(self.design.random, self._modes(), strict=True)
        }

    def conditional_modes(self) -> dict[str, pd.DataFrame]:
        """`ranef`, as the literature calls it."""
        return self.ranef()

    def conf_int(self, level: float = 0.95, *, method: str | None = None) -> pd.DataFrame:
        """Confidence intervals of the fixed effects: estimate ± quantile of t × standard error.

        Parameters
        ----------
        level
            Coverage, between 0 and 1.
        method
            Of the degrees of freedom, as `contrast` takes it.

        Returns
        -------
        pandas.DataFrame
            ``lower`` and ``upper`` of each coefficient.

        Raises
        ------
        NestdeError
            The level is no share, or there is no such method.
        """
        return _limits(self._coefficients(method), level)

    def contrast(self, *tests: str, level: float = 0.95, method: str | None = None) -> pd.DataFrame:
        """Differences between levels, with their tests.

        Parameters
        ----------
        tests
            Each a contrast, ``AD - Control``, ``(AD + MCI)/2 - Control``, ``AD - Control | sex=F``; or a term, of which every
            level is compared with each before it.
        level
            Coverage of the limits.
        method
            Of an LMM ``satterthwaite`` (the default of REML), ``kenward_roger`` or ``containment`` (the default of ML).

        Returns
        -------
        pandas.DataFrame
            A row each: ``estimate, se, df`` and ``p`` on the scale of the linear predictor, unadjusted for their number; ``t``,
            or of counts ``ratio`` (e^estimate) and ``lrt``; and ``lower``, ``upper``.

        Raises
        ------
        NestdeError
            What is asked for is no contrast of this model.
        """
        read = sorted(set(variables_of(self.design.formula.fixed)) & set(self.design.levels))
        levels = {name: list(self.design.levels[name]) for name in read}
        design = build_design(self.design.formula, self.frame, test=tests, levels=levels)
        if design.untested:
            raise NestdeError(f"contrast: {test}: {why}." for test, why in design.untested.items())
        found = [one for test in tests for one in contrasts(design, test)]
        names = [
            one.term
            if one.term in design.contrasts
            else f"{one.level} - {one.against}"
            if one.against
            else one.level
            for one in found
        ]
        table = self._tested([one.rows for one in found], method)
        return table.assign(**_limits(table, level)).set_axis(names, axis=0)

    def predict(
        self,
        frame: pd.DataFrame | None = None,
        *,
        random: bool = True,
        unseen: bool = False,
        link: bool = False,
    ) -> "pd.Series[float]":
        """Predict the mean of the response.

        Parameters
        ----------
        frame
            Rows to predict, with the columns of the formula; None takes those that were fitted. Means, ranges and knots that the
            formula takes from the data stay those of the fitted rows.
        random
            Whether each row has the random effects of its groups (lme4's default); else those of a typical group, which are 0.
        unseen
            Whether groups that were not fitted may come; their effects are 0.
        link
            Give the linear predictor: of counts the logarithm of the mean.

        Returns
        -------
        pandas.Series
            (m,), indexed as the rows.

        Raises
        ------
        NestdeError
            What the rows lack: columns, values, levels or, unless `unseen`, groups that were fitted.
        """
        if frame is None:
            rows, shift, index = self._fitted_rows(), self.shift, self.frame.index
        else:
            rows = new_rows(self.design, self.frame, frame, random=random)
            shift, index = self._shift_of(frame), frame.index
            for factor, codes in zip(self.design.random, rows.codes, strict=False):
                if (codes < 0).any() and not unseen:
                    raise NestdeError(
                        f"predict: rows {a_few((np.flatnonzero(codes < 0) + 1).tolist())} are of groups of {factor.name} that were "
                        "not fitted. With unseen=True their effects are 0; with random=False those of all rows are."
                    )
        predictor = self._link(rows, random) + shift
        return pd.Series(predictor if link else self._mean(predictor), index)

    def _coefficients(self, method: str | None = None) -> pd.DataFrame:
        rows = [row[None] for row in np.eye(len(self.design.coef_names))]
        return self._tested(rows, method).set_axis(list(self.design.coef_names), axis=0)

    def _fitted_rows(self) -> NewRows:
        factors = self.design.random
        codes = tuple(factor.codes.astype(np.int64) for factor in factors)
        return NewRows(self.design.x, codes, tuple(factor.z for factor in factors))

    def _link(self, rows: NewRows, random: bool = True) -> Floats:
        """Linear predictor, without what is added to it beside what is fitted."""
        out = rows.x @ self._fits.coef[0]
        if random:
            for codes, z, part in zip(rows.codes, rows.z, self._modes(), strict=True):
                out = out + np.where(codes >= 0, (z * part[codes]).sum(axis=1), 0.0)
        return np.asarray(out)


def check_level(level: float) -> None:
    """Raise `NestdeError` where a coverage is no share."""
    if not 0 < level < 1:
        raise NestdeError(f"level {level}: a share between 0 and 1 is wanted, such as 0.95.")


def _limits(table: pd.DataFrame, level: float) -> pd.DataFrame:
    """Limits of t."""
    check_level(level)
    half = student.isf((1 - level) / 2, table["df"].to_numpy(float)) * table["se"]
    return pd.DataFrame({"lower": table["estimate"] - half, "upper": table["estimate"] + half})
