"""The same genes in every cell type: effects of the strongest ones beside each other."""

from html import escape

import numpy as np
import pandas as pd

from nestde.report import figures
from nestde.report.matrices import effects as effects_drawn
from nestde.report.results import Results, Test
from nestde.report.sections import Section, html

CHAPTER = "genes"
GENES = 30  # at most, the strongest of any cell type

HELP = """
Blue: lower in the level compared, orange: higher, white: no difference, on one scale for all cell types, which ends at the largest effect
shown. A dot in a cell: found there. An empty cell: not tested there. A gene that differs everywhere alike may tell of what all
cells have in common, ambient RNA among it.
"""


def sections(results: Results) -> list[Section]:
    """One figure for each comparison that several cell types have, if any gene is found."""
    of: dict[tuple[str, str, str], list[Test]] = {}
    for tests in results.tested.values():
        for test in tests:
            of.setdefault((test.term, test.level, test.against), []).append(test)
    fdr = results.config.inference.fdr
    drawn = [_drawn(tests, fdr, results) for tests in of.values() if len(tests) > 1]
    drawn = [figure for figure in drawn if figure]
    return [
        Section(
            "nestde_across",
            CHAPTER,
            "Across cell types",
            html("".join(drawn)),
            description=f"Effects ({escape(results.family.scale.short)}) of up to {GENES} genes of the strongest evidence in any cell type.",
            helptext=HELP,
        )
    ] * bool(drawn)


def _drawn(tests: list[Test], fdr: float, results: Results) -> str:
    """A row for each gene, a column for each cell type; '' where no gene is found."""
    found = pd.concat([test.frame[test.found(fdr)] for test in tests])
    order = found.sort_values(["neg_log10_pvalue", "gene"], ascending=[False, True])["gene"].drop_duplicates()
    genes = order.head(GENES).tolist()
    if not genes:
        return ""
    columns, dots = [], []
    for test in tests:
        frame = test.frame.drop_duplicates("gene").set_index("gene")
        columns.append(frame["coef"].where(frame["pvalue"].notna()).reindex(genes).to_numpy(float))
        hit = test.frame.loc[test.found(fdr), "gene"]
        dots.append(np.isin(genes, hit))
    effects = np.stack(columns, axis=1)
    names = [test.cell_type for test in tests]
    svg = effects_drawn(
        tests[0].comparison, effects, np.stack(dots, axis=1), genes, names, results.family.scale.short
    )
    rows = [["gene", *names], *([gene, *row] for gene, row in zip(genes, effects.tolist(), strict=True))]
    return figures.drawn(svg, rows)
