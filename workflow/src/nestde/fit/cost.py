"""How long a fit of crossed factors will take, from the sizes of its design alone: an order of magnitude."""

import numpy as np

from nestde.design.design import Design
from nestde.fit.layout import crowded
from nestde.fit.sparse.layout import order, sizes

# Measured on InstEval (2,972 × 1,128 × 14 levels, 6.6e8 multiplications an evaluation): 57 to 66 evaluations for a fit,
# 0.15 s each on a core that others share.
_EVALUATIONS, _PER_SECOND = 60, 4e9


def seconds_per_fit(design: Design) -> float:
    """Seconds of one core for a fit of one response; 0 where no factors with many levels cross."""
    if not crowded(design):
        return 0.0
    groups = np.unique(np.array([factor.codes for factor in design.random], np.int64), axis=1)
    work = order(design, groups).work(sizes(design), design.x.shape[1])
    return _EVALUATIONS * work / _PER_SECOND
