"""Power of t tests."""

import numpy as np
from scipy import stats

from nestde.arrays import Floats


def t_power(shift: Floats | float, df: float, alpha: float = 0.05) -> Floats:
    """Power of a two-sided t test.

    A mean over s² ~ χ²(df)/df, as t = (Z + shift) / s: scipy's noncentral t gives NaN for few degrees of freedom.

    Parameters
    ----------
    shift
        What is estimated, in units of the estimate's standard deviation.
    df
        Degrees of freedom of its estimated standard deviation.
    alpha
        Nominal size.
    """
    critical = stats.t.isf(alpha / 2, df)
    bound = critical * np.sqrt(stats.chi2.ppf((np.arange(4000) + 0.5) / 4000, df) / df)
    away = np.asarray(shift, float)[..., None]
    found: Floats = np.mean(stats.norm.sf(bound - away) + stats.norm.cdf(-bound - away), axis=-1)
    return found
