"""`nestde.de` and the steps of the workflow with families that count."""

import numpy as np
import pytest
import scipy.sparse

import nestde
from nestde.calibrate.calibration import calibrate
from nestde.design.contrasts import contrasts, joint
from nestde.design.testable import design_to_test
from nestde.expression.celltype import fit_table, moderate
from nestde.fit.family import family
from nestde.fit.grain import grain_of
from nestde.fit.methods import method
from nestde.fit.statistics import load, save, together
from nestde.simulate import Cohort, simulate

FORMULA = "~ sequencing_saturation + diagnosis + (1 | sample_id)"
LEVELS = {"diagnosis": ["Control", "AD"]}
COUNTING = ["negative_binomial", "poisson", "bernoulli"]


@pytest.fixture(scope="module")
def cohort():
    adata, _ = simulate(Cohort(donors=3, cells=30, genes=230, cell_types=("Neuron",), seed=5))
    return adata


def de(cohort, name, **arguments):
    settings = {"formula": FORMULA, "test": "diagnosis", "cell_type_key": "cell_type", "levels": LEVELS}
    return nestde.de(cohort, family=name, min_samples=2, min_cells=2, **{**settings, **arguments})


@pytest.mark.parametrize("name", COUNTING)
def test_every_gene_has_a_row_and_a_p_value_or_a_reason(cohort, name):
    table = de(cohort, name)
    assert sorted(table["gene"]) == sorted(cohort.var_names)
    tested = table["status"].isin(["ok", "singular"])
    assert tested.sum() > 150
    assert (table.loc[~tested, "reason"] != "").all()
    assert (table.loc[tested, "pvalue_by"] == "moderated").all()
    for column in ("pvalue", "pvalue_lrt", "pvalue_lrt_f", "pvalue_level", "pvalue_moderated", "padj"):
        assert table.loc[tested, column].between(0, 1).all(), column
    assert (table.loc[tested, "estimates"] == "ML").all()
    assert (table.loc[tested, "lower_moderated"] <= table.loc[tested, "coef_moderated"]).all()
    assert ("dispersion" in table) == (name == "negative_binomial")


def test_a_hurdle_gene_has_both_parts_and_one_p_value(cohort):
    table = de(cohort, "hurdle")
    tested = table["status"].isin(["ok", "singular"])
    assert tested.sum() > 150 and (table.loc[~tested, "reason"] != "").all()
    assert (table.loc[tested, "pvalue_by"] == "moderated").all()
    assert table.loc[tested, "pvalue"].between(0, 1).all()
    both = tested & (table["lrt_df"] == 2)
    assert both.sum() > 100
    parts = table.loc[both, ["lrt_stat_detection", "lrt_stat_continuous"]].sum(axis=1)
    assert np.allclose(table.loc[both, "lrt_stat"], parts)
    least = table.loc[both, ["pvalue_detection", "pvalue_continuous"]].min(axis=1)
    # Cauchy's combination lies between the smaller and not much more than twice that
    assert (table.loc[both, "pvalue"] >= np.minimum(least, 0.9) - 1e-9).all()
    small = least.index[least < 0.01]
    assert len(small) > 10 and (table.loc[small, "pvalue"] <= 2.5 * least[small]).all()
    for part in ("detection", "continuous"):
        assert table.loc[both, f"coef_{part}_diagnosis[AD]"].notna().all()
    assert table.loc[tested, "coef"].notna().all()


def test_a_row_is_what_glmm_says_of_the_gene(cohort):
    table = de(cohort, "negative_binomial", p_value="lrt_f", size_factors="library")
    row = table[table["status"] == "ok"].iloc[3]
    counts = cohort.X.toarray()
    frame = cohort.obs.assign(
        y=counts[:, cohort.var_names == row["gene"]][:, 0], offset=np.log(counts.sum(axis=1) / 1e4)
    )
    fit = nestde.glmm("y " + FORMULA, frame, offset="offset", levels=LEVELS)
    assert row["coef"] == pytest.approx(fit.coef["diagnosis[AD]"], abs=1e-6)
    assert row["se"] == pytest.approx(fit.se["diagnosis[AD]"], rel=1e-4)
    assert row["loglik_full"] == pytest.approx(fit.loglik, abs=1e-6)
    assert row["dispersion"] == pytest.approx(fit.dispersion, rel=1e-4)
    assert row["pvalue"] == pytest.approx(fit.tests().loc["diagnosis[AD]", "p"], rel=1e-4)


def test_few_genes_have_the_likelihood_ratio_as_f(cohort):
    table = de(cohort[:, :50].copy(), "negative_binomial")
    tested = table["status"].isin(["ok", "singular"])
    assert (table.loc[tested, "pvalue_by"] == "lrt_f").all()
    assert np.allclose(table.loc[tested, "pvalue"], table.loc[tested, "pvalue_lrt_f"])


def test_several_random_effects_have_a_moderated_test(cohort):
    formula = "~ diagnosis + (sequencing_saturation | sample_id)"
    table = de(cohort[:, :230].copy(), "poisson", formula=formula)
    tested = table["status"].isin(["ok", "singular"])
    assert (table.loc[tested, "pvalue_by"] == "moderated").all()
    assert table.loc[tested, "pvalue"].between(0, 1).all()
    assert (table.loc[tested, "df_lrt_f"] == 4).all()
    for effect in ("(Intercept)", "sequencing_saturation"):
        assert (table.loc[tested, f"variance_moderated_sample_id_{effect}"] > 0).all()
    assert table.loc[tested, "corr_sample_id_(Intercept)_sequencing_saturation"].notna().any()


def test_more_correlations_than_a_grid_holds_have_the_likelihood_ratio_as_f(cohort):
    cohort = cohort[:, :210].copy()
    cohort.obs["run"] = (np.arange(cohort.n_obs) % 5).astype(str)
    formula = "~ diagnosis + (sequencing_saturation | sample_id) + (1 | run)"
    table = de(cohort, "poisson", formula=formula)
    tested = table["status"].isin(["ok", "singular"])
    assert (table.loc[tested, "pvalue_by"] == "lrt_f").all()
    design = design_to_test(formula, cohort.obs, test=["diagnosis"], levels=LEVELS)
    statistics = family("poisson").sum_up(
        design, scipy.sparse.csc_array(cohort.X), np.ones(cohort.n_obs), list(cohort.var_names)
    )
    assert "more than a grid" in moderate(design, statistics, ["diagnosis"]).reasons["diagnosis"]["moderated"]


@pytest.fixture(scope="module")
def summed(cohort):
    design = design_to_test(FORMULA, cohort.obs, test=["diagnosis"], levels=LEVELS)
    counts = scipy.sparse.csc_array(cohort.X)
    size_factor = np.asarray(counts.sum(axis=1)).ravel() / 1e4
    names = [str(name) for name in cohort.var_names]
    return design, counts, size_factor, names


@pytest.mark.parametrize("name", [*COUNTING, "hurdle"])
def test_statistics_of_chunks_are_those_of_all_and_survive_the_file(summed, name, tmp_path):
    design, counts, size_factor, names = summed
    whole = family(name).sum_up(grain_of(design), counts, size_factor, names)
    parts = [
        family(name).sum_up(grain_of(design), counts[:, some], size_factor, names[some])
        for some in (slice(0, 9), slice(9, None))
    ]
    save(together(parts), tmp_path / "parts.npz")
    save(whole, tmp_path / "whole.npz")
    assert (tmp_path / "parts.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    again = load(tmp_path / "whole.npz")
    assert np.array_equal(again.mean, whole.mean)
    some = slice(3, 6)
    one, other = (fit_table(design, each.of(some), ["diagnosis"], "lrt_f") for each in (whole, again))
    assert one.equals(other)


def test_a_prior_that_was_learnt_serves_some_genes(summed):
    design, counts, size_factor, names = summed
    statistics = family("negative_binomial").sum_up(grain_of(design), counts, size_factor, names)
    moderated = method("moderated", family("negative_binomial").engine)
    rows = [joint(design, "diagnosis"), *contrasts(design, "diagnosis")]
    learnt = {}
    whole, pair = moderated.test(statistics.fitted(design, 1, learnt), rows)
    assert np.array_equal(whole.log_p, pair.log_p, equal_nan=True)  # two levels: one comparison
    some, _ = moderated.test(statistics.of(slice(5, 12)).fitted(design, 2, learnt), rows)
    assert np.allclose(some.log_p, whole.log_p[5:12], equal_nan=True, atol=1e-12)
    assert (
        moderate(design, statistics.of(slice(0, 50)), ["diagnosis"])
        .reasons["diagnosis"]["moderated"]
        .startswith("50 genes")
    )


@pytest.mark.parametrize("name", ["poisson", "hurdle"])
def test_relabelled_samples_calibrate_every_p_value(summed, name):
    design, counts, size_factor, names = summed
    statistics = family(name).sum_up(grain_of(design), counts, size_factor, names)
    found = calibrate(design, statistics, "diagnosis", "moderated", number=3, threads=1)
    assert set(found.table["method"]) == {"moderated", "lrt", "lrt_f"}
