"""The likelihood ratio of count models against F: what a p-value can be where no other gene helps."""

import numpy as np

from nestde.arrays import Floats
from nestde.design.design import Design
from nestde.design.within import constant_within
from nestde.fit.log_sf import log_f_sf

# LRT/N beyond which F is beyond a float.
_LARGEST = 700.0


def residual_df(design: Design, rows: Floats) -> tuple[int, int]:
    """Units that a contrast is tested on, and what of them the coefficients leave.

    These are groups, and the coefficients between them, if nothing that is tested varies within groups, else cells.
    """
    between = constant_within(design.x, design.random[0])
    if between[np.any(rows != 0, axis=0)].all():
        units = len(design.random[0].levels)
        return units, units - int(between.sum())
    return design.n, design.n - design.x.shape[1]


def log_p_of_ratio(design: Design, rows: Floats, stat: Floats) -> Floats:
    """(G,) log p of likelihood ratios, turned to F as in a linear model: F = (N − p)/q · (exp(LRT/N) − 1) on q and N − p df."""
    units, left = residual_df(design, rows)
    if left < 1:
        return np.full(len(stat), np.nan)
    return log_f_sf(left / len(rows) * np.expm1(np.minimum(stat / units, _LARGEST)), len(rows), left)
