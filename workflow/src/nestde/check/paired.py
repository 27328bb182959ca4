"""Donors: columns of the sheet that group samples, crossed with what is tested (paired) or nested in it."""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestde.check.study import Study
from nestde.check.terms import labels_of

DONOR = re.compile(r"donor|individual|patient|subject|participant|animal|mouse|mice|person", re.IGNORECASE)


@dataclass(frozen=True)
class Donors:
    """How a column that groups samples lies to a tested factor.

    Attributes
    ----------
    groups
        Its levels that have samples.
    samples
        Samples it groups.
    crossed
        Levels that have samples of several levels of the tested factor.
    """

    name: str
    groups: int
    samples: int
    crossed: int


def donors_of(study: Study, tested: str) -> list[Donors]:
    """Columns of the sheet that group samples as donors do: few samples each, some with several.

    A column counts as donors by its name, or because its levels have about one sample of each level of what is tested.
    Numbers, such as a donor's age, count by their name only; and what is the same in all samples of each donor
    found is not another donor.
    """
    variable = study.variables[tested]
    if not variable.between or not variable.factor:
        return []
    there = np.unique(study.sample)
    of = labels_of(variable.values).codes[there]
    levels = len(np.unique(of))
    found: list[tuple[Donors, NDArray[np.int64]]] = []
    for name in study.sheet.columns.drop(["sample_id", "counts", tested], errors="ignore"):
        column = study.sheet[name].iloc[there]
        if column.isna().any() or column.dtype.kind == "f":
            continue
        codes = np.unique(column.astype(str), return_inverse=True)[1]
        groups = int(codes.max()) + 1
        if not 2 < groups < len(there):
            continue
        crossed = crossed_levels(codes, of)
        each_once = np.bincount(codes).max() <= levels and 2 * crossed >= groups
        number = column.dtype.kind in "iu"
        if DONOR.search(name) or (each_once and groups > levels and not number):
            found.append((Donors(str(name), groups, len(there), crossed), codes))
    kept: list[tuple[Donors, NDArray[np.int64]]] = []
    for donors, codes in sorted(found, key=lambda item: (not DONOR.search(item[0].name), -item[0].groups)):
        if DONOR.search(donors.name) or not any(_follows(codes, other) for _, other in kept):
            kept.append((donors, codes))
    return [donors for donors, _ in found if donors in [of for of, _ in kept]]


def _follows(codes: NDArray[np.int64], finer: NDArray[np.int64]) -> bool:
    """Whether a grouping of samples is constant within the groups of another."""
    return len(np.unique(np.column_stack([codes, finer]), axis=0)) == finer.max() + 1


def crossed_levels(codes: NDArray[np.int64], of: NDArray[np.int64]) -> int:
    """How many groups have members of several levels."""
    pairs = np.unique(np.column_stack([codes, of]), axis=0)
    return int((np.bincount(pairs[:, 0]) > 1).sum())
