"""What the p-values do on this study's own cells where nothing differs: samples with each other's labels."""

from html import escape
from typing import Any

import numpy as np

from nestde.calibrate.calibration import ALPHAS, CALLED
from nestde.check.advice import CALIBRATED_ON_AVERAGE
from nestde.fit.methods import of_engine
from nestde.report import figures
from nestde.report.results import Results, Test
from nestde.report.sections import REST, UP, Section, html, note, plain_table
from nestde.words import count

CHAPTER = "trust"
CAPTION = """The headline's p-values by rank: points under the true labels, and in grey the range of 95 % of relabellings. An honest p-value has
the grey band along the dashed line; points that leave it upwards are more than chance gives."""


def sections(results: Results) -> list[Section]:
    """The one section, if the run relabelled samples."""
    tables = results.of_cell_types("calibration")
    if not tables:
        return []
    headline = {(test.cell_type, test.term): test.headline for test in results.terms()}
    labels = {each.name: each.label for each in of_engine(results.family.engine)}
    rows, lines, relabelled = [], [], {}
    for cell_type, table in tables.items():
        for term, told in results.json("relabellings", cell_type=results.slugs[cell_type]).items():
            relabelled[cell_type, term] = told
            lines.append(f"<b>{escape(cell_type)}</b>, {escape(term)}: {_ways(told)}")
        for row in table.to_dict("records"):
            name = f"{labels[row['method']]}{' (the headline)' if row['method'] == headline.get((cell_type, row['term'])) else ''}"
            sizes = [_size(row, alpha) for alpha in ALPHAS]
            chance = f"{row['found_relabelled']:,g} (at most {row['found_relabelled_most']:,})"
            rows.append(
                [
                    cell_type,
                    row["term"],
                    name,
                    f"{row['genes']:,}",
                    *sizes,
                    f"{row['found']:,}",
                    chance,
                    row["verdict"],
                ]
            )
    header = ["Cell type", "Term", "P-value", "Genes", *(f"p ≤ {alpha:g}" for alpha in ALPHAS)]
    header += ["Found", "Found with other labels, median", "Verdict"]
    content = "".join(f"<p>{line}</p>" for line in lines)
    content += plain_table(header, rows, right=range(3, 9)) if rows else ""
    drawn = [
        figure
        for test in results.terms()
        if (figure := _drawn(results, test, relabelled.get((test.cell_type, test.term), {})))
    ]
    content += f"<p>{CAPTION}</p>{figures.row(drawn)}" if drawn else ""
    return [
        Section(
            "nestde_calibration",
            CHAPTER,
            "The p-values where nothing differs",
            html(content + note(escape(CALIBRATED_ON_AVERAGE), "info")),
            description="Samples are given each other's labels, so that no gene can differ but by chance.",
            helptext=f"""
An honest p-value is below 0.05 in 5 % of genes that do not differ. How often each one was, in this study's own cells, is
told beside two standard errors over the relabellings. Genes with a false discovery rate up to {100 * CALLED:g} % under the true
labels are not counted, nor are relabellings that are like the true one. What is found with other labels is false. P-values that take long are measured on genes drawn at random.
""",
        )
    ]


def of_headline(results: Results) -> list[tuple[str, str, dict[str, Any]]]:
    """Cell type, term and row of the p-value that is the headline there."""
    headline = {(test.cell_type, test.term): test.headline for test in results.terms()}
    return [
        (cell_type, str(row["term"]), row)
        for cell_type, table in results.of_cell_types("calibration").items()
        for row in table.to_dict("records")
        if row["method"] == headline.get((cell_type, row["term"]))
    ]


def _drawn(results: Results, test: Test, told: dict[str, Any]) -> str:
    """P-values by rank under the true labels, over the range of those under others; '' where too few were drawn to have one."""
    band = {name: np.array(values) for name, values in told.get("quantiles", {}).items()}
    frame = test.frame[test.frame["pvalue"].notna()].sort_values("neg_log10_pvalue", ascending=False)
    if not band or frame.empty:
        return ""
    seen = frame["neg_log10_pvalue"].to_numpy(float)
    share = (np.arange(1, len(frame) + 1) - 0.5) / len(frame)
    expected = -np.log10(share)
    wide = max(float(expected[0]), float(band["expected"][0])) * 1.05 + 0.05
    # as high as the band asks for: what is far above it needs no place of its own
    high = 1.3 * max(wide, float(band["upper"].max()))
    axes = (
        figures.x_axis("−log10 p, if all values were equally likely", 0.0, wide),
        figures.y_axis("−log10 p", 0.0, high),
    )
    found = test.found(results.config.inference.fdr)[frame.index].to_numpy()
    beyond = int((seen > high).sum())
    points = figures.scatter(
        test.term_label,
        expected,
        np.where(seen > high, np.nan, seen),
        found.astype(int).tolist(),
        frame["gene"].tolist(),
        (
            figures.Class("true labels, not found", REST),
            figures.Class(f"found, {beyond:,} more above" if beyond else "found", UP),
        ),
        axes,
        guides=figures.band(axes, band["expected"], band["lower"], band["upper"]) + figures.line(axes),
        tips=False,
    )
    at = np.interp(-band["expected"], -expected, seen)
    columns = [band["expected"], at, band["lower"], band["median"], band["upper"]]
    header = ["expected", "true_labels", "other_labels_lower", "other_labels_median", "other_labels_upper"]
    rows = [[f"{value:.4g}" for value in values] for values in zip(*columns, strict=True)]
    return figures.drawn(points, [header, *rows])


def _ways(told: dict[str, object]) -> str:
    """Say what was relabelled, and of how many ways; or why nothing was."""
    if not told["relabellings"]:
        return f"not relabelled: {escape(str(told['reason']))}."
    number, possible = int(str(told["relabellings"])), int(str(told["possible"]))
    blocks = told["blocks"]
    assert isinstance(blocks, list)
    within = f", within {escape(' and '.join(map(str, blocks)))}" if blocks else ""
    few = (
        ""
        if possible >= 100
        else " So few ways can show a p-value that is far off, and not one that is a little off; and that the true labels find more than"
        f" any others can happen by chance in one study of {possible:,}, however much more it is."
    )
    return (
        f"{count(number, 'relabelling')} of {escape(str(told['unit']))}{within}, of {possible:,} that there are"
        f" (the true one, and those like it, among them).{few}"
    )


def _size(row: dict[str, float], alpha: float) -> str:
    """A size with its range, in percent."""
    size, lower, upper = (100 * row[f"{what}_{alpha:g}"] for what in ("size", "lower", "upper"))
    return f"{size:.2g} %" if lower != lower else f"{size:.2g} % ({lower:.2g}–{upper:.2g})"
