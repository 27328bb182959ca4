"""The mixed model beside pseudobulk: where the two agree on the same cells, and the genes where they do not."""

from html import escape

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from nestde.report import figures
from nestde.report.figures import Class
from nestde.report.genes import joint_words
from nestde.report.results import Results, Test
from nestde.report.sections import DOWN, REST, UP, Raw, Section, html, listing, plain_table
from nestde.words import count

CHAPTER = "trust"
LISTED = 12
CLASSES = (
    Class("neither", REST, faint=True),
    Class("both", "currentColor"),
    Class("mixed model only", UP),
    Class("pseudobulk only", DOWN),
)

DISAGREEMENT = [
    "Gene",
    "Found by",
    "Mixed model: effect",
    "FDR",
    "Pseudobulk: log2 fold change",
    "FDR",
    "log2(1 + counts per million) of each sample",
]

HELP = """
Pseudobulk adds the counts of all cells of a sample and compares samples (PyDESeq2). It knows nothing of single cells,
so it is a check by quite another road. The two need not find the very same genes: the mixed model sees each cell
equally, pseudobulk each count. They should agree on the direction of what both find, and effects should line up.
A gene found by one alone deserves a look at its samples before it is believed.
"""


def sections(results: Results) -> list[Section]:
    """Concordance, and the genes of disagreement, where pseudobulk was run."""
    fdr = results.config.inference.fdr
    pseudobulk = results.pseudobulk
    joined = [
        (test, join(test, pseudobulk[test.cell_type], fdr))
        for test in results.tests()
        if test.cell_type in pseudobulk
    ]
    joined = [(test, frame) for test, frame in joined if len(frame)]
    if not joined:
        return []
    header = ["Cell type", "Genes tested by both", "Found by both", "Mixed model only", "Pseudobulk only"]
    header += ["Same direction", "Rank correlation of effects"]
    rows = [[test.label, *numbers(frame).values()] for test, frame in joined]
    drawn = [_scatter(test, frame) for test, frame in joined]
    return [
        Section(
            "nestde_concordance",
            CHAPTER,
            "Mixed model and pseudobulk",
            html(plain_table(header, rows, right=range(1, 7)) + _formulas(results) + figures.row(drawn)),
            description=(
                f"Found: at a false discovery rate of at most {fdr:g}. Same direction: of the genes found by both."
                # pseudobulk tests each pair of levels by itself
                + joint_words(test for test, _ in joined)
            ),
            helptext=HELP,
        ),
        _disagreements(results, joined),
    ]


def _formulas(results: Results) -> str:
    """Say which formula the samples were compared by, and what of the model's it could not hold."""
    said: dict[str, list[str]] = {}
    for about in results.profiles.values():
        words = f"pseudobulk of {count(len(about['samples']), 'sample')} was compared by {about['formula']}"
        if about.get("derived"):
            words += ", the model's fixed effects that are constant within samples"
        if about.get("dropped"):
            words += f" (without {', '.join(about['dropped'])}, which varies between the cells of a sample)"
        said.setdefault(words, []).append(about["cell_type"])
    return listing(f"{', '.join(cell_types)}: {words}." for words, cell_types in said.items())


def join(test: Test, pseudobulk: pd.DataFrame, fdr: float) -> pd.DataFrame:
    """Genes with a p-value from both, with `kind`, their place in `CLASSES`."""
    same = (pseudobulk[["term", "level", "against"]] == [test.term, test.level, test.against]).all(axis=1)
    theirs = pseudobulk[same]
    columns = ["gene", "coef", "pvalue", "padj", "neg_log10_pvalue"]
    frame = (
        test.frame[columns]
        .assign(found=test.found(fdr))
        .merge(theirs[["gene", "log2fc", "pvalue", "padj"]], on="gene", suffixes=("", "_pb"))
    )
    frame = frame.dropna(subset=["pvalue", "pvalue_pb"]).reset_index(drop=True)
    # DESeq2 gives no rate to genes that its independent filtering leaves out: not found
    frame["padj_pb"] = frame["padj_pb"].fillna(1.0)
    ours, other = frame["found"], frame["padj_pb"] <= fdr
    frame["kind"] = 1 * (ours & other) + 2 * (ours & ~other) + 3 * (other & ~ours)
    return frame


def numbers(frame: pd.DataFrame) -> dict[str, object]:
    """Count agreement; the correlation is Spearman's over all genes tested by both."""
    both = frame[frame["kind"] == 1]
    same = int((both["coef"] * both["log2fc"] > 0).sum())
    rank = spearmanr(frame["coef"], frame["log2fc"]).statistic if len(frame) > 2 else float("nan")
    return {
        "genes": len(frame),
        "both": len(both),
        "mixed_only": int((frame["kind"] == 2).sum()),
        "pseudobulk_only": int((frame["kind"] == 3).sum()),
        "same_direction": f"{same} of {len(both)}",
        "rank_correlation": f"{rank:.2f}",
    }


def _scatter(test: Test, frame: pd.DataFrame) -> str:
    """Both effects as powers of 2, on axes of one range."""
    ours, theirs = frame["coef"] / np.log(2), frame["log2fc"]
    wide = max(figures.limit(ours), figures.limit(theirs))
    axes = (
        figures.x_axis("pseudobulk, log2 fold change", -wide, wide),
        figures.y_axis("mixed model, effect as log2", -wide, wide),
    )
    alone = frame[frame["kind"] >= 2].sort_values("neg_log10_pvalue", ascending=False)
    svg = figures.scatter(
        test.label,
        theirs,
        ours,
        frame["kind"].tolist(),
        frame["gene"].tolist(),
        CLASSES,
        axes,
        labelled=alone.index[:8].tolist(),
        guides=figures.line(axes, x=0.0) + figures.line(axes, y=0.0) + figures.line(axes),
    )
    rows = [["gene", "log2fc_pseudobulk", "coef", "found_by"]]
    kinds = [CLASSES[kind].label for kind in frame["kind"]]
    values = (frame["log2fc"].map("{:.4g}".format), frame["coef"].map("{:.4g}".format))
    drawn = frame["kind"] > 0  # the others are in the table of the comparison
    rows += [
        list(row)
        for row, kept in zip(zip(frame["gene"], *values, kinds, strict=True), drawn, strict=True)
        if kept
    ]
    return figures.drawn(svg, rows)


def _disagreements(results: Results, joined: list[tuple[Test, pd.DataFrame]]) -> Section:
    """List the genes that one method finds and the other is furthest from finding, with each sample's value."""
    profiles = results.profile_tables
    parts = []
    for test, frame in joined:
        alone = frame[frame["kind"] >= 2]
        far = alone[["padj", "padj_pb"]].max(axis=1)
        alone = alone.loc[far.sort_values(ascending=False, kind="stable").index[:LISTED]]
        if alone.empty:
            parts.append(f"<h4>{escape(test.label)}</h4><p>None.</p>")
            continue
        values = _samples(results, test, profiles.get(test.cell_type), alone["gene"].tolist())
        rows = [
            [
                row.gene,
                CLASSES[row.kind].label,
                f"{row.coef:+.2f}",
                f"{row.padj:.2g}",
                f"{row.log2fc:+.2f}",
                f"{row.padj_pb:.2g}",
                Raw(values.get(row.gene, "")),
            ]
            for row in alone.itertuples(index=False)
        ]
        parts.append(f"<h4>{escape(test.label)}</h4>{plain_table(DISAGREEMENT, rows, right=range(2, 6))}")
    return Section(
        "nestde_disagreements",
        CHAPTER,
        "Genes on which they disagree",
        html("".join(parts)),
        description=(
            f"Up to {LISTED} genes per comparison that only one of the two finds, the clearest first."
            + joint_words(test for test, _ in joined)
        ),
        helptext="""
Each dot is a sample, the bar is the mean of its group. A gene that hangs on one or two samples, or that is barely
expressed, should not be believed on the word of either method.
""",
    )


def _samples(results: Results, test: Test, profiles: pd.DataFrame | None, genes: list[str]) -> dict[str, str]:
    """Draw each gene's values in the samples compared; nothing where the levels are not those of a column of the sheet."""
    sheet = results.samples
    factor = results.config.model.about(test.term)
    if (
        profiles is None
        or factor not in sheet
        or not {test.level, test.against} <= set(sheet[factor].astype(str))
    ):
        return {}
    compared = results.profiles[test.cell_type]["samples"]
    of_level = {
        level: [
            f"cpm_{sample}"
            for sample in sheet.loc[sheet[factor].astype(str) == level, "sample_id"]
            if sample in compared
        ]
        for level in (test.against, test.level)
    }
    values = profiles.set_index("gene").loc[genes]
    colours = {test.against: DOWN, test.level: UP}
    return {
        gene: figures.strips(
            [
                (level, np.log2(1 + values.loc[gene, columns].to_numpy(float)).tolist(), colours[level])
                for level, columns in of_level.items()
            ]
        )
        for gene in genes
    }
