"""Rows that were not fitted, on the columns of a design: what a prediction is made of."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.design.columns import materialise, prepare
from nestde.design.design import Design
from nestde.design.expressions import quoted
from nestde.design.formula import variables_of
from nestde.errors import Faults, NestdeError, a_few
from nestde.io.source import label
from nestde.words import are

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class NewRows:
    """What multiplies the effects in m rows.

    Attributes
    ----------
    x
        (m, p) columns of the design.
    codes
        For each random factor (m,) the group of each row, an index into its levels; −1 of a group that was not fitted.
    z
        For each random factor (m, k) what multiplies each effect.
    """

    x: Floats
    codes: tuple[NDArray[np.int64], ...]
    z: tuple[Floats, ...]


def new_rows(
    design: Design, fitted: "pd.DataFrame", frame: "pd.DataFrame", *, random: bool = True
) -> NewRows:
    """Evaluate the formula of a design on other rows, with the levels, means and knots of those that were fitted.

    Parameters
    ----------
    design
        Of the fitted rows.
    fitted
        The columns that the formula reads, of the fitted rows.
    frame
        One row per prediction.
    random
        Whether random effects are wanted; without, no column of theirs is read.

    Raises
    ------
    NestdeError
        Columns or values that are missing, levels that were not fitted; all of them.
    """
    formula = design.formula
    terms = formula.random if random else ()
    read = sorted(set(variables_of(formula.fixed)).union(*(variables_of(term.effects) for term in terms)))
    grouping = sorted({name for term in terms for name in term.factors})
    faults = Faults()
    for name in sorted({*read, *grouping}):
        if name not in frame.columns:
            faults.add(
                f"predict: the rows have no column {name}. Their columns are {a_few(frame.columns, 12)}."
            )
        elif frame[name].isna().any():
            faults.add(f"predict: {name}: {are(int(frame[name].isna().sum()), 'value')} missing.")
    faults.raise_if_any()
    alone = replace(formula, random=tuple(replace(term, factors=()) for term in terms))
    known, _ = prepare(
        alone, fitted, {name: design.levels[quoted(name)] for name in read if quoted(name) in design.levels}
    )
    both = _stacked(known, frame, faults)
    faults.raise_if_any()
    n = len(fitted)

    def matrix(expression: str) -> "pd.DataFrame":
        try:
            return materialise(expression, both, learn=n)[0]
        except NestdeError as error:
            raise NestdeError(f"predict: {sentence}" for sentence in error.faults) from error

    x = matrix(formula.fixed)
    if tuple(x.columns) != design.coef_names:
        raise NestdeError(
            f"predict: the rows have values of {a_few([name for name in x.columns if name not in design.coef_names])}, which "
            "were not fitted. Give levels that were."
        )
    effects: dict[tuple[str, ...], list[Floats]] = {}
    for term in terms:
        effects.setdefault(tuple(sorted(term.factors)), []).append(matrix(term.effects).to_numpy(float)[n:])
    columns = {term.group: tuple(sorted(term.factors)) for term in reversed(terms)}
    factors = design.random if random else ()
    return NewRows(
        np.ascontiguousarray(x.to_numpy(float)[n:]),
        tuple(_groups(factor.codes, columns[factor.name], fitted, frame) for factor in factors),
        tuple(np.hstack(effects[columns[factor.name]]) for factor in factors),
    )


def _stacked(known: "pd.DataFrame", frame: "pd.DataFrame", faults: Faults) -> "pd.DataFrame":
    """Prepared columns of the fitted rows, and below them those of others."""
    import pandas as pd

    both: dict[str, Any] = {}
    for name, column in known.items():
        if column.dtype == "category":
            order = list(column.cat.categories)
            labels = frame[name].astype(object).map(label)
            strange = sorted(set(labels) - set(order))
            if strange:
                faults.add(
                    f"predict: {name}: {a_few(strange)} was not fitted; its levels are {a_few(order, 12)}."
                )
            codes = pd.Categorical(labels, categories=order).codes
            both[str(name)] = pd.Categorical.from_codes(np.append(column.cat.codes, codes), categories=order)
            continue
        values = pd.to_numeric(frame[name], errors="coerce").to_numpy(float)
        if not np.isfinite(values).all():
            wrong = a_few(frame[name].to_numpy()[~np.isfinite(values)].tolist())
            faults.add(f"predict: {name}: numbers are wanted, and there is {wrong}.")
        elif column.dtype.kind == "i" and (values == np.floor(values)).all():
            values = values.astype(np.int64)  # what C() makes a factor of keeps its look
        both[str(name)] = np.append(column.to_numpy(), values)
    return pd.DataFrame(both, index=pd.RangeIndex(len(frame) + len(known)))


def _groups(
    codes: NDArray[np.int32], names: Sequence[str], fitted: "pd.DataFrame", frame: "pd.DataFrame"
) -> NDArray[np.int64]:
    """(m,) the group of each row; −1 where there is none like it."""
    known = dict(zip(_keys(fitted, names, fitted), codes.tolist(), strict=True))
    return np.array([known.get(key, -1) for key in _keys(frame, names, fitted)], np.int64)


def _keys(frame: "pd.DataFrame", names: Sequence[str], fitted: "pd.DataFrame") -> list[tuple[object, ...]]:
    """What rows of a group agree in: numbers where numbers were fitted, else labels."""
    columns = []
    for name in names:
        number = fitted[name].dtype.kind in "iuf"
        column = frame[name].astype(float) if number else frame[name].astype(object).map(label)
        columns.append(column.tolist())
    return list(zip(*columns, strict=True)) if columns else list(itertools.repeat((), len(frame)))
