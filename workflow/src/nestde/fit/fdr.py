"""False discovery rates, by statsmodels, where some p-values are missing."""

from typing import TYPE_CHECKING

import numpy as np

from nestde.arrays import Floats

if TYPE_CHECKING:
    import pandas as pd


def benjamini_hochberg(pvalues: "pd.Series[float] | Floats") -> Floats:
    """False discovery rates of the p-values that are there; NaN for the others."""
    from statsmodels.stats.multitest import fdrcorrection

    p = np.asarray(pvalues, float)
    known = np.isfinite(p)
    rates = np.full(len(p), np.nan)
    if known.any():
        rates[known] = fdrcorrection(p[known])[1]
    return rates
