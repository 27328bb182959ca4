"""What was found: per cell type and tested term the counts, the volcano, the p-values, the top genes."""

from collections.abc import Iterable
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from nestde.fit.family import Family
from nestde.report import figures
from nestde.report.figures import Class
from nestde.report.results import Results, Test
from nestde.report.sections import DOWN, REST, UP, Section, TableColumns, bars, heading, html, table
from nestde.words import count

CHAPTER = "genes"
TOP = 25
TOP_OF_NONE = 5  # of a comparison without any finding

STATUS_HELP = """
**Tested** genes got a p-value. **Singular** ones are among them: the model found no variance between samples
beyond what cells alone explain, which is a valid fit. **Not testable** genes are constant or detected in too few
cells or samples; **unstable** and **failed** genes could not be fitted reliably. All of these stand in the result
table with a status and a reason: a gene that was fitted has a row for each tested term and level, any other one for
each term.
"""


def sections(results: Results) -> list[Section]:
    """What was found, in numbers and at a glance."""
    tests = results.tests()
    if not tests:
        return []
    fdr = results.config.inference.fdr
    counts = [(test, summary(test, fdr)) for test in tests]
    found = [_overview(counts, fdr), _bars(counts, fdr)]
    if any(numbers["tested"] for _, numbers in counts):
        found.append(_volcanoes(results, tests))
    return found


def top(results: Results) -> list[Section]:
    """A table of the strongest genes of each comparison."""
    return _top(results.tests(), results.config.inference.fdr, results.family)


def summary(test: Test, fdr: float) -> dict[str, int]:
    """Count the genes of one test: in, tested, up, down, singular, unstable, not_testable, failed."""
    frame = test.frame
    significant = test.found(fdr)
    status = frame["status"].value_counts()
    return {
        "genes": len(frame),
        "tested": int(frame["pvalue"].notna().sum()),
        "up": int((significant & (frame["coef"] > 0)).sum()),
        "down": int((significant & (frame["coef"] < 0)).sum()),
        **{name: int(status.get(name, 0)) for name in ("singular", "unstable", "not_testable", "failed")},
    }


def joint_words(tests: Iterable[Test]) -> str:
    """A sentence for captions, where a test is of a term with several levels."""
    if not any(test.joint for test in tests):
        return ""
    return (
        " Where a term has several levels, a gene counts for a pair of them if the mixed model found it by the"
        " test of all levels, and by that of this pair (padj_level)."
    )


def _overview(counts: list[tuple[Test, dict[str, int]]], fdr: float) -> Section:
    columns = (
        TableColumns()
        .add("cells", "Cells", "Cells of this type that entered the model", format="{:,d}")
        .add("samples", "Samples", "Samples with enough cells of this type", format="{:,d}")
        .add("genes", "Genes", "Genes that came in", format="{:,d}")
        .add("tested", "Tested", "Genes with a p-value", format="{:,d}")
        .add("up", "Up", f"Significantly higher (FDR ≤ {fdr:g})", format="{:,d}", scale="Oranges", min=0)
        .add("down", "Down", f"Significantly lower (FDR ≤ {fdr:g})", format="{:,d}", scale="Blues", min=0)
        .add("not_testable", "Not testable", "Constant, or in too few cells or samples", format="{:,d}")
        .add("singular", "Singular", "Tested; no variance between samples was found", format="{:,d}")
        .add(
            "unstable",
            "Unstable",
            "The optimiser found no optimum, or two that are equally high",
            format="{:,d}",
        )
        .add("failed", "Failed", "Could not be fitted", format="{:,d}")
    )
    rows = [
        (test.label, {"cells": test.n_cells, "samples": test.n_samples, **numbers})
        for test, numbers in counts
    ]
    return Section(
        "nestde_overview",
        CHAPTER,
        "Genes tested and found",
        table("nestde_overview_table", "Genes tested and found", "Cell type and comparison", columns, rows),
        description=(
            f"Up and down are genes with a false discovery rate of at most {fdr:g} within the cell type."
            + joint_words(test for test, _ in counts)
        ),
        helptext=STATUS_HELP,
    )


def _bars(counts: list[tuple[Test, dict[str, int]]], fdr: float) -> Section:
    parts = {
        "up": (f"up, FDR ≤ {fdr:g}", UP),
        "down": (f"down, FDR ≤ {fdr:g}", DOWN),
        "rest": ("tested, not significant", "#c9ced6"),
        "out": ("without a p-value", "#eceef1"),
    }
    rows = {}
    for test, numbers in counts:
        rest = numbers["tested"] - numbers["up"] - numbers["down"]
        rows[test.label] = {
            "up": numbers["up"],
            "down": numbers["down"],
            "rest": rest,
            "out": numbers["genes"] - numbers["tested"],
        }
    return Section(
        "nestde_gene_counts",
        CHAPTER,
        "Genes by outcome",
        bars("nestde_gene_counts_plot", "Genes by outcome", "Genes", parts, rows),
        description=joint_words(test for test, _ in counts).strip(),
    )


def _volcanoes(results: Results, tests: list[Test]) -> Section:
    return Section(
        "nestde_volcano",
        CHAPTER,
        "Volcano plots",
        html(figures.row([_volcano(results, test) for test in tests if test.frame["pvalue"].notna().any()])),
        description=(
            "Each point is a gene: to the right it is higher in the level named, further up the evidence is"
            " stronger. The names are those of the smallest p-values." + joint_words(tests)
        ),
        helptext=f"""
The effect is {results.family.scale.effect}.
Points that lie beyond the axes are drawn as triangles on the border; where points cover one another only one is
drawn. Hold the pointer over any gene to read its name and numbers; click or touch it to see its samples. A term with several levels has one p-value for all of them,
so that points stand equally high in its plots; coloured are those that are found for the pair as well. The full numbers are in `results/de/`.
""",
    )


def threshold(test: Test, fdr: float) -> tuple[float, str]:
    """Height of the line on a volcano, and its words: the least evidence that was found, or, if none was, would have been."""
    height, over = test.frame["neg_log10_pvalue"], test.frame["padj"] <= fdr
    if over.any():
        return float(height[over].min()), f"FDR {fdr:g}"
    return float(-np.log10(fdr / max(int(height.notna().sum()), 1))), f"FDR {fdr:g}, were one gene above"


def _volcano(results: Results, test: Test) -> str:
    fdr = results.config.inference.fdr
    frame = test.frame[test.frame["pvalue"].notna()]
    effect, height = frame["coef"].to_numpy(), frame["neg_log10_pvalue"].to_numpy()
    significant = test.found(fdr)[frame.index].to_numpy()
    kinds = np.where(significant, np.where(effect > 0, 1, 2), 0)
    wide = figures.limit(effect)
    line, words = threshold(test, fdr)
    high = max(figures.limit(height), 1.15 * line)
    axes = (
        figures.x_axis(f"effect, {results.family.scale.short}: {test.level_words}", -wide, wide),
        figures.y_axis("−log10 p", 0.0, high),
    )
    guides = figures.line(axes, x=0.0) + figures.line(axes, y=line, text=words)
    order = np.argsort(-height, kind="stable")
    rest = "not found for this pair" if test.joint else "not significant"
    svg = figures.scatter(
        test.label,
        effect,
        height,
        kinds.tolist(),
        frame["gene"].tolist(),
        (Class(rest, REST, faint=True), Class("up", UP), Class("down", DOWN)),
        axes,
        labelled=[int(i) for i in order[:14] if significant[i]],
        guides=guides,
    )
    return figures.drawn(svg, test=results.place(test), x="coef", y="evidence", axes=figures.ends(axes))


def _top(tests: list[Test], fdr: float, family: Family) -> list[Section]:
    found = []
    # one scale of evidence for all tables: a bar that is full in one study's every table says nothing
    strongest = float(np.nanmax([6.0, *(test.frame["neg_log10_pvalue"].max() for test in tests)]))
    for number, test in enumerate(tests, start=1):
        frame = test.frame[test.frame["pvalue"].notna()]
        if frame.empty:
            continue
        tested = len(frame)
        significant = int((test.frame["padj"] <= fdr).sum())
        shown = TOP if significant else TOP_OF_NONE
        frame = frame.sort_values(["neg_log10_pvalue", "gene"], ascending=[False, True]).head(shown)
        pair = f", {int(test.found(fdr).sum()):,} of them found for this pair too" if test.joint else ""
        columns = _columns(test, frame, family, strongest if significant else None)
        heads = "Top genes" if significant else "No gene was found"
        id, title = f"nestde_top_{number}", heading(f"{heads}: {test.label}")
        found.append(
            Section(
                id,
                CHAPTER,
                title,
                table(
                    f"{id}_table",
                    title,
                    "Gene",
                    columns,
                    _rows(test, frame, columns),
                ),
                description=(
                    f"The {len(frame)} smallest p-values of {count(tested, 'tested gene')};"
                    f" {count(significant, 'gene') if significant else '<b>no gene</b>'} with a false discovery rate of at most {fdr:g}{pair}."
                    f" Effect: {escape(test.level_words)}."
                ),
            )
        )
    return found


def _columns(test: Test, frame: pd.DataFrame, family: Family, strongest: float | None) -> TableColumns:
    """Columns of a table of genes; without coloured bars where `strongest`, the end of their scale of evidence, is None."""
    # a level without any count has an infinite log rate ratio
    sizes = [size for size in frame["coef"].abs() if np.isfinite(size)]
    widest = float(max(sizes, default=1.0))
    effects: dict[str, Any] = {
        "scale": "RdBu-rev",
        "bars_zero_centrepoint": True,
        "min": -widest,
        "max": widest,
    }
    evidence: dict[str, Any] = {"scale": "Purples", "min": 0, "max": strongest}
    columns = TableColumns().add(
        "coef",
        "Effect",
        f"The model's coefficient, {family.scale.short}; above 0 is higher in the level named",
        format="{:+.3f}",
        **(effects if strongest else {}),
    )
    columns.add("se", "SE", "Standard error of the effect", format="{:.3f}")
    columns.add(
        "log2fc", "log2 ratio", "log2 ratio of mean normalised counts (a description)", format="{:+.2f}"
    )
    columns.add(
        *("neg_log10_pvalue", "−log10 p", "Evidence: 3 is p = 0.001"),
        format="{:.1f}",
        **(evidence if strongest else {}),
    )
    if test.joint:
        columns.add("pvalue_level", "p of this pair", "p-value of this pair of levels alone", format="{:.2g}")
        columns.add(
            "padj_level", "FDR of this pair", "False discovery rate of this pair alone", format="{:.2g}"
        )
    columns.add("padj", "FDR", "False discovery rate, Benjamini-Hochberg", format="{:.2g}")
    for name in test.detected:
        level = name.removeprefix("detected_")
        columns.add(name, f"% in {level}", f"Percent of cells of {level} with this gene", format="{:.0f}")
    for each in family.shown:
        columns.add(each.key, each.title, each.description, format=each.format)
    columns.add("status", "Status", "ok, or why to be careful")
    return columns


def _rows(test: Test, frame: pd.DataFrame, columns: TableColumns) -> list[tuple[str, dict[str, object]]]:
    rows = []
    for record in frame.to_dict("records"):
        cells: dict[str, object] = {name: record.get(name) for name in columns.headers}
        cells |= {name: 100 * record[name] for name in test.detected}
        rows.append((str(record["gene"]), cells))
    return rows
