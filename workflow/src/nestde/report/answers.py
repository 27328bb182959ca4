"""The answer in a table: what was found of each comparison, what other tests found, and what is found where nothing differs."""

from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd

from nestde.fit.fdr import benjamini_hochberg
from nestde.fit.methods import of_engine
from nestde.report import calibration, genes
from nestde.report.results import Results, Test
from nestde.report.sections import Raw, plain_table, shown

# Ways to a p-value that a reader holds the headline against, where the run has them.
BESIDE = ("lrt", "satterthwaite", "lrt_f")
NAMED = 5

HELP = """
*Differ* are the genes that the headline finds, the p-value that the tables call `pvalue`; it is named below the table. Other tests of the
same genes stand beside it: many more findings by the likelihood ratio than by Satterthwaite's test mean that samples are few. *Pseudobulk* adds
up the cells of each sample.

*Labels exchanged*: samples have each other's labels, so that nothing can differ: how often the headline is at most 0.05 there, which of
an honest p-value is 5 % of genes, and the median number of findings, all of them false. The verdict is at p ≤ 0.01.
"""


def found_by(test: Test, way: str, fdr: float) -> int | None:
    """How many genes a way to a p-value finds for a term; None where it has no p-value."""
    p = test.frame.get(f"pvalue_{way}")
    if p is None or not p.notna().any():
        return None
    return int((benjamini_hochberg(p) <= fdr).sum())


def found_by_pseudobulk(results: Results, test: Test) -> int | None:
    """How many genes pseudobulk finds for a comparison, of a term with several levels for any; None without pseudobulk."""
    bulk = results.pseudobulk.get(test.cell_type)
    if bulk is None:
        return None
    same = bulk["term"] == test.term
    if not test.joint:
        same &= (bulk["level"] == test.level) & (bulk["against"] == test.against)
    if not bulk.loc[same, "pvalue"].notna().any():
        return None
    found = bulk["padj"] <= results.config.inference.fdr
    return int(bulk.loc[same & found, "gene"].nunique())


def table(results: Results, tests: Sequence[Test], untested: Sequence[str] = ()) -> str:
    """One row for each cell type and comparison, or term with several levels, and for cell types without a test; '' for none."""
    fdr = results.config.inference.fdr
    labels = {each.name: each.label for each in of_engine(results.family.engine)}
    relabelled = {(cell_type, term): row for cell_type, term, row in calibration.of_headline(results)}
    ways = [way for way in BESIDE if any(found_by(test, way, fdr) is not None for test in tests)]
    most = max((int((test.frame["padj"] <= fdr).sum()) for test in tests), default=0)
    several = len({_comparison(test) for test in tests}) > 1
    rows: list[list[object]] = []
    for test in tests:
        row = relabelled.get((test.cell_type, test.term))
        rows.append(
            [
                _named(test) if several else test.cell_type,
                _number(test.n_samples),
                _number(test.n_cells),
                int(test.frame["pvalue"].notna().sum()),
                *((NOT_TESTED, "") if test.why_not else (_differ(test, fdr, most), _strongest_of(test, fdr))),
                *(_number(found_by(test, way, fdr)) for way in ways),
                _number(found_by_pseudobulk(results, test)),
                *_where_nothing_differs(row) * bool(relabelled),
            ]
        )
    header = [
        "Cell type",
        "Samples",
        "Cells",
        "Genes tested",
        "Differ",
        "Strongest evidence",
    ]
    spans = [
        ("", len(header)),
        ("Found by other tests", len(ways) + 1),
        ("Labels exchanged", 2 * bool(relabelled)),
    ]
    header += [
        *(labels[way] for way in ways),
        "pseudobulk",
        *["false findings", "the p-value is"] * bool(relabelled),
    ]
    for name in untested:
        rows.append([name, *["–"] * (len(header) - 1)])
        rows[-1][header.index("Differ")] = NOT_TESTED
    if not rows:
        return ""
    words = {"Cell type", "Differ", "Strongest evidence", "the p-value is"}
    right = [place for place, name in enumerate(header) if name not in words]
    by = list(dict.fromkeys(labels[test.headline] for test in tests if test.headline))
    why = [f"{test.term_label}: {because}." for test in tests if (because := results.instead(test))]
    told = " ".join([f"The headline p-value: {' and '.join(by)}.", *dict.fromkeys(why)])
    headline = f'<p class="nd-quiet">{escape(told)}</p>' * bool(by)
    return plain_table(header, rows, right=right, spans=spans, cards=True) + headline


def _named(test: Test) -> Raw:
    """A cell type, and what is compared in it."""
    return Raw(f'{shown(test.cell_type)}<div class="nd-quiet">{shown(_comparison(test))}</div>')


def _comparison(test: Test) -> str:
    return test.term if test.joint else test.comparison


def _where_nothing_differs(row: dict[str, Any] | None) -> tuple[object, ...]:
    """How often the headline is small where samples have each other's labels, what it finds there, and the verdict."""
    if row is None:
        return "–", "not known"
    size = f'<div class="nd-quiet text-nowrap">≤ 0.05 in {100 * row["size_0.05"]:.2g}&nbsp;%</div>'
    return f"{row['found_relabelled']:,g}", Raw(_verdict(row["verdict"]) + size)


NOT_TESTED = Raw('<span class="nd-quiet">not tested</span>')


def _differ(test: Test, fdr: float, most: int) -> Raw:
    """How many genes differ, which way, and a bar of them on the scale of the table."""
    found = int((test.frame["padj"] <= fdr).sum())
    if not found:
        return Raw('<b class="nd-none-found">0</b>')
    if test.joint:
        return Raw(f'<b class="nd-count">{found:,}</b>')
    numbers = genes.summary(test, fdr)
    bars = "".join(
        f'<i class="nd-{way}" style="width:{60 * numbers[way] / most:.1f}px"></i>' for way in ("up", "down")
    )
    ways = f'<span class="nd-ways">{numbers["up"]:,}&nbsp;↑ {numbers["down"]:,}&nbsp;↓</span>'
    return Raw(
        f'<b class="nd-count">{found:,}</b> {ways}<span class="nd-scale" aria-hidden="true">{bars}</span>'
    )


def _strongest_of(test: Test, fdr: float) -> Raw:
    """The genes of the strongest evidence; how far the nearest is from being found where none is."""
    found = test.frame[test.frame["padj"] <= fdr]
    if len(found):
        return Raw(
            f'<span class="nd-genes">{strongest(found, "neg_log10_pvalue", signs=not test.joint)}</span>'
        )
    known = test.frame[test.frame["padj"].notna()]
    if known.empty:
        return Raw("")
    nearest = known.loc[known["padj"].idxmin()]
    return Raw(
        f'<span class="nd-quiet">smallest FDR {nearest["padj"]:.2g} ({escape(nearest["gene"])})</span>'
    )


def strongest(found: pd.DataFrame, by: str, signs: bool = True) -> str:
    """The genes of the strongest evidence and, with `signs`, which way they differ."""
    first = found.sort_values(by, ascending=by == "pvalue_level", kind="stable").head(NAMED)
    ways = [("&nbsp;↑" if coef > 0 else "&nbsp;↓") * signs for coef in first["coef"]]
    return ", ".join(f"{escape(gene)}{way}" for gene, way in zip(first["gene"], ways, strict=True))


def _verdict(verdict: str) -> Raw:
    kinds = {"calibrated": "good", "conservative": "mild", "anti-conservative": "bad"}
    kind = next((kind for word, kind in kinds.items() if verdict.startswith(word)), "unknown")
    return Raw(f'<span class="nd-chip nd-{kind}">{escape(verdict)}</span>')


def _number(found: int | None) -> object:
    return "–" if found is None else found
