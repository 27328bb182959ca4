"""Figures as SVG text: no script, no picture files, sharp in print, every name escaped, any theme."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nestde.arrays import Floats

WIDTH, HEIGHT = 520, 380
LEFT, RIGHT, TOP, BOTTOM = 58, 16, 42, 46
MOST_POINTS = 2000
# Of a name: right of its point, left or centred (0, 1, 2), and how far its foot is below the point.
PLACES = ((0, 4), (1, 4), (0, -6), (1, -6), (0, 14), (1, 14), (2, -8), (2, 17))
MOST_HIDDEN = 3  # points, under a name
BLANKS = str.maketrans("\t\r\n", "   ")


@dataclass(frozen=True)
class Axis:
    """A linear axis: its label, its range in data units, the pixels it spans, and its ticks where they are not round numbers."""

    label: str
    low: float
    high: float
    start: float
    end: float
    named: Mapping[float, str] = field(default_factory=dict)

    def pixels(self, values: ArrayLike) -> Floats:
        """Map data to pixels; what lies beyond the range lands on its border."""
        inside = np.clip(np.asarray(values, dtype=float), self.low, self.high)
        found: Floats = self.start + (inside - self.low) / (self.high - self.low) * (self.end - self.start)
        return found

    def ticks(self) -> Mapping[float, str]:
        """Those given, or four to eight round numbers within the range."""
        if self.named:
            return self.named
        span = self.high - self.low
        step = 10.0 ** math.floor(math.log10(span / 4))
        step *= next(factor for factor in (5, 2, 1) if span / (step * factor) >= 4)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return {number * step: _number(number * step) for number in range(first, last + 1)}


@dataclass(frozen=True)
class Class:
    """A kind of point: what the legend calls it, its colour, and whether it is only the background."""

    label: str
    colour: str
    faint: bool = False


def x_axis(label: str, low: float, high: float) -> Axis:
    """A horizontal axis of the panel."""
    return Axis(label, low, high, LEFT, WIDTH - RIGHT)


def y_axis(label: str, low: float, high: float) -> Axis:
    """A vertical axis of the panel."""
    return Axis(label, low, high, HEIGHT - BOTTOM, TOP)


def limit(values: ArrayLike) -> float:
    """Choose an axis limit that a few extreme values cannot stretch: at most twice the 99.9th percentile."""
    sizes = np.abs(np.asarray(values, dtype=float))
    sizes = sizes[np.isfinite(sizes)]
    if not len(sizes) or sizes.max() == 0:
        return 1.0
    return float(min(sizes.max(), 2 * np.quantile(sizes, 0.999) or sizes.max()) * 1.05)


def scatter(
    title: str,
    x: ArrayLike,
    y: ArrayLike,
    kinds: Sequence[int],
    names: Sequence[str],
    classes: Sequence[Class],
    axes: tuple[Axis, Axis],
    *,
    labelled: Sequence[int] = (),
    guides: str = "",
    tips: bool = True,
) -> str:
    """Draw points; those beyond the axes are triangles on the border.

    Parameters
    ----------
    x, y, kinds, names
        One entry per point; `kinds` are places in `classes`. Points without a value (NaN) are left out, infinite
        ones are beyond the axes. Points of a kind that would hide one another are drawn once, the highest kept.
    labelled
        Points whose names are written, the most important first; a name that finds no room is left to its
        tooltip.
    guides
        SVG drawn behind the points, from `line`.
    tips
        Whether points that are not the background have their names as tooltips.
    """
    horizontal, vertical = axes
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    px, py = horizontal.pixels(x), vertical.pixels(y)
    beyond = (x < horizontal.low) | (x > horizontal.high) | (y < vertical.low) | (y > vertical.high)
    kind_of = np.asarray(kinds)
    there = ~np.isnan(x) & ~np.isnan(y)
    points = np.flatnonzero(there)
    marks = [guides]
    for kind, group in enumerate(classes):
        members = points[kind_of[points] == kind]
        shapes = []
        for i in _thin(members, px, py, set(labelled)):
            at = f"{px[i]:.0f} {py[i]:.0f}" if group.faint else f"{px[i]:.1f} {py[i]:.1f}"
            # a zero-length line with round caps is the shortest way to write a dot
            path = f"M{at}m-2 2h4l-2-4z" if beyond[i] else f"M{at}h0"
            tip = (
                ""
                if (group.faint or not tips) and i not in labelled
                else f"<title>{escape(names[i])}</title>"
            )
            shapes.append((path, tip))
        plain = "".join(path for path, tip in shapes if not tip)
        with_tip = "".join(f'<path d="{path}">{tip}</path>' for path, tip in shapes if tip)
        width, opacity = (4, 0.45) if group.faint else (6, 0.8)
        marks.append(
            f'<g stroke="{group.colour}" fill="{group.colour}" stroke-width="{width}"'
            f' stroke-linecap="round" opacity="{opacity}">{with_tip}'
            + (f'<path d="{plain}"/>' if plain else "")
            + "</g>"
        )
    loud = [i for i in points.tolist() if not classes[kind_of[i]].faint]
    marks.append(_labels([i for i in labelled if there[i]], px, py, names, loud))
    counts = [int((kind_of[points] == kind).sum()) for kind in range(len(classes))]
    return _panel(title, axes, "".join(marks), _legend(classes, counts))


def histogram(title: str, values: ArrayLike, label: str, expected: str, bins: int = 20) -> str:
    """Draw a histogram over 0 to 1, with a line at the mean of its bars where `expected` says what that is."""
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    counts, edges = np.histogram(known, bins=bins, range=(0, 1))
    horizontal = x_axis(label, 0, 1)
    vertical = y_axis("genes", 0, max(1, counts.max() * 1.08))
    left, right = horizontal.pixels(edges[:-1]), horizontal.pixels(edges[1:])
    top = vertical.pixels(counts)
    bars = "".join(
        f'<path d="M{a + 0.5:.1f} {vertical.start}V{t:.1f}H{b - 0.5:.1f}V{vertical.start}z">'
        f"<title>{low:.2f} to {high:.2f}: {count:,} genes</title></path>"
        for a, b, t, low, high, count in zip(left, right, top, edges[:-1], edges[1:], counts, strict=True)
    )
    flat = line((horizontal, vertical), y=len(known) / bins, text=expected) if expected else ""
    return _panel(title, (horizontal, vertical), f'<g fill="#4b78a8" opacity="0.85">{bars}</g>{flat}', "")


def violins(title: str, groups: Sequence[tuple[str, Floats, str]], label: str, bins: int = 50) -> str:
    """Draw a row for each group of shares, as wide as they are many; quartiles as a bar, the median as a dot.

    The axis is that of square roots, so that small shares can be told apart.
    """
    ticks = {math.sqrt(percent / 100): f"{percent} %" for percent in (0, 1, 5, 10, 25, 50, 75, 100)}
    horizontal = Axis(label, 0, 1, LEFT + 50, WIDTH - RIGHT, ticks)
    high = (HEIGHT - BOTTOM - TOP) / max(len(groups), 1)
    marks = []
    for place, (name, values, colour) in enumerate(groups):
        middle = TOP + high * (place + 0.5)
        counts, edges = np.histogram(np.sqrt(values), bins=bins, range=(0, 1))
        reach = 0.42 * high * counts / max(1, counts.max())
        at = horizontal.pixels((edges[:-1] + edges[1:]) / 2)
        there = [f"{x:.1f} {middle - r:.1f}" for x, r in zip(at, reach, strict=True)]
        back = [f"{x:.1f} {middle + r:.1f}" for x, r in zip(at[::-1], reach[::-1], strict=True)]
        low, half, top = np.quantile(values, [0.25, 0.5, 0.75])
        a, m, b = horizontal.pixels(np.sqrt([low, half, top]))
        words, anchor = (horizontal.start + 6, "start") if half > 0.25 else (horizontal.end, "end")
        marks.append(
            f'<path d="M{"L".join([*there, *back])}z" fill="{colour}" fill-opacity="0.35" stroke="{colour}"/>'
            f'<path d="M{a:.1f} {middle:.1f}H{b:.1f}" stroke="currentColor" stroke-width="4"/>'
            f'<circle cx="{m:.1f}" cy="{middle:.1f}" r="4.5" fill="{colour}" stroke="currentColor" stroke-width="1.5"/>'
            f'<text x="{LEFT + 42}" y="{middle + 4:.1f}" text-anchor="end" font-size="11">{escape(name[:15])}</text>'
            f'<text class="nd-halo" x="{words:.1f}" y="{middle - 0.3 * high:.1f}" text-anchor="{anchor}" font-size="10.5">'
            f"median {100 * half:.2g} %</text>"
        )
    return _panel(title, (horizontal, Axis("", 0, 1, HEIGHT - BOTTOM, TOP)), "".join(marks), "", rows=True)


def strips(groups: Sequence[tuple[str, Sequence[float], str]], title: str = "") -> str:
    """Draw one row of dots per group on a common scale, a bar at each mean: small enough for a table cell.

    Parameters
    ----------
    groups
        Name, values and colour of each.
    title
        Above them, where they stand alone.
    """
    known = [value for _, values, _ in groups for value in values if np.isfinite(value)]
    if not known:
        return ""
    low, high = min(known), max(known)
    at = Axis("", low, high if high > low else low + 1, 78.0, 232.0)
    top = 18 if title else 0
    rows = [f'<text x="2" y="12" font-size="12" font-weight="600">{escape(title)}</text>'] * bool(title)
    for place, (name, values, colour) in enumerate(groups):
        y = top + 9 + 16 * place
        dots = "".join(f'<path d="M{x:.1f} {y}h0"/>' for x in at.pixels(values) if np.isfinite(x))
        mean = float(at.pixels(np.mean(values))) if len(values) else None
        bar = f'<path d="M{mean:.1f} {y - 6}v12" stroke="currentColor" stroke-width="1.5"/>' if mean else ""
        label = name if len(name) <= 11 else name[:10] + "…"
        rows.append(
            f'<text x="70" y="{y + 4}" text-anchor="end" font-size="11">{escape(label)}</text>'
            f'<g stroke="{colour}" stroke-width="6" stroke-linecap="round" stroke-opacity="0.6">{dots}</g>{bar}'
        )
    height = top + 16 * len(groups) + 12
    ends = f'<text x="{at.start}" y="{height - 2}">{low:.3g}</text>' + (
        f'<text x="{at.end}" y="{height - 2}" text-anchor="end">{high:.3g}</text>'
    )
    rows.append(f'<g font-size="9" opacity="0.7">{ends}</g>')
    return (
        f'<svg viewBox="0 0 240 {height}" width="240" height="{height}" role="img" xmlns="http://www.w3.org/2000/svg"'
        f' fill="currentColor">{"".join(rows)}</svg>'
    )


def line(axes: tuple[Axis, Axis], *, x: float | None = None, y: float | None = None, text: str = "") -> str:
    """Draw a dashed guide at one x or one y, or, with neither, along the diagonal."""
    horizontal, vertical = axes
    if x is not None:
        x1 = x2 = float(horizontal.pixels(x))
        y1, y2 = vertical.start, vertical.end
    elif y is not None:
        x1, x2 = horizontal.start, horizontal.end
        y1 = y2 = float(vertical.pixels(y))
    else:
        ends = [max(horizontal.low, vertical.low), min(horizontal.high, vertical.high)]
        (x1, x2), (y1, y2) = horizontal.pixels(ends), vertical.pixels(ends)
    words = (
        f'<text x="{x2:.1f}" y="{y2 - 4:.1f}" class="nd-halo" text-anchor="end" font-size="10" opacity="0.85">'
        f"{escape(text)}</text>"
    )
    return (
        f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="currentColor" opacity="0.5"'
        f' stroke-dasharray="4 3" fill="none"/>' + (words if text else "")
    )


def band(axes: tuple[Axis, Axis], x: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> str:
    """Draw the range between two curves, behind the points."""
    horizontal, vertical = axes
    px, low, high = horizontal.pixels(x), vertical.pixels(lower), vertical.pixels(upper)
    there = [f"{at:.1f} {y:.1f}" for at, y in zip(px, high, strict=True)]
    back = [f"{at:.1f} {y:.1f}" for at, y in zip(px[::-1], low[::-1], strict=True)]
    return f'<path d="M{"L".join([*there, *back])}z" fill="currentColor" opacity="0.13"/>'


def drawn(svg: str, rows: Sequence[Sequence[object]] = (), **data: str) -> str:
    """Set a drawing as a figure, with what scripts of the page need to know of it.

    Parameters
    ----------
    rows
        Its data, the header first, to be saved as TSV.
    data
        Attributes: ``test``, where the packed tables have the comparison (`Results.place`); ``x``, ``y``, its columns, and
        ``axes`` of `ends`, where each point is a gene; ``size``, small for what may stand three in a row.
    """
    given = "".join(f' data-{key}="{escape(value)}"' for key, value in data.items())
    text = "\n".join("\t".join(str(cell).translate(BLANKS) for cell in cells) for cells in rows)
    table = f"<template>{escape(text)}</template>" if rows else ""
    return f'<figure class="nd-drawn nd-figure"{given}>{svg}{table}</figure>'


def ends(axes: tuple[Axis, Axis]) -> str:
    """Ranges and pixels of two axes."""
    return " ".join(f"{end:.6g}" for axis in axes for end in (axis.low, axis.high, axis.start, axis.end))


def row(figures: Sequence[str]) -> str:
    """Set figures side by side, as many as the page is wide."""
    whole = (figure if figure.startswith("<figure") else drawn(figure) for figure in figures)
    return f'<div class="nd-grid">{"".join(whole)}</div>'


def _thin(members: NDArray[np.intp], px: Floats, py: Floats, spared: set[int]) -> list[int]:
    """Keep one point per pixel cell, the highest, with cells just coarse enough for `MOST_POINTS`."""
    order = members[np.argsort(py[members], kind="stable")]
    cell = 1.0
    while True:
        keys = np.stack([np.round(px[order] / cell), np.round(py[order] / cell)])
        first = np.unique(keys, axis=1, return_index=True)[1]
        if len(first) <= MOST_POINTS:
            chosen = set(order[first].tolist()) | spared
            return [i for i in order.tolist() if i in chosen]
        cell *= 1.25


def _labels(
    labelled: Sequence[int], px: Floats, py: Floats, names: Sequence[str], loud: Sequence[int]
) -> str:
    """Write names beside their points: off one another, off points that have names, and where they hide fewest `loud` ones."""
    placed: list[tuple[float, float, float, float]] = []
    words = []
    x, y = px[list(loud)], py[list(loud)]
    for i in labelled:
        name = names[i] if len(names[i]) <= 24 else names[i][:23] + "…"
        width = 6.9 * len(name)
        others = [(px[j] - 4, py[j] - 4, px[j] + 4, py[j] + 4) for j in labelled if j != i]
        free = []
        for right, up in PLACES:
            left = (px[i] + 6, px[i] - 6 - width, px[i] - width / 2)[right]
            base = py[i] + up
            box = (left, base - 10, left + width, base + 2)
            inside = (
                box[0] > LEFT and box[2] < WIDTH - RIGHT + 8 and box[1] > TOP - 8 and box[3] < HEIGHT - BOTTOM
            )
            if inside and not any(_overlap(box, other) for other in (*placed, *others)):
                hidden = (x > box[0] - 3) & (x < box[2] + 3) & (y > box[1] - 3) & (y < box[3] + 3)
                free.append((int(hidden.sum()), box, right, base))
        if not free:
            continue
        hides, box, right, base = min(free, key=lambda each: each[0])
        if hides <= MOST_HIDDEN:
            placed.append(box)
            at, anchor = ((box[0], "start"), (box[2], "end"), (px[i], "middle"))[right]
            words.append(f'<text x="{at:.1f}" y="{base:.1f}" text-anchor="{anchor}">{escape(name)}</text>')
    return f'<g class="nd-halo" font-size="10.5">{"".join(words)}</g>'


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two boxes (left, top, right, bottom) have anything in common."""
    return one[2] >= other[0] and other[2] >= one[0] and one[3] >= other[1] and other[3] >= one[1]


def _legend(classes: Sequence[Class], counts: Sequence[int]) -> str:
    """Name the classes above the panel, with how many points each has."""
    items, at = [], float(LEFT)
    for group, count in zip(classes, counts, strict=True):
        label = f"{group.label} ({count:,})"
        items.append(
            f'<circle cx="{at + 4:.0f}" cy="24" r="4" fill="{group.colour}"/>'
            f'<text x="{at + 12:.0f}" y="28">{escape(label)}</text>'
        )
        at += 20 + 5.5 * len(label)
    return f'<g class="nd-legend" font-size="10.5">{"".join(items)}</g>'


def _panel(title: str, axes: tuple[Axis, Axis], marks: str, legend: str, *, rows: bool = False) -> str:
    """Put title, axes, ticks and labels around the marks; where these are `rows`, the vertical axis has none."""
    horizontal, vertical = axes
    grid = []
    for tick, words in horizontal.ticks().items():
        at = float(horizontal.pixels(tick))
        grid.append(f'<path d="M{at:.1f} {vertical.start}V{vertical.end}"/>')
        grid.append(f'<text x="{at:.1f}" y="{vertical.start + 16}" text-anchor="middle">{words}</text>')
    for tick, words in () if rows else vertical.ticks().items():
        at = float(vertical.pixels(tick))
        grid.append(f'<path d="M{horizontal.start} {at:.1f}H{horizontal.end}"/>')
        grid.append(f'<text x="{horizontal.start - 6}" y="{at + 4:.1f}" text-anchor="end">{words}</text>')
    middle = (vertical.start + vertical.end) / 2
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img"'
        ' xmlns="http://www.w3.org/2000/svg" style="max-width:100%;height:auto;overflow:visible" fill="currentColor">'
        f'<text x="{LEFT}" y="13" font-size="13" font-weight="600">{escape(title)}</text>{legend}'
        '<g stroke="currentColor" stroke-opacity="0.12" font-size="10.5">'
        + "".join(grid).replace("<text ", '<text stroke="none" ')
        + "</g>"
        f'<path d="M{horizontal.start} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" stroke="currentColor" fill="none"/>'
        f'<text x="{(horizontal.start + horizontal.end) / 2}" y="{HEIGHT - 8}" text-anchor="middle"'
        f' font-size="12">{escape(horizontal.label)}</text>'
        f'<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle" font-size="12">'
        f"{escape(vertical.label)}</text>{marks}</svg>"
    )


def _number(value: float) -> str:
    """Write a tick: no trailing zeros, thousands set apart, never minus zero."""
    return f"{value + 0.0:,.6g}".replace("-", "−")
