"""What expressions of a formula are made of: numbers, factors, several columns; and one taken for another."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
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


def finite(value: Value) -> Floats:
    """Numbers of a column, all finite."""
    found = numbers(value)
    if found.ndim == 0 or not np.isfinite(found).all():
        raise ValueError("a column of finite numbers is wanted")
    return found
