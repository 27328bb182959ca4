"""Depth and composition: how deep each sample's cells are, what their counts are divided by, and where arms part in that."""

from collections.abc import Iterator
from html import escape
from typing import Any

import numpy as np

from nestde.cells.depth import ratios, span
from nestde.check.advice import DEEPER, depth_words, lacks_depth
from nestde.design.formula import parse
from nestde.report import figures
from nestde.report.figures import Class
from nestde.report.results import Results
from nestde.report.sample_similarity import COLOURS
from nestde.report.sections import Section, html, note, plain_table
from nestde.size_factors import size_factor

CHAPTER = "quality"
PARTED = 1.1  # times that factors over totals differ between arms, to be told

HELP = """
The counts of a cell are divided by its size factor. By library size that is its total; by the median of ratios, the total times
a factor of its sample (*factor over total*), which is below 1 where a few genes take counts from all others. Where that factor
differs between arms, normalisation by totals would have shifted every other gene.

Logarithms of scaled counts are not free of depth: where one arm's cells were counted deeper, they differ though nothing else
does. A depth term in the formula (nestde.log_size_factor) takes that up; see *Which p-value?* in the documentation for how much.
"""


def sections(results: Results) -> list[Section]:
    """One section, where matrices were made."""
    seen = {name: design for name, design in results.designs.items() if design.get("depths")}
    if not seen:
        return []
    words = list(_notes(results, seen))
    boxes = "".join(note(f"<b>{escape(title)}.</b> {escape(text)}", "warning") for title, text in words)
    header = ["Cell type", "Level", "Samples", "Counts a cell", "Genes a cell", "Depth", "Factor over total"]
    table = plain_table(header, _rows(seen), right=range(2, len(header)))
    drawn = [_drawn(name, design) for name, design in seen.items()]
    method = size_factor(results.config.genes.size_factors)
    return [
        Section(
            "nestde_depth",
            CHAPTER,
            "Depth and size factors",
            html(boxes + table + figures.row(drawn)),
            description=(
                f"Size factors: {escape(method.label)}. Medians of cells, geometric means of samples; the last two columns are "
                "multiples of the first level's. In the figures, each sample's factor over its total, by its depth."
            ),
            helptext=HELP,
        )
    ]


def _levels(design: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """Tested factor that is constant within samples -> level, reference first -> samples."""
    found = {}
    for factor, of in design["levels_of"].items():
        samples = [name for cells in of.values() for name in cells]
        if len(samples) == len(set(samples)):
            # JSON does not keep the order of levels
            order = design["roster"]["factors"].get(factor, list(of))
            found[factor] = {level: list(of[level]) for level in order if level in of}
    return found


def _rows(seen: dict[str, dict[str, Any]]) -> Iterator[list[object]]:
    for name, design in seen.items():
        depths = design["depths"]
        for levels in _levels(design).values():
            of = {
                what: {s: depth[what] for s, depth in depths.items()}
                for what in ("counts", "genes", "factor")
            }
            deeper, factor = (ratios(of[what], levels) for what in ("counts", "factor"))
            for level, samples in levels.items():
                if level in deeper:
                    counts, genes = (
                        np.median([of[what][s] for s in samples]) for what in ("counts", "genes")
                    )
                    number = len(samples)
                    shown = f"× {deeper[level]:.2f}", f"× {factor[level]:.2f}"
                    yield [name, level, number, f"{counts:,.0f}", f"{genes:,.0f}", *shown]


def _notes(results: Results, seen: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Where arms part, and where size factors could not be had as asked."""
    model = results.config.model
    for name, design in seen.items():
        depths = design["depths"]
        for factor, levels in _levels(design).items():
            apart = ratios({s: depth["factor"] for s, depth in depths.items()}, levels)
            if span(apart) >= PARTED:
                told = ", ".join(f"× {ratio:.2f} in {level}" for level, ratio in apart.items())
                yield (
                    f"{name}: size factors and totals part by {factor}",
                    f"Counts are divided by the cell's total {told}: a few genes take a larger share of the counts "
                    "of one arm than of the other, or many genes differ. Normalised by totals, all genes would be shifted by as much.",
                )
            deeper = ratios({s: depth["counts"] * depth["factor"] for s, depth in depths.items()}, levels)
            if span(deeper) >= DEEPER and lacks_depth(parse(model.formula), model.family):
                yield f"{name}: depth differs by {factor}", depth_words(deeper)
    for name, design in seen.items():
        words = design["size_factors"]["words"]
        if words:
            yield f"{name}: size factors are library sizes", f"{words}."


def _drawn(name: str, design: dict[str, Any]) -> str:
    """Each sample's factor over its total, by its depth, both on log scales."""
    depths = design["depths"]
    levels = next(iter(_levels(design).values()), {"samples": list(depths)})
    samples = [sample for of in levels.values() for sample in of if sample in depths]
    kinds = [place for place, of in enumerate(levels.values()) for sample in of if sample in depths]
    x = np.log10([depths[sample]["counts"] for sample in samples])
    y = np.log2([depths[sample]["factor"] for sample in samples])
    high = max(0.1, 1.15 * float(np.abs(y).max(initial=0)))
    low, deep = float(x.min(initial=np.inf)), float(x.max(initial=-np.inf))
    axes = (
        figures.x_axis("log10 counts a cell (median)", low - 0.1, deep + 0.1),
        figures.y_axis("log2 factor over total", -high, high),
    )
    classes = [Class(level, COLOURS[i % len(COLOURS)]) for i, level in enumerate(levels)]
    svg = figures.scatter(name, x, y, kinds, samples, classes, axes)
    rows = [["sample_id", "log10_counts", "log2_factor"], *zip(samples, x, y, strict=True)]
    return figures.drawn(svg, rows)
