"""What a sample sheet can hold: names and values of obs that it would give back as they are, and what is missing there."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

MISSING = "NA"  # as R writes a missing value, and a sheet


def is_name(name: str) -> bool:
    """Whether a formula and a table can hold the name of a column."""
    return name.isprintable() and "`" not in name and bool(name.strip())


def odd_values(values: Iterable[object]) -> list[str]:
    """Text that a sheet would not give back: with a tab or line end in it, a blank or quote at an end, or of no letters."""
    return [
        value
        for value in values
        if isinstance(value, str)
        and (
            not value
            or value != value.strip()
            or '"' in (value[0], value[-1])
            or set(value) & set("\t\r\n\0")
        )
    ]


def without_na(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """A column whose text ``NA`` is missing, as it would be in a sheet."""
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype) and MISSING in column.cat.categories:
        return column.cat.remove_categories([MISSING])
    return column
