"""The example cohort from counts to report, as a newcomer runs it."""

import json

import anndata
import numpy as np
import pandas as pd
import pytest
from makers.command import nestde

from nestde import NestdeWarning, de
from nestde.expression.tables import TEXT
from nestde.io.files import read_tsv

pytestmark = pytest.mark.slow
CELL_TYPES = ["Neuron", "Astrocyte"]


def results(folder, cell_type):
    return read_tsv(folder / f"results/de/{cell_type}.tsv", text=TEXT)


def test_a_second_run_has_nothing_to_do(example):
    again = nestde("run", "--cores", "2", cwd=example)
    assert again.returncode == 0
    assert "Nothing to be done" in again.stdout + again.stderr


@pytest.mark.parametrize("cell_type", CELL_TYPES)
def test_every_simulated_gene_is_in_one_row(example, cell_type):
    truth = read_tsv(example / "config/example/truth.tsv", text=["gene"])
    table = results(example, cell_type)
    assert sorted(table["gene"]) == sorted(truth.loc[truth["cell_type"] == cell_type, "gene"])
    assert set(table["status"]) <= {"ok", "singular", "unstable", "not_testable", "failed"}
    assert (table.loc[table["status"] == "not_testable", "reason"] != "").all()


def test_discoveries_against_the_truth(example):
    truth = read_tsv(example / "config/example/truth.tsv", text=["gene"])
    table = pd.concat([results(example, cell_type) for cell_type in CELL_TYPES])
    both = table.merge(truth, on=["gene", "cell_type"], suffixes=("", "_true"))
    found = both["padj"] <= 0.05
    true = both["log2fc_true"] != 0
    tested = both["pvalue"].notna()
    false_discoveries = (found & ~true).sum() / found.sum()
    power = (found & true).sum() / (tested & true).sum()
    assert false_discoveries <= 0.10
    assert power >= 0.60
    right = found & true
    assert (np.sign(both.loc[right, "coef"]) == np.sign(both.loc[right, "log2fc_true"])).all()


def test_statsmodels_agrees(example):
    for cell_type in CELL_TYPES:
        checked = read_tsv(example / f"results/crosscheck/{cell_type}.tsv")
        assert len(checked) == 10
        assert (checked["difference_loglik"] > -1e-4).all()  # ours is never the lower one
        assert (checked["verdict"] == "agrees").mean() >= 0.9


def test_report_is_there_and_totals_add_up(example):
    html = (example / "results/report/multiqc.html").read_text(encoding="utf-8")
    assert "12 AD v 12 Control" in html
    summary = read_tsv(example / "results/summary.tsv")
    statuses = ["ok", "singular", "unstable", "not_testable", "failed"]
    assert (summary[statuses].sum(axis=1) == summary["genes"]).all()
    manifest = json.loads((example / "results/manifest.json").read_text())
    assert "de/Neuron.tsv" in json.dumps(manifest)


def test_nestde_de_gives_the_numbers_and_signs_of_the_workflow(example):
    adata = anndata.read_h5ad(example / "config/example/counts.h5ad")
    sheet = read_tsv(example / "config/samples.tsv").set_index("sample_id")
    adata.obs["diagnosis"] = sheet["diagnosis"].reindex(adata.obs["sample_id"].astype(str)).to_numpy()
    cells = pd.concat(
        [
            read_tsv(path, text=["barcode", "removed_by"]).assign(sample_id=path.stem)
            for path in (example / "results/qc").glob("*.tsv")
        ]
    )
    kept = cells[cells["removed_by"] == ""]
    wanted = set(zip(kept["sample_id"], kept["barcode"], strict=True))
    names = zip(adata.obs["sample_id"].astype(str), adata.obs_names, strict=True)
    adata = adata[[name in wanted for name in names]].copy()
    formula = "~ sequencing_saturation + diagnosis + (1 | sample_id)"
    with pytest.warns(NestdeWarning, match="Control is the reference"):
        table = de(adata, formula, test="diagnosis", cell_type_key="cell_type")
    for cell_type in CELL_TYPES:
        ours = table[table["cell_type"] == cell_type].set_index("gene")
        theirs = results(example, cell_type).set_index("gene")
        assert set(ours.columns) == set(theirs.columns)
        ours = ours.loc[theirs.index]
        # how often the likelihood was evaluated is no result: it hangs on the last digit of the sums
        for column in theirs.columns.drop(["padj_global", "iterations"]):
            if theirs[column].dtype.kind in "if":
                expected = theirs[column].to_numpy(float)
                np.testing.assert_allclose(
                    ours[column].astype(float), expected, rtol=1e-6, atol=1e-9, err_msg=column
                )
            else:
                assert ours[column].fillna("").tolist() == theirs[column].fillna("").tolist(), column


def test_a_cohort_like_it_and_a_plan_from_it(example, tmp_path):
    simulated = nestde(
        "simulate", str(tmp_path), "--like", "results", "--donors", "3", "--seed", "2", cwd=example
    )
    assert simulated.returncode == 0, simulated.stderr
    adata = anndata.read_h5ad(tmp_path / "counts.h5ad")
    tested = {
        cell_type: results(example, cell_type).query("status in ['ok', 'singular']")
        for cell_type in CELL_TYPES
    }
    truth = read_tsv(tmp_path / "truth.tsv", text=["gene"])
    assert {name: len(table) for name, table in truth.groupby("cell_type")} == {
        name: len(table) for name, table in tested.items()
    }
    assert adata.obs["sample_id"].nunique() == 6
    planned = nestde("power", "--like", "results", "--cell-type", "Neuron", "--genes", "1000", cwd=example)
    assert planned.returncode == 0, planned.stderr
    assert (
        "12 more donors a group raise the share of findable genes at a 1.5-fold change from "
        in planned.stdout
    )
    report = (example / "results/report/multiqc.html").read_text(encoding="utf-8")
    assert "What the next study would find" in report
