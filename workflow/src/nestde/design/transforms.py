"""What a formula may call, and how it is evaluated: the list below is all that there is.

A formula is never run as code. `check` holds its tree against the list before anything is evaluated, and `evaluate` computes
the tree on columns of numbers and factors; neither can reach anything else.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.design import bases, literals
from nestde.design.expressions import COMPARISONS, Node, fail
from nestde.errors import a_few
from nestde.io.source import label

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Factor:
    """Labels with an order, and how they become columns.

    Attributes
    ----------
    labels
        Categories that all occur, reference first.
    contrasts
        One of `literals.CONTRASTS`.
    """

    labels: "pd.Categorical"
    contrasts: str = "treatment"


@dataclass(frozen=True)
class Columns:
    """(n, k) columns of one spline or polynomial; `whole` if a constant is a combination of them."""

    values: Floats
    whole: bool = False


Value = NDArray[Any] | Factor | Columns | str


@dataclass(frozen=True)
class Transform:
    """One function of the list.

    Attributes
    ----------
    apply
        Takes the values of the data arguments, and the settings by name.
    data
        Fewest and most arguments that are arithmetic on columns; they come first.
    settings
        Name -> how its literal is read; in the order in which they may be given without name.
    defaults
        Of the settings.
    learns
        Whether it takes something from all values, such as their mean, and so is told `learn` (see `evaluate`).
    """

    apply: Callable[..., Value]
    data: tuple[int, int] = (1, 1)
    settings: Mapping[str, literals.Reader] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    learns: bool = False


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


def numbers(value: Value) -> Floats:
    """A value as numbers."""
    if not isinstance(value, Factor | Columns | str):
        return np.asarray(value, float)
    what = (
        "text" if isinstance(value, str) else "a factor" if isinstance(value, Factor) else "several columns"
    )
    raise ValueError(f"arithmetic wants numbers, and finds {what}")


def truth(value: Value) -> NDArray[np.bool_]:
    """A value as true and false; of numbers, 0 is false."""
    if isinstance(value, Factor) and {"True", "False"} >= set(value.labels.categories):
        return np.asarray(value.labels == "True")
    found: NDArray[np.bool_] = numbers(value) != 0
    return found


def factor_of(value: Value, levels: Iterable[str] | None = None) -> Factor:
    """A value as a factor: its own order, else sorted, as numbers if all are; or `levels`."""
    import pandas as pd

    if isinstance(value, Columns | str) or (not isinstance(value, Factor) and np.ndim(value) == 0):
        raise ValueError("a factor is made of one column")
    if isinstance(value, Factor):
        codes, there = value.labels.codes, list(value.labels.categories)
    else:
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise ValueError(
                f"{np.sum(~np.isfinite(value)):,} of {len(value):,} values are no finite numbers"
            )
        codes, found = pd.factorize(value)
        there = [label(item) for item in found]
    order = (
        list(levels) if levels is not None else there if isinstance(value, Factor) else sorted_labels(there)
    )
    strange = [name for name in there if name not in set(order)]
    if strange:
        raise ValueError(f"values are not among its levels ({a_few(order)}): {a_few(strange)}")
    if order and order[0] not in there:
        raise ValueError(f"no cell has the reference level {order[0]}; there are {a_few(there)}")
    order = [name for name in dict.fromkeys(order) if name in set(there)]
    place = {name: i for i, name in enumerate(order)}
    return Factor(
        pd.Categorical.from_codes(np.array([place[name] for name in there])[codes], categories=order)
    )


def sorted_labels(labels: Iterable[str]) -> list[str]:
    """Sorted: as numbers if all are, so that 2 comes before 10."""
    unique = sorted(set(labels))
    return sorted(unique, key=float) if all(map(looks_numeric, unique)) else unique


def looks_numeric(text: str) -> bool:
    """Whether a label is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


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


def _make_factor(
    value: Value, contrasts: tuple[str, str | None] = ("treatment", None), levels: list[str] | None = None
) -> Factor:
    kind, base = contrasts
    found = factor_of(value, levels)
    if base is not None and kind == "SAS":
        order = [name for name in found.labels.categories if name != base]
        found = factor_of(found, [*order, base]) if base in found.labels.categories else _relevel(found, base)
    elif base is not None:
        found = _relevel(found, base)
    return Factor(found.labels, kind)


def _relevel(value: Value, ref: str) -> Factor:
    found = factor_of(value)
    there = list(found.labels.categories)
    if ref not in there:
        raise ValueError(f"{ref} is none of the levels {a_few(there)}")
    return factor_of(found, [ref, *(name for name in there if name != ref)])


def _cut(
    value: Value,
    breaks: list[float],
    labels: list[str] | None,
    right: bool,
    lowest: bool,
    learn: int | None,
) -> Factor:
    import pandas as pd

    place, names = bases.cut(_finite(value), breaks, labels or [], right, lowest, learn)
    if (place < 0).any():
        raise ValueError(
            f"{np.sum(place < 0):,} of {len(place):,} values are in no interval of {a_few(names)}; add -Inf or Inf to the breaks"
        )
    there = sorted(set(place))
    return Factor(
        pd.Categorical.from_codes(np.searchsorted(there, place), categories=[names[i] for i in there])
    )


def _finite(value: Value) -> Floats:
    """Numbers of a column, all finite."""
    found = numbers(value)
    if found.ndim == 0 or not np.isfinite(found).all():
        raise ValueError("a column of finite numbers is wanted")
    return found


def _scale(
    value: Value, center: bool | float, scale: bool | float, ddof: float = 1.0, learn: int | None = None
) -> Floats:
    """R's ``scale``: without centring, the SD is about 0."""
    x = _finite(value)
    if center is not False:
        x = x - (x[:learn].mean() if center is True else center)
    if scale is not False:
        known = x[:learn]
        x = x / (np.sqrt((known**2).sum() / (len(known) - ddof)) if scale is True else scale)
    return x


def _splines(kind: str) -> Callable[..., Columns]:
    """Formulaic's splines, which are R's ``bs`` and patsy's ``cr`` and ``cc``."""

    def apply(value: Value, learn: int | None, **settings: Any) -> Columns:
        from formulaic import transforms as formulaics

        whole = settings.pop("intercept", False)
        bounds = dict(zip(("lower_bound", "upper_bound"), settings.pop("boundary", []), strict=False))
        chosen = {name: given for name, given in settings.items() if given not in (None, [])}
        if whole:
            chosen["include_intercept"] = True
        x, state = _finite(value), dict[str, Any]()
        found = formulaics.TRANSFORMS[kind](x[:learn], **chosen, **bounds, _state=state)
        if learn is not None:
            found = formulaics.TRANSFORMS[kind](x, **chosen, **bounds, _state=state)
        return Columns(np.column_stack([np.asarray(column) for key, column in found.items()]), whole)

    return apply


def _elementwise(function: Callable[..., Any], data: tuple[int, int] = (1, 1)) -> Transform:
    return Transform(lambda *values: np.asarray(function(*map(numbers, values))), data)


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
_KNOTS = {"df": literals.count, "knots": literals.numbers}
_NUMPY = ("log", "log1p", "log2", "log10", "exp", "expm1", "exp2", "sqrt", "cbrt", "square", "abs", "sign", "floor", "ceil",
          "sin", "cos", "tan", "arcsinh", "tanh")  # fmt: skip
TRANSFORMS: dict[str, Transform] = {
    "I": Transform(lambda value: value),
    **{f"{prefix}{name}": _elementwise(getattr(np, name)) for name in _NUMPY for prefix in ("", "np.")},
    "asinh": _elementwise(np.arcsinh),
    "pmin": _elementwise(np.minimum, (2, 2)),
    "pmax": _elementwise(np.maximum, (2, 2)),
    "np.minimum": _elementwise(np.minimum, (2, 2)),
    "np.maximum": _elementwise(np.maximum, (2, 2)),
    "np.power": _elementwise(np.power, (2, 2)),
    "ifelse": Transform(lambda test, yes, no: np.where(truth(test), numbers(yes), numbers(no)), (3, 3)),
    "C": Transform(_make_factor, settings={"contrasts": literals.contrasts, "levels": literals.levels}),
    "factor": Transform(_make_factor, settings={"levels": literals.levels}),
    "as.factor": Transform(_make_factor),
    "relevel": Transform(_relevel, settings={"ref": literals.level}),
    "cut": Transform(
        _cut,
        settings={
            "breaks": literals.numbers,
            "labels": literals.levels,
            "lowest": literals.flag,
            "right": literals.flag,
        },
        defaults={"labels": None, "right": True, "lowest": False},
        learns=True,
    ),
    "scale": Transform(
        _scale,
        settings={"center": literals.amount, "scale": literals.amount, "ddof": literals.number},
        defaults={"center": True, "scale": True},
        learns=True,
    ),
    "standardize": Transform(
        _scale,
        settings={"center": literals.amount, "scale": literals.amount, "ddof": literals.number},
        defaults={"center": True, "scale": True, "ddof": 0.0},
        learns=True,
    ),
    "center": Transform(lambda value, learn: _scale(value, True, False, learn=learn), learns=True),
    "poly": Transform(
        lambda value, degree, raw, learn: Columns(bases.poly(_finite(value), degree, raw, learn)),
        settings={"degree": literals.count, "raw": literals.flag},
        defaults={"degree": 1, "raw": False},
        learns=True,
    ),
    "ns": Transform(
        lambda value, **given: Columns(bases.ns(_finite(value), **given), given["intercept"]),
        settings={**_KNOTS, "intercept": literals.flag, "boundary": literals.numbers},
        defaults={"df": None, "knots": [], "intercept": False, "boundary": []},
        learns=True,
    ),
    "bs": Transform(
        _splines("bs"),
        settings={
            **_KNOTS,
            "degree": literals.count,
            "intercept": literals.flag,
            "boundary": literals.numbers,
        },
        learns=True,
    ),
    **{
        kind: Transform(_splines(kind), settings={**_KNOTS, "boundary": literals.numbers}, learns=True)
        for kind in ("cr", "cs", "cc")
    },
}
FACTORS = frozenset(["C", "factor", "as.factor", "relevel"])
