"""How an expression of a formula is evaluated.

A formula is never run as code. `check` holds its tree against the list of `transforms` before anything is evaluated, and `evaluate`
computes the tree on columns of numbers and factors; neither can reach anything else.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.design.expressions import COMPARISONS, Node, fail
from nestde.design.transforms import FACTORS, TRANSFORMS
from nestde.design.values import Factor, Value, numbers, truth
from nestde.errors import a_few
from nestde.io.source import label

if TYPE_CHECKING:
    import pandas as pd


def check(text: str, node: Node) -> tuple[Node, ...]:
    """See that all of an expression is on the list.

    Returns
    -------
    tuple
        Of a call the arguments that are arithmetic on columns.

    Raises
    ------
    NestdeError
        With a caret under what is not.
    """
    if node.kind == "call":
        data, _ = _arguments(text, node)
        for part in data:
            check(text, part)
        return data
    if node.kind == "list":
        fail(text, node.column, "a list is no column")
    if node.kind == "operator" and node.value in (":", "%in%"):
        fail(
            text,
            node.column,
            f'"{node.shown}" joins terms, and is no arithmetic; it stands outside of brackets',
        )
    if node.kind == "text":
        example = "text is compared, as in I(x == 'a'), or names a level"
        fail(text, node.column, f"{node} cannot be evaluated: {example}")
    for part in node.parts:
        if part.kind != "text" or node.value not in ("==", "!="):
            check(text, part)
    return ()


def codes(node: Node) -> str | None:
    """The column that a call makes a factor of as it is: ``C(batch)``, ``relevel(factor(batch), "B2")``."""
    while node.kind == "call" and node.value in FACTORS and node.parts:
        node = node.parts[0]
        if node.kind == "name":
            return node.value
    return None


def evaluate(node: Node, columns: "pd.DataFrame", learn: int | None = None) -> Value:
    """Compute an expression that `check` let pass on columns of a table.

    Parameters
    ----------
    node, columns
        What, and on what.
    learn
        Rows, the first ones, from which means, ranges and knots are taken, so that others get the columns of these; None
        takes all.

    Raises
    ------
    ValueError
        Saying what cannot be computed.
    """
    if node.kind == "number":
        return np.asarray(float(node.value))
    if node.kind == "text":
        return node.value
    if node.kind == "name":
        column = columns[node.value]
        return Factor(column.array) if column.dtype == "category" else column.to_numpy()
    if node.kind == "call":
        data, settings = _arguments("", node)
        transform = TRANSFORMS[node.value]
        if transform.learns:
            settings["learn"] = learn
        return transform.apply(*(evaluate(part, columns, learn) for part in data), **settings)
    if node.kind == "sum":
        total = numbers(evaluate(node.parts[0], columns, learn))
        for sign, part in zip(node.value[1:], node.parts[1:], strict=True):
            value = numbers(evaluate(part, columns, learn))
            total = total + value if sign == "+" else total - value
        return total
    values = [evaluate(part, columns, learn) for part in node.parts]
    if node.value == "!":
        return ~truth(values[0])
    if node.kind == "prefix":
        return numbers(values[0]) if node.value == "+" else -numbers(values[0])
    if node.value in ("&", "|"):
        both = truth(values[0]), truth(values[1])
        return both[0] & both[1] if node.value == "&" else both[0] | both[1]
    if node.value in COMPARISONS:
        return _compare(node.value, *values)
    return np.asarray(_ARITHMETIC[node.value](numbers(values[0]), numbers(values[1])))


def _compare(operator: str, left: Value, right: Value) -> NDArray[np.bool_]:
    """Compare numbers, or a factor's labels, which are equal or not."""
    compare = _COMPARE[operator]
    factors = [side for side in (left, right) if isinstance(side, Factor)]
    if not factors:
        return np.asarray(compare(numbers(left), numbers(right)))
    if operator not in ("==", "!="):
        raise ValueError(f'the levels of a factor are equal or not; "{operator}" compares numbers')
    if len(factors) == 2:
        return np.asarray(compare(*(np.asarray(side.labels).astype(str) for side in factors)))
    (other,) = (side for side in (left, right) if not isinstance(side, Factor))
    wanted = (
        other
        if isinstance(other, str)
        else label(float(numbers(other)))
        if np.ndim(numbers(other)) == 0
        else ""
    )
    there = list(factors[0].labels.categories)
    if wanted not in there:
        raise ValueError(f"{wanted or 'a column of numbers'} is none of the levels {a_few(there)}")
    return np.asarray(compare(factors[0].labels.codes, there.index(wanted)))


def _arguments(text: str, node: Node) -> tuple[tuple[Node, ...], dict[str, Any]]:
    """Arguments of a call that are columns, and its settings as values."""
    transform = TRANSFORMS.get(node.value)
    if transform is None:
        fail(text, node.column, _unknown(node.value))
    fewest, most = transform.data
    data: list[Node] = []
    given: dict[str, Any] = {}
    order = iter(transform.settings)
    for name, part in zip(node.names, node.parts, strict=True):
        if not name and len(data) < most:
            data.append(part)
            continue
        key = _ALIASES.get(name, name) if name else next(order, "")
        if key not in transform.settings or key in given:
            takes = (
                f"its arguments are {a_few(transform.settings, 9)}"
                if transform.settings
                else "it has no more"
            )
            what = f"no argument {name}" if name else "too many arguments"
            fail(text, part.column, f"{node.value}() has {what}; {takes}")
        try:
            given[key] = transform.settings[key](part)
        except ValueError as error:
            fail(text, part.column, f"{node.value}(): {key} is {error}, not {part}")
    if len(data) < fewest:
        fail(text, node.column, f"{node.value}() wants {'a column' if most == 1 else f'{fewest} columns'}")
    return tuple(data), {**transform.defaults, **given}


def _unknown(name: str) -> str:
    """Why a function cannot be called, and what to do instead."""
    if name in _INSTEAD:
        return f"{name}() is not supported. {_INSTEAD[name]}"
    listed = sorted(key for key in TRANSFORMS if not key.startswith("np."))
    return (
        f"{name}() cannot be evaluated: a formula has no function of that name. It has {', '.join(listed)}. "
        "Compute anything else beforehand, as a column of the data"
    )


_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "*": np.multiply, "/": np.divide, "^": np.power, "%": np.mod, "//": np.floor_divide,
}  # fmt: skip
_COMPARE: dict[str, Callable[..., Any]] = {
    "==": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip
_ALIASES = {
    "include_intercept": "intercept", "include.lowest": "lowest", "Boundary.knots": "boundary", "reference": "ref",
    "rescale": "scale",
}  # fmt: skip
_INSTEAD = {
    "offset": "Subtract it from the response, or normalise the counts by it",
    "weights": "Every cell counts the same in a linear mixed model of nestde",
    "Q": "Write the name of the column between backticks",
    "lag": "Rows of a table of cells have no order",
    "hashed": "Write the name of the factor",
    "strata": "Write the name of the factor",
    "contr.custom": "Make a column for each contrast",
    **dict.fromkeys(["s", "te", "ti", "t2", "lo", "gam"], "Write ns(x, df = 4) for a smooth curve"),
    **dict.fromkeys(
        ["as.numeric", "as.integer", "int", "float", "as.character", "str"],
        "Give the column in the data as numbers, or write factor(x) for a factor",
    ),
    "exp10": "Write I(10^x)",
    "interaction": "Write a:b for the combinations of two factors",
}  # fmt: skip
