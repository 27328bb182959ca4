"""Figures of a colour for each pair of names, with the scale of their colours, as SVG text."""

import math
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import ArrayLike

from nestde.arrays import Floats
from nestde.report.figures import HEIGHT, TOP, WIDTH
from nestde.report.sections import DOWN, UP

STEPS = 12
TOLD = 16  # samples, at most, whose distances are tooltips, too


def distances(title: str, values: ArrayLike, names: Sequence[str], low: str, high: str) -> str:
    """Draw a square matrix, dark where it is small; `low` and `high` say what that means.

    The diagonal is left out of the scale and of the drawing.
    """
    matrix = np.asarray(values, dtype=float)
    n = len(matrix)
    others = matrix[~np.eye(n, dtype=bool)]
    least, most = (float(others.min()), float(others.max())) if others.size else (0.0, 1.0)
    side = (HEIGHT - TOP - 60) / max(n, 1)
    near = 1 - (matrix - least) / (most - least or 1.0)
    cells = _squares(near, side, names, matrix) if n <= TOLD else _shades(near, side)
    step = math.ceil(n / 40)
    size = min(10.0, side * step)
    for i in range(0, n, step):
        label = escape(names[i] if len(names[i]) <= 13 else names[i][:12] + "…")
        middle = (i + 0.5) * side + size / 3
        cells.append(
            f'<text x="86" y="{TOP + middle:.1f}" text-anchor="end" fill="currentColor">{label}</text>'
        )
        foot = TOP + n * side + 4
        cells.append(
            f'<text transform="translate({90 + middle:.1f} {foot:.1f}) rotate(-90)" text-anchor="end"'
            f' fill="currentColor">{label}</text>'
        )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img"'
        ' xmlns="http://www.w3.org/2000/svg" style="max-width:100%;height:auto;overflow:visible" fill="currentColor">'
        f'<text x="90" y="13" font-size="13" font-weight="600">{escape(title)}</text>'
        f"{_scale(f'{escape(low)} {least:.0f}', f'{most:.0f} {escape(high)}')}"
        f'<g fill="#4b4ba8" font-size="{size:.1f}">{"".join(cells)}</g></svg>'
    )


def _squares(near: Floats, side: float, names: Sequence[str], matrix: Floats) -> list[str]:
    """A square for each pair, which tells its number."""
    return [
        f'<rect x="{90 + j * side:.1f}" y="{TOP + i * side:.1f}" width="{side:.2f}" height="{side:.2f}"'
        f' fill-opacity="{0.04 + 0.96 * near[i, j]:.2f}"><title>{escape(f"{names[i]} and {names[j]}: {matrix[i, j]:.1f}")}</title></rect>'
        for i in range(len(near))
        for j in range(len(near))
        if i != j
    ]


def _shades(near: Floats, side: float) -> list[str]:
    """A path for each of a few shades, with the squares of all pairs that have it: a tenth of the text."""
    shade = np.rint(2 * STEPS * near).astype(int)
    np.fill_diagonal(shade, -1)
    drawn = []
    for each in range(2 * STEPS + 1):
        squares = "".join(
            f"M{90 + j * side:.1f} {TOP + i * side:.1f}h{side:.1f}v{side:.1f}h-{side:.1f}z"
            for i, j in np.argwhere(shade == each)
        )
        drawn.append(
            f'<path d="{squares}" fill-opacity="{0.04 + 0.96 * each / (2 * STEPS):.2f}"/>' * bool(squares)
        )
    return drawn


def _scale(low: str, high: str) -> str:
    """Shades from dark to light, with what the ends are."""
    boxes = "".join(
        f'<path d="M{190 + 9 * i} 18h9v9h-9z" fill="#4b4ba8" fill-opacity="{1 - 0.96 * i / (STEPS - 1):.2f}"/>'
        for i in range(STEPS)
    )
    return (
        f'<text x="186" y="26" font-size="10.5" text-anchor="end">{low}</text>{boxes}'
        f'<text x="{194 + 9 * STEPS}" y="26" font-size="10.5">{high}</text>'
    )


def effects(
    title: str,
    values: ArrayLike,
    limits: tuple[Floats, Floats],
    found: ArrayLike,
    genes: Sequence[str],
    columns: Sequence[str],
    unit: str,
) -> str:
    """Draw effects, genes down and cell types across, both signs on one scale; a dot where a gene is found.

    Parameters
    ----------
    values
        (genes, columns); NaN where there is none, which stays empty.
    limits, found
        The same shape: 95 % limits, for the tooltips, and whether the gene is found there.
    """
    matrix, dots = np.asarray(values, float), np.asarray(found, bool)
    finite = np.abs(matrix[np.isfinite(matrix)])
    most = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    left, top, wide, high = 130, 40, 34, 17
    width = max(left + wide * len(columns) + 60, 420)
    foot = top + high * len(genes)
    parts = []
    for i, gene in enumerate(genes):
        y = top + high * i
        parts.append(f'<text x="{left - 6}" y="{y + 12}" text-anchor="end">{escape(_short(gene, 18))}</text>')
        for j, column in enumerate(columns):
            value = matrix[i, j]
            if np.isnan(value):
                continue
            share = min(abs(value) / most, 1.0)
            colour = UP if value > 0 else DOWN
            tip = f"{gene}, {column}: {value:+.3g} ({limits[0][i, j]:.3g} to {limits[1][i, j]:.3g}){', found' if dots[i, j] else ''}"
            parts.append(
                f'<rect x="{left + wide * j}" y="{y}" width="{wide - 1}" height="{high - 1}" fill="{colour}"'
                f' fill-opacity="{0.04 + 0.96 * share:.2f}"><title>{escape(tip)}</title></rect>'
            )
            if dots[i, j]:
                parts.append(
                    f'<circle cx="{left + wide * (j + 0.5):.1f}" cy="{y + high / 2 - 0.5}" r="2.4"/>'
                )
    for j, column in enumerate(columns):
        at = left + wide * (j + 0.5)
        parts.append(
            f'<text transform="translate({at + 3:.1f} {foot + 6}) rotate(-45)" text-anchor="end">{escape(_short(column, 22))}</text>'
        )
    boxes = "".join(
        f'<rect x="{left + 44 + 9 * i}" y="22" width="9" height="9" fill="{UP if i >= STEPS else DOWN}"'
        f' fill-opacity="{0.04 + 0.96 * abs(i - STEPS + 0.5) / (STEPS - 0.5):.2f}"/>'
        for i in range(2 * STEPS)
    )
    scale = (
        f'<text x="{left + 40}" y="30" text-anchor="end">−{most:.2g}</text>{boxes}'
        f'<text x="{left + 48 + 18 * STEPS}" y="30">+{most:.2g}, {escape(unit)}</text>'
    )
    height = foot + 20 + 5 * max(len(_short(column, 22)) for column in columns)
    width = max(width, left + 60 + 18 * STEPS + 7 * len(unit))
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="Effects across cell types: '
        f'{escape(title)}" xmlns="http://www.w3.org/2000/svg" style="max-width:100%;height:auto" fill="currentColor" font-size="11">'
        f'<text x="{left}" y="13" font-size="13" font-weight="600">{escape(title)}</text>{scale}{"".join(parts)}</svg>'
    )


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
