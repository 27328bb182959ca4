"""What every fitted model of one response tells, whatever its family."""

from typing import Protocol

import numpy as np
import pandas as pd

from nestde.arrays import Floats, Texts
from nestde.design.design import Design


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
    def vcov(self) -> Floats:
        """(1, p, p) covariance of the fixed effects."""

    @property
    def df(self) -> int:
        """Number of parameters."""


class Result:
    """A fitted mixed model: `LMMResult` and `GLMMResult` say what is particular to them."""

    design: Design

    @property
    def _fits(self) -> FitsOfOne:
        raise NotImplementedError

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
        """Fixed effects, on the scale of the linear predictor."""
        return pd.Series(self._fits.coef[0], self.design.coef_names, name="estimate")

    @property
    def se(self) -> "pd.Series[float]":
        """Their standard errors."""
        return pd.Series(self._fits.se[0], self.design.coef_names, name="se")

    @property
    def vcov(self) -> pd.DataFrame:
        """Covariance of the fixed effects."""
        names = list(self.design.coef_names)
        return pd.DataFrame(self._fits.vcov[0], names, names)

    @property
    def status(self) -> str:
        """`ok`, `singular` (a variance is zero or a correlation ±1; the fit is valid) or `unstable`."""
        return str(self._fits.status[0])
