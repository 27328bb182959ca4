"""A section of the report, as MultiQC's custom content wants it, and the HTML it is made of."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

UP, DOWN, REST = "#c2410c", "#2166ac", "#8a8f98"
NUMBER = re.compile(r"[-+]?[\d,.]+(e[-+]?\d+)?( %)?")
KEPT, ALARM = "#4b78a8", "#c62828"
# Lines of one graph that are named beside it.
_NAMED = 12


@dataclass(frozen=True)
class Section:
    """One heading of the report with one plot, table or piece of HTML.

    Parameters
    ----------
    chapter
        The part of the report it stands in, a key of `chapters` in `nestde.report`.
    name, description, helptext
        The heading (see `heading`); a sentence or two shown below it (HTML); the longer answer behind the Help
        button (Markdown). Whatever comes from data in the latter two must be escaped already.
    content
        ``plot_type``, ``data`` and what belongs to them in MultiQC's custom content.
    """

    id: str
    chapter: str
    name: str
    content: Mapping[str, Any]
    description: str = ""
    helptext: str = ""


def heading(text: str) -> str:
    """A heading with names from data in it, in look-alikes of the characters that HTML would read as its own.

    Escaping does not help there: MultiQC's navigation takes tags out of headings and turns entities back, and
    its tooltips are HTML made of an attribute.
    """
    return text.translate(str.maketrans('<>&"', "‹›＆″"))


def html(text: str) -> dict[str, Any]:
    """Content that is HTML, escaped where it holds names from data."""
    return {"plot_type": "html", "data": text}


def shown(name: str) -> str:
    """A name from data as HTML, and as text to a spreadsheet.

    The page's tables are copied and the data of its bars saved as CSV, and a spreadsheet computes what begins with
    ``=``, ``+``, ``-``, ``@``, a tab or a line end, but for numbers. A zero-width space before it makes it text and is not seen; MultiQC
    would strip a blank. The tables in results/ have the names as they are.
    """
    text = escape(name)
    computed = name.lstrip(" \u200b").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    return f"\u200b{text}" if computed and not NUMBER.fullmatch(name) else text


@dataclass
class TableColumns:
    """The headers of a MultiQC table, in order."""

    headers: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, key: str, title: str, description: str, **options: Any) -> "TableColumns":
        """Add a column; `options` are MultiQC's (format, scale, hidden, …). No background unless asked for."""
        words = {"title": heading(title), "description": heading(description)}
        self.headers[key] = {**words, "scale": False, **options, "placement": len(self.headers)}
        return self


def table(
    id: str, title: str, first: str, columns: TableColumns, rows: Sequence[tuple[str, Mapping[str, Any]]]
) -> dict[str, Any]:
    """A MultiQC table; row names (see `_by_name`) and text cells are escaped here. Rows keep their order."""
    return {
        "plot_type": "table",
        "data": _by_name((name, _cells(cells)) for name, cells in rows),
        "headers": columns.headers,
        "pconfig": {
            "id": id,
            "title": title,
            "col1_header": first,
            "sort_rows": False,
            "no_violin": True,
            "rows_are_samples": False,
            "scale": False,
        },
    }


def _by_name(rows: Iterable[tuple[str, dict[Any, Any]]]) -> dict[str, dict[Any, Any]]:
    """Rows by names as MultiQC leaves them, each name with its row.

    MultiQC takes row names for those of files, also where it is told not to clean them: what stands before a slash
    is dropped, and so are spaces around a name, and rows that share what is left become one. So a look-alike
    stands for the slash, also that of an escaped ``</b>``. A zero-width space sets a second row of one name apart.
    """
    named: dict[str, dict[Any, Any]] = {}
    for name, row in rows:
        key = shown(name).replace("/", "∕").strip()
        while key in named:
            key += "\u200b"
        named[key] = row
    return named


def _cells(cells: Mapping[str, Any]) -> dict[str, Any]:
    """The cells of a row that are not missing."""
    return {column: _cell(value) for column, value in cells.items() if value is not None and value == value}


def _cell(value: Any) -> Any:
    """Escape text; write an infinite ratio (a gene without any count in one level) as JSON can hold it."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, float) and math.isinf(value):
        return "+∞" if value > 0 else "−∞"
    return value


def bars(
    id: str,
    title: str,
    label: str,
    categories: Mapping[str, tuple[str, str]],
    rows: Mapping[str, Mapping[str, float]],
    **options: Any,
) -> dict[str, Any]:
    """A MultiQC bar graph, one bar per row; `categories` are key -> (name, colour), drawn in that order.

    Names of rows (see `_by_name`) and of categories are escaped here.
    """
    return {
        "plot_type": "bargraph",
        "data": _by_name(
            (name, {escape(key): value for key, value in values.items()}) for name, values in rows.items()
        ),
        "categories": {
            escape(key): {"name": shown(name), "color": colour} for key, (name, colour) in categories.items()
        },
        "pconfig": {
            "id": id,
            "title": title,
            "ylab": label,
            "sort_samples": False,
            "tt_decimals": 0,
            **options,
        },
    }


def curves(
    id: str, title: str, across: str, up: str, lines: Mapping[str, Sequence[tuple[float, float]]]
) -> dict[str, Any]:
    """A MultiQC line graph of percentages, one line of (x, y) by name; names (see `_by_name`) are escaped here.

    A few lines are named beside it, more where the pointer is.
    """
    return {
        "plot_type": "linegraph",
        "data": _by_name((name, dict(line)) for name, line in lines.items()),
        "pconfig": {
            "id": id,
            "title": title,
            "xlab": across,
            "ylab": up,
            "ymin": 0,
            "ymax": 100,
            "showlegend": len(lines) <= _NAMED,
        },
    }


class Raw(str):
    """HTML of ours, not to be escaped."""


def plain_table(
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    right: Iterable[int] = (),
    *,
    spans: Iterable[tuple[str, int]] = (),
    cards: bool = False,
) -> str:
    """A small HTML table; every cell is escaped but `Raw` ones.

    Parameters
    ----------
    right
        Columns that are set right (numbers).
    spans
        What stands above the header, and over how many columns each.
    cards
        Whether a row is a card on a phone, where each cell says what it is.
    """

    def cell(value: object) -> str:
        if isinstance(value, Raw):
            return value
        return f"{value:,}" if isinstance(value, int) else shown(str(value))

    aligned, right_set = set(right), ' class="text-end"'
    said = [f' data-label="{escape(name)}"' * cards for name in header]

    def cells(tag: str, values: Sequence[object], labels: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{right_set if i in aligned else ''}{label}>{cell(value)}</{tag}>"
            for i, (value, label) in enumerate(zip(values, labels, strict=True))
        )

    body = "".join(f"<tr>{cells('td', values, said)}</tr>" for values in rows)
    above = "".join(
        f'<th colspan="{wide}" scope="colgroup">{shown(name)}</th>' for name, wide in spans if wide
    )
    heads = (
        f'<tr class="nd-spans">{above}</tr>' * bool(above)
        + f"<tr>{cells('th', header, [''] * len(header))}</tr>"
    )
    kind = " nd-cards" if cards else ""
    return (
        f'<div class="table-responsive"><table class="table table-sm table-hover w-auto{kind}">'
        f"<thead>{heads}</thead><tbody>{body}</tbody></table></div>"
    )


def note(text: str, kind: str = "info") -> str:
    """A box: info, warning or danger. `text` is HTML."""
    return f'<div class="alert alert-{kind} py-2">{text}</div>'


def listing(sentences: Iterable[str]) -> str:
    """A bulleted list of plain sentences, escaped."""
    return "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>"
