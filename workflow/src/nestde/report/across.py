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
    columns, dots, rows = [], [], [["gene", "cell_type", "effect", "lower", "upper", "found"]]
    for test in tests:
        frame = test.frame.drop_duplicates("gene")
        frame = frame.assign(hit=test.found(fdr))[frame["pvalue"].notna()]
        lower, upper = test.limits(frame)
        shown = frame.assign(lower=lower, upper=upper).set_index("gene").reindex(genes)
        columns.append(shown[["coef", "lower", "upper"]].to_numpy(float))
        dots.append(shown["hit"].eq(True).to_numpy())
        for gene, (effect, low, high), hit in zip(
            genes, columns[-1].round(4).tolist(), dots[-1], strict=True
        ):
            if effect == effect:
                rows.append([gene, test.cell_type, effect, low, high, "yes" if hit else "no"])
    effects, lower, upper = np.moveaxis(np.stack(columns, axis=1), 2, 0)
    names = [test.cell_type for test in tests]
    found_there, unit = np.stack(dots, axis=1), results.family.scale.short
    svg = effects_drawn(tests[0].comparison, effects, (lower, upper), found_there, genes, names, unit)
    return figures.drawn(svg, rows)
