import json
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import nestde
from nestde.expression import composition
from nestde.study.config import Model

ORACLE = json.loads((Path(__file__).parents[2] / "oracle" / "composition.json").read_text())


def model(formula, test=("diagnosis",), **levels):
    return Model.of({"formula": formula, "test": list(test), "levels": levels})


def cells_of(rows):
    return {row["_row"]: {name: n for name, n in row.items() if name != "_row"} for row in rows}


@pytest.mark.parametrize("case", ORACLE["cases"], ids=lambda case: case["name"])
def test_estimates_and_p_values_are_limmas(case):
    asked = model(case["formula"], diagnosis=["Control", "MCI", "AD"])
    found = composition.test(cells_of(ORACLE["counts"]), pd.DataFrame(ORACLE["samples"]), asked)
    pairs = [("MCI", "Control"), ("AD", "Control"), ("AD", "MCI")]
    for (level, against), oracle in zip(pairs, case["pairs"], strict=True):
        rows = found.table[(found.table["level"] == level) & (found.table["against"] == against)]
        assert rows["cell_type"].tolist() == ["B", "CD4", "CD8", "Mono", "NK", "rare"]
        np.testing.assert_allclose(rows["coef"], oracle["coef"], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(rows["se"], oracle["se"], rtol=1e-7)
        np.testing.assert_allclose(rows["pvalue_level"], oracle["p"], rtol=1e-7)
        np.testing.assert_allclose(rows["df"], oracle["df"], rtol=1e-6)
        np.testing.assert_allclose(rows["pvalue"], case["joint"], rtol=1e-7)


def test_what_propeller_publishes():
    # the example of ?propeller.ttest, whose results stand in speckle's own tests to four digits
    shares = {"s1": (0.5, 0.3, 0.2), "s2": (0.6, 0.3, 0.1), "s3": (0.3, 0.4, 0.3), "s4": (0.4, 0.3, 0.3)}
    total = {"s1": 1000, "s2": 1500, "s3": 900, "s4": 1200}
    cells = {
        name: dict(zip(("c0", "c1", "c2"), (round(p * total[name]) for p in of), strict=True))
        for name, of in shares.items()
    }
    samples = pd.DataFrame({"sample_id": list(cells), "grp": ["A", "A", "B", "B"]})
    found = composition.test(cells, samples, model("~ grp + (1 | sample_id)", ["grp"], grp=["B", "A"])).table
    np.testing.assert_allclose(found["coef"] / found["se"], [2.6089, -0.6949, -2.9701], atol=5e-5)
    np.testing.assert_allclose(found["pvalue"], [0.0402, 0.5131, 0.025], atol=5e-5)
    np.testing.assert_allclose(found["padj"], [0.0603, 0.5131, 0.0603], atol=5e-5)


def test_samples_of_a_donor_are_no_replicates():
    rng = np.random.default_rng(3)
    donors = [f"d{i}" for i in range(8) for _ in range(3)]
    samples = pd.DataFrame(
        {
            "sample_id": [f"s{i:02d}" for i in range(24)],
            "donor": donors,
            "diagnosis": ["AD" if int(name[1]) % 2 else "Control" for name in donors],
        }
    )
    own = dict(zip(sorted(set(donors)), rng.normal(0, 0.5, 8), strict=True))
    cells = {
        row.sample_id: {"a": int(rng.poisson(300 * np.exp(own[row.donor]))), "b": 300, "c": 200}
        for row in samples.itertuples()
    }
    asked = model("~ diagnosis + (1 | donor/sample_id)", diagnosis=["Control", "AD"])
    found = composition.test(cells, samples, asked)
    assert found.unit == "donor"
    # the same by hand: means of logits of each donor, a moderated t of 4 v 4
    counts = pd.DataFrame.from_dict(cells, orient="index").loc[samples["sample_id"]]
    logits = pd.DataFrame(composition.logits(counts.to_numpy(float)), columns=counts.columns)
    means = logits.groupby(samples["donor"]).mean()
    ad = means.index.str[1].astype(int) % 2 == 1
    np.testing.assert_allclose(found.table["coef"], means[ad].mean() - means[~ad].mean())
    assert found.table["df"].max() <= 6 * 3


def test_what_cannot_be_tested_is_a_row_with_a_reason():
    samples = pd.DataFrame({"sample_id": list("abcd"), "diagnosis": ["x", "x", "y", "y"]})
    asked = model("~ diagnosis + (1 | sample_id)")
    alone = composition.test({name: {"only": 50} for name in "abcd"}, samples, asked).table
    assert alone["status"].tolist() == ["not_testable"]
    assert alone["reason"].tolist() == [composition.ONE_TYPE]
    two = {name: {"p": 50, "q": 10} for name in "abc"}
    lone = composition.test(two, samples, asked).table
    assert lone["status"].eq("not_testable").all() and lone["reason"].str.contains("single sample").all()
    assert lone["pvalue"].isna().all()


def test_a_sample_without_cells_is_no_sample_and_types_of_none_are_no_types():
    cells = {"a": {"p": 5, "q": 3, "never": 0}, "b": {"p": 1}, "empty": {"p": 0, "q": 0}}
    found = composition.shares(cells)
    assert set(found["cell_type"]) == {"p", "q"}
    samples = pd.DataFrame({"sample_id": list(cells), "diagnosis": ["x", "y", "y"]})
    assert set(composition.test(cells, samples, model("~ diagnosis")).shares["sample_id"]) == {"a", "b"}


def test_in_python_as_in_the_workflow():
    cells = cells_of(ORACLE["counts"])
    sheet = pd.DataFrame(ORACLE["samples"]).set_index("sample_id")
    rows = [
        (sample, kind) for sample, of in cells.items() for kind, number in of.items() for _ in range(number)
    ]
    obs = pd.DataFrame(rows, columns=["sample_id", "cell_type"]).join(sheet, on="sample_id")
    obs = obs.assign(depth=np.arange(len(obs)) % 7).sample(frac=1, random_state=1)
    obs.index = [f"c{i}" for i in range(len(obs))]
    adata = ad.AnnData(obs=obs)
    order = {"diagnosis": ["Control", "MCI", "AD"]}
    formula = "~ depth + age + diagnosis + (1 | sample_id)"
    found = nestde.composition(adata, formula, test="diagnosis", cell_type_key="cell_type", levels=order)
    asked = model("~ age + diagnosis + (1 | sample_id)", **order)
    same = composition.test(cells, sheet.reset_index(), asked)
    pd.testing.assert_frame_equal(found.table, same.table)
    pd.testing.assert_frame_equal(found.shares, same.shares)
    assert found.formula.dropped == ("depth",)


def test_all_faults_of_a_call_at_once():
    obs = pd.DataFrame({"diagnosis": ["a", "b"], "kind": ["p", "q"]}, index=["1", "2"])
    with pytest.raises(nestde.NestdeError) as told:
        nestde.composition(ad.AnnData(obs=obs), "~ diagnosis", test="dose", cell_type_key="type")
    assert len(told.value.faults) >= 2


def test_of_two_cell_types_nothing_is_lent():
    cells = {name: {"p": 50 + 7 * i, "q": 40} for i, name in enumerate("abcdef")}
    samples = pd.DataFrame({"sample_id": list("abcdef"), "group": list("xxxyyy")})
    found = composition.test(cells, samples, model("~ group + (1 | sample_id)", ["group"])).table
    y = composition.logits(np.array([[of["p"], of["q"]] for of in cells.values()], float))[:, 0]
    assert found["pvalue"].to_list() == pytest.approx([stats.ttest_ind(y[:3], y[3:]).pvalue] * 2)
    assert found["pvalue_unmoderated"].to_list() == pytest.approx(found["pvalue"].to_list())
