"""Every number that stands next to a result is of that result: recomputed from the tables of cells and genes."""

import json
import re
from html import unescape
from pathlib import Path
from statistics import median

import anndata
import numpy as np
import pandas as pd
import pytest
import yaml
from makers.command import nestde
from small import CONFIG, start_study

from nestde.expression.tables import TEXT
from nestde.io.files import read_tsv, slug
from nestde.simulate import Cohort, write
from nestde.study import config

pytestmark = pytest.mark.slow


def text_of(folder, section):
    content = json.loads((folder / f"results/report/content/nestde_{section}_mqc.json").read_text())
    return unescape(re.sub(r"<[^>]+>", "", content["data"])), content


def rows_of(html):
    """Cells of the tables in some HTML, row by row."""
    found = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    return [
        [unescape(re.sub(r"<[^>]+>", "", cell)) for cell in re.findall(r"<t[dh].*?>(.*?)</t[dh]>", row)]
        for row in found
    ]


def kept_cells(folder):
    """The sheet, how many cells came in, and sample, type and counts of every cell that quality control kept."""
    sheet = read_tsv(folder / "results/cohort/samples.tsv", text=["sample_id"])
    tables = [
        read_tsv(folder / f"results/qc/{name}.tsv", text=["removed_by", "cell_type"]).assign(sample_id=sample)
        for sample, name in zip(sheet["sample_id"], map(slug, sheet["sample_id"]), strict=True)
    ]
    # cells that input.keep leaves out are in no table, only counted
    ledgers = [
        json.loads((folder / f"results/qc/{name}.json").read_text()) for name in map(slug, sheet["sample_id"])
    ]
    every = pd.concat(tables)
    return sheet, sum(ledger["cells_in"] for ledger in ledgers), every[every["removed_by"].fillna("") == ""]


def assert_numbers_are_of_the_results(folder):
    settings = config.load(folder / "config/config.yaml")
    sheet, came, kept = kept_cells(folder)
    whole = kept["sample_id"].value_counts()
    factor = settings.model.test[0]
    level_of = dict(zip(sheet["sample_id"], sheet[factor], strict=True))
    (brief, content), check = text_of(folder, "brief_text"), text_of(folder, "check")[0]
    answers = rows_of(content["data"])
    assert f"The study: {len(sheet)} samples, {came:,} cells, of which {len(kept):,} passed" in brief
    shown = rows_of(text_of(folder, "samples")[1]["data"])[1:]
    overview = list(text_of_overview(folder).values())
    concordance = text_of(folder, "concordance")[0]
    for place, cell_type in enumerate(settings.cell_types):
        of_type = kept.loc[kept["cell_type"] == cell_type, "sample_id"].value_counts()
        cells = {
            sample: number
            for sample, number in of_type.items()
            if number >= settings.model.min_cells and whole[sample] >= settings.qc.min_cells_per_sample
        }
        total = sum(cells.values())
        table = read_tsv(folder / f"results/de/{slug(cell_type)}.tsv", TEXT)
        tested = int(table["pvalue"].notna().sum())
        (answer,) = (row for row in answers if row[0] == cell_type)
        assert answer[1:4] == [f"{number:,}" for number in (len(cells), total, tested)]
        found = table["padj"] <= settings.inference.fdr
        assert re.match(rf"{found.sum():,}\b", answer[4])
        assert (
            f"{cell_type}: {factor} is tested between {len(cells)} samples, not between {total:,} cells: 2 of them are taken up by "
            f"coefficients and coarser groups; {len(cells) - 2} degrees of freedom are left."
        ) in check
        assert (overview[place]["cells"], overview[place]["samples"]) == (total, len(cells))
        assert (overview[place]["genes"], overview[place]["tested"]) == (len(table), tested)
        assert table["n_samples"].max() <= len(cells) and table["n_cells"].max() <= total
        for level in settings.model.levels[factor]:
            numbers = [number for sample, number in cells.items() if level_of[sample] == level]
            spread = f"{min(numbers):,} – {median(numbers):,.0f} – {max(numbers):,}"
            (row,) = (row for row in shown if row[:2] == [cell_type, level])
            assert row[2:5] == [str(len(numbers)), f"{sum(numbers):,}", spread]
            missing = [
                sample for sample in sheet["sample_id"] if level_of[sample] == level and sample not in cells
            ]
            assert all(f"{sample} (" in row[5] for sample in missing) and row[5].count("(") == len(missing)
            for sample in missing:
                poor = whole.get(sample, 0) < settings.qc.min_cells_per_sample
                why = "cells after quality control" if poor else "cells of this type"
                number = whole.get(sample, 0) if poor else of_type.get(sample, 0)
                assert re.search(rf"{sample} \({number}( of \d+)? {why}[; ]", row[5])
        top = json.loads((folder / f"results/report/content/nestde_top_{place + 1}_mqc.json").read_text())
        assert f"smallest p-values of {tested:,} tested genes;" in top["description"]
        depth = kept[kept["cell_type"] == cell_type].groupby("sample_id")["total_counts"].sum()
        profiles = [
            sample
            for sample, number in of_type.items()
            if number >= settings.pseudobulk.min_cells
            and whole[sample] >= settings.qc.min_cells_per_sample
            and depth[sample] >= settings.pseudobulk.min_counts
        ]
        assert re.search(
            rf"{re.escape(cell_type)}[^:]*: pseudobulk of {len(profiles)} samples was compared", concordance
        )


def text_of_overview(folder):
    return json.loads((folder / "results/report/content/nestde_overview_mqc.json").read_text())["data"]


def study_of_thresholds(folder: Path) -> Path:
    """A study with a sample below each threshold: of QC, of the model, and of pseudobulk."""
    start_study(folder)
    write(Cohort(donors=5, cells=40, genes=200, cell_types=("Neuron",), batches=1), folder / "config")
    settings = CONFIG | {
        "qc": CONFIG["qc"] | {"min_cells_per_sample": 5},
        "model": CONFIG["model"] | {"min_cells": 10},
        "pseudobulk": {"min_cells": 15, "min_counts": 0},
        "chunks": 1,
    }
    (folder / "config/config.yaml").write_text(yaml.safe_dump(settings))
    path = folder / "config/counts.h5ad"
    adata = anndata.read_h5ad(path)
    samples = adata.obs["sample_id"].astype(str).to_numpy()
    keep = np.ones(len(samples), bool)
    for sample, number in zip(sorted(set(samples))[:3], (3, 8, 13), strict=True):
        keep[np.flatnonzero(samples == sample)[number:]] = False
    adata[keep].copy().write_h5ad(path)
    return folder


@pytest.fixture(scope="module")
def thresholds(tmp_path_factory):
    folder = study_of_thresholds(tmp_path_factory.mktemp("thresholds") / "study")
    result = nestde("run", "--cores", "2", cwd=folder)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


def test_of_a_study_with_a_sample_below_each_threshold(thresholds):
    assert_numbers_are_of_the_results(thresholds)


def test_of_the_example(example):
    assert_numbers_are_of_the_results(example)


@pytest.mark.parametrize(
    ("name", "data"), [("kang", "kang_bcells.h5ad"), ("zeisel", "zeisel_pseudodonors.h5ad")]
)
def test_of_real_data(study_of_real_data, name, data):
    assert_numbers_are_of_the_results(study_of_real_data(name, data))
