"""What the check found, as text for a terminal."""

import shutil
import sys
import textwrap
from typing import TextIO

from nestde.check.found import Accepted, TypeFound
from nestde.check.wording import per_unit, several_groups
from nestde.errors import printable, shortened
from nestde.logs import coloured

BOLD, YELLOW, GREEN, DIM = "1", "33", "32", "2"
NARROWEST, WIDEST, NARROWEST_COLUMN = 60, 110, 20


class Page:
    """Lines for a terminal of some width, in colour if it has any."""

    def __init__(self, width: int, colour: bool):
        self.width, self.colour = width, colour
        self.lines: list[str] = []

    def paint(self, text: str, style: str) -> str:
        """Text in a colour."""
        return f"\x1b[{style}m{text}\x1b[0m" if self.colour else text

    def heading(self, text: str, style: str = BOLD) -> None:
        """Start a part."""
        self.lines += ["", self.paint(printable(text), style)]

    def paragraph(self, text: str, indent: str = "  ", first: str | None = None) -> None:
        """Text wrapped to the width."""
        self.lines += textwrap.wrap(
            printable(text),
            self.width,
            initial_indent=indent if first is None else first,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )

    def table(self, rows: list[list[str]]) -> None:
        """Columns side by side, the first row as their heads, the last column wrapped; below each other if too wide."""
        rows = [[shortened(cell) for cell in row[:-1]] + [printable(row[-1])] for row in rows]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        room = self.width - 2 - sum(widths[:-1]) - 2 * len(widths[:-1])
        if room < min(widths[-1], NARROWEST_COLUMN):
            for row in rows[1:]:
                self.paragraph(row[0])
                for head, cell in zip(rows[0][1:], row[1:], strict=True):
                    if cell:
                        self.paragraph(f"{head}: {cell}", indent="      ", first="    ")
            return
        for i, row in enumerate(rows):
            left = "".join(f"{cell:<{width}}  " for cell, width in zip(row[:-1], widths[:-1], strict=True))
            for j, part in enumerate(textwrap.wrap(row[-1], room) or [""]):
                line = f"  {left if j == 0 else ' ' * len(left)}{part}".rstrip()
                self.lines.append(self.paint(line, DIM) if i == 0 else line)


def terminal(found: Accepted, *, explain: bool, stream: TextIO | None = None) -> str:
    """Text for people: the short form, or with `explain` the long one."""
    stream = stream or sys.stdout
    width = min(max(shutil.get_terminal_size((WIDEST, 24)).columns, NARROWEST), WIDEST)
    page = Page(width, colour=coloured(stream))
    page.lines.append(page.paint("The study can be answered", GREEN))
    page.paragraph(
        f"{found.samples:,} samples, {found.cells:,} cells, cell types {', '.join(shortened(each.cell_type) for each in found.cell_types)}."
    )
    page.heading("Model")
    page.paragraph(found.model.formula)
    page.paragraph(found.model.sentence)
    if explain:
        page.paragraph(found.model.equation)
    page.heading("Nesting")
    for line in found.nesting.text.split("\n"):
        page.paragraph(line, indent="       ", first="  ")
    if explain:
        page.heading("Variables")
        keys = ("variable", "role", "kind", "varies", "values")
        page.table([list(keys), *([getattr(row, key) for key in keys] for row in found.variables)])
    page.heading("Degrees of freedom")
    for row in found.tests:
        page.paragraph(row.text)
    page.heading("Cell types")
    if found.counted:
        page.paragraph(f"Cells are counted {found.counted}; doublets may be fewer yet.")
    page.table([list(CELL_TYPE_HEADS), *map(cell_type_row, found.cell_types)])
    for warning in found.warnings:
        page.heading(f"Warning: {warning.title}", YELLOW)
        page.paragraph(warning.text)
    if explain:
        for part in found.explanations:
            page.heading(part.title)
            page.paragraph(part.text)
    elif found.explanations:
        page.heading("nestde check --explain says why, and what each variable is.", DIM)
    return "\n".join(page.lines)


CELL_TYPE_HEADS = ("cell type", "cells", "samples", "true size of LRT", "smallest effect")


def cell_type_row(report: TypeFound) -> list[str]:
    """One line of the table of cell types: as text."""
    levels = ", ".join(f"{entry.level} {entry.samples}" for entry in report.levels)
    samples = f"{report.samples}{f' ({levels})' if levels else ''}"
    first = [report.cell_type, f"{report.cells:,}", samples]
    if not report.estimable:
        return [*first, "not testable", report.reason]
    size = "" if report.lrt_size is None else f"{report.lrt_size:.3f}"
    test = report.tests[0]
    unit = f"{several_groups(test.unit)}{per_unit(test)}"
    effect = "" if report.smallest_effect is None else f"{report.smallest_effect:.2g} SD between {unit}"
    return [*first, size, effect]
