"""Did the share of a cell type change? Each sample's shares, and the test of their logits."""

from html import escape

import numpy as np
import pandas as pd

from nestde.report import figures
from nestde.report.results import Results
from nestde.report.sections import REST, UP, Section, html, note, plain_table

CHAPTER = "genes"

HELP = """
Each sample counts once, by the logit of its share of cells of a type, and the residual variances are squeezed over the cell types, as
propeller does (Phipson et al. 2022). An odds ratio of 2 means: twice the odds that a cell is of this type. Shares add up to one, so that
where one cell type grows all others shrink: of several that change, fewer may have changed in number. What the laboratory loses or sorts
out changes shares too. Cells without a cell type are no part of the whole. With three samples a side the moderated test is a little bold
(p ≤ 0.05 in 6 to 7 % where nothing changed); *p, own variance* borrows nothing from other cell types and is not, with less power.
"""


def sections(results: Results) -> list[Section]:
    """One section, where shares were tested."""
    table, shares = results.table("composition"), results.table("shares")
    if table is None or shares is None or shares.empty:
        return []
    fdr, about = results.config.inference.fdr, results.json("composed")
    tested = table[table["status"] == "ok"]
    boxes = "".join(
        note(f"{escape(str(term))}: {escape(str(reason))}.", "info")
        for term, reason in table.loc[table["status"] != "ok", ["term", "reason"]].drop_duplicates().values
    )
    several = tested.groupby("term")["level"].nunique().max() > 1 if len(tested) else False
    header = [
        "Cell type",
        "Comparison",
        "Odds ratio",
        "95 % limits",
        "p",
        "FDR",
        "p, own variance",
        "Samples with it",
    ]
    rows = [_row(row, several) for row in tested.to_dict("records")]
    found = [each for term in dict.fromkeys(tested["term"]) for each in _drawn(results, shares, tested, term)]
    once = (
        "Each sample counts once"
        if about["unit"] == "sample_id"
        else f"Each {escape(about['unit'])} counts once"
    )
    changed = tested.loc[_found(tested, fdr), "cell_type"].nunique()
    return [
        Section(
            "nestde_composition",
            CHAPTER,
            "Shares of cell types",
            html(
                boxes
                + (plain_table(header, rows, right=range(2, len(header))) if rows else "")
                + figures.row(found)
            ),
            description=(
                f"Of {shares['cell_type'].nunique()} cell types, {changed} changed their share at a false discovery rate of {100 * fdr:g} %. "
                f"{once}; moderated t tests of logits, <code>{escape(about['formula'])}</code>."
            ),
            helptext=HELP,
        )
    ]


def _found(tested: pd.DataFrame, fdr: float) -> "pd.Series[bool]":
    """As for genes: of a term of several levels both it and the pair."""
    return (tested["padj"] <= fdr) & (tested["padj_level"] <= fdr)


def _row(row: "dict[str, float]", several: bool) -> list[object]:
    ratio, lower, upper = (np.exp(row[name]) for name in ("coef", "lower", "upper"))
    p, fdr = (row["pvalue_level"], row["padj_level"]) if several else (row["pvalue"], row["padj"])
    what = f"{row['level']} v {row['against']}" if row["against"] else str(row["level"] or row["term"])
    return [
        row["cell_type"], what, f"{ratio:.2f}", f"{lower:.2f} – {upper:.2f}", f"{p:.2g}", f"{fdr:.2g}", f"{row['pvalue_unmoderated']:.2g}",
        int(row["n_samples"]),
    ]  # fmt: skip


def _drawn(results: Results, shares: pd.DataFrame, tested: pd.DataFrame, term: str) -> list[str]:
    """Each cell type's shares, a row of dots for each level; none where what is tested is no factor of the sheet."""
    of = results.samples.set_index("sample_id")
    pairs = tested[tested["term"] == term]
    order = list(dict.fromkeys([*pairs["against"], *pairs["level"]]))
    factor = next((name for name in of if set(order) <= set(of[name].astype(str))), None)
    if factor is None:
        return []
    level = shares["sample_id"].map(of[factor].astype(str))
    hit = set(pairs.loc[_found(pairs, results.config.inference.fdr), "cell_type"])
    drawn = []
    for name, own in shares.groupby("cell_type", sort=False):
        colour = UP if name in hit else REST
        rows = [(each, (100 * own.loc[level[own.index] == each, "share"]).tolist(), colour) for each in order]
        table = [
            ["sample_id", factor, "cells", "share"],
            *zip(own["sample_id"], level[own.index], own["cells"], own["share"], strict=True),
        ]
        drawn.append(figures.drawn(figures.strips(rows, f"{name}, % of cells"), table, size="small"))
    return drawn
