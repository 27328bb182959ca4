"""The headline's family beside others that were fitted to the same cells: what each finds, and whether effects agree."""

from dataclasses import replace
from html import escape

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from nestde.fit.family import Family, family
from nestde.report import figures
from nestde.report.figures import Class
from nestde.report.genes import joint_words
from nestde.report.results import Results, Test
from nestde.report.sections import DOWN, REST, UP, Section, html, listing, plain_table

CHAPTER = "trust"
HEADER = ["Cell type", "Genes tested by both", "Found by both", "Headline only", "Other only"]
HEADER += ["Same direction", "Rank correlation of effects", "of p-values"]
LABELLED = 8


def sections(results: Results) -> list[Section]:
    """The one section, where other families were fitted."""
    fdr, parts, tests = results.config.inference.fdr, list[str](), list[Test]()
    for name in results.config.model.also:
        other, rows, drawn = family(name), [], []
        for test in results.tests():
            table = results.table("also", family=name, cell_type=results.slugs[test.cell_type])
            frame = None if table is None else join(test, table, fdr)
            if frame is not None and len(frame):
                tests.append(test)
                rows.append([test.label, *numbers(frame)])
                drawn.append(_scatter(test, frame, results.family, other))
        if rows:
            parts.append(f"<h4>{escape(other.label)}</h4>")
            parts.append(plain_table(HEADER, rows, right=range(1, 8)) + figures.row(drawn))
            parts.append(listing(_scales(results.family, other)))
    return [
        Section(
            "nestde_also",
            CHAPTER,
            "The same genes by another model",
            html("".join(parts)),
            description=(
                f"Found: at a false discovery rate of at most {fdr:g} within the cell type, by each family's own headline. Same"
                " direction: of the genes found by both." + joint_words(tests)
            ),
            helptext="""
Another model family was fitted to the same genes, cells and formula (`model.also`). A finding of both does not hang on what the model takes
counts for. A gene that one alone finds deserves a look at its samples. The tables are in `results/also/`.
""",
        )
    ] * bool(parts)


def join(test: Test, table: pd.DataFrame, fdr: float) -> pd.DataFrame:
    """Genes with a p-value from both, the other's columns with ``_other``, and `kind`, their place among the classes."""
    same = (table[["term", "level", "against"]] == [test.term, test.level, test.against]).all(axis=1)
    other = replace(test, frame=table[same].reset_index(drop=True))
    columns = ["gene", "coef", "pvalue", "neg_log10_pvalue"]
    ours, theirs = (
        each.frame[columns].assign(found=each.found(fdr)).dropna(subset=["pvalue"]) for each in (test, other)
    )
    frame = ours.merge(theirs, on="gene", suffixes=("", "_other"))
    found, also = frame["found"], frame["found_other"]
    return frame.assign(kind=1 * (found & also) + 2 * (found & ~also) + 3 * (also & ~found))


def numbers(frame: pd.DataFrame) -> list[object]:
    """What the table tells of a comparison; correlations are Spearman's, over all genes tested by both."""
    both = frame[frame["kind"] == 1]
    same = int((both["coef"] * both["coef_other"] > 0).sum())
    ranks = [
        spearmanr(frame[name], frame[f"{name}_other"]).statistic if len(frame) > 2 else float("nan")
        for name in ("coef", "neg_log10_pvalue")
    ]
    kinds = [int((frame["kind"] == kind).sum()) for kind in (1, 2, 3)]
    return [len(frame), *kinds, f"{same} of {len(both)}", *(f"{rank:.2f}" for rank in ranks)]


def _scatter(test: Test, frame: pd.DataFrame, headline: Family, other: Family) -> str:
    """Both effects, on axes of one range."""
    frame = frame[np.isfinite(frame[["coef", "coef_other"]]).all(axis=1)].reset_index(drop=True)
    wide = max(figures.limit(frame["coef"]), figures.limit(frame["coef_other"]))
    axes = (
        figures.x_axis(f"{other.name}: {other.scale.short}", -wide, wide),
        figures.y_axis(f"{headline.name}: {headline.scale.short}", -wide, wide),
    )
    classes = (
        Class("neither", REST, faint=True),
        Class("both", "currentColor"),
        Class(f"{headline.name} only", UP),
        Class(f"{other.name} only", DOWN),
    )
    alone = frame[frame["kind"] >= 2].sort_values("neg_log10_pvalue", ascending=False, kind="stable")
    svg = figures.scatter(
        test.label,
        frame["coef_other"],
        frame["coef"],
        frame["kind"].tolist(),
        frame["gene"].tolist(),
        classes,
        axes,
        labelled=alone.index[:LABELLED].tolist(),
        guides=figures.line(axes, x=0.0) + figures.line(axes, y=0.0) + figures.line(axes),
    )
    found = frame[frame["kind"] > 0]
    rows = [
        [row.gene, f"{row.coef:.4g}", f"{row.coef_other:.4g}", classes[row.kind].label]
        for row in found.itertuples(index=False)
    ]
    head = ["gene", f"coef_{headline.name}", f"coef_{other.name}", "found_by"]
    return figures.drawn(svg, [head, *rows])


def _scales(headline: Family, other: Family) -> list[str]:
    """What each axis is."""
    said = [f"{each.name}: the effect is {each.scale.effect}." for each in (headline, other)]
    if "linear" in (headline.engine, other.engine) and headline.engine != other.engine:
        said.append(
            "Where many cells have no count a linear model's effect lies nearer to 0 than the ratio of counts, as the logarithm is of "
            "cells and not of their mean: points off the diagonal are no disagreement, points in other quadrants are."
        )
    return said
