"""Which columns of a table play which role where nobody said so: reference levels, cell types, samples; told in words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nestde.design.columns import grouping
from nestde.design.formula import Formula, variables_of
from nestde.errors import Faults, NestdeError, a_few

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Reference:
    """The reference of a factor.

    Attributes
    ----------
    factor
        Its column.
    levels
        All of its levels, the reference first.
    by
        What it was chosen by: ``levels`` (as given), ``order`` (of an ordered categorical), ``name`` (it is named like
        a control) or ``alphabet``.
    first
        What the alphabet would have chosen.
    """

    factor: str
    levels: tuple[str, ...]
    by: str
    first: str

    @property
    def turned(self) -> bool:
        """Whether a guess turned signs round."""
        return self.by == "name" and self.levels[0] != self.first

    def sentence(self) -> str:
        """Say which level is the reference, and why."""
        reason = {
            "levels": "as given",
            "order": "the first of an ordered categorical",
            "name": "it is named like one"
            + (f"; {self.first} comes first by the alphabet" if self.turned else ""),
            "alphabet": "the first by the alphabet; none is named like a control",
        }[self.by]
        return (
            f"{self.factor}: {self.levels[0]} is the reference ({reason}), so effects are of {a_few(self.levels[1:])} "
            f"against {self.levels[0]}."
        )


def references(
    frame: "pd.DataFrame", names: Iterable[str], levels: Mapping[str, Sequence[object]]
) -> list[Reference]:
    """Reference of each factor among the columns named; numbers, and columns that are not there, have none.

    Parameters
    ----------
    levels
        Factor -> its levels as given, reference first. Of other factors, an ordered categorical's first level is the
        reference; else one that is named like a control; else the first by the alphabet.
    """
    from nestde.cells.guess import is_control

    found = []
    for name in names:
        if name in levels:
            given = tuple(map(str, levels[name]))
            found += [Reference(name, given, "levels", min(given))] if given else []
            continue
        if name not in frame or _is_number(frame[name]):
            continue
        try:
            order = [str(level) for level in grouping(frame[name].dropna()).categories]
        except NestdeError:  # dates: the design refuses them in words
            continue
        if not order:
            continue
        if getattr(frame[name].dtype, "ordered", False):
            found.append(Reference(name, tuple(order), "order", min(order)))
            continue
        controls = [level for level in order if is_control(level)]
        by = "name" if controls else "alphabet"
        chosen = (controls or order)[0]
        others = [level for level in order if level != chosen]
        found.append(Reference(name, (chosen, *others), by, order[0]))
    return found


def cell_types_of(
    obs: "pd.DataFrame", key: str | bool | None, formula: Formula, faults: Faults
) -> str | None:
    """Column of obs that names cell types, None where all cells are to be taken together.

    A column that looks like cell types and is not in the formula has to be named, or to be refused by ``key=False``:
    nobody wants neurons and microglia in one mean without knowing.
    """
    from nestde.cells.guess import CELL_TYPE, by_name

    if key is False:
        return None
    if isinstance(key, str):
        if key in obs:
            return key
        faults.add(f"cell_type_key: obs has no column {key}; its columns are {a_few(obs, 12)}.")
        return None
    if key is not None:
        faults.add(f"cell_type_key: {key} is neither a column of obs nor False.")
        return None
    others = obs[[name for name in obs if name not in formula.variables]]
    found = by_name(others, CELL_TYPE, lambda column: column.dtype.kind != "f" and column.nunique() > 1)
    if found is not None:
        types = sorted(map(str, obs[found].dropna().unique()))
        faults.add(
            f"cell_type_key: obs has a column {found} of {len(types):,} values ({a_few(types)}), which looks like cell types. "
            f'Give cell_type_key="{found}" (--cell-type-key) to analyse each apart, or cell_type_key=False (--all-cells) to '
            "take all cells together."
        )
    return None


def samples_of(obs: "pd.DataFrame", formula: Formula) -> "tuple[str, pd.Series[str]] | None":
    """Name and values of what tells samples apart: the column sample_id, else the formula's finest grouping factor.

    None where there is neither.
    """
    if "sample_id" in obs:
        return "sample_id", obs["sample_id"].astype(str)
    groups = [term for term in formula.random if all(name in obs for name in term.factors)]
    labels = {term.group: obs[list(term.factors)].astype(str).agg(":".join, axis=1) for term in groups}
    finest = max(labels, key=lambda name: labels[name].nunique(), default=None)
    return None if finest is None else (finest, labels[finest])


def tested_in(tests: Iterable[str]) -> list[str]:
    """Columns that take part in what is tested, each once."""
    return list(dict.fromkeys(name for term in tests for name in variables_of(term)))


def _is_number(column: "pd.Series[float]") -> bool:
    return column.dtype.kind in "iufc"
