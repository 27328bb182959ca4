"""The report in brief: what was asked, what was found, what to be careful about, in sentences."""

from html import escape

from nestde.report import calibration, genes, trust
from nestde.report.results import PAIR_P, Results, Test
from nestde.report.sections import Section, count, html, note

CHAPTER = "brief"
NAMED = 5

# MultiQC greets each reader with a tour of its buttons; a collaborator came for the genes.
QUIET = "<style>#mqc_welcome{display:none!important}</style>"


def sections(results: Results) -> list[Section]:
    """The one section of the chapter."""
    fdr = results.config.inference.fdr
    reasons = {name: str(design.get("reason", "")) for name, design in results.designs.items()}
    findings = "".join(f"<li>{_finding(test, fdr, reasons[test.cell_type])}</li>" for test in results.tests())
    question = results.check.get("model", {}).get("sentence", "")
    asked = f"<p>{escape(question)}</p>" if question else ""
    text = f"{QUIET}{asked}<ul>{_cells(results)}{findings}</ul>{_cautions(results)}"
    return [Section("nestde_brief_text", CHAPTER, "What was found", html(text))]


def _cells(results: Results) -> str:
    """Say how many samples and cells came in, and how many cells were kept; those tested stand with each finding."""
    if not results.ledgers:
        return ""
    came = sum(ledger["cells_in"] for ledger in results.ledgers)
    kept = sum(ledger["cells_kept"] for ledger in results.ledgers)
    samples = count(len(results.ledgers), "sample")
    return f"<li>The study: {samples}, {count(came, 'cell')}, of which {kept:,} passed quality control.</li>"


def _finding(test: Test, fdr: float, reason: str) -> str:
    """Say one comparison in a sentence, its strongest genes named."""
    numbers = genes.summary(test, fdr)
    differ = int((test.frame["padj"] <= fdr).sum())
    where = f"<b>{escape(test.cell_type)}</b>, {escape(test.comparison)}"
    if not numbers["tested"]:
        return f"{where}: no gene could be tested. {escape(reason)}"
    if test.n_cells is not None and test.n_samples is not None:
        where += f", {count(test.n_cells, 'cell')} of {count(test.n_samples, 'sample')}"
    among = f" between the levels of {escape(test.term)} (one test of all)" if test.joint else ""
    words = (
        f"{where}: <b>{differ:,}</b> of {count(numbers['tested'], 'tested gene')} differ{among} at a false discovery"
        f" rate of {100 * fdr:g} %"
    )
    if not differ:
        return f"{words}."
    frame = test.frame[test.found(fdr)]
    if test.joint:
        words += f", <b>{len(frame):,}</b> of them with p ≤ {PAIR_P:g} for this pair"
    if frame.empty:
        return f"{words}."
    frame = frame.sort_values("neg_log10_pvalue", ascending=False, kind="stable")
    if test.joint:  # the test of all levels may be of another pair's difference
        frame = frame.sort_values("pvalue_level", kind="stable")
    strongest = [
        f"{escape(gene)} {'↑' if coef > 0 else '↓'}"
        for gene, coef in zip(frame["gene"].head(NAMED), frame["coef"].head(NAMED), strict=True)
    ]
    signs = f"{numbers['up']:,} up, {numbers['down']:,} down"
    return f"{words} ({signs}). Strongest evidence: {', '.join(strongest)}."


def _cautions(results: Results) -> str:
    """Boxes for what should be read before a gene is believed."""
    boxes = ""
    warnings = results.check.get("warnings", [])
    if warnings:
        boxes += note(
            f'The design check has {count(len(warnings), "warning")}: see <a href="#nestde_check">The study</a>.',
            "warning",
        )
    boxes += _calibration(results)
    differing = sum(map(len, trust.differing(results).values()))
    if differing:
        boxes += note(
            f"{count(differing, 'gene')} fitted again by another implementation came out differently: see"
            ' <a href="#nestde_crosscheck">How far to trust it</a>.',
            "danger",
        )
    return boxes


def _calibration(results: Results) -> str:
    """Say what the headline p-value did where nothing differs: a line if it is honest, a box where it is not."""
    honest, boxes = [], ""
    for cell_type, term, row in calibration.of_headline(results):
        where = f"{cell_type}, {term}"
        size = f"{100 * row['size_0.05']:.2g} %"
        if row["verdict"] == "calibrated":
            honest.append(f"{where} ({size})")
        elif row["verdict"].startswith("anti"):
            boxes += note(
                f"{escape(where)}: with each other's labels samples had p ≤ 0.05 in {size} of genes, where nothing can differ. The"
                f' p-value is {escape(row["verdict"])}: see <a href="#nestde_calibration">How far to trust it</a>.',
                "danger",
            )
    if honest:
        boxes += (
            "<p>With each other's labels, where nothing can differ, samples had p ≤ 0.05 in about 5 % of genes, as an honest p-value"
            f" has: {escape('; '.join(honest))}.</p>"
        )
    return boxes
