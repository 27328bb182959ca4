"""Containment (between–within) degrees of freedom, which know the design and not the estimates.

The rule of nlme (Pinheiro & Bates 2000, Mixed-Effects Models in S and S-PLUS, section 2.4.2): a coefficient belongs
to the coarsest grouping factor within whose groups its column does not vary, and has as many df as that factor
has groups, less those of coarser factors (or the intercept) and less the coefficients that belong there.
"""

from collections.abc import Sequence

import numpy as np

from nestde.arrays import Floats
from nestde.design.design import Design, RandomFactor
from nestde.design.within import ROUNDING, constant_within


def containment(design: Design) -> Floats:
    """Containment df of each coefficient, (p,); an intercept gets the largest of any level, as in nlme.

    Crossed factors, which nlme does not fit, count for each other as blocks do: at the level of the rows
    each takes its groups less one. Nothing is left (NaN) where the rule gives less than one.
    """
    x = design.x
    spread = np.ptp(x, axis=0)
    constant = spread <= ROUNDING * np.abs(x).max(axis=0)
    factors = sorted(design.random, key=lambda factor: len(factor.levels))
    within = np.array([constant_within(x, factor) for factor in factors])
    # coarsest factor within whose groups the column is constant; the rows if there is none
    level = np.where(within.any(axis=0), within.argmax(axis=0), len(factors)) if len(factors) else spread * 0
    df = np.array(
        [
            groups - _taken(factors[:i], factor, bool(constant.any())) - np.sum((level == i) & ~constant)
            for i, (groups, factor) in enumerate([*((len(f.levels), f) for f in factors), (design.n, None)])
        ],
        float,
    )
    out = np.where(constant, df.max(), df[level.astype(int)])
    return np.where(out >= 1, out, np.nan)


def containment_of(rows: Floats, each: Floats) -> float:
    """Containment df of a contrast (rows, p): the fewest of the coefficients that take part."""
    return float(each[np.any(rows != 0, axis=0)].min())


def unit_of(design: Design, columns: Sequence[int]) -> RandomFactor | None:
    """The grouping factor of fewest groups within which no one of some columns varies: what they are tested between.

    None if they vary between the rows of every group.
    """
    constant = [f for f in design.random if constant_within(design.x[:, list(columns)], f).all()]
    return min(constant, key=lambda factor: len(factor.levels), default=None)


def _taken(coarser: list[RandomFactor], factor: RandomFactor | None, intercept: bool) -> int:
    """Degrees of freedom of a level's groups that coarser factors, or the intercept alone, have taken."""
    above = [other for other in coarser if factor is None or factor.nested_in(other)]
    finest = [f for i, f in enumerate(above) if not any(finer.nested_in(f) for finer in above[i + 1 :])]
    return int(intercept) + sum(len(f.levels) - int(intercept) for f in finest)
