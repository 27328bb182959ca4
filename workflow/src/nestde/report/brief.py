"""The report in brief: what was asked, what was found, what to be careful about, in sentences."""

from collections.abc import Sequence
from html import escape

from nestde.report import answers, calibration, genes, trust
from nestde.report.results import Results, Test
from nestde.report.sections import Raw, Section, html, note, plain_table
from nestde.report.study import warnings_of
from nestde.words import as_sentence, count

CHAPTER = "brief"
LOOK = """<p>Look up <a href="#nestde_any_gene">any gene</a>; see <a href="#nestde_volcano">all of them at a glance</a>, or
<a href="#nestde_calibration">how far to trust them</a>.</p>"""


def sections(results: Results) -> list[Section]:
    """The section of the chapter."""
    fdr = results.config.inference.fdr
    untested = results.untested()
    tests = [test for test in results.tests() if test.cell_type not in untested]
    shown = _one_of_each(tests)
    missed = "".join(
        note(f"<b>{escape(name)} was not tested.</b> {escape(as_sentence(why))}", "danger")
        for name, why in [
            *untested.items(),
            *((_where(test), test.why_not) for test in shown if test.why_not),
        ]
    )
    text = f"{_lead(shown, fdr)}{answers.table(results, shown, list(untested))}{_pairs(tests, fdr)}"
    text += f"{LOOK * bool(results.tested)}{_context(results, tests)}{missed}{_absent(results, shown)}{_cautions(results)}"
    return [
        Section(
            "nestde_brief_text", CHAPTER, "What was found", html(text), helptext=answers.HELP * bool(shown)
        )
    ]


def _where(test: Test) -> str:
    return f"{test.cell_type}, {test.term if test.joint else test.comparison}"


def _lead(tests: Sequence[Test], fdr: float) -> str:
    """The answer in one sentence."""
    numbers = [(int((test.frame["padj"] <= fdr).sum()), test) for test in tests if not test.why_not]
    if not numbers:
        return ""
    pairs = {(test.level, test.against) for _, test in numbers if not test.joint}
    joint, terms = any(test.joint for _, test in numbers), {test.term for _, test in numbers}
    level, against = next(iter(pairs), ("", ""))
    between = f" between {escape(level)} and {escape(against)}" if len(pairs) == 1 and against else ""
    if joint:
        between = f" with {escape(terms.pop())}" if len(terms) == 1 else ""
    at = f"at a false discovery rate of {100 * fdr:g} %"
    found, first = max(numbers, key=lambda each: each[0])
    of = f"{count(int(first.frame['pvalue'].notna().sum()), 'tested gene')}"
    one_each = len({test.cell_type for _, test in numbers}) == len(numbers)
    among = count(len(numbers), "cell type" if one_each else "comparison")
    if not found:
        where = f"in {escape(first.cell_type)}" if len(numbers) == 1 else f"in any of {among}"
        words = f"<b>No gene</b> is found to differ{between} {where}, {at}."
        doubt = 'Not found is not the same as no difference: see <a href="#nestde_check">what this design can answer</a>.'
        return f'<p class="nd-lead">{words}</p><p>{doubt}</p>'
    if len(numbers) == 1:
        return f'<p class="nd-lead"><b>{found:,}</b> of {of} differ{between} in {escape(first.cell_type)}, {at}.</p>'
    hit = sum(number > 0 for number, _ in numbers)
    most = f"most in {escape(first.cell_type if one_each else _where(first))}: <b>{found:,}</b> of {of}"
    return f'<p class="nd-lead">Genes differ{between} in <b>{hit} of {among}</b>, {most}, {at}.</p>'


def _one_of_each(tests: Sequence[Test]) -> list[Test]:
    """Tests of one comparison each, and of those that share the p-value of a term with several levels the first."""
    return list(
        {(test.cell_type, test.term if test.joint else test.label): test for test in reversed(tests)}.values()
    )[::-1]


def _absent(results: Results, tests: Sequence[Test]) -> str:
    """Say which levels of what is tested a cell type does without, and why."""
    said = []
    for test in tests:
        roster = results.rosters.get(test.cell_type)
        if roster is None or test.term not in roster.factors:
            continue
        numbers = roster.numbers(test.term)
        words = [roster.level_words(test.term, level) for level, number in numbers.items() if not number]
        if words:
            said.append(f"<li><b>{escape(test.cell_type)}</b>: {escape('; '.join(words))}.</li>")
    return note(f'Not compared:<ul class="mb-0">{"".join(said)}</ul>', "warning") if said else ""


def _context(results: Results, tests: Sequence[Test]) -> str:
    """The question, how many samples and cells came in, and what a positive effect is."""
    question = escape(results.check.get("model", {}).get("sentence", ""))
    words = [question, _cells(results), _signs(tests)]
    return f"<p>{' '.join(filter(None, words))}</p>" if any(words) else ""


def _cells(results: Results) -> str:
    """Say how many samples and cells came in, and how many cells were kept; those tested stand with each finding."""
    if not results.ledgers:
        return ""
    came = sum(ledger["cells_in"] for ledger in results.ledgers)
    kept = sum(ledger["cells_kept"] for ledger in results.ledgers)
    samples = count(len(results.ledgers), "sample")
    return f"The study: {samples}, {count(came, 'cell')}, of which {kept:,} passed quality control."


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
    return f"A positive effect (↑, up) means: higher expression in {', or in '.join(words)}."


def _pairs(tests: Sequence[Test], fdr: float) -> str:
    """Tell each pair of levels of terms that have several in a row of a table."""
    rows = []
    for test in tests:
        if test.joint:
            found = test.frame[test.found(fdr)]
            numbers = genes.summary(test, fdr)
            strongest = Raw(answers.strongest(found, "pvalue_level") or "–")
            rows.append(
                [test.cell_type, test.comparison, len(found), numbers["up"], numbers["down"], strongest]
            )
    header = ["Cell type", "Pair", "Found for the pair too", "Up", "Down", "Strongest evidence"]
    return plain_table(header, rows, right=[2, 3, 4], cards=True) if rows else ""


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
    """A box where the headline p-value is too small where nothing differs."""
    return "".join(
        note(
            f"{escape(f'{cell_type}, {term}')}: with each other's labels samples had p ≤ 0.05 in {100 * row['size_0.05']:.2g} % of genes, where"
            f' nothing can differ. The p-value is {escape(row["verdict"])}: see <a href="#nestde_calibration">How far to trust it</a>.',
            "danger",
        )
        for cell_type, term, row in calibration.of_headline(results)
        if row["verdict"].startswith("anti")
    )
