"""Samples beside each other: principal components and distances of their pseudobulk profiles."""

from typing import Any

import numpy as np

from nestde.report import figures
from nestde.report.figures import Class
from nestde.report.matrices import distances
from nestde.report.results import Results
from nestde.report.sections import Raw, Section, html, plain_table

CHAPTER = "quality"
COLOURS = ("#2166ac", "#c2410c", "#7b3294", "#b8860b", "#0f766e", "#5c6470")
LABELLED = 30  # samples, at most, whose names find room beside their points
DRAWN = 80  # samples, at most, whose distances are drawn: a square for each pair

HELP = """
Each point is a sample: the sum of its cells, as log2(1 + counts per million) of the 500 most variable genes. Samples of
one diagnosis near to one another, apart from the others, are what a difference looks like. A sample far from all is
worth a look at its quality control. If a component goes with a batch or with sex rather than with the diagnosis, that
covariate may belong into the formula. In the distances, a light row or column is a sample unlike all others.
"""


def sections(results: Results) -> list[Section]:
    """Components and distances, where pseudobulk was run."""
    seen = {name: about for name, about in results.profiles.items() if about["pca"]["scores"]}
    if not seen:
        return []
    factor = next((term for term in results.config.model.compared if term in results.samples), None)
    levels = {}
    if factor:
        levels = dict(zip(results.samples["sample_id"], results.samples[factor].astype(str), strict=True))
    order = list(
        dict.fromkeys([*results.config.model.levels.get(factor or "", []), *sorted(set(levels.values()))])
    )
    drawn = [
        figure
        for name, about in seen.items()
        for figure in (_components(name, about, levels, order), _distances(name, about, levels, order))
        if figure
    ]
    return [
        Section(
            "nestde_likeness",
            CHAPTER,
            "Samples beside each other",
            html(figures.row(drawn)),
            description="Pseudobulk profiles of each cell type: principal components, and distances between samples.",
            helptext=HELP,
        ),
        Section(
            "nestde_covariates",
            CHAPTER,
            "What the components go with",
            html(_covariates(seen)),
            description=(
                "Percent of a component's variance that a covariate explains; <b>bold</b> where chance alone would"
                " do so in fewer than 1 of 100 studies."
            ),
        ),
    ]


def _components(name: str, about: dict[str, Any], levels: dict[str, str], order: list[str]) -> str:
    scores, variance = np.array(about["pca"]["scores"]), about["pca"]["variance"]
    second = scores[:, 1] if scores.shape[1] > 1 else np.zeros(len(scores))
    classes = [Class(level, COLOURS[i % len(COLOURS)]) for i, level in enumerate(order)] or [
        Class("samples", COLOURS[0])
    ]
    kinds = [order.index(levels[sample]) if sample in levels else 0 for sample in about["samples"]]
    shares = [f"{100 * share:.0f} %" for share in [*variance, 0.0][:2]]
    wide, high = (1.15 * float(np.abs(values).max() or 1.0) for values in (scores[:, 0], second))
    axes = (
        figures.x_axis(f"component 1 ({shares[0]} of variance)", -wide, wide),
        figures.y_axis(f"component 2 ({shares[1]})", -high, high),
    )
    labelled = range(len(scores)) if len(scores) <= LABELLED else ()
    svg = figures.scatter(
        name, scores[:, 0], second, kinds, about["samples"], classes, axes, labelled=list(labelled)
    )
    rows = [
        ["sample_id", "component_1", "component_2"],
        *zip(about["samples"], scores[:, 0], second, strict=True),
    ]
    return figures.drawn(svg, rows)


def _distances(name: str, about: dict[str, Any], levels: dict[str, str], order: list[str]) -> str:
    samples = about["samples"]
    if len(samples) > DRAWN:
        return ""
    places = sorted(
        range(len(samples)), key=lambda i: (order.index(levels[samples[i]]) if order else 0, samples[i])
    )
    matrix = np.array(about["distances"])[np.ix_(places, places)]
    ordered = [samples[i] for i in places]
    svg = distances(f"{name}: distances", matrix, ordered, "alike:", "unlike")
    rows = [
        ["sample_id", *ordered],
        *([sample, *row] for sample, row in zip(ordered, matrix.round(2).tolist(), strict=True)),
    ]
    return figures.drawn(svg, rows)


def _covariates(seen: dict[str, dict[str, Any]]) -> str:
    rows = []
    for name, about in seen.items():
        table: dict[str, dict[int, Any]] = {}
        for line in about["covariates"]:
            table.setdefault(line["covariate"], {})[line["component"]] = line
        for covariate, of in table.items():
            cells = []
            for component in range(1, 6):
                line = of.get(component, {"r2": None, "pvalue": None})
                share = "–" if line["r2"] is None else f"{100 * line['r2']:.0f} %"
                strong = line["pvalue"] is not None and line["pvalue"] < 0.01
                cells.append(Raw(f"<b>{share}</b>" if strong else share))
            rows.append([name, covariate, *cells])
    header = ["Cell type", "Covariate", *(f"Component {component}" for component in range(1, 6))]
    return plain_table(header, rows, right=range(2, 7))
