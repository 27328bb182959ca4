"""Settings of a transform as a formula writes them: numbers, texts, TRUE, c(…), names of contrasts; never a column.

Each reader takes the tree of one argument and returns its value, or raises ValueError with what is wanted.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from nestde.design.expressions import Node
from nestde.errors import a_few
from nestde.io.source import label

Reader = Callable[[Node], Any]
MOST_COLUMNS = 100  # of one spline or polynomial


def _literal(node: Node) -> Any:
    """A number, text, true or false, or a list of them; ValueError if it is none."""
    if node.kind == "number":
        return float(node.value)
    if node.kind == "text":
        return node.value
    if node.kind == "prefix" and node.value in "+-":
        value = number(node.parts[0])
        return -value if node.value == "-" else value
    if node.kind == "name" and node.value in _CONSTANTS:
        return _CONSTANTS[node.value]
    if node.kind == "list":
        return [_literal(part) for part in node.parts]
    raise ValueError


_CONSTANTS = {
    "TRUE": True, "True": True, "T": True, "FALSE": False, "False": False, "F": False, "NULL": None, "None": None,
    "Inf": np.inf, "inf": np.inf, "np.inf": np.inf,
}  # fmt: skip


def _read(says: str, accepts: Callable[[Any], bool], convert: Callable[[Any], Any]) -> Reader:
    def read(node: Node) -> Any:
        try:
            value = _literal(node)
        except ValueError:
            value = ...
        if value is ... or not accepts(value):
            raise ValueError(says)
        return convert(value)

    return read


def _is_number(value: Any) -> bool:
    return type(value) is float and not np.isnan(value)


def _is_label(value: Any) -> bool:
    return type(value) in (float, str)


def _is_list_of(value: Any, accepts: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and 0 < len(value) <= 1000 and all(map(accepts, value))


number = _read("a number", _is_number, float)
count = _read(
    f"a whole number from 1 to {MOST_COLUMNS}",
    lambda value: value is None or (_is_number(value) and value in range(1, MOST_COLUMNS + 1)),
    lambda value: value if value is None else int(value),
)
flag = _read("TRUE or FALSE", lambda value: isinstance(value, bool), bool)
numbers = _read(
    "a number, or a list of numbers such as c(30, 45)",
    lambda value: value is None or _is_number(value) or _is_list_of(value, _is_number),
    lambda value: [] if value is None else value if isinstance(value, list) else [value],
)
level = _read("a level in quotes", _is_label, label)
levels = _read(
    'a list of levels such as c("A", "B")',
    lambda value: value is None or _is_list_of(value, _is_label),
    lambda value: None if value is None else [label(item) for item in value],
)
amount = _read(
    "TRUE, FALSE or a number", lambda value: isinstance(value, bool) or _is_number(value), lambda value: value
)

# Names as R and as formulaic (patsy) have them -> the contrasts.
CONTRASTS = {
    "contr.treatment": "treatment", "Treatment": "treatment", "contr.SAS": "SAS", "contr.sum": "sum", "Sum": "sum",
    "contr.helmert": "helmert", "Helmert": "helmert", "contr.poly": "poly", "Poly": "poly", "contr.diff": "diff",
    "Diff": "diff",
}  # fmt: skip


def contrasts(node: Node) -> tuple[str, str | None]:
    """Kind of contrasts, and their reference level."""
    if node.kind not in ("name", "call") or node.value not in CONTRASTS:
        raise ValueError(f"one of {a_few(CONTRASTS, 12)}")
    kind = CONTRASTS[node.value]
    if node.kind == "name" or not node.parts:
        return kind, None
    if (
        len(node.parts) > 1
        or node.names[0] not in ("", "base", "reference")
        or kind not in ("treatment", "SAS")
    ):
        raise ValueError("contrasts with no more than a reference level")
    return kind, level(node.parts[0])
