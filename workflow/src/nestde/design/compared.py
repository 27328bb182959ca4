"""A named contrast on the columns of a design: where it looks at the model, and what it weighs the coefficients by."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.design.named import NamedContrast
from nestde.design.reading import Point
from nestde.design.terms import Term, variables
from nestde.io.source import label
from nestde.words import both

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Compared:
    """A contrast as a hypothesis on the coefficients: `weights` @ β = 0.

    Attributes
    ----------
    level, against
        As of `NamedContrast`.
    points
        (K) places at which the model is looked at, each a level of one or several columns.
    shares
        (K,) their weights.
    rows
        (K, p) rows of x at these places, 0 in the columns that the contrast is not about.
    """

    level: str
    against: str
    points: tuple[Point, ...]
    shares: Floats
    rows: Floats

    @property
    def weights(self) -> Floats:
        """(p,) of the coefficients."""
        return np.asarray(self.shares @ self.rows)

    def content(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {
            name: np.asarray(value).tolist() if name in ("shares", "rows") else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        """Read what `content` gave."""
        points = tuple(tuple((name, value) for name, value in point) for point in content["points"])
        return cls(
            content["level"],
            content["against"],
            points,
            np.array(content["shares"], float),
            np.array(content["rows"], float),
        )


def compare(
    contrast: NamedContrast, prepared: "pd.DataFrame", x: Floats, indices: Mapping[Term, Sequence[int]]
) -> Compared | str:
    """Find the rows of x at the points of a contrast; or say which of them no row of the data has.

    A term has the value that it has in any row with these levels, however it is coded. A number at which no row is, as
    in ``| age=70``, can be had where the terms have the number itself and no transform of it.

    Parameters
    ----------
    contrast
        Of the formula's fixed part.
    prepared, x, indices
        See `nestde.design.columns`.
    """
    rows = np.zeros((len(contrast.weights), x.shape[1]))
    for k, point in enumerate(contrast.weights):
        where = dict(point)
        for term in contrast.terms:
            if set(term.variables) <= set(where):
                found = _value(term, where, prepared, x[:, list(indices[term])])
                if isinstance(found, str):
                    return found
                rows[k, list(indices[term])] = found
    shares = np.array([float(weight) for weight in contrast.weights.values()])
    return Compared(contrast.level, contrast.against, tuple(contrast.weights), shares, rows)


def _value(term: Term, where: Mapping[str, str], prepared: "pd.DataFrame", x: Floats) -> Floats | str:
    """The columns of a term where its columns of the data are as told."""
    plain = {factor.value for factor in term.factors if factor.kind == "name"}
    inside = {name for factor in term.factors if factor.kind != "name" for name in variables(factor)}
    matches, scale = np.ones(len(prepared), bool), np.ones(len(prepared))
    named = []
    for name in term.variables:
        column = prepared[name]
        if column.dtype != "category" and name in plain - inside:
            try:
                value = float(where[name])
            except ValueError:
                return f"{name} is a number, and {where[name]} is none"
            values = column.to_numpy(float)
            matches &= values != 0
            scale *= value / np.where(values == 0, 1.0, values)
            continue
        named.append(f"{name} {where[name]}")
        matches &= rows_at(column, where[name])
    place = np.flatnonzero(matches)
    if not len(place):
        return f"no cell is of {both(named)}" if named else f"{both(term.variables)} is 0 in every cell"
    return np.asarray(x[place[0]] * scale[place[0]])


def rows_at(column: "pd.Series[Any]", value: str) -> NDArray[np.bool_]:
    """Rows in which a column has a level, or a number as it is written."""
    if column.dtype.kind in "iuf":
        try:
            return np.asarray(column.to_numpy(float) == float(value))
        except ValueError:
            return np.zeros(len(column), bool)
    return np.asarray(column.astype(object).map(label, na_action="ignore") == value)
