"""Rows of results: what their status is of, which of their p-values are there, and how few degrees of freedom they have."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csc_matrix

from nestde.design.design import build_design
from nestde.expression.celltype import fit_table, moderate
from nestde.expression.tables import combine
from nestde.fit import fit_genes, genes, methods
from nestde.fit.family.gaussian import FAMILY as GAUSSIAN
from nestde.fit.family.log1p import LogCounts
from nestde.fit.fdr import benjamini_hochberg
from nestde.fit.grain import grain_of

FORMULA = "~ diagnosis + (1 | sample_id)"
T_AND_F = ["pvalue_satterthwaite", "pvalue_kenward_roger", "pvalue_containment", "pvalue_level"]


def study(cells, genes=150, seed=0, formula=FORMULA):
    """Null genes of samples of so many cells, alternating Control and AD: a design, counts and size factors."""
    rng = np.random.default_rng(seed)
    sample = np.repeat(np.arange(len(cells)), cells)
    frame = pd.DataFrame(
        {
            "sample_id": [f"S{i:02d}" for i in sample],
            "diagnosis": np.where(sample % 2, "AD", "Control"),
            "x": rng.normal(size=len(sample)),
        }
    )
    spread = rng.choice([0.0, 0.1, 0.3], genes)
    mean = np.exp(rng.normal(1, 0.5, genes) + spread * rng.normal(size=(len(cells), genes)))
    counts = csc_matrix(rng.poisson(mean[sample]))
    design = build_design(formula, frame, test=["diagnosis"], levels={"diagnosis": ["Control", "AD"]})
    return design, counts, np.ones(len(sample))


UNEQUAL = [10, 180, 25, 60, 110, 15]


def table_of(design, counts, size, headline, genes=None):
    names = [f"G{i}" for i in range(counts.shape[1])] if genes is None else genes
    return fit_table(design, GAUSSIAN.sum_up(grain_of(design), counts, size, names), ["diagnosis"], headline)


@pytest.mark.parametrize(
    "headline", [methods.AUTO, *(each.name for each in methods.of_engine(GAUSSIAN.engine))]
)
def test_status_is_of_the_fit_that_the_row_reports(headline):
    design, counts, size = study(UNEQUAL)
    table = table_of(design, counts, size, headline)
    ml, reml = (
        fit_genes(design, counts, LogCounts(size)).full,
        fit_genes(design, counts, LogCounts(size), reml=True).full,
    )
    assert ((ml.status == "singular") != (reml.status == "singular")).sum() > 5
    shown = ml if headline == "lrt" else reml
    assert list(table["status"]) == list(shown.status)
    assert set(table["estimates"]) == {"ML" if headline == "lrt" else "REML"}
    assert ((table["sd_sample_id_(Intercept)"] == 0) == (table["status"] == "singular")).all()
    assert table.loc[table["status"] == "singular", "reason"].str.startswith("no variance of").all()
    assert table[["pvalue_lrt", *T_AND_F]].notna().all(axis=None)


@pytest.mark.parametrize("status", ["unstable", "failed"])
@pytest.mark.parametrize("headline", ["lrt", "kenward_roger"])
@pytest.mark.parametrize("broken", ["full ML", "reduced ML", "REML"])
def test_a_p_value_of_a_fit_that_failed_is_empty(monkeypatch, status, headline, broken):
    design, counts, size = study(UNEQUAL, genes=6)

    def spoilt(fits):
        states, reasons = fits.status.astype(object), fits.reason.astype(object)
        states[2], reasons[2] = status, "the optimiser was lost"
        return dataclasses.replace(fits, status=states.astype(str), reason=reasons.astype(str))

    def fit_of(model, sums, columns, reml, *args, **options):
        found = fit(model, sums, columns, reml, *args, **options)
        which = "REML" if reml else "full ML" if columns.shape[1] == design.x.shape[1] else "reduced ML"
        return spoilt(found) if which == broken else found

    fit = genes.fit
    monkeypatch.setattr(genes, "fit", fit_of)
    table = table_of(design, counts, size, headline)
    others = table.index != 2
    assert table.loc[others, ["pvalue_lrt", *T_AND_F]].notna().all(axis=None)
    row, by_reml = table.loc[2], broken == "REML"
    assert row[T_AND_F].isna().all() == by_reml and pd.isna(row["pvalue_lrt"]) != by_reml
    assert pd.isna(row["logpvalue_lrt"]) != by_reml
    reported = by_reml == (headline != "lrt")
    assert (row["status"] == status) == reported
    assert "the optimiser was lost" in row["reason"]
    if not reported:
        missing = "no t and F tests" if by_reml else "no likelihood-ratio test"
        assert f"{status} by {'REML' if by_reml else 'ML'}, so {missing}" in row["reason"]
    # the headline is empty exactly where its fit failed
    ledger = pd.DataFrame({"gene": table["gene"], "status": "", "reason": "", "n_cells": 9, "n_samples": 6})
    whole = combine("N", ledger, [table], ["diagnosis"], headline, GAUSSIAN)
    assert (whole["pvalue"].isna() == (whole["status"] == status)).all()


def test_no_p_value_has_less_than_one_degree_of_freedom_without_a_word():
    design, counts, size = study([200, 200, 12, 10, 10, 11], genes=400, seed=2)
    table = table_of(design, counts, size, "kenward_roger")
    df = table[["df_level", "df_satterthwaite", "df_kenward_roger", "df_containment"]]
    assert (df >= 1).all(axis=None)
    told = table["reason"].str.contains(
        "Kenward and Roger's degrees of freedom are below 1: those by containment"
    )
    assert 4 < told.sum() < 200
    assert (table.loc[told, "df_kenward_roger"] == table.loc[told, "df_containment"]).all()
    assert (table.loc[~told, "df_kenward_roger"] != table.loc[~told, "df_containment"]).any()
    # the replaced ones still hold their size, which is why containment's are taken
    assert (table["pvalue_kenward_roger"] < 0.05).mean() < 0.06


def test_with_random_slopes_one_is_taken_for_less_than_one():
    design, counts, size = study([200, 200, 12, 10, 10, 11], 300, 2, "~ diagnosis + x + (1 + x | sample_id)")
    table = table_of(design, counts, size, "kenward_roger")
    told = table["reason"].str.contains("degrees of freedom are below 1: 1 taken")
    assert (
        told.any()
        and (table.loc[told, "df_kenward_roger"].eq(1) | table.loc[told, "df_satterthwaite"].eq(1)).all()
    )


def test_findings_are_looked_at_without_each_sample():
    design, counts, size = study([60] * 8, genes=260)
    ad = design.x[:, 1] == 1
    one = design.random[0].codes == 3
    counts = counts.toarray()
    counts[ad, 0] *= 4  # in all AD samples
    counts[one, 1] += 400  # in one of them
    statistics = GAUSSIAN.sum_up(grain_of(design), csc_matrix(counts), size, [f"G{i}" for i in range(260)])
    found = moderate(design, statistics, ["diagnosis"])
    table = found.table.set_index("gene")
    assert table.loc["G0", "without"].startswith("S") and table.loc["G0", "hangs"] == ""
    assert 0 < table.loc["G0", "coef_without"] <= table.loc["G0", "coef_moderated"]
    if table.loc["G1", "without"]:
        assert table.loc["G1", ["without", "hangs"]].tolist() == ["S03", "half"]
    likely = table["without"] != ""
    assert (benjamini_hochberg(table["pvalue_moderated"]) <= 0.1).tolist() == likely.tolist()
    assert found.prior["weight"].sum() == pytest.approx(1) and set(found.reasons) == {"diagnosis"}


def test_few_genes_borrow_nothing_and_it_is_said():
    design, counts, size = study([60] * 8, genes=20)
    statistics = GAUSSIAN.sum_up(grain_of(design), counts, size, [f"G{i}" for i in range(20)])
    found = moderate(design, statistics, ["diagnosis"])
    assert "20 genes are too few" in found.reasons["diagnosis"]["moderated"]
    fits = fit_table(design, statistics, ["diagnosis"], "auto")
    ledger = pd.DataFrame({"gene": fits["gene"], "status": "", "reason": "", "n_cells": 9, "n_samples": 8})
    whole = combine("N", ledger, [fits], ["diagnosis"], "auto", GAUSSIAN, found.table)
    assert set(whole["pvalue_by"]) == {"means"}
    assert (whole["pvalue"] == whole["pvalue_means"]).all()
