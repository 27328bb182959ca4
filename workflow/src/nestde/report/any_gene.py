"""Every gene in the page: its rows, its samples, and the tables as files, from packed tables that scripts of the page read."""

from collections.abc import Iterator
from html import escape
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
from scipy.stats import t as student

from nestde.arrays import Floats
from nestde.cells.roles import tested_in
from nestde.fit.methods import of_engine
from nestde.io.layout import PAGE, RESULTS
from nestde.report.answers import BESIDE
from nestde.report.packed import Block, dictionary, levels
from nestde.report.results import Results, Test
from nestde.report.sections import Section, html

CHAPTER = "genes"
# Values of samples that the page has room for: those of 9,700 genes in 24 samples of 12 cell types.
ROOM = 2_800_000
STRIPS = 6  # genes drawn for each comparison

DESCRIPTION = """Any gene of the study: its tests in every cell type, and its samples. The tables are in this page, offline, effects
and p-values to four digits, the rest to two or three; in <code>results/</code> they are whole."""

HELP = """
Press / to get here from anywhere, type a part of a gene's name, choose with the arrow keys and Enter. The table below has every gene of a comparison: click a
column's name to sort by it, a gene's to see it. Each dot is a sample, its area is its number of cells, its place the
pseudobulk profile of these cells, log2(1 + counts per million); the cross is the mean of the samples and its 95 % limits by t. The
effect and its 95 % limits are the model's, by single cells, as in the tables.
"""


def sections(results: Results) -> list[Section]:
    """The search, and the samples of the strongest genes."""
    if not results.tested:
        return []
    links = "".join(
        f'<li><a href="{_link(results, name)}">{escape(name)}</a></li>' for name in results.tested
    )
    content = (
        '<div id="nd-genes"><noscript>The search needs JavaScript.</noscript></div>'
        f'<div>All columns, in full: <ul class="nd-inline">{links}</ul></div>'
    )
    search = Section(
        "nestde_any_gene", CHAPTER, "Any gene", html(content), description=DESCRIPTION, helptext=HELP
    )
    return [search, *_strips(results)]


def _strips(results: Results) -> list[Section]:
    """Places for the samples of the strongest genes of each comparison that found any; a script draws them."""
    fdr = results.config.inference.fdr
    places = [
        f"<h4>{escape(test.label)}</h4>"
        f'<div class="nd-strips" data-test="{results.place(test)}" data-genes="{STRIPS}"></div>'
        for tests in results.tested.values()
        for test in tests
        if test.found(fdr).any() and test.cell_type in results.profiles
    ]
    return [
        Section(
            "nestde_by_sample",
            CHAPTER,
            "Top genes, sample by sample",
            html("".join(places)),
            description=(
                f"The {STRIPS} genes of the strongest evidence in each comparison. A dot is a sample (its area: cells), "
                "its place log2(1 + counts per million) of their sum; the cross is the mean of samples and its 95 % limits."
            ),
            helptext="A difference that hangs on one or two samples is to be doubted, whatever its p-value.",
        )
    ] * bool(places)


def packed(results: Results) -> list[str]:
    """The names of genes and what the scripts need to know of the study; then a block for each cell type.

    Nothing where nothing was tested.
    """
    if not results.tested:
        return []
    ids = _ids([test for tests in results.tested.values() for test in tests])
    place = {name: at for at, name in enumerate(ids)}
    room = ROOM // max(len(results.tested), 1)
    study = {
        "fdr": results.config.inference.fdr,
        "scale": results.family.scale.short,
        "genes": list(ids),
        "ids": list(ids.values()) if any(ids.values()) else [],
    }
    return [
        Block().packed(study),
        *(_block(results, tests, place, room) for tests in results.tested.values()),
    ]


def _ids(tests: list[Test]) -> dict[str, str]:
    """Every gene of the study by its name, sorted, with its id where the data have one."""
    found: dict[str, str] = {}
    for test in tests:
        ids = test.frame.get("gene_id", pd.Series("", index=test.frame.index))
        found |= dict(zip(test.frame["gene"], ids, strict=True))
    return dict(sorted(found.items()))


def _block(results: Results, tests: list[Test], place: dict[str, int], room: int) -> str:
    """Pack the comparisons of one cell type."""
    block = Block()
    head: dict[str, Any] = {
        "cellType": tests[0].cell_type,
        "tests": [_test(results, test, place, block) for test in tests],
        "untested": _untested(tests[0].frame, place, block),
        "samples": _samples(results, tests, block, room),
    }
    return block.packed(head)


def _test(results: Results, test: Test, place: dict[str, int], block: Block) -> dict[str, Any]:
    """One comparison: its genes by their place, its columns."""
    frame = test.frame[test.frame["pvalue"].notna()]
    words, status = dictionary(frame["status"].tolist())
    return {
        "label": test.label,
        "comparison": test.comparison,
        "level": test.level,
        "against": test.against,
        "words": test.level_words,
        "n": len(frame),
        "genes": block.add(np.array([place[gene] for gene in frame["gene"]], np.uint32)),
        "found": block.add(test.found(results.config.inference.fdr)[frame.index].to_numpy(np.uint8)),
        "status": {"words": words, "at": block.add(status)},
        "columns": [
            {"key": key, "title": title, **(block.powers if of_p else block.decimals)(values, digits)}
            for key, title, values, digits, of_p in _columns(results, test, frame)
        ],
    }


def _columns(
    results: Results, test: Test, frame: pd.DataFrame
) -> Iterator[tuple[str, str, Floats, int, bool]]:
    """Key, title, values and digits of each column, and whether the values are powers of 10."""
    lower, upper = test.limits(frame)
    yield "coef", "Effect", _of(frame, "coef"), 4, False
    yield "lower", "95 % from", lower, 3, False
    yield "upper", "to", upper, 3, False
    yield "se", "SE", _of(frame, "se"), 2, False
    yield "pvalue", "p", -_of(frame, "neg_log10_pvalue"), 4, True
    yield "padj", "FDR", _of(frame, "padj"), 4, False
    if test.joint:
        yield "pvalue_level", "p of this pair", _of(frame, "pvalue_level"), 3, False
        yield "padj_level", "FDR of this pair", _of(frame, "padj_level"), 3, False
    for name in frame:
        if name.startswith("mean_"):
            yield name, f"Mean in {name.removeprefix('mean_')}", _of(frame, name), 3, False
    for name in test.detected:
        yield name, f"Share of cells in {name.removeprefix('detected_')}", _of(frame, name), 2, False
    for each in results.family.shown:
        yield each.key, each.title, _of(frame, each.key), 2, False
    for way in of_engine(results.family.engine):
        name = f"pvalue_{way.name}"
        if way.name in BESIDE and way.name != test.headline and name in frame and frame[name].notna().any():
            yield name, f"p, {way.label}", _of(frame, name), 2, False
    bulk = results.pseudobulk.get(test.cell_type)
    if bulk is not None:
        same = (bulk[["term", "level", "against"]] == [test.term, test.level, test.against]).all(axis=1)
        theirs = bulk[same].drop_duplicates("gene").set_index("gene").reindex(frame["gene"])
        yield "log2fc_pseudobulk", "Pseudobulk: log2 fold change", _of(theirs, "log2fc"), 2, False
        yield "padj_pseudobulk", "Pseudobulk: FDR", _of(theirs, "padj"), 2, False


def _of(frame: pd.DataFrame, name: str) -> Floats:
    """A column as numbers; NaN where the table has none."""
    values: Floats = frame[name].to_numpy(float) if name in frame else np.full(len(frame), np.nan)
    return values


def _untested(frame: pd.DataFrame, place: dict[str, int], block: Block) -> dict[str, Any]:
    """Genes without a p-value, and why."""
    rows = frame[frame["pvalue"].isna()].drop_duplicates("gene")
    said = [
        f"{status}: {reason}" if reason else status
        for status, reason in zip(rows["status"], rows["reason"], strict=True)
    ]
    words, at = dictionary(said)
    genes = block.add(np.array([place[gene] for gene in rows["gene"]], np.uint32))
    return {"n": len(rows), "genes": genes, "words": words, "at": block.add(at)}


def _samples(results: Results, tests: list[Test], block: Block, room: int) -> dict[str, Any] | None:
    """The profile of each tested gene in each sample, as far as there is room: of the strongest genes first."""
    cell_type = tests[0].cell_type
    table = results.profile_tables.get(cell_type)
    about = results.profiles.get(cell_type)
    if table is None or about is None:
        return None
    names = [name for name in about["samples"] if f"cpm_{name}" in table]
    # in the order of the comparisons' own genes, the strongest first, so that their lists serve here, too
    order = pd.concat(
        [test.frame.loc[test.frame["pvalue"].notna(), "gene"] for test in tests]
    ).drop_duplicates()
    kept = order.head(room // max(len(names), 1)).tolist()
    values = (
        table.drop_duplicates("gene")
        .set_index("gene")
        .reindex(kept)[[f"cpm_{name}" for name in names]]
        .to_numpy(float)
    )
    steps, low, high, unit = levels(np.log2(1 + values))
    cells = results.designs[cell_type].get("cells_per_sample", {})
    return {
        "names": names,
        "cells": [cells.get(name, 0) for name in names],
        "levels": _levels(results, names),
        "t": student.ppf(0.975, np.arange(1, len(names))).round(4).tolist(),
        "n": len(kept),
        "steps": block.add(steps.reshape(-1)),
        "ends": block.add(np.concatenate([low, high])),
        "unit": unit,
    }


def _levels(results: Results, names: list[str]) -> dict[str, dict[str, list[str]]]:
    """Of each tested factor that the sheet has, the order of its levels, and the level of each sample."""
    found, sheet = {}, results.samples
    for factor in tested_in(results.config.model.compared):
        if factor not in sheet:
            continue
        of = dict(zip(sheet["sample_id"], sheet[factor].astype(str), strict=True))
        known = [of.get(name, "") for name in names]
        order = results.config.model.levels.get(factor, [])
        ranked = [*(level for level in order if level in known), *sorted(set(known) - set(order))]
        if 1 < len(ranked) <= 12:
            found[factor] = {"order": ranked, "of": known}
    return found


def _link(results: Results, cell_type: str) -> str:
    """From the page to a cell type's table."""
    up = "../" * PAGE.count("/")
    return up + quote(RESULTS["de"].format(cell_type=results.slugs[cell_type]))
