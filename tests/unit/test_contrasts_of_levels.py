"""Contrasts of three levels from the check to the report, where one cell type has a level with too few samples."""

import json

import numpy as np
import pandas as pd
import pytest
from makers.tiny_study import Steps, cells, config, sheet

from nestde.design.testable import load_design
from nestde.expression.tables import TEXT
from nestde.io.files import read_tsv
from nestde.io.layout import CONTENT
from nestde.report.evidence import partition

SAMPLES = [f"S{i}" for i in range(9)]
LEVELS = ("Control", "AD", "M/CI-2")
TESTS = ["diagnosis", "AD - Control", "`M/CI-2` - AD", "(AD + `M/CI-2`)/2 - Control"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("levels")
    adata = cells(n=16, genes=12, samples=SAMPLES)
    rare = (
        adata.obs["sample_id"].isin(["S5", "S8"]).to_numpy() & (adata.obs["cell_type"] == "B/cell").to_numpy()
    )
    adata = adata[~rare].copy()
    adata.write_h5ad(folder / "counts.h5ad")
    settings = config(
        samples="samples.tsv",
        input={"counts": None},
        model={"test": TESTS, "levels": {"diagnosis": list(LEVELS)}, "min_cells": 3},
        inference={"crosscheck_genes": 4},
        calibration={"relabellings": 3},
        pseudobulk={"enabled": False},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        steps = Steps(folder, settings, sheet(SAMPLES, diagnosis=LEVELS))
        steps.to_report()
    return steps


def table(study, kind, cell_type):
    return read_tsv(study.path(kind, cell_type=study.types[cell_type]), TEXT)


def test_contrasts_without_a_level_are_rows_with_the_reason_and_others_are_tested(study):
    whole, part = (table(study, "de", name).groupby("term") for name in ("T cell", "B/cell"))
    assert set(whole.groups) == set(part.groups) == set(TESTS)
    for test in TESTS:
        assert whole.get_group(test)["pvalue"].notna().all()
    lacking = {test for test in TESTS if "M/CI-2" in test}
    for test in TESTS:
        rows = part.get_group(test)
        assert (rows["status"] == "not_testable").all() == (test in lacking)
        assert rows["pvalue"].notna().all() == (test not in lacking)
    reason = part.get_group("`M/CI-2` - AD")["reason"].unique()
    assert len(reason) == 1 and reason[0].startswith(
        "M/CI-2 has only S2: of its 3 samples, 2 have no cell of this type"
    )
    assert set(
        zip(part.get_group("AD - Control")["level"], part.get_group("AD - Control")["against"], strict=True)
    ) == {("AD", "Control")}


def test_numbers_of_genes_are_whole_numbers_in_every_row(study):
    totals = pd.read_csv(study.path("totals"), sep="\t")
    assert len(totals) == 2 * len(TESTS)
    numbers = totals.drop(columns=["cell_type", "term"])
    assert (numbers.dtypes == np.int64).all() and numbers.notna().all(axis=None)
    tested = totals.set_index(["cell_type", "term"])["tested"]
    assert tested["B/cell", "`M/CI-2` - AD"] == 0 and tested["B/cell", "AD - Control"] > 0
    table_of_all = table(study, "de", "B/cell")
    for column in ("n_cells", "n_samples", "lrt_df", "iterations"):
        known = table_of_all[column].dropna()
        assert len(known) and (known % 1 == 0).all()


def test_each_gene_of_the_cross_check_leaves_out_one_of_what_is_tested(study):
    checked = table(study, "crosscheck", "T cell")
    assert checked["term"].value_counts().to_dict() == dict.fromkeys(TESTS, 1)
    assert set(checked["verdict"]) <= {"agrees", "statsmodels stopped short"}
    assert set(table(study, "crosscheck", "B/cell")["term"]) == {"diagnosis", "AD - Control"}


def test_calibration_and_report_tell_of_every_contrast(study):
    about = json.loads(study.path("relabellings", cell_type=study.types["B/cell"]).read_text())
    assert (
        about["`M/CI-2` - AD"]["relabellings"] == 0
        and "M/CI-2 has only S2" in about["`M/CI-2` - AD"]["reason"]
    )
    whole = json.loads(study.path("relabellings", cell_type=study.types["T cell"]).read_text())
    assert whole["AD - Control"]["possible"] == 10  # of six samples, not of nine
    brief = json.loads((study.folder / CONTENT / "nestde_brief_text_mqc.json").read_text())["data"]
    assert "`M/CI-2` - AD" in brief and "M/CI-2 has only S2" in brief
    check = json.loads(study.path("check").read_text())
    found = {entry["cell_type"]: entry for entry in check["cell_types"]}
    assert found["T cell"]["untested"] == {} and set(found["B/cell"]["untested"]) == {
        t for t in TESTS if "M/CI-2" in t
    }


def test_the_fixed_part_of_variances_is_of_what_the_model_predicts(study):
    of_type = {"cell_type": study.types["T cell"]}
    genes = table(study, "de", "T cell").dropna(subset=["pvalue"]).drop_duplicates("gene")
    about = json.loads(study.path("terms", **of_type).read_text())
    design = load_design(study.path("design", **of_type))
    predicted = genes[[f"coef_{name}" for name in design.coef_names]].to_numpy(float) @ design.x.T
    sd, sigma = (genes[name].to_numpy(float) for name in ("sd_sample_id_(Intercept)", "sigma"))
    parts = [predicted.var(axis=1), sd**2, sigma**2]
    found = np.stack(list(partition(genes, about).values()))
    np.testing.assert_allclose(found, np.stack(parts) / sum(parts), rtol=1e-9)
    drawn = (study.folder / CONTENT / "nestde_variance_mqc.json").read_text()
    assert "T cell: all parts" in drawn and "B/cell: all parts" in drawn
