import dataclasses
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from makers.real import real_data
from makers.tiny_study import Steps, cells, config, sheet, write_study
from scipy.stats import spearmanr, ttest_ind

from nestde.cells.pseudobulk import cpm, read, scale_profiles
from nestde.errors import NestdeError
from nestde.expression.pseudobulk_de import COLUMNS, explore, sample_formula, test
from nestde.io.counts import OURS
from nestde.io.files import read_json, read_tsv
from nestde.size_factors import Counted
from nestde.study.samples import read_checked

test.__test__ = False  # a function of ours that pytest must not take for a test


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def profiles(diagnosis, n_cells, genes=300, change=None, donor_sd=0.2, seed=0, **columns):
    """Sums over cells: negative binomial between samples, in proportion to the cells."""
    rng = np.random.default_rng(seed)
    n = len(diagnosis)
    per_cell = rng.gamma(1.0, 1.0, genes) + 0.05
    fold = np.ones((n, genes))
    for level, of_genes in (change or {}).items():
        for gene, log2fc in of_genes.items():
            fold[np.asarray(diagnosis) == level, gene] = 2.0**log2fc
    donor = np.exp(rng.normal(0, donor_sd, (n, genes)))
    sums = rng.poisson(np.asarray(n_cells)[:, None] * per_cell * fold * donor)
    names = [f"S{i:02d}" for i in range(n)]
    obs = pd.DataFrame({"sample_id": names, "diagnosis": pd.Categorical(diagnosis)}, index=names)
    depth = sums.sum(axis=1)
    cells = Counted(depth.astype(float), np.arange(n), n, lambda: sums)
    _, effective = scale_profiles(cells, sums, np.ones(n, bool), "median_of_ratios")
    ours = pd.DataFrame({"n_cells": n_cells, "total_counts": depth, "left_out": ""}, index=names)
    ours["size_factor"] = effective / 1e4
    obs, obsm = obs.assign(**columns), {OURS: ours}
    found = ad.AnnData(sums, obs=obs, obsm=obsm, var=pd.DataFrame(index=[f"G{i}" for i in range(genes)]))
    found.layers["measured"] = np.ones(sums.shape, np.uint8)
    found.layers["cpm"] = cpm(sums, effective)
    found.uns["cell_type"] = "T cell"
    return found


def model(formula="~ sequencing_saturation + diagnosis + (1 | sample_id)", tests=("diagnosis",), levels=None):
    of = {"diagnosis": ["Control", "AD"]} if levels is None else levels
    return dataclasses.replace(config().model, formula=formula, test=list(tests), levels=of)


def test_unequal_numbers_of_cells_do_not_make_genes_significant():
    """Known from the field: sums that are not divided by library size reject 85 % of true nulls."""
    diagnosis = ["AD"] * 8 + ["Control"] * 8
    found = profiles(
        diagnosis, n_cells=[100, 130, 90, 110, 120, 80, 95, 105, 400, 500, 350, 450, 420, 380, 390, 410]
    )
    raw = ttest_ind(found.X[:8], found.X[8:]).pvalue
    assert (raw < 0.05).mean() > 0.8
    normalised = np.log2(1 + found.layers["cpm"])
    assert (ttest_ind(normalised[:8], normalised[8:]).pvalue < 0.05).mean() < 0.09
    table, _, reason = test(found, model(), None, 0.05)
    assert reason == ""
    assert (table["pvalue"] < 0.05).mean() < 0.09
    assert (table["padj"] < 0.05).sum() <= 3
    assert abs(table["log2fc"].median()) < 0.05


def test_effects_are_found_with_the_sign_of_the_level_named():
    found = profiles(["Control", "AD"] * 6, [200] * 12, change={"AD": {3: 2.0, 5: -2.0}}, seed=1)
    full = model("~ sequencing_saturation + total_counts + diagnosis + (1 | sample_id)")
    table, formula, _ = test(found, full, None, 0.05)
    assert formula.text == "~ diagnosis"
    assert (formula.derived, formula.dropped) == (True, ("sequencing_saturation", "total_counts"))
    assert list(table.columns) == [
        "gene",
        "cell_type",
        "term",
        "level",
        "against",
        "status",
        "reason",
        *COLUMNS,
    ]
    assert set(map(tuple, table[["term", "level", "against"]].to_numpy())) == {("diagnosis", "AD", "Control")}
    by_gene = table.set_index("gene")
    assert by_gene.loc["G3", "log2fc"] == pytest.approx(2, abs=0.4) and by_gene.loc["G3", "padj"] < 1e-6
    assert by_gene.loc["G5", "log2fc"] == pytest.approx(-2, abs=0.4) and by_gene.loc["G5", "padj"] < 1e-6
    assert len(table) == 300 and (table["padj"] < 0.05).sum() <= 10


def test_three_levels_give_every_pair():
    levels = {"diagnosis": ["Control", "MCI", "AD"]}
    found = profiles(
        ["Control", "MCI", "AD"] * 4, [200] * 12, genes=60, change={"AD": {3: 2.0}, "MCI": {3: 1.0}}
    )
    table, _, _ = test(found, model(levels=levels), None, 0.05)
    pairs = table.groupby(["level", "against"]).size()
    assert dict(pairs) == {("AD", "Control"): 60, ("AD", "MCI"): 60, ("MCI", "Control"): 60}
    effects = table[table["gene"] == "G3"].set_index(["level", "against"])["log2fc"]
    assert effects["AD", "Control"] == pytest.approx(effects["AD", "MCI"] + effects["MCI", "Control"])


def test_the_formula_of_samples_is_derived_or_given():
    columns = ["sample_id", "diagnosis", "age"]
    full = model("~ 0 + nCount + diagnosis * log(age) + diagnosis:nCount + (1 + nCount | donor/sample_id)")
    derived = sample_formula(full, None, columns)
    assert derived.text == "~ 0 + diagnosis + log(age) + diagnosis:log(age)"
    assert set(derived.dropped) == {"nCount", "diagnosis:nCount"}
    assert sample_formula(model("~ nCount + (1 | sample_id)"), None, columns).text == "~ 1"
    given = sample_formula(full, "~ donor + diagnosis", columns)
    assert (given.text, given.derived, given.dropped) == ("~ donor + diagnosis", False, ())
    with pytest.raises(NestdeError, match="has random effects; DESeq2 has none"):
        sample_formula(full, "~ diagnosis + (1 | donor)", columns)


@pytest.mark.parametrize(
    ("donor", "random", "formula"),
    [
        ("aabbccdd", "(1 | donor)", "~ diagnosis + donor"),
        ("aabbccdd", "(1 | donor/sample_id)", "~ diagnosis + donor"),
        ([11, 11, 12, 12, 13, 13, 14, 14], "(1 | donor) + (1 | sample_id)", "~ diagnosis + C(donor)"),
        ("aabbccde", "(1 | donor) + (1 | sample_id)", "~ diagnosis + donor"),
        ("abababab", "(1 | donor)", "~ diagnosis"),  # each donor has one diagnosis
        ("aabbccdd", "(1 | sample_id)", "~ diagnosis"),
    ],
)
def test_profiles_are_paired_as_the_mixed_model_pairs_samples(donor, random, formula):
    """Pseudobulk compared samples as if they were independent, beside a mixed model that paired them."""
    found = profiles(["Control", "AD"] * 4, [200] * 8, genes=20)
    found.obs["donor"] = list(donor) if isinstance(donor, list) else pd.Categorical(list(donor))
    table, fitted, reason = test(found, model(f"~ diagnosis + {random}"), None, 0.05)
    assert (fitted.text, reason) == (formula, "")
    assert (table["status"] == "ok").any()


def test_a_gene_that_a_sample_did_not_measure_is_not_tested():
    """Absent from the features of every Control: counted as 0, it would be the most different of all."""
    found = profiles(["Control", "AD"] * 4, [200] * 8, genes=40)
    plain, _, _ = test(found, model(), None, 0.05)
    control = (found.obs["diagnosis"] == "Control").to_numpy()
    found.X[control, 7], found.layers["measured"][control, 7] = 0, 0
    table, _, _ = test(found, model(), None, 0.05)
    row = table.set_index("gene").loc["G7"]
    assert (row["status"], row["pvalue"]) == ("not_testable", pytest.approx(np.nan, nan_ok=True))
    assert row["reason"] == "not measured in 4 of 8 samples: S00, S02, S04, S06"
    assert (plain["status"] == "ok").sum() - 1 == (table["status"] == "ok").sum()
    assert "G7" in set(plain.loc[plain["status"] == "ok", "gene"])


@pytest.mark.parametrize(
    "diagnosis, formula, left_out, words",
    [
        (["AD"] * 6, None, [], "diagnosis"),
        (["AD", "Control"] * 3, "~ batch + diagnosis", [], "batch"),
        (["AD", "Control"] * 3, "~ batch", [], "diagnosis is not in the formula ~ batch"),
        (
            ["AD"] + ["Control"] * 5,
            None,
            [],
            "diagnosis AD has a single sample with enough cells of this type; 2 are",
        ),
        (["AD", "Control"], None, [], "2 rows are too few"),
        (["AD", "Control"] * 3, None, [0, 1, 2, 3, 4, 5], "no sample has enough cells of this type"),
        (["AD", "Control"] * 3, "~ diagnosis + nonsense", [], "no column nonsense"),
    ],
)
def test_what_cannot_be_tested_is_a_row_with_a_reason(diagnosis, formula, left_out, words):
    n = len(diagnosis)
    batch = pd.Categorical(["x" if level == "AD" else "y" for level in diagnosis])
    found = profiles(diagnosis, [200] * n, genes=20, batch=batch)
    found.obsm[OURS].loc[found.obs_names[left_out], "left_out"] = "few cells"
    table, _, _ = test(found, model(), formula, 0.05)
    assert list(table["gene"]) == list(found.var_names)
    assert set(table["status"]) == {"not_testable"}
    assert words in table["reason"].iloc[0]
    assert table[COLUMNS].isna().all(axis=None)


def test_genes_without_counts_and_outliers_have_a_reason():
    found = profiles(["Control", "AD"] * 4, [200] * 8, genes=80, donor_sd=0.05)
    found.X[:, 0] = 0
    found.X[:, 1] = [1, 0, 0, 0, 0, 0, 0, 2]
    found.X[0, 2] = 10**6
    table, _, _ = test(found, model(), None, 0.05)
    by_gene = table.set_index("gene")
    assert (
        by_gene.loc["G0", "reason"] == by_gene.loc["G1", "reason"] == "fewer than 10 counts over all samples"
    )
    assert by_gene.loc["G2", "reason"] == "the count of one sample is an outlier (Cook's distance)"
    assert (by_gene.loc[["G0", "G1", "G2"], "status"] == "not_testable").all()
    assert by_gene.loc[["G0", "G1", "G2"], ["pvalue", "padj"]].isna().all(axis=None)
    assert (by_gene["status"] == "ok").sum() == 77


def test_components_go_with_what_makes_them():
    site = pd.Categorical(["x"] * 6 + ["y"] * 6)
    diagnosis = ["Control", "AD"] * 6
    found = profiles(diagnosis, [300] * 12, genes=100, site=site, age=np.arange(12.0))
    found.X[6:, :40] *= 4
    found.layers["cpm"] = cpm(found.X, found.X.sum(axis=1))
    told = explore(found)
    assert told["samples"] == list(found.obs_names)
    distances = np.array(told["distances"])
    assert (
        distances.shape == (12, 12)
        and (np.diag(distances) == 0).all()
        and np.allclose(distances, distances.T)
    )
    logs = np.log2(1 + found.layers["cpm"])
    assert distances[0, 7] == pytest.approx(np.linalg.norm(logs[0] - logs[7]))
    scores = np.array(told["pca"]["scores"])
    assert scores.shape == (12, 5)
    assert told["pca"]["variance"] == sorted(told["pca"]["variance"], reverse=True)
    of = {(row["covariate"], row["component"]): row for row in told["covariates"]}
    assert of["site", 1]["r2"] > 0.95 and of["site", 1]["pvalue"] < 1e-6
    assert of["diagnosis", 1]["r2"] < 0.2
    assert of["age", 1]["r2"] == pytest.approx(np.corrcoef(np.arange(12), scores[:, 0])[0, 1] ** 2)


def test_the_command_writes_table_and_exploration_and_the_same_bytes_twice(study):
    steps = write_study(study, cells(n=60))
    assert steps.ingest() == steps.qc() == steps.pseudobulk("T cell") == 0
    assert steps.pseudobulk_de("de.tsv", explore="explore.json") == 0
    first = Path("de.tsv").read_bytes(), Path("explore.json").read_bytes()
    assert steps.pseudobulk_de("de.tsv", explore="explore.json") == 0
    assert (Path("de.tsv").read_bytes(), Path("explore.json").read_bytes()) == first
    told = read_json("explore.json")
    assert told["formula"] == "~ diagnosis" and told["dropped"] == ["sequencing_saturation"]
    assert len(read_tsv("de.tsv")) == 30


def test_kang_agrees_with_edger(study):
    """16 samples, 8 donors with and without interferon: PyDESeq2 with donor against edgeR's quasi-likelihood."""
    reference = pd.read_csv(real_data("reference/kang_bcells.edgeR_QLF.tsv.gz"), sep="\t")
    source = real_data("kang_bcells.h5ad")
    cell_obs = ad.read_h5ad(source, backed="r").obs
    samples = sorted(cell_obs["sample_id"].astype(str).unique())
    rows = sheet(samples, source)
    per_sample = cell_obs.drop_duplicates("sample_id").set_index("sample_id")
    for name in ("condition", "donor"):
        rows[name] = per_sample.loc[samples, name].astype(str).to_numpy()
    settings = config(
        cell_types=["B cells"],
        input={"counts": str(source), "keep": {"multiplet": ["singlet"]}},
        pseudobulk={"formula": "~ donor + condition", "min_cells": 10},
        model={
            "formula": "~ condition + (1 | sample_id)", "test": ["condition"], "levels": {"condition": ["ctrl", "stim"]},
        },
    )  # fmt: skip
    steps = Steps(study, settings, rows.drop(columns="diagnosis"))
    assert steps.ingest() == steps.qc() == steps.pseudobulk("B cells") == 0
    found = read("bulk.h5ad", read_checked("samples.tsv"))
    assert found.obsm[OURS]["n_cells"].sum() == 2573
    found = found[:, [gene in set(reference["gene"]) for gene in found.var_names]].copy()
    table, _, _ = test(found, settings.model, settings.pseudobulk.formula, 0.05)
    both = table.merge(reference, on="gene", validate="one_to_one")
    assert len(both) == len(reference) == 1815
    tested = both[both["status"] == "ok"]
    assert len(tested) > 1790
    assert spearmanr(tested["log2fc"], tested["logFC"]).statistic > 0.95
    significant = tested[(tested["padj"] < 0.05) & (tested["FDR"] < 0.05)]
    assert len(significant) > 200
    assert (np.sign(significant["log2fc"]) == np.sign(significant["logFC"])).all()
