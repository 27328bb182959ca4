"""`nestde.de`, and the rows it shares with the workflow, beside one gene at a time and beside statsmodels."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import nestde
from nestde.design.testable import NotTestable, design_to_test, load_design
from nestde.errors import NestdeError
from nestde.expression.celltype import fit_table, slice_of_chunk
from nestde.fit.family.gaussian import FAMILY as GAUSSIAN
from nestde.fit.grain import grain_of
from nestde.simulate import Cohort, simulate

FORMULA = "~ sequencing_saturation + diagnosis + (1 | sample_id)"
LEVELS = {"diagnosis": ["Control", "AD"]}


@pytest.fixture(scope="module")
def cohort():
    adata, _ = simulate(Cohort(donors=3, cells=30, genes=40, seed=5))
    return adata


@pytest.fixture(scope="module")
def table(cohort):
    return nestde.de(
        cohort, FORMULA, test="diagnosis", cell_type_key="cell_type", levels=LEVELS, min_samples=2
    )


def test_every_gene_is_in_one_row_of_each_cell_type(cohort, table):
    for cell_type, rows in table.groupby("cell_type"):
        assert sorted(rows["gene"]) == sorted(cohort.var_names), cell_type
    assert (table.loc[table["status"] == "not_testable", "reason"] != "").all()


def test_auto_says_which_p_value_it_took_and_why(table, cohort):
    assert set(table["pvalue_by"]) <= {"means", ""}
    said = [words for words in table.attrs["nestde"]["said"] if "the headline is by" in words]
    assert [words.split(",")[0] for words in said] == sorted(set(table["cell_type"]))
    assert all("by moderated means, as there is no moderated p-value: " in words for words in said)
    assert all("genes are too few to tell how variances differ" in words for words in said)


@pytest.mark.parametrize("headline", ["lrt", "satterthwaite", "kenward_roger"])
def test_a_row_is_what_lmm_says_of_the_gene(cohort, headline):
    rows = nestde.de(
        cohort, FORMULA, test="diagnosis", cell_type_key="cell_type", levels=LEVELS, p_value=headline
    )
    row = rows[(rows["cell_type"] == "Neuron") & (rows["status"] == "ok")].iloc[0]
    cells = cohort[cohort.obs["cell_type"] == "Neuron"]
    counts = cells.X.toarray()
    frame = cells.obs.assign(
        y=np.log1p(counts[:, cells.var_names == row["gene"]][:, 0] / counts.sum(axis=1) * 1e4)
    )
    reml = headline != "lrt"
    full = nestde.lmm("y " + FORMULA, frame, reml=reml, levels=LEVELS)
    assert row["coef"] == pytest.approx(full.coef["diagnosis[AD]"], rel=1e-9)
    assert row["se"] == pytest.approx(full.se["diagnosis[AD]"], rel=1e-8)
    assert row["sigma"] == pytest.approx(full.sigma, rel=1e-9)
    assert row["estimates"] == ("REML" if reml else "ML")
    assert row["pvalue"] == row[f"pvalue_{headline}"]
    if reml:
        assert row["pvalue"] == pytest.approx(full.t_tests(headline).loc["diagnosis[AD]", "p"], rel=1e-7)
    else:
        reduced = nestde.lmm("y ~ sequencing_saturation + (1 | sample_id)", frame, reml=False)
        stat = 2 * (full.loglik - reduced.loglik)
        assert row["pvalue"] == pytest.approx(chi2.sf(stat, 1), rel=1e-7)
        assert row["neg_log10_pvalue"] == pytest.approx(-np.log10(row["pvalue"]), rel=1e-9)


def test_factor_of_three_levels_has_a_row_for_each_pair():
    adata, _ = simulate(
        Cohort(donors=3, cells=20, genes=30, cell_types=("N",), diagnoses=("A", "B", "C"), seed=2)
    )
    rows = nestde.de(adata, FORMULA, test="diagnosis", p_value="lrt")
    gene = (
        rows[rows["status"] == "ok"]
        .groupby("gene")
        .get_group(rows.loc[rows["status"] == "ok", "gene"].iloc[0])
    )
    pairs = list(zip(gene["level"], gene["against"], strict=True))
    assert pairs == [("B", "A"), ("C", "A"), ("C", "B")]
    b, c, between = gene["coef"]
    assert between == pytest.approx(c - b, abs=1e-12)
    assert gene["lrt_df"].tolist() == [2, 2, 2]
    assert gene["pvalue"].nunique() == 1 and gene["pvalue_level"].nunique() == 3


def test_cell_type_that_cannot_be_tested_becomes_rows_with_the_reason(cohort):
    one_sided = cohort[(cohort.obs["cell_type"] == "Neuron") | (cohort.obs["diagnosis"] == "AD")].copy()
    rows = nestde.de(one_sided, FORMULA, test="diagnosis", cell_type_key="cell_type", levels=LEVELS)
    astrocytes = rows[rows["cell_type"] == "Astrocyte"]
    assert (astrocytes["status"] == "not_testable").all() and len(astrocytes) == cohort.n_vars
    assert (rows.loc[rows["cell_type"] == "Neuron", "status"] != "not_testable").any()


@pytest.mark.filterwarnings("ignore:.*names are not unique")
def test_faults_are_sentences(cohort):
    def faults(adata, formula=FORMULA, test="diagnosis", **options):
        with pytest.raises(nestde.NestdeError) as error:
            nestde.de(adata, formula, test=test, **options)
        return " ".join(error.value.faults)

    halves = cohort.copy()
    halves.X = halves.X.astype(np.float64) * 0.5
    assert re.search("X: holds [0-9,]+ non-integer values [(]first: [0-9.]+ at cell S", faults(halves))
    twice = cohort.copy()
    twice.var_names = ["G", "G", *twice.var_names[2:]]
    assert "1 gene name is there more than once: G" in faults(twice)
    assert "obs has no column kind" in faults(cohort, cell_type_key="kind")
    assert "layer raw" in faults(cohort, layer="raw")
    assert "Did you mean" in faults(cohort, "~ diagnosys + (1 | sample_id)")
    assert (
        "test: (1 | sample_id) is a random term; name a fixed term, such as diagnosis, sequencing_saturation."
        in faults(cohort, test="(1 | sample_id)")
    )
    assert (
        "diagnosis is tested between groups of diagnosis: the 2 that there are, are all taken up"
        in faults(cohort, "~ diagnosis + (1 | diagnosis)")
    )
    assert "Write ~ diagnosis + (1 | sample_id)." in faults(cohort, "~ 0 + diagnosis + (1 | sample_id)")


def test_chunks_do_not_matter(cohort):
    cells = cohort[cohort.obs["cell_type"] == "Neuron"]
    counts, size = cells.X.tocsc(), np.asarray(cells.X.sum(axis=1)).ravel() / 1e4
    design = design_to_test(FORMULA, cells.obs.reset_index(), test=["diagnosis"], levels=LEVELS)
    genes = list(cells.var_names)
    statistics = GAUSSIAN.sum_up(grain_of(design), counts, size, genes)
    whole = fit_table(design, statistics, ["diagnosis"], threads=1)
    for n in (3, 7):
        slices = [slice_of_chunk(f"{i}-of-{n}", len(genes)) for i in range(1, n + 1)]
        parts = [fit_table(design, statistics.of(slice(a, b)), ["diagnosis"], threads=2) for a, b in slices]
        pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole, check_exact=True)


def test_design_and_refusal_are_read_back(tmp_path, cohort):
    design = design_to_test(FORMULA, cohort.obs.reset_index(), test=["diagnosis"], levels=LEVELS)
    design.save(tmp_path / "a.npz")
    np.testing.assert_array_equal(load_design(tmp_path / "a.npz").x, design.x)
    NotTestable("no sample has enough cells").save(tmp_path / "b.npz")
    assert load_design(tmp_path / "b.npz") == NotTestable("no sample has enough cells")


def test_an_unknown_headline_is_refused(cohort):
    with pytest.raises(NestdeError, match="kenward-roger is no p-value of nestde"):
        nestde.de(cohort, FORMULA, test="diagnosis", levels=LEVELS, p_value="kenward-roger")


def test_cells_without_a_type_are_in_no_test(cohort):
    cells = cohort.copy()
    neuron = cells.obs["cell_type"] == "Neuron"
    cells.obs["cell_type"] = cells.obs["cell_type"].astype(object).where(neuron, None)
    found = nestde.de(cells, FORMULA, test="diagnosis", cell_type_key="cell_type", levels=LEVELS)
    assert set(found["cell_type"]) == {"Neuron"}


def test_levels_that_are_numbers(cohort):
    cells = cohort.copy()
    cells.obs["group"] = (cells.obs["diagnosis"] == "AD").astype(float)
    formula = "~ sequencing_saturation + group + (1 | sample_id)"
    found = nestde.de(cells, formula, test="group", cell_type_key="cell_type", levels={"group": ["0", "1"]})
    assert set(found["level"].dropna()) == {"1"} and (found["status"] == "ok").any()


def test_a_broken_design_is_a_sentence(tmp_path):
    (tmp_path / "design.npz").write_bytes(b"PK\x03\x04" + bytes(40))
    with pytest.raises(NestdeError, match=r"design\.npz: no design that nestde can read .* makes it again"):
        load_design(tmp_path / "design.npz")
