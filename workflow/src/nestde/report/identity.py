"""Whose sample is it: XIST against the genes of the Y chromosome in each sample, beside the sheet's sex; cells under two names; other batches."""

from html import escape
from typing import Any

import numpy as np

from nestde.cells.same import same_cells
from nestde.cells.sexes import call_of, contradicts, said_sexes, swapped
from nestde.design.formula import variables_of
from nestde.expression.elsewhere import title_and_text
from nestde.report import figures
from nestde.report.figures import Class
from nestde.report.results import Results
from nestde.report.sections import ALARM, REST, Section, html, note

CHAPTER = "quality"
CLASSES = [
    Class("female", "#7b3294"),
    Class("male", "#2166ac"),
    Class("not to be told", REST),
    Class("of both, or not as the sheet says", ALARM),
]
LABELLED = 40  # samples, at most, whose names find room beside their points

HELP = """
Counts of the kept cells, on a logarithmic scale. Female cells have XIST and none of the genes of the Y chromosome, male cells these
and no XIST; ambient RNA of other samples adds a little of either to any. A sample is called female or male where one has five times the
counts of the other. Cells of both kinds together, where hardly any cell has both XIST and Y, are of two donors.

On real cells, with ambient RNA of up to 40 % added, no sample of one sex was called the other, or both; *First contact* in the
documentation has the measurement.
"""


def sections(results: Results) -> list[Section]:
    """One section, where XIST and genes of Y were counted; in red what contradicts the sheet."""
    told = {ledger["sample_id"]: ledger for ledger in results.ledgers}
    seen = {
        sample: ledger
        for sample, ledger in told.items()
        if None not in ledger.get("sex_counts", {"XIST": None}).values()
    }
    found = [swapped(results.ledgers, results.samples), same_cells(results.ledgers), lie_elsewhere(results)]
    boxes = "".join(
        note(f"<b>{escape(title)}.</b> {escape(text)}", "danger") for title, text in found if title
    )
    if not seen and not boxes:
        return []
    return [
        Section(
            "nestde_identity",
            CHAPTER,
            "Whose sample is it",
            html(boxes + (figures.row([_drawn(results, seen)]) if seen else "")),
            description="Sex as the counts tell it, cells that are in the data under two names, and samples that lie with another batch.",
            helptext=HELP if seen else "",
        )
    ]


def lie_elsewhere(results: Results) -> tuple[str, str]:
    """Title and text on samples whose profiles lie with another batch; '' and '' if none do, or there are no profiles."""
    compared = [name for term in results.config.model.compared for name in variables_of(term)]
    return title_and_text(results.profiles, results.samples, compared)


def _drawn(results: Results, seen: dict[str, Any]) -> str:
    """Each sample by its counts of XIST and of Y."""
    _, given, said = said_sexes(results.ledgers, results.samples)
    calls = {sample: call_of(ledger) for sample, ledger in seen.items()}
    kinds = [
        3
        if call == "both" or contradicts(call, said.get(sample, ""))
        else {"female": 0, "male": 1}.get(call, 2)
        for sample, call in calls.items()
    ]
    x, y = (np.log10([1 + of["sex_counts"][side] for of in seen.values()]) for side in ("XIST", "Y"))
    high = 1.08 * max(1.0, float(x.max()), float(y.max()))
    axes = (
        figures.x_axis("log10(1 + counts of XIST)", -0.05 * high, high),
        figures.y_axis("log10(1 + counts of genes of Y)", -0.05 * high, high),
    )
    names = [f"{sample} ({given[sample]})" if sample in given else sample for sample in seen]
    odd = [i for i, kind in enumerate(kinds) if kind == 3]
    labelled = [*odd, *(i for i in range(len(kinds)) if i not in odd)][:LABELLED]
    svg = figures.scatter("XIST and Y", x, y, kinds, names, CLASSES, axes, labelled=labelled)
    counts = [[of["sex_counts"][side] for side in ("XIST", "Y")] for of in seen.values()]
    rows = [[sample, given.get(sample, ""), *of] for sample, of in zip(seen, counts, strict=True)]
    return figures.drawn(svg, [["sample_id", "sex_in_sheet", "XIST", "Y"], *rows])
