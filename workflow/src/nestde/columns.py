"""Columns of a table made ready for a formula: numbers as floats, all else as factors with known levels."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.cells.source import label
from nestde.errors import Faults, NestdeError, a_few
from nestde.formula import Formula, variables_of

if TYPE_CHECKING:
    import pandas as pd


def prepare(
    formula: Formula, frame: "pd.DataFrame", levels: Mapping[str, Sequence[object]]
) -> tuple["pd.DataFrame", dict[str, tuple[str, ...]]]:
    """Columns the formula reads, as floats or categoricals without unused levels; and factors' levels."""
    import pandas as pd

    faults = Faults()
    if not len(frame):
        raise NestdeError("formula: the table has no rows.")
    for name in [*formula.variables, *levels]:
        if name not in frame.columns:
            near = difflib.get_close_matches(name, [str(column) for column in frame.columns], n=3, cutoff=0.6)
            hint = (
                f"Did you mean {' or '.join(near)}?"
                if near
                else f"The columns are {a_few(frame.columns, 12)}."
            )
            where = formula.at(name) if name in formula.variables else ""
            what = "formula" if where else "levels"
            faults.add(f"{what}: the data have no column {name}. {hint}{where}")
    fixed = set(variables_of(formula.fixed)).union(*(variables_of(term.effects) for term in formula.random))
    called = {name for name in fixed if formula.codes(name)}
    columns: dict[str, Any] = {}
    found: dict[str, tuple[str, ...]] = {}
    for name in formula.variables:
        if name not in frame.columns:
            continue
        column = frame[name]
        if isinstance(column, pd.DataFrame):
            faults.add(f"{name}: {column.shape[1]} columns have this name.")
            continue
        missing = column.isna().to_numpy(bool)
        if not _is_number(column):
            missing |= (column.astype(object) == "").to_numpy(bool)
        if missing.any():
            faults.add(_missing_sentence(name, missing, frame))
            continue
        if name not in fixed or name in levels or not _is_number(column):
            try:
                columns[name] = _factor(column, levels.get(name), name in fixed and name not in called)
            except NestdeError as error:
                faults.add(str(error))
                continue
            if name in fixed and name not in called:
                found[name] = tuple(columns[name].categories)
        else:
            # whole numbers that C() turns into a factor keep their look: batch[2], not batch[2.0]
            whole = name in called and column.dtype.kind in "iu"
            columns[name] = column.to_numpy(np.int64 if whole else float)
            if not np.isfinite(columns[name]).all():
                faults.add(f"{name}: {np.sum(~np.isfinite(columns[name])):,} values are infinite.")
    faults.raise_if_any()
    return pd.DataFrame(columns, index=pd.RangeIndex(len(frame))), found


def grouping(column: "pd.Series[Any]") -> "pd.Categorical":
    """A prepared column as labels of groups, also one that is a number in the fixed part."""
    import pandas as pd

    return pd.Categorical(column) if column.dtype == "category" else _factor(column, None, False)


def _is_number(column: "pd.Series[Any]") -> bool:
    from pandas.api import types

    return types.is_numeric_dtype(column.dtype) and not types.is_bool_dtype(column.dtype)


def _missing_sentence(name: str, missing: NDArray[np.bool_], frame: "pd.DataFrame") -> str:
    where = ""
    if "sample_id" in frame.columns and name != "sample_id":
        samples = sorted({str(sample) for sample in frame["sample_id"].to_numpy()[missing]})
        where = f", in sample{'s' * (len(samples) > 1)} {a_few(samples)}"
    return (
        f"{name}: {missing.sum():,} of {len(missing):,} cells have no value{where}. "
        "Fill them in, leave these cells out, or drop the column from the formula."
    )


def _factor(column: "pd.Series[Any]", levels: Sequence[object] | None, coded: bool) -> "pd.Categorical":
    """A column as a categorical of text whose categories all occur, reference first.

    Raises
    ------
    NestdeError
        Values outside `levels`; a factor to be coded that has one level, or whose labels all are numbers.
    """
    import pandas as pd

    name = str(column.name)
    codes, values = pd.factorize(column)
    labels = np.array([label(value) for value in values], dtype=object)
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        raise NestdeError(f"{name}: holds dates. Give a number, such as days since the start, or text.")
    if levels is not None:
        order = [label(level) for level in levels]
        strange = sorted(set(labels) - set(order))
        if strange:
            raise NestdeError(
                f"{name}: values that are not among its levels ({a_few(order)}): {a_few(strange)}."
            )
        if order and order[0] not in labels:
            raise NestdeError(
                f"{name}: no cell has the reference level {order[0]}; there are {a_few(labels)}."
            )
    elif isinstance(column.dtype, pd.CategoricalDtype) and column.dtype.ordered:
        order = [label(level) for level in column.dtype.categories]
    else:
        order = _sorted_labels(labels)
        if coded and not pd.api.types.is_bool_dtype(column.dtype) and all(map(_looks_numeric, labels)):
            raise NestdeError(
                f"{name}: holds numbers as text ({a_few(order)}). Turn it into numbers; if it is a factor, "
                f"name its levels, reference first, or write C({name})."
            )
    present = set(labels)
    order = [level for level in order if level in present]
    if coded and len(order) < 2:
        raise NestdeError(f"{name}: is {order[0]} in every cell; there is nothing to compare. Drop it.")
    place = {level: i for i, level in enumerate(order)}
    return pd.Categorical.from_codes(np.array([place[label] for label in labels])[codes], categories=order)


def _looks_numeric(label: str) -> bool:
    try:
        float(label)
    except ValueError:
        return False
    return True


def _sorted_labels(labels: Iterable[str]) -> list[str]:
    """Sorted: as numbers if all are, so that 2 comes before 10."""
    unique = sorted(set(labels))
    return sorted(unique, key=float) if all(map(_looks_numeric, unique)) else unique


def materialise(
    expression: str, prepared: "pd.DataFrame"
) -> tuple["pd.DataFrame", dict[Any, list[int]], dict[str, tuple[str, ...]]]:
    """Formulaic's matrix of a right-hand side; nothing of the caller is in reach of the expression.

    Returns
    -------
    matrix
        (n, p), columns as formulaic names them.
    indices
        formulaic's term -> its columns.
    levels
        Levels of the factors that the expression itself codes, such as ``C(batch, Treatment("B1"))``,
        reference first.

    Raises
    ------
    NestdeError
        A factor of the expression cannot be evaluated, or gives values that are not finite.
    """
    import formulaic
    from formulaic.errors import FormulaicError

    terms = formulaic.Formula(expression)
    if not len(terms):
        return prepared[[]], {}, {}
    try:
        with np.errstate(all="ignore"):
            matrix = formulaic.model_matrix(terms, prepared, na_action="ignore", context={})
        values = matrix.to_numpy(float)
    except (FormulaicError, TypeError, ValueError) as error:
        reason = str(error).split("\n")[0].rstrip(".")
        raise NestdeError(f'formula: "{expression}" cannot be evaluated: {reason}.') from error
    faults = Faults()
    for name, bad in zip(matrix.columns, (~np.isfinite(values)).sum(axis=0), strict=True):
        if bad:
            faults.add(f"formula: {name} is not a finite number in {bad:,} of {len(values):,} rows.")
    faults.raise_if_any()
    specification = matrix.model_spec
    levels = {}
    for factor, state in specification.factor_contrasts.items():
        order = [str(level) for level in state.levels]
        base = str(getattr(state.contrasts, "base", None))
        if base in order:
            order.insert(0, order.pop(order.index(base)))
        levels[str(factor)] = tuple(order)
    return matrix, dict(specification.term_indices), levels
