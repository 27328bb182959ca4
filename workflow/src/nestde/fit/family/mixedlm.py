"""statsmodels' MixedLM, the reference in this process for linear mixed models."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from nestde.arrays import Floats
from nestde.fit.family.family import CrossReference

if TYPE_CHECKING:
    from nestde.design.design import Design


def mixedlm(response: Callable[[Floats, Floats], Floats]) -> CrossReference:
    """The reference for a response: what it makes of (n,) counts and size factors, by other means than the fits do."""

    def refit(
        design: "Design", term: str, by: str, counts: Floats, size_factor: Floats
    ) -> tuple[float, float, Floats]:
        y = response(counts, size_factor)
        full, coef = _refit(design, y, design.x)
        if by == "REML":
            coef = _refit(design, y, design.x, reml=True)[1]
        reduced, _ = _refit(design, y, design.x @ design.without(term))
        return full, reduced, coef

    return CrossReference(
        name="statsmodels",
        sentence=(
            "statsmodels' MixedLM maximises the same likelihood by another route. Log-likelihoods (full and reduced model) and "
            "coefficients should agree."
        ),
        kind="one grouping factor, correlated effects",
        why_not=why_not,
        refit=refit,
    )


def why_not(design: "Design") -> str:
    """Say why statsmodels cannot be the reference for a design; '' if it can."""
    if len(design.random) != 1 or len(set(design.random[0].blocks)) != 1:
        return "statsmodels' MixedLM is our reference for one grouping factor with correlated effects only"
    return ""


def _refit(design: "Design", y: Floats, x: Floats, reml: bool = False) -> tuple[float, Floats]:
    """Fit with bfgs, and with powell where that does not converge; what statsmodels warns of is seen in the result.

    Its default, lbfgs, can end at a variance of exactly zero, where it reports a log-likelihood of +inf.
    """
    from statsmodels.regression.mixed_linear_model import MixedLM

    factor = design.random[0]
    best, coef = -np.inf, np.full(x.shape[1], np.nan)
    for method, tolerances in (("bfgs", {"gtol": 1e-8}), ("powell", {"xtol": 1e-8, "ftol": 1e-12})):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                model = MixedLM(y, x, groups=factor.codes, exog_re=factor.z)
                fit = model.fit(reml=reml, method=method, **tolerances)
                loglik = float(fit.llf)
            except (np.linalg.LinAlgError, ValueError):
                continue
        if best < loglik < np.inf:
            best, coef = loglik, np.asarray(fit.fe_params)
            if fit.converged:
                break
    return best, coef
