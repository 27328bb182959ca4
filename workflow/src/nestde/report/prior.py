"""What all genes of a cell type tell of the variances between samples: the prior that the moderated test rests on."""

from html import escape

import numpy as np
import pandas as pd

from nestde.report.results import Results
from nestde.report.sections import Section, curves

CHAPTER = "trust"
# Columns of the table that are no axis of the grid.
BESIDE = ("term", "expression", "weight")


def sections(results: Results) -> list[Section]:
    """The one section, if genes were tested so."""
    lines = {}
    for cell_type, table in results.of_cell_types("prior").items():
        for term, of_term in table.groupby("term", sort=False):
            # a correlation is no variance
            for axis in (column for column in table if column not in BESIDE and not column.endswith(" corr")):
                # tests that have no such axis, as they have other arms, are empty there
                own = of_term.assign(**{axis: pd.to_numeric(of_term[axis], errors="coerce")})
                if own[axis].notna().any():
                    lines[f"{cell_type}, {term}: {axis}"] = shares(own, axis)
    if not lines:
        return []
    return [
        Section(
            "nestde_prior",
            CHAPTER,
            "How much samples differ, over all genes",
            curves(
                "nestde_prior_plot",
                "How much samples differ, over all genes",
                results.family.between,
                "% of genes with at most that",
                lines,
            ),
            description="The variances that the genes of each cell type have, as all of them together tell.",
            helptext=f"""
With few samples one gene's cells hardly tell how much samples differ where nothing else does. All genes of a cell type together
do, and the moderated test weighs the variances of each gene by it. A line that begins high: that many genes have samples
that do not differ at all. {escape("results/prior/")} has the numbers, as they change with mean expression.
""",
        )
    ]


def shares(table: pd.DataFrame, axis: str) -> list[tuple[float, float]]:
    """Share of the variance ψ/(1 + ψ) at each node of an axis, increasing, and the percentage of genes up to there."""
    weights = table.groupby(axis)["weight"].sum().sort_index()
    psi = weights.index.to_numpy(float)
    percent = 100 * np.cumsum(weights.to_numpy(float)) / weights.sum()
    return list(zip((psi / (1 + psi)).tolist(), percent.tolist(), strict=True))
