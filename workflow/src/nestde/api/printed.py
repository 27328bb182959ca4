"""How fitted models are printed, as text and as HTML: tables, and what to know of reference levels."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from nestde.arrays import Floats
from nestde.cells.roles import references
from nestde.design.design import Design
from nestde.design.formula import variables_of


@dataclass(frozen=True)
class Part:
    """Lines, a table below them, and lines below it.

    Attributes
    ----------
    lines, foot
        Above and below the table.
    rows
        Of the table, the first its heads; none where there is no table.
    left
        So many columns are set to the left, the others to the right.
    """

    lines: tuple[str, ...]
    rows: tuple[Sequence[str], ...] = ()
    left: int = 1
    foot: tuple[str, ...] = ()

    def text(self) -> str:
        """As it stands in a terminal."""
        table = [indent(columns(self.rows, self.left))] if self.rows else []
        return "\n".join([*self.lines, *table, *self.foot])

    def as_html(self) -> str:
        """As a notebook shows it; what comes from data is escaped."""
        return "".join([*map(_line, self.lines), self._table(), *map(_line, self.foot)])

    def _table(self) -> str:
        if not self.rows:
            return ""
        sides = ["left" if i < self.left else "right" for i in range(len(self.rows[0]))]
        lines = [
            "".join(
                f'<{cell} style="text-align:{side}">{html.escape(value)}</{cell}>'
                for value, side in zip(row, sides, strict=True)
            )
            for cell, row in zip(["th", *["td"] * len(self.rows)], self.rows, strict=False)
        ]
        return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


@dataclass(frozen=True, repr=False)
class Summary:
    """What is told of a fit: it prints, and a notebook shows it as tables."""

    parts: tuple[Part, ...]

    def __str__(self) -> str:
        return "\n\n".join(part.text() for part in self.parts)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<div>{''.join(part.as_html() for part in self.parts)}</div>"


def _line(text: str) -> str:
    return f"<div>{html.escape(text)}</div>"


def unsaid_references(
    design: Design, frame: pd.DataFrame, levels: Mapping[str, Sequence[object]]
) -> tuple[str, ...]:
    """Factors whose reference, the first by the alphabet, may not be the one that was meant."""
    read = set(variables_of(design.formula.fixed)) & set(design.levels)
    return tuple(
        f"{found.factor}: {found.levels[0]} is named like a control, but {found.first} is the reference, the first by the "
        f"alphabet. levels={{{found.factor!r}: {list(found.levels)}}} turns the signs round."
        for found in references(frame, sorted(read), levels)
        if found.turned
    )


def references_of(design: Design, notes: Sequence[str]) -> tuple[str, ...]:
    """Lines that say which level of each factor the others are compared with."""
    said = [f"{name} {order[0]}" for name, order in design.levels.items()]
    line = [f"Reference levels: {', '.join(said)}"] if said else []
    return (*line, *(f"Note: {note}" for note in notes))


def variance_rows(design: Design, factors: Sequence[Floats]) -> list[list[str]]:
    """Rows of a table: group, effect, variance, SD and correlations, of each Λ (k, k) whose covariance is ΛΛ'."""
    rows = []
    for factor, part in zip(design.random, factors, strict=True):
        sd = np.linalg.norm(part, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            corr = part @ part.T / np.outer(sd, sd)
        for i, effect in enumerate(factor.effects):
            shown = [
                f"{round(corr[i, j], 2) + 0.0:.2f}" if np.isfinite(corr[i, j]) else "-"
                for j in range(i)
                if factor.blocks[i] == factor.blocks[j]
            ]
            name = factor.name if i == 0 else ""
            rows.append([name, effect, f"{sd[i] ** 2:.5g}", f"{sd[i]:.5g}", " ".join(shown)])
    return rows


def p_value(p: float) -> str:
    """A p-value as text."""
    return f"{p:.4f}" if p >= 0.001 else f"{p:.2e}"


def columns(rows: Sequence[Sequence[str]], left: int) -> str:
    """Lay out rows of texts as a table, the first `left` columns to the left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def indent(text: str) -> str:
    """Move every line to the right."""
    return "\n".join(f"  {line}" for line in text.splitlines())
