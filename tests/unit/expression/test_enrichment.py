import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import sparse, stats

from nestde.design import design as designs
from nestde.design.testable import NotTestable
from nestde.expression.enrichment import COLUMNS, Sets, enrich, in_data, scored
from nestde.fit.family.gaussian import FAMILY as GAUSSIAN
from nestde.fit.grain import grain_of
from nestde.fit.methods import method

GENES = 200


@pytest.fixture(scope="module")
def study():
    """Eight samples; genes of a set share what differs from sample to sample, those of UP differ between arms too."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"s": [f"S{i}" for i in range(8)], "d": np.repeat(["C", "D"], 4)})
    level = rng.normal(0.5, 0.5, GENES) + rng.normal(0, 0.1, (8, GENES))
    level[:, :20] += rng.normal(0, 0.2, (8, 1))
    level[4:, 20:40] += 1.0
    frame = frame.loc[frame.index.repeat(30)].reset_index(drop=True)
    counts = rng.poisson(np.exp(level)[np.arange(240) // 30]).astype(np.int32)
    design = designs.build_design("~ d + (1 | s)", frame, test=["d"])
    names = [f"G{g}" for g in range(GENES)]
    statistics = GAUSSIAN.sum_up(grain_of(design), sparse.csc_array(counts), np.ones(240), names)
    sets = {
        "TOGETHER": names[:20],
        "UP": names[20:40],
        "OTHERS": names[60:90],
        "FEW": names[:3],
        "NONE": ["X"],
    }
    return design, statistics, Sets({name: tuple(own) for name, own in sets.items()}, "gene")


def test_a_set_that_differs_is_found_and_one_that_goes_together_is_not(study):
    design, statistics, sets = study
    table = enrich("T cell", design, statistics, ["d"], sets, "auto", number=40).set_index("gene_set")
    assert [*table.reset_index().columns] == COLUMNS
    assert table.loc["UP", "padj"] == table["padj"].min()
    assert table.loc["UP", "score"] > 0
    assert table.loc["TOGETHER", "inflation"] > 1.5 * table.loc["OTHERS", "inflation"]
    assert table.loc["TOGETHER", "pvalue"] > 0.05
    assert (table.loc[["FEW", "NONE"], "reason"] == "fewer than 5 of its genes were tested").all()
    assert set(table.loc["UP", "leading"].split(", ")) <= set(sets.members["UP"])


def test_the_p_value_by_hand(study):
    design, statistics, sets = study
    table = enrich("T cell", design, statistics, ["d"], sets, "means", number=40).set_index("gene_set")
    row = table.loc["UP"]
    expected = 2 * stats.t.sf(abs(row["score"]) / max(row["inflation"], 1), row["relabellings"])
    assert row["pvalue"] == pytest.approx(expected, rel=1e-9)
    # the score is the t of a regression of signed deviates on membership
    fitted = statistics.fitted(design)
    from nestde.design.contrasts import contrasts

    (pair,) = contrasts(design, "d")
    (found,) = method("means", "linear").test(fitted, [pair])
    z = np.sign(fitted.effect("REML", pair.rows[0])[0]) * stats.norm.isf(np.exp(found.log_p) / 2)
    member = np.isin(statistics.genes, sets.members["UP"]).astype(float)
    t = sm.OLS(z, sm.add_constant(member)).fit().tvalues[1]
    assert row["score"] == pytest.approx(t, rel=1e-6)


def test_scores_are_those_of_regressions():
    rng = np.random.default_rng(1)
    genes = [f"x{i}" for i in range(100)]
    z = rng.normal(size=(3, 100))
    sets = {"a": genes[:20], "=b": genes[10:35], "c<": genes[50:60]}
    member = np.column_stack([np.isin(genes, own).astype(float) for own in sets.values()])
    for row in range(3):
        alone = [sm.OLS(z[row], sm.add_constant(column)).fit().tvalues[1] for column in member.T]
        np.testing.assert_allclose(scored(z, genes, sets, "ulm")[row], alone, rtol=1e-6)
        together = sm.OLS(z[row], sm.add_constant(member)).fit().tvalues[1:]
        np.testing.assert_allclose(scored(z, genes, sets, "mlm")[row], together, rtol=1e-6)


def test_sets_are_found_by_ids_where_the_data_have_symbols():
    genes = pd.DataFrame({"gene": ["A", "B", "C"], "gene_id": ["ENSG1", "ENSG2", "ENSG3"]})
    assert in_data({"s": ("ENSG3", "ENSG1", "ENSG9")}, genes) == Sets({"s": ("C", "A")}, "gene_id")
    assert in_data({"s": ("A", "Z")}, genes) == Sets({"s": ("A",)}, "gene")


def test_what_cannot_be_tested_says_why(study):
    design, statistics, sets = study
    refused = enrich("T", NotTestable("one sample"), statistics, ["d"], sets, "auto")
    assert refused["reason"].eq("one sample").all() and refused["pvalue"].isna().all()
    foreign = enrich("T", design, statistics, ["d"], Sets({"s": ("Z",)}, "gene"), "auto")
    assert "no set has 5 genes" in foreign["reason"].iloc[0]
    few = enrich("T", design, statistics, ["d"], sets, "auto", number=2).set_index("gene_set")
    assert few.loc["UP", "reason"] == "2 relabellings cannot tell how far scores spread by chance"
    assert np.isfinite(few.loc["UP", "score"]) and np.isnan(few.loc["UP", "pvalue"])
