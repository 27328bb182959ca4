"""The likelihood ratio of count models against F: what a p-value can be where no other gene helps."""

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.design.design import Design, RandomFactor
from nestde.design.within import constant_within
from nestde.fit.log_sf import log_f_sf

# LRT/N beyond which F is beyond a float.
_LARGEST = 700.0
# Of a column, what random effects leave of it below this share is rounding.
_SPANNED = 1e-8


def residual_df(design: Design, rows: Floats) -> tuple[int, int]:
    """Units that a contrast is tested on, and what of them the coefficients leave: the fewest of those that take part.

    A coefficient belongs to the coarsest grouping factor within whose groups its column does not vary; a slope that
    groups have each their own of, to these groups; any other to the cells. Its units are the factor's groups, less those of
    factors that these are nested in.
    """
    found = [_units(design, column) for column in np.flatnonzero(np.any(rows != 0, axis=0)).tolist()]
    return min(found, key=lambda units: units[1])


def _units(design: Design, column: int) -> tuple[int, int]:
    """Units of one coefficient, and what is left of them."""
    for factor in sorted(design.random, key=lambda factor: len(factor.levels)):
        between = constant_within(design.x, factor)
        if between[column]:
            of_coarser = [other for other in design.random if other is not factor and factor.nested_in(other)]
            taken = max((len(other.levels) for other in of_coarser), default=0)
            own = between.copy()
            for other in of_coarser:
                own &= ~constant_within(design.x, other)
            return len(factor.levels) - taken, len(factor.levels) - taken - int(own.sum())
    for factor in sorted(design.random, key=lambda factor: len(factor.levels)):
        sloped = _sloped(design, factor)
        if sloped[column]:
            return len(factor.levels), len(factor.levels) - int(sloped.sum())
    return design.n, design.n - design.x.shape[1]


def _sloped(design: Design, factor: RandomFactor) -> NDArray[np.bool_]:
    """(p,) which columns vary within groups, and in each as a combination of its random effects."""
    left = design.x.astype(float).copy()
    for group in range(len(factor.levels)):
        rows = np.flatnonzero(factor.codes == group)
        left[rows] -= factor.z[rows] @ np.linalg.lstsq(factor.z[rows], left[rows], rcond=None)[0]
    spanned = np.abs(left).max(axis=0) <= _SPANNED * np.abs(design.x).max(axis=0)
    return np.asarray(spanned & ~constant_within(design.x, factor))


def log_p_of_ratio(
    design: Design, rows: Floats, stat: Floats, lost: NDArray[np.int64] | Floats | int = 0
) -> Floats:
    """(G,) log p of likelihood ratios, turned to F as in a linear model: F = (N − p)/q · (exp(LRT/N) − 1) on q and N − p df.

    `lost` is how many of the N units have nothing to tell of a gene.
    """
    units, left = residual_df(design, rows)
    few, df = np.broadcast_to(left - lost < 1, stat.shape), np.maximum(left - lost, 1)
    f = df / len(rows) * np.expm1(np.minimum(stat / np.maximum(units - lost, 1), _LARGEST))
    return np.where(few, np.nan, log_f_sf(f, len(rows), df))
