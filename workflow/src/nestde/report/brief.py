"""The report in brief: what was asked, what was found, what to be careful about, in sentences."""

from collections.abc import Sequence
from html import escape

import pandas as pd

from nestde.report import answers, calibration, genes, trust
from nestde.report.results import Results, Test
from nestde.report.sections import Raw, Section, html, note, plain_table
from nestde.report.study import warnings_of
from nestde.words import as_sentence, count

CHAPTER = "brief"
NAMED = 5

# MultiQC greets each reader with a tour of its buttons; a collaborator came for the genes.
QUIET = "<style>#mqc_welcome{display:none!important}</style>"


def sections(results: Results) -> list[Section]:
    """The sections of the chapter."""
    fdr = results.config.inference.fdr
    untested = results.untested()
    tests = [test for test in results.tests() if test.cell_type not in untested]
    lines = [_cells(results), *(_finding(test, fdr, _absent(results, test)) for test in _one_of_each(tests))]
    question = results.check.get("model", {}).get("sentence", "")
    asked = f"<p>{escape(question)}</p>" if question else ""
    missed = "".join(
        note(f"<b>{escape(name)} was not tested.</b> {escape(as_sentence(why))}", "danger")
        for name, why in untested.items()
    )
    found = "".join(f"<li>{line}</li>" for line in lines if line)
    text = f"{QUIET}{asked}{missed}<ul>{found}</ul>{_signs(tests)}{_pairs(tests, fdr)}{_cautions(results)}"
    answer = answers.table(results, _one_of_each(tests))
    found_by = Section(
        "nestde_answers", CHAPTER, "By each test", html(answer), answers.DESCRIPTION, answers.HELP
    )
    return [Section("nestde_brief_text", CHAPTER, "What was found", html(text)), *[found_by] * bool(answer)]


def _one_of_each(tests: Sequence[Test]) -> list[Test]:
    """Tests of one comparison each, and of those that share the p-value of a term with several levels the first."""
    return list(
        {(test.cell_type, test.term if test.joint else test.label): test for test in reversed(tests)}.values()
    )[::-1]


def _absent(results: Results, test: Test) -> str:
    """Say which levels of what is tested a cell type does without, and why."""
    roster = results.rosters.get(test.cell_type)
    if roster is None or test.term not in roster.factors:
        return ""
    numbers = roster.numbers(test.term)
    words = [roster.level_words(test.term, level) for level, number in numbers.items() if not number]
    return f" Not compared: {escape('; '.join(words))}." if words else ""


def _cells(results: Results) -> str:
    """Say how many samples and cells came in, and how many cells were kept; those tested stand with each finding."""
    if not results.ledgers:
        return ""
    came = sum(ledger["cells_in"] for ledger in results.ledgers)
    kept = sum(ledger["cells_kept"] for ledger in results.ledgers)
    samples = count(len(results.ledgers), "sample")
    return f"The study: {samples}, {count(came, 'cell')}, of which {kept:,} passed quality control."


def _finding(test: Test, fdr: float, absent: str) -> str:
    """Say in a sentence what was found of one comparison, or of a term with several levels; the strongest genes named."""
    numbers = genes.summary(test, fdr)
    found = test.frame[test.frame["padj"] <= fdr]
    where = f"<b>{escape(test.cell_type)}</b>, {escape(test.term if test.joint else test.comparison)}"
    if test.n_cells is not None and test.n_samples is not None:
        where += f", {count(test.n_cells, 'cell')} of {count(test.n_samples, 'sample')}"
    if test.why_not:
        return f"{where}: not tested. {escape(as_sentence(test.why_not))}"
    among = " between any of its levels (one test of all)" if test.joint else ""
    words = (
        f"{where}: <b>{len(found):,}</b> of {count(numbers['tested'], 'tested gene')} differ{among} at a false discovery"
        f" rate of {100 * fdr:g} %"
    )
    if found.empty:
        return f"{words}.{_nearest(test)}{absent}"
    if test.joint:
        return f"{words}.{absent}"
    signs = f"{numbers['up']:,} up, {numbers['down']:,} down"
    return f"{words} ({signs}). Strongest evidence: {_strongest(found, 'neg_log10_pvalue')}.{absent}"


def _nearest(test: Test) -> str:
    """Say how far the strongest gene is from being found, where none is."""
    known = test.frame[test.frame["padj"].notna()]
    if known.empty:
        return ""
    nearest = known.loc[known["padj"].idxmin()]
    return f" The smallest false discovery rate is {nearest['padj']:.2g} ({escape(nearest['gene'])})."


def _signs(tests: Sequence[Test]) -> str:
    """Say once what a positive effect is."""
    pairs = list(dict.fromkeys((test.level, test.against) for test in tests if test.against))
    alone = [test for test in tests if not test.against]
    numbers = list(dict.fromkeys(test.level or test.term for test in alone if not test.named))
    contrasts = list(dict.fromkeys(test.term for test in alone if test.named))
    words = [f"<b>{escape(level)}</b> than in {escape(against)}" for level, against in pairs]
    words += [f"cells with more <b>{escape(name)}</b>" for name in numbers]
    words += [f"what <b>{escape(name)}</b> adds than in what it subtracts" for name in contrasts]
    if not words:
        return ""
    return f"<p>A positive effect (↑, up) means: higher expression in {', or in '.join(words)}.</p>"


def _strongest(found: pd.DataFrame, by: str) -> str:
    """The genes of the strongest evidence, and which way they differ."""
    first = found.sort_values(by, ascending=by == "pvalue_level", kind="stable").head(NAMED)
    return ", ".join(
        f"{escape(gene)} {'↑' if coef > 0 else '↓'}"
        for gene, coef in zip(first["gene"], first["coef"], strict=True)
    )


def _pairs(tests: Sequence[Test], fdr: float) -> str:
    """Tell each pair of levels of terms that have several in a row of a table."""
    rows = []
    for test in tests:
        if test.joint:
            found = test.frame[test.found(fdr)]
            numbers = genes.summary(test, fdr)
            strongest = Raw(_strongest(found, "pvalue_level") or "–")
            rows.append(
                [test.cell_type, test.comparison, len(found), numbers["up"], numbers["down"], strongest]
            )
    header = ["Cell type", "Pair", "Found for it too", "Up", "Down", "Strongest evidence"]
    return plain_table(header, rows, right=[2, 3, 4]) if rows else ""


def _cautions(results: Results) -> str:
    """Boxes for what should be read before a gene is believed."""
    boxes = ""
    warnings = warnings_of(results)
    if warnings:
        said = "".join(
            f"<li><b>{escape(warning['title'])}.</b> {escape(warning['text'])}</li>" for warning in warnings
        )
        boxes += note(
            f'The design check has {count(len(warnings), "warning")}:<ul class="mb-0">{said}</ul>', "warning"
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
