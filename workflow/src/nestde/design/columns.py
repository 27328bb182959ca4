"""Columns of a table made ready for a formula: numbers as floats, all else as factors with known levels."""

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.design.evaluate import evaluate
from nestde.design.expressions import Node, quoted
from nestde.design.formula import Formula, variables_of
from nestde.design.terms import Term, terms_of
from nestde.design.values import Columns, Factor, Value, looks_numeric, sorted_labels
from nestde.errors import Faults, NestdeError, a_few
from nestde.io.source import label
from nestde.words import are, count, verb

if TYPE_CHECKING:
    import pandas as pd

_LARGEST = 1e100  # and 1 / _LARGEST the smallest: sums of products of two neither over- nor underflow


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
                found[quoted(name)] = tuple(columns[name].categories)
        else:
            # whole numbers that C() turns into a factor keep their look: batch[2], not batch[2.0]
            whole = name in called and column.dtype.kind in "iu"
            columns[name] = column.to_numpy(np.int64 if whole else float)
            if not np.isfinite(columns[name]).all():
                faults.add(f"{name}: {are(int(np.sum(~np.isfinite(columns[name]))), 'value')} infinite.")
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
        f"{name}: {missing.sum():,} of {count(len(missing), 'cell')} {verb(missing.sum(), 'have')} no value{where}. "
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
        order = sorted_labels(labels)
        if coded and not pd.api.types.is_bool_dtype(column.dtype) and all(map(looks_numeric, labels)):
            raise NestdeError(
                f"{name}: holds numbers as text ({a_few(order)}). Turn it into numbers; if it is a factor, "
                f"name its levels, reference first, or write C({quoted(name)})."
            )
    present = set(labels)
    order = [level for level in order if level in present]
    if coded and len(order) < 2:
        raise NestdeError(f"{name}: is {order[0]} in every cell; there is nothing to compare. Drop it.")
    place = {level: i for i, level in enumerate(order)}
    return pd.Categorical.from_codes(np.array([place[label] for label in labels])[codes], categories=order)


def materialise(
    expression: str, prepared: "pd.DataFrame", learn: int | None = None
) -> tuple["pd.DataFrame", dict[Term, list[int]], dict[str, tuple[str, ...]]]:
    """Matrix of a right-hand side.

    Factors are evaluated by `evaluate`; formulaic sees their values under neutral names, and chooses the coding that
    keeps the columns apart. `learn` is that of `evaluate`.

    Returns
    -------
    matrix
        (n, p), columns named as R does: ``(Intercept)``, ``diet[b]:log(age)``.
    indices
        Term -> its columns.
    levels
        Factor of a term, such as ``diagnosis`` or ``C(batch, Treatment("B1"))`` -> its levels, reference first.

    Raises
    ------
    NestdeError
        A factor of the expression cannot be evaluated, or gives values that are not finite; more columns than rows.
    """
    import pandas as pd
    from formulaic import SimpleFormula, model_matrix
    from formulaic.errors import FormulaicError
    from formulaic.parser.types import Factor as Lookup
    from formulaic.parser.types import Term as Product

    terms = terms_of(expression)
    if not terms:
        return prepared[[]], {}, {}
    faults = Faults()
    factors = list(dict.fromkeys(factor for term in terms for factor in term.factors))
    values: dict[Node, Value] = {}
    for factor in factors:
        try:
            with np.errstate(all="ignore"):
                values[factor] = _of_term(evaluate(factor, prepared, learn))
        except (ValueError, ArithmeticError, TypeError) as error:
            reason = str(error).split("\n")[0].rstrip(".")
            faults.add(f'formula: "{factor}" cannot be evaluated: {reason}.')
    faults.raise_if_any()
    least = sum(math.prod(_width(values[factor]) for factor in term.factors) for term in terms)
    if least > max(len(prepared), 1000):
        raise NestdeError(f"formula: {len(prepared):,} rows are too few for {least:,} coefficients or more.")
    neutral = {factor: f"f{i}" for i, factor in enumerate(factors)}
    products = [
        Product([Lookup(neutral[factor], eval_method="lookup") for factor in term.factors])
        if term.factors
        else Product([Lookup("1", eval_method="literal")])
        for term in terms
    ]
    try:
        found = model_matrix(
            SimpleFormula(products),
            pd.DataFrame(index=prepared.index),
            na_action="ignore",
            context={neutral[factor]: _formulaics(value, len(prepared)) for factor, value in values.items()},
        )
        matrix = pd.DataFrame(found.to_numpy(float), index=prepared.index)
    except (FormulaicError, TypeError, ValueError) as error:
        reason = str(error).split("\n")[0].rstrip(".")
        raise NestdeError(f'formula: "{expression}" cannot be evaluated: {reason}.') from error
    matrix.columns = [_column_name(str(name), factors, values) for name in found.columns]
    for name, bad in zip(matrix.columns, (~np.isfinite(matrix.to_numpy())).sum(axis=0), strict=True):
        if bad:
            faults.add(f"formula: {name} is not a finite number in {bad:,} of {len(matrix):,} rows.")
    for name, largest in matrix.abs().max().items():
        if np.isfinite(largest) and largest != 0 and not 1 / _LARGEST <= largest <= _LARGEST:
            faults.add(
                f"formula: {name} has values up to {largest:.3g}, whose squares a computer cannot add up. "
                "Are they codes, or missing? Else give it another unit."
            )
    faults.raise_if_any()
    places = dict(zip(products, terms, strict=True))
    indices = {places[product]: list(columns) for product, columns in found.model_spec.term_indices.items()}
    levels = {
        str(factor): tuple(map(str, value.labels.categories))
        for factor, value in values.items()
        if isinstance(value, Factor)
    }
    return matrix, indices, levels


def _of_term(value: Value) -> Value:
    """A value that can be a factor of a term."""
    if isinstance(value, str):
        raise ValueError("it is text, which every row has")
    if isinstance(value, Factor) and len(value.labels.categories) < 2:
        raise ValueError(f"it is {value.labels.categories[0]} in every row; there is nothing to compare")
    return value


def _width(value: Value) -> int:
    """Fewest columns that a factor of a term gives."""
    if isinstance(value, Factor):
        return len(value.labels.categories) - 1
    return value.values.shape[1] - value.whole if isinstance(value, Columns) else 1


def _formulaics(value: Value, n: int) -> Any:
    """A value as formulaic takes it; the levels of a factor are l0, l1, …, so that no label means anything to it."""
    import pandas as pd
    from formulaic.materializers.types import FactorValues
    from formulaic.transforms import C
    from formulaic.transforms.contrasts import ContrastsRegistry

    if isinstance(value, Factor):
        labels = value.labels.rename_categories([f"l{i}" for i in range(len(value.labels.categories))])
        column = pd.Series(labels, index=pd.RangeIndex(n))
        return (
            column
            if value.contrasts == "treatment"
            else C(column, getattr(ContrastsRegistry, value.contrasts)())
        )
    if isinstance(value, Columns):
        parts = {i + (not value.whole): column for i, column in enumerate(value.values.T)}
        return FactorValues(parts, kind="numerical", spans_intercept=value.whole, drop_field=0)
    return np.broadcast_to(np.asarray(value, float), n).copy()


def _column_name(name: str, factors: Sequence[Node], values: Mapping[Node, Value]) -> str:
    """What R calls a column that formulaic names ``f0[T.l1]:f1``: no mark of the coding by treatment."""
    if name == "Intercept":
        return "(Intercept)"
    parts = []
    for part in name.split(":"):
        which, bracket, inside = part.removeprefix("f").partition("[")
        factor, rest = factors[int(which)], bracket + inside
        value = values[factor]
        if isinstance(value, Factor):
            rest = rest.replace("[T.", "[")
            level = re.search(r"l(\d+)\]$", rest)
            rest = f"{rest[: level.start()]}{value.labels.categories[int(level[1])]}]" if level else rest
        parts.append(f"{factor}{rest}")
    return ":".join(parts)
