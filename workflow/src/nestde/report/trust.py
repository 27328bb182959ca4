"""How far to trust it: the fits against another implementation, the ways to a p-value beside each other."""

from html import escape

from nestde.check.advice import FEW_SAMPLES, MEASURED
from nestde.expression.crosscheck import failed as no_fit
from nestde.expression.crosscheck import stopped_short
from nestde.fit.methods import of_engine
from nestde.report.answers import found_by
from nestde.report.results import Results
from nestde.report.sections import ALARM, Section, html, note, plain_table

CHAPTER = "trust"


def sections(results: Results) -> list[Section]:
    """All sections of the chapter, in order."""
    return [*_crosscheck(results), *_p_values(results)]


def differing(results: Results) -> dict[str, list[str]]:
    """Genes of each cell type on which we and the reference differ by more than the tolerance."""
    tables = results.of_cell_types("crosscheck")
    return {
        cell_type: frame.loc[frame["verdict"] == "differs", "gene"].tolist()
        for cell_type, frame in tables.items()
    }


def _crosscheck(results: Results) -> list[Section]:
    every, family = results.of_cell_types("crosscheck"), results.family
    reference = family.reference
    tables = {name: frame for name, frame in every.items() if len(frame)}
    if not every:
        return []
    if reference is None:
        text = f"Fits of the family {family.name} are held against {family.oracles} by nestde's tests, and by nothing in this run."
        return [
            Section(
                "nestde_crosscheck",
                CHAPTER,
                "The same genes fitted by others",
                html(note(escape(text), "info")),
            )
        ]
    short, failed = stopped_short(reference), no_fit(reference)
    tolerance = results.config.inference.crosscheck_tolerance
    rows = []
    for cell_type, frame in tables.items():
        worst = frame["difference_loglik"].abs()
        rows.append(
            [
                cell_type,
                len(frame),
                f"{worst.max():.1e}",
                frame.loc[worst.idxmax(), "gene"] if worst.notna().any() else "",
                f"{frame['difference_coef'].max():.1e}",
                int((frame["verdict"] == "agrees").sum()),
                int((frame["verdict"] == short).sum()),
                int((frame["verdict"] == failed).sum()),
                int((frame["verdict"] == "differs").sum()),
            ]
        )
    alarms = [
        f'<b style="color:{ALARM}">{escape(cell_type)}: {escape(", ".join(genes))}</b>'
        for cell_type, genes in differing(results).items()
        if genes
    ]
    verdict = (
        note(f"Over the tolerance of {tolerance:g}: " + "; ".join(alarms), "danger")
        if alarms
        else note(f"No gene differs by more than the tolerance of {tolerance:g}.", "success")
    )
    header = ["Cell type", "Genes refitted", "Largest Δ log-likelihood", "of gene", "Largest Δ coefficient"]
    header += ["Agree", short, failed, "Differ"]
    content = verdict + plain_table(header, rows, right=[1, 2, 4, 5, 6, 7, 8]) if tables else ""
    without = [cell_type for cell_type in every if cell_type not in tables]
    if without:
        content += note(
            f"{escape(', '.join(without))}: no gene was fitted again, as nothing could be tested or the random"
            f" effects are not of a kind that {reference.name} has ({reference.kind})."
        )
    return [
        Section(
            "nestde_crosscheck",
            CHAPTER,
            f"The same genes fitted by {reference.name}",
            html(content),
            description="A random sample of genes is fitted again by an independent implementation, in each run.",
            helptext=f"""
{reference.sentence} Where the log-likelihood of {reference.name} is the lower one, its optimiser stopped short of the
maximum that nestde found, and nothing is wrong with ours. A gene in red is one where nestde's is the lower one, or
where the likelihoods agree and the coefficients do not: please report it.
""",
        )
    ]


def _p_values(results: Results) -> list[Section]:
    """Set the ways to a p-value beside each other, where the run has more than one."""
    fdr = results.config.inference.fdr
    rows = []
    for test in results.terms():
        ways = {way: test.frame.get(f"pvalue_{way.name}") for way in of_engine(results.family.engine)}
        known = {way: p for way, p in ways.items() if p is not None and p.notna().any()}
        if len(known) < 2:
            continue
        for way, p in known.items():
            name = f"{way.label}{' (the headline)' if way.name == test.headline else ''}"
            found = found_by(test, way.name, fdr)
            rows.append([test.term_label, name, int(p.notna().sum()), int((p <= 0.05).sum()), found or 0])
    if not rows:
        return []
    header = ["Comparison", "P-value", "Genes", "p ≤ 0.05", f"FDR ≤ {fdr:g}"]
    return [
        Section(
            "nestde_p_values",
            CHAPTER,
            "The same question, other p-values",
            html(plain_table(header, rows, right=[2, 3, 4])),
            description="How many genes each way of testing would find; all stand beside each other in the result table.",
            helptext=f"{FEW_SAMPLES} {MEASURED}",
        )
    ]
