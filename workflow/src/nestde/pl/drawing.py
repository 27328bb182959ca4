"""What all figures share: colours, an Axes to draw on, one comparison of a table."""

from typing import TYPE_CHECKING

import pandas as pd

from nestde.errors import NestdeError, a_few

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe & Ito (2008), Color Universal Design.
UP, DOWN, REST, INK = "#D55E00", "#0072B2", "#999999", "#222222"
GROUPS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def axes(ax: "Axes | None", width: float = 5.0, height: float = 4.0) -> "Axes":
    """The Axes given, or those of a new figure, in inches."""
    if ax is None:
        try:
            from matplotlib import pyplot as plt
        except ImportError as error:
            raise NestdeError(
                "pl: figures are drawn by matplotlib: pip install 'nestde[figures]'."
            ) from error

        _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def one_comparison(
    table: pd.DataFrame, cell_type: str | None, term: str | None, level: str | None, against: str | None
) -> pd.DataFrame:
    """Rows of one cell type, term and pair of levels, those without a result left out.

    Raises
    ------
    NestdeError
        There is none, or there are several to choose from.
    """
    rows = table[table["coef"].notna()]
    for name, value in (("cell_type", cell_type), ("term", term), ("level", level), ("against", against)):
        if value is not None:
            rows = rows[rows[name] == value]
    there = rows[["cell_type", "term", "level", "against"]].drop_duplicates()
    if len(there) == 1:
        return rows
    choose = [
        f"{row.cell_type}: {row.term} {row.level} - {row.against}".removesuffix(" - ")
        for row in there.itertuples()
    ]
    raise NestdeError(
        f"pl: there are several comparisons: {a_few(choose)}. Choose one by cell_type=, term=, level=, against=."
        if choose
        else "pl: no row of the table has a result of what is asked for."
    )


def name_of(rows: pd.DataFrame) -> str:
    """A comparison in words."""
    first = rows.iloc[0]
    versus = f"{first['level']} against {first['against']}" if first["against"] else first["level"]
    return f"{first['cell_type']}: {versus}"


def plain(text: object) -> str:
    """A name as matplotlib draws it: a dollar is no formula."""
    return str(text).replace("$", r"\$")
