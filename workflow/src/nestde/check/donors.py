"""Donors: columns of sheet or data that group samples, crossed with what is tested (paired) or nested in it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.check.labels import names_donors
from nestde.check.study import Study, labels_of

if TYPE_CHECKING:
    import pandas as pd


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
    codes
        (samples) level of each sample of the sheet, -1 for one without a cell.
    """

    name: str
    groups: int
    samples: int
    crossed: int
    codes: NDArray[np.int64] = field(compare=False)


def donors_of(study: Study, tested: str) -> list[Donors]:
    """Columns that group samples as donors do: few samples each, some with several.

    A column counts as donors by its name; one of the sheet also because its levels have about one sample of each level
    of what is tested. Numbers, such as a donor's age, count by their name only; and what is the same in all samples of
    each donor found is not another donor.
    """
    variable = study.variables[tested]
    if not variable.between or not variable.factor:
        return []
    there = np.unique(study.sample)
    of = labels_of(variable.values).codes[there]
    levels = len(np.unique(of))
    found: list[Donors] = []
    for name, values in _columns(study, tested).items():
        column = values.iloc[there]
        if column.isna().any() or (column.dtype.kind == "f" and not (column % 1 == 0).all()):
            continue
        codes = np.unique(column.astype(str), return_inverse=True)[1]
        groups = int(codes.max()) + 1
        if not 2 < groups < len(there):
            continue
        crossed = crossed_levels(codes, of)
        each_once = np.bincount(codes).max() <= levels and 2 * crossed >= groups
        number = column.dtype.kind in "iuf"
        if names_donors(name) or (name in study.sheet and each_once and groups > levels and not number):
            of_samples = np.full(len(study.samples), -1)
            of_samples[there] = codes
            found.append(Donors(name, groups, len(there), crossed, of_samples))
    kept: list[Donors] = []
    for donors in sorted(found, key=lambda donors: (not names_donors(donors.name), -donors.groups)):
        # several names of the same donors are one; what is in the formula is named before what is not
        same = [
            other
            for other in kept
            if _follows(donors.codes, other.codes) and _follows(other.codes, donors.codes)
        ]
        if (names_donors(donors.name) and not same) or not any(
            _follows(donors.codes, other.codes) for other in kept
        ):
            kept.append(donors)
    return [donors for donors in found if donors in kept]


def _columns(study: Study, tested: str) -> dict[str, "pd.Series[Any]"]:
    """Columns of samples: those of the formula first, then of the sheet, then those of the data that are named like donors."""
    columns = {
        name: variable.values
        for name, variable in study.variables.items()
        if variable.between and names_donors(name)
    }
    columns |= {str(name): study.sheet[name] for name in study.sheet.columns}
    columns |= study.donors
    return {name: values for name, values in columns.items() if name not in ("sample_id", "counts", tested)}


def _follows(codes: NDArray[np.int64], finer: NDArray[np.int64]) -> bool:
    """Whether a grouping of samples is constant within the groups of another."""
    return len(np.unique(np.column_stack([codes, finer]), axis=0)) == len(np.unique(finer))


def crossed_levels(codes: NDArray[np.int64], of: NDArray[np.int64]) -> int:
    """How many groups have members of several levels."""
    pairs = np.unique(np.column_stack([codes, of]), axis=0)
    return int((np.bincount(pairs[:, 0]) > 1).sum())
