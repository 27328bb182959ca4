import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control

from nestde.errors import NestdeError
from nestde.expression.tables import adjust, combine, totals
from nestde.fit.family.gaussian import FAMILY as GAUSSIAN
from nestde.fit.fdr import benjamini_hochberg


def ledger():
    return pd.DataFrame(
        {
            "gene": ["B", "A", "C", "D"],
            "status": ["", "", "not_testable", ""],
            "reason": ["", "", "detected in 1 sample; 3 are asked for", ""],
            "n_cells": [30, 40, 2, 9],
            "n_samples": [6, 6, 1, 3],
            "mean_AD": [2.0, 1.0, 0.1, 3.0],
            "mean_Control": [1.0, 4.0, 0.0, 3.0],
        }
    )


def chunk(genes, logp, coef, status="ok"):
    return pd.DataFrame(
        {
            "gene": genes,
            "term": "diagnosis",
            "level": "AD",
            "against": "Control",
            "status": status,
            "reason": "",
            "coef": coef,
            "pvalue_lrt": np.exp(logp),
            "logpvalue_lrt": logp,
        }
    )


def test_every_gene_is_in_one_row_whatever_the_chunks():
    one = combine(
        "N",
        ledger(),
        [chunk(["B", "A", "D"], [-1.0, -900.0, -2.0], [1.0, -1, 0])],
        ["diagnosis"],
        "lrt",
        GAUSSIAN,
    )
    two = combine(
        "N",
        ledger(),
        [chunk(["D"], [-2.0], [0.0]), chunk(["B", "A"], [-1.0, -900.0], [1.0, -1])],
        ["diagnosis"],
        "lrt",
        GAUSSIAN,
    )
    pd.testing.assert_frame_equal(one, two)
    assert one["gene"].tolist() == ["B", "A", "C", "D"]
    assert one["status"].tolist() == ["ok", "ok", "not_testable", "ok"]
    assert one["log2fc"].tolist()[:2] == [1.0, -2.0]
    assert one["neg_log10_pvalue"][1] == pytest.approx(900 / np.log(10))


def test_chunks_of_another_matrix_are_refused():
    with pytest.raises(NestdeError, match=r"1 genes without a fit \(D\), 1 fits without a gene \(X\)"):
        combine(
            "N", ledger(), [chunk(["B", "A", "X"], [-1.0] * 3, [1.0] * 3)], ["diagnosis"], "lrt", GAUSSIAN
        )


def test_a_cell_type_without_a_testable_gene_stands_beside_the_others():
    rare = ledger().assign(status="not_testable", reason="no sample has enough cells of this type")
    nothing = pd.DataFrame(columns=["gene", "term", "status", "reason"])
    tables = adjust(
        {
            "rare": combine("rare", rare, [nothing], ["diagnosis"], "lrt", GAUSSIAN),
            "N": combine(
                "N",
                ledger(),
                [chunk(["B", "A", "D"], [-1.0, -90.0, -2.0], 1.0)],
                ["diagnosis"],
                "lrt",
                GAUSSIAN,
            ),
        }
    )
    assert list(tables["rare"]["status"]) == ["not_testable"] * 4
    columns = ["level", "against", "log2fc", "coef", "se", "pvalue", "padj"]
    assert tables["rare"][columns].isna().all(axis=None)
    told = totals(tables, 0.05).set_index("cell_type")
    assert told.loc["rare", ["genes", "tested", "not_testable", "significant", "up", "down"]].tolist() == [
        4,
        0,
        4,
        0,
        0,
        0,
    ]
    assert told.loc["N", ["genes", "tested", "significant", "up"]].tolist() == [4, 3, 1, 1]


def test_unstable_fits_have_no_p_value():
    table = combine(
        "N",
        ledger(),
        [chunk(["B", "A", "D"], [-9.0] * 3, [1.0] * 3, "unstable")],
        ["diagnosis"],
        "lrt",
        GAUSSIAN,
    )
    assert table["pvalue"].isna().all()


def test_fdr_within_and_over_cell_types():
    tables = {
        name: combine(
            name, ledger(), [chunk(["B", "A", "D"], logp, [1.0, -1, 1])], ["diagnosis"], "lrt", GAUSSIAN
        )
        for name, logp in {"N": [-8.0, -1000.0, -0.1], "M": [-0.5, -0.7, -0.2]}.items()
    }
    adjusted = adjust(tables)
    n = adjusted["N"].set_index("gene")
    p = n["pvalue"].dropna()
    np.testing.assert_allclose(n["padj"].dropna(), false_discovery_control(p), rtol=1e-12)
    every = pd.concat(adjusted.values())["pvalue"].dropna()
    np.testing.assert_allclose(
        pd.concat(adjusted.values())["padj_global"].dropna(), false_discovery_control(every), rtol=1e-12
    )
    assert adjusted["N"]["gene"].tolist() == ["A", "B", "D", "C"]  # by p-value, also where it is below 1e-308
    counts = totals(adjusted, 0.05).set_index("cell_type")
    assert counts.loc["N", ["genes", "tested", "not_testable", "significant", "up", "down"]].tolist() == [
        4,
        3,
        1,
        2,
        1,
        1,
    ]
    assert counts.loc["M", "significant"] == 0


def test_a_term_with_several_levels_counts_once():
    fits = pd.concat(
        [
            chunk(["B", "A", "D"], [-5.0, -2.0, -0.2], [1.0] * 3).assign(level=level, pvalue_level=p)
            for level, p in (("AD", [0.9, 0.001, 0.9]), ("PD", [0.01, 0.02, 0.9]))
        ]
    )
    adjusted = adjust({"N": combine("N", ledger(), [fits], ["diagnosis"], "lrt", GAUSSIAN)})["N"]
    unique = adjusted.drop_duplicates("gene")
    np.testing.assert_allclose(unique["padj"].dropna(), false_discovery_control(unique["pvalue"].dropna()))
    for level, wanted in (("AD", [0.9, 0.003, 0.9]), ("PD", [0.03, 0.03, 0.9])):
        mine = adjusted[adjusted["level"] == level].set_index("gene").loc[["B", "A", "D"], "padj_level"]
        np.testing.assert_allclose(mine, wanted)
    found = totals({"N": adjusted}, 0.05)
    assert found["tested"].tolist() == [3]
    assert (found["up"].tolist(), found["down"].tolist()) == ([1], [0])
    assert found["up"].dtype.kind == found["down"].dtype.kind == "i"


def test_benjamini_hochberg_passes_over_missing():
    rates = benjamini_hochberg(pd.Series([0.01, np.nan, 0.04]))
    np.testing.assert_allclose(rates, [0.02, np.nan, 0.04])


def test_fold_changes_of_levels_that_two_factors_have():
    genes = ledger().drop(columns=["mean_AD", "mean_Control"])
    for factor, means in {"smoker": [2.0, 1.0, 1.0, 3.0], "diabetic": [1.0, 8.0, 1.0, 3.0]}.items():
        genes[f"mean_{factor}_yes"], genes[f"mean_{factor}_no"] = means, 1.0
    rows = [
        chunk(["B", "A", "D"], [-1.0, -2.0, -3.0], 1.0).assign(term=term, level="yes", against="no")
        for term in ("smoker", "diabetic")
    ]
    table = combine("Neuron", genes, [pd.concat(rows)], ["smoker", "diabetic"], "lrt", GAUSSIAN)
    found = table[table["gene"] == "A"].set_index("term")["log2fc"]
    assert found.to_dict() == {"smoker": 0.0, "diabetic": 3.0}


def test_a_covariate_called_as_a_method_does_not_hide_its_columns():
    fits = chunk(["B", "A", "D"], [-1.0, -2.0, -3.0], [1.0, 2.0, 3.0])
    fits = fits.assign(se=9.0, pvalue_level=0.5, coef_moderated=7.0, se_moderated=8.0)
    place = fits[["gene", "term", "level", "against"]]
    every = place.assign(
        pvalue_moderated=0.01, logpvalue_moderated=np.log(0.01), pvalue_level_moderated=0.02,
        coef_moderated=0.5, se_moderated=0.1,
    )  # fmt: skip
    table = combine("N", ledger(), [fits], ["diagnosis"], "auto", GAUSSIAN, every)
    tested = table[table["gene"] != "C"]
    assert (tested["coef"] == 0.5).all() and (tested["coef_moderated"] == 0.5).all()
    assert (tested["se"] == 0.1).all() and (tested["pvalue_level"] == 0.02).all()
    assert (tested["coef_`moderated`"] == 7.0).all() and (tested["se_`moderated`"] == 8.0).all()


def test_fold_changes_of_contrasts_are_sums_of_logarithms():
    genes = ledger().assign(mean_MCI=[1.0, 2.0, 0.0, 8.0])
    rows = chunk(["B", "A", "D"], [-1.0, -2.0, -3.0], 1.0)
    rows = rows.assign(term="(AD+MCI)/2-Control", level="(AD+MCI)/2", against="Control")
    of = {("diagnosis", "AD"): 0.5, ("diagnosis", "MCI"): 0.5, ("diagnosis", "Control"): -1.0}
    table = combine(
        "N", genes, [rows], ["(AD+MCI)/2-Control"], "lrt", GAUSSIAN, None, {"(AD+MCI)/2-Control": of}
    ).set_index("gene")
    means = genes.set_index("gene")
    for gene in "BAD":
        ad, mci, control = means.loc[gene, ["mean_AD", "mean_MCI", "mean_Control"]]
        expected = np.log2(np.sqrt(ad * mci) / control) if ad * mci * control > 0 else np.nan
        assert table.loc[gene, "log2fc"] == pytest.approx(expected, nan_ok=True)
