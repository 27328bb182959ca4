"""When is a fit to be believed? Judged here, apart from fitting; one status and one reason for each response."""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats, Texts
from nestde.fit.record import Record

# Promised decrease of the deviance by a Newton step from the end; above it the end is no optimum.
DECREASE = 1e-6
# Two local optima whose deviances are closer than this are both "the" optimum, with different estimates.
TIE = 1e-6

CONSTANT = "all values are zero: no cell has a count"
PERFECT = "the fixed effects explain the response perfectly; no residual variance is left"
UNBOUNDED = "no residual variance is left within groups; the likelihood has no maximum"
NOT_OPTIMAL = "the optimiser ended where the likelihood still rises"
AMBIGUOUS = "two different optima of the likelihood are equally high"


def untestable(residual: Floats, rounding: Floats) -> tuple[Texts, Texts]:
    """Status ('' or not_testable) and reason from what the fixed effects leave of y'y and what of that is rounding, (G,)."""
    perfect = residual <= rounding
    reason = np.where(rounding == 0, CONSTANT, np.where(perfect, PERFECT, ""))
    return np.where(perfect, "not_testable", ""), reason


def judge(
    untested: tuple[Texts, Texts],
    record: Record,
    diagonal: NDArray[np.bool_],
    names: Sequence[str],
) -> tuple[Texts, Texts]:
    """Status and reason of each fit.

    Parameters
    ----------
    untested
        From `untestable`.
    record
        Of the fits; θ is NaN where the deviance has no minimum.
    diagonal
        (T,) which elements of θ are diagonal elements of a Λ.
    names
        (T,) what is singular if that element is zero.
    """
    status, reason = (text.astype(object) for text in untested)
    open_ = status == ""
    unbounded = open_ & np.isnan(record.end).any(axis=1)
    unstable = open_ & ~unbounded & ~(record.decrease <= DECREASE)
    ambiguous = open_ & ~unbounded & ~unstable & (record.margin < TIE)
    zero = (record.end == 0) & diagonal
    singular = open_ & ~unbounded & ~unstable & ~ambiguous & zero.any(axis=1)
    status[open_] = "ok"
    for where, word, why in (
        (unbounded, "failed", UNBOUNDED),
        (unstable, "unstable", NOT_OPTIMAL),
        (ambiguous, "unstable", AMBIGUOUS),
        (singular, "singular", ""),
    ):
        status[where], reason[where] = word, why
    # few ways to be singular, many genes that are
    ways, which = np.unique(zero[singular], axis=0, return_inverse=True)
    told = ["; ".join(itertools.compress(names, way)) for way in ways]
    reason[singular] = np.array(told, object)[which.reshape(-1)]
    return status.astype(str), reason.astype(str)
