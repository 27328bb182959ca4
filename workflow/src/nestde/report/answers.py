"""The answer in a table: what each way of testing found, beside what is found where nothing differs."""

from collections.abc import Sequence

from nestde.fit.fdr import benjamini_hochberg
from nestde.fit.methods import of_engine
from nestde.report import calibration
from nestde.report.results import Results, Test
from nestde.report.sections import plain_table

# Ways to a p-value that a reader holds the headline against, where the run has them.
BESIDE = ("lrt", "satterthwaite", "lrt_f")

DESCRIPTION = "How many genes are found, by the headline and by other tests, and by the headline where nothing can differ."
HELP = """
The headline is the p-value that the tables call `pvalue`. Other tests of the same genes stand beside it: many more findings by
the likelihood ratio than by Satterthwaite's test mean that samples are few. *Pseudobulk* adds up the cells of each sample.
*With labels exchanged*: the median number of findings where samples have each other's labels, all of them false.
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


def table(results: Results, shown: Sequence[Test]) -> str:
    """One row for each cell type and comparison, or term with several levels; '' where nothing was tested."""
    fdr = results.config.inference.fdr
    labels = {each.name: each.label for each in of_engine(results.family.engine)}
    relabelled = {(cell_type, term): row for cell_type, term, row in calibration.of_headline(results)}
    ways = [way for way in BESIDE if any(found_by(test, way, fdr) is not None for test in shown)]
    rows = []
    for test in shown:
        row = relabelled.get((test.cell_type, test.term))
        rows.append(
            [
                test.cell_type,
                test.term if test.joint else test.comparison,
                "–" if test.n_samples is None else test.n_samples,
                int((test.frame["padj"] <= fdr).sum()),
                labels.get(test.headline, "–"),
                "not known" if row is None else row["verdict"],
                *(_number(found_by(test, way, fdr)) for way in ways),
                _number(found_by_pseudobulk(results, test)),
                "–" if row is None else f"{row['found_relabelled']:,g}",
            ]
        )
    if not rows:
        return ""
    header = ["Cell type", "Comparison", "Samples", f"Found at FDR {fdr:g}", "by", "which is"]
    header += [*(labels[way] for way in ways), "pseudobulk", "with labels exchanged"]
    right = [2, 3, *range(6, 8 + len(ways))]
    return plain_table(header, rows, right=right)


def _number(found: int | None) -> object:
    return "–" if found is None else found
