"""Gene sets: which differ together, and by which genes."""

from html import escape

import numpy as np
import pandas as pd
from scipy.stats import t as student

from nestde.report import figures
from nestde.report.matrices import effects as effects_drawn
from nestde.report.results import Results
from nestde.report.sections import Section, html, note, plain_table

CHAPTER = "genes"
SHOWN = 25  # sets of a comparison in the table, and of all cell types in the figure

HELP = """
A set's score says whether the statistics of its genes lie above (positive) or below those of all other genes. Genes of a set go together
from sample to sample also where nothing differs; *inflation* is how much further scores spread because of that, measured on relabelled
samples: 1 is what independent genes would have. The p-value is of the score over that. With few relabellings it cannot be small: see
*Gene sets* in the documentation.
"""


def sections(results: Results) -> list[Section]:
    """One section, where gene sets were asked for."""
    tables = results.of_cell_types("enrich")
    if not tables:
        return []
    fdr = results.config.inference.fdr
    every = pd.concat(tables.values(), ignore_index=True)
    parts = [
        note(f"<b>{escape(str(name))}</b>, {escape(str(term))}: not tested: {escape(str(reason))}.", "info")
        for name, term, reason in _refused(every)
    ]
    tested = every[every["pvalue"].notna()].sort_values(["pvalue", "cell_type", "gene_set"])
    for place, of in tested.groupby(["term", "level", "against"], sort=False):
        parts += _of_comparison(
            results, of, " v ".join(filter(None, map(str, place[1:]))) or str(place[0]), fdr
        )
    found = int((tested["padj"] <= fdr).sum())
    return [
        Section(
            "nestde_gene_sets",
            CHAPTER,
            "Gene sets",
            html("".join(parts)),
            description=(
                f"{found:,} of {len(tested):,} tests of sets at a false discovery rate of {100 * fdr:g} %, each cell type by itself; "
                f"{every['gene_set'].nunique():,} sets of {escape(str(results.config.enrich.gene_sets))}."
            ),
            helptext=HELP,
        )
    ]


def _refused(every: pd.DataFrame) -> "list[tuple[object, object, object]]":
    """Cell types and terms of which no set has a p-value, with the commonest reason."""
    none = every.groupby(["cell_type", "term"], sort=False)["pvalue"].transform("count") == 0
    first = (
        every[none].groupby(["cell_type", "term"], sort=False)["reason"].agg(lambda why: why.mode().iloc[0])
    )
    return [(*place, reason) for place, reason in first.items()]


def _of_comparison(results: Results, of: pd.DataFrame, comparison: str, fdr: float) -> list[str]:
    """The strongest sets of a comparison: a table, and their scores in every cell type."""
    header = ["Gene set", "Cell type", "Genes", "Score", "Inflation", "p", "FDR", "Leading genes"]
    rows = [
        [
            *(row["gene_set"], row["cell_type"], int(row["n_genes"]), f"{row['score']:.2f}"),
            *(f"{row['inflation']:.2f}", f"{row['pvalue']:.2g}", f"{row['padj']:.2g}", row["leading"]),
        ]
        for row in of.head(SHOWN).to_dict("records")
    ]
    names = list(dict.fromkeys(of["gene_set"]))[:SHOWN]
    types = [name for name in results.config.cell_types if name in set(of["cell_type"])]
    wide = of.pivot(index="gene_set", columns="cell_type", values="score").reindex(index=names, columns=types)
    hit = (
        of.pivot(index="gene_set", columns="cell_type", values="padj").reindex(index=names, columns=types)
        <= fdr
    )
    values = wide.to_numpy(float)
    reach = student.ppf(0.975, of["relabellings"]) * np.maximum(of["inflation"], 1.0)
    spread = of.assign(reach=reach).pivot(index="gene_set", columns="cell_type", values="reach")
    wide_by = spread.reindex(index=names, columns=types).to_numpy(float)
    limits = values - wide_by, values + wide_by
    svg = effects_drawn(comparison, values, limits, hit.to_numpy(bool), names, types, "score of the set")
    table = [["gene_set", *types], *([name, *row] for name, row in zip(names, values.tolist(), strict=True))]
    return (
        [plain_table(header, rows, right=range(2, 7)), figures.drawn(svg, table)]
        if np.isfinite(values).any()
        else []
    )
