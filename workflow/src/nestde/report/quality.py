"""Quality control: per sample, how many cells came in, how many each rule removed, how many stayed."""

from collections.abc import Mapping
from html import escape
from typing import Any

from nestde.cells.concerns import concerns
from nestde.report.results import Results
from nestde.report.sections import KEPT, Section, TableColumns, bars, html, note, plain_table, table
from nestde.study.config import QC
from nestde.words import count

CHAPTER = "quality"

COLOURS = {
    "empty": "#5c6470",
    "min_counts": "#8c2d04",
    "max_counts": "#fdae6b",
    "min_genes": "#d94801",
    "max_genes": "#fdd0a2",
    "max_pct_mt": "#6a51a3",
    "mad_counts": "#e6c229",
    "mad_genes": "#b8a04a",
    "mad_pct_mt": "#9e9ac8",
    "doublet": "#1f78b4",
}
NOT_WANTED = "#c9ced6"

HELP = """
A cell may break several rules. It is counted under the first it breaks, in the order shown, so that the parts add up to
all cells that came in. *MAD* rules are the sample's own: a cell is removed when it lies further from the median of its
sample than that many median absolute deviations (counts and genes on a log scale).
"""


def sections(results: Results) -> list[Section]:
    """All sections of the chapter, in order."""
    ledgers = results.ledgers
    if not ledgers:
        return []
    rules = list(dict.fromkeys(line["rule"] for ledger in ledgers for line in ledger["removed"]))
    words = {rule: in_words(rule, results.config.qc) for rule in rules}
    return [
        *_concerns(results),
        _bars(ledgers, words),
        _samples(ledgers),
        _rules(ledgers, words, results.config.qc),
        _genes(results),
    ]


def _concerns(results: Results) -> list[Section]:
    """What has to be known before the results are read, where there is anything."""
    found = concerns(results.ledgers, results.samples, results.config.model)
    boxes = "".join(note(f"<b>{escape(title)}.</b> {escape(text)}", "warning") for title, text in found)
    return [Section("nestde_qc_concerns", CHAPTER, "To be known of quality control", html(boxes))] * bool(
        found
    )


def _genes(results: Results) -> Section:
    """Per cell type, the genes that came in, what each rule removed, and those that were tested."""
    rules = results.config.genes
    words = {
        "no samples": "No sample is tested",
        "absent": "Not measured in every tested sample",
        "no counts": "No counts",
        "min_cells_share": f"In fewer than {100 * rules.min_cells_share:g} % of cells",
        "min_samples": f"In fewer than {rules.min_samples} samples",
    }
    rows = [
        [cell_type, *(f"{number:,}" for number in _numbers(design, words))]
        for cell_type, design in results.designs.items()
        if "genes" in design
    ]
    header = ["Cell type", "Genes", "In every sample's data", *words.values(), "Type not testable", "Fitted"]
    absent = {
        "not_measured": "one that the data of a sample do not have is not measured there, and not tested with it",
        "zero": "one that the data of a sample do not have is taken to have no counts there",
    }
    return Section(
        "nestde_qc_genes",
        CHAPTER,
        "Genes kept and removed",
        html(plain_table(header, rows, right=range(1, len(header)))),
        description=(
            "Genes of all samples together, each under the first rule that removes it; "
            f"{absent[results.config.input.absent_genes]}."
        ),
    )


def _numbers(design: Mapping[str, Any], rules: Mapping[str, str]) -> list[int]:
    genes, testable = design["genes"], design["testable"]
    return [
        genes["came"],
        genes["in_every_sample"],
        *(genes["removed"].get(rule, 0) for rule in rules),
        0 if testable else genes["tested"],
        genes["tested"] if testable else 0,
    ]


def in_words(rule: str, qc: QC) -> str:
    """Say what a rule of the ledger removes."""
    fixed = {
        "min_counts": "fewer than {:,g} counts",
        "max_counts": "more than {:,g} counts",
        "min_genes": "fewer than {:,g} genes",
        "max_genes": "more than {:,g} genes",
        "max_pct_mt": "more than {:g} % mitochondrial",
        "mad_counts": "counts off by {:g} MAD",
        "mad_genes": "genes off by {:g} MAD",
        "mad_pct_mt": "mitochondrial above {:g} MAD",
    }
    if rule in fixed:
        return fixed[rule].format(getattr(qc, rule))
    if rule.startswith("keep:"):
        return f"{rule.removeprefix('keep:')} not wanted"
    return {"empty": "no counts", "doublet": "doublet (Scrublet)"}.get(rule, rule)


def _bars(ledgers: list[dict[str, Any]], words: Mapping[str, str]) -> Section:
    parts = {"kept": ("kept", KEPT)}
    parts |= {rule: (said, COLOURS.get(rule, NOT_WANTED)) for rule, said in words.items()}
    rows = {
        ledger["sample_id"]: {"kept": ledger["cells_kept"]}
        | {line["rule"]: line["first"] for line in ledger["removed"]}
        for ledger in ledgers
    }
    return Section(
        "nestde_qc_cells",
        CHAPTER,
        "Cells kept and removed",
        bars("nestde_qc_cells_plot", "Cells kept and removed, by sample", "Cells", parts, rows),
        description="Every cell that came in, by the first rule that it broke.",
        helptext=HELP,
    )


def _samples(ledgers: list[dict[str, Any]]) -> Section:
    columns = (
        TableColumns()
        .add("in", "Cells in", "Cells that came in", format="{:,d}")
        .add("kept", "Kept", "Cells that stayed", format="{:,d}")
        .add(
            "share", "% kept", "Percent of cells that stayed", format="{:.1f}", scale="Blues", min=0, max=100
        )
    )
    shown = {"total_counts": "Counts", "n_genes": "Genes", "pct_counts_mt": "% mt"}
    for metric, title in shown.items():
        form = "{:.1f}" if metric.startswith("pct") else "{:,.0f}"
        columns.add(f"{metric}_before", f"{title} before", f"Median of all cells: {title}", format=form)
        columns.add(f"{metric}_after", f"{title} after", f"Median of the kept cells: {title}", format=form)
    columns.add("doublets", "Doublets", "Doublets that Scrublet called")
    columns.add("sex_counts", "XIST / Y", "Counts of XIST, and of genes of the Y chromosome")
    columns.add("left_out", "Left out of every test", "Why this sample enters no test")
    rows = []
    for ledger in ledgers:
        cells: dict[str, Any] = {
            "in": ledger["cells_in"],
            "kept": ledger["cells_kept"],
            "share": 100 * ledger["cells_kept"] / max(ledger["cells_in"], 1),
            "left_out": ledger["left_out"] or None,
        }
        for when in ("before", "after"):
            quartiles = ledger["metrics"][when]
            cells |= {f"{metric}_{when}": quartiles[metric][2] for metric in shown if metric in quartiles}
        sexes = ledger.get("sex_counts", {}).values()
        if any(number is not None for number in sexes):
            cells["sex_counts"] = " / ".join("–" if number is None else f"{number:,}" for number in sexes)
        doublets = ledger["doublets"]
        cells["doublets"] = f"{doublets['called']:,}" if doublets["run"] else "not run"
        rows.append((ledger["sample_id"], cells))
    return Section(
        "nestde_qc_samples",
        CHAPTER,
        "Samples before and after",
        table("nestde_qc_samples_table", "Samples before and after", "Sample", columns, rows),
        description="Medians over the cells of each sample.",
    )


def _rules(ledgers: list[dict[str, Any]], words: Mapping[str, str], qc: QC) -> Section:
    totals = {rule: {"any": 0, "only": 0, "first": 0} for rule in words}
    for ledger in ledgers:
        for line in ledger["removed"]:
            for kind, sums in totals[line["rule"]].items():
                totals[line["rule"]][kind] = sums + line[kind]
    came = sum(ledger["cells_in"] for ledger in ledgers)
    kept = sum(ledger["cells_kept"] for ledger in ledgers)
    rows = [[words[rule], *(f"{number:,}" for number in sums.values())] for rule, sums in totals.items()]
    header = ["Rule", "Cells that break it", "… and no other rule", "… and none before it"]
    total = (
        f"<p>{came:,} cells came in; {came - kept:,} were removed (the sum of the last column);"
        f" <b>{kept:,}</b> were kept.</p>"
    )
    idle = [ledger["doublets"]["why"] for ledger in ledgers if not ledger["doublets"]["run"]]
    if idle and qc.enabled:
        who = count(len(idle), "sample")
        total += f"<p>Scrublet did not run on {who}, the first with {escape(idle[0])}.</p>"
    off = "" if qc.enabled else note(escape("Quality control is switched off: only empty cells are removed."))
    return Section(
        "nestde_qc_rules",
        CHAPTER,
        "Rules",
        html(off + plain_table(header, rows, right=[1, 2, 3]) + total),
        description="Over all samples.",
    )
