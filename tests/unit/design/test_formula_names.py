"""A column may have any name between backticks: all that is computed is what it is with a plain name."""

import dataclasses
import warnings

import numpy as np
import pandas as pd
import pytest
from makers.studies import Study, refusal
from makers.tiny_study import Steps, cells, config, sheet
from test_guess import cohort
from test_pseudobulk_de import profiles

import nestde
from nestde.cells.guess import guess_study
from nestde.cli import main
from nestde.design.expressions import quoted
from nestde.errors import NestdeError
from nestde.expression.pseudobulk_de import sample_formula
from nestde.expression.pseudobulk_de import test as pseudobulk_test
from nestde.io.files import read_json, read_tsv
from nestde.study.config import load

HOSTILE = ["Disease State", "disease.state", "disease-state", "1st", "lambda", "it's", 'say "x"', "a:b", "a + b", "x|y",
           "(1 | g)", "C(x)", "I(open('CANARY', 'w'))", "~", "log", "id", "Intercept", "%s{x}", "[T.a]", "f0",
           "maladie d’été", "日本", "\u2003em"]  # fmt: skip


def same(found, wanted, name):
    """Equal tables, but for the name of the covariate."""
    assert len(found.columns) == len(wanted.columns)
    found = found.set_axis(wanted.columns, axis=1)
    shown = {f"`{name}`": "plain", f":{quoted(name)}[": ":plain["}
    for column in ("term", "level", "reason"):
        found[column], wanted = found[column].fillna(""), wanted.fillna({column: ""})
        for old, new in shown.items():
            found[column] = found[column].str.replace(old, new, regex=False)
        wanted = wanted.assign(**{column: wanted[column].str.replace("`plain`", "plain", regex=False)})
    pd.testing.assert_frame_equal(found, wanted)


def adata_of(name):
    adata = cells(n=30, genes=12)
    of_sample = {"S1": "Control", "S2": "AD", "S3": "Control", "S4": "AD"}
    adata.obs[name] = adata.obs["sample_id"].map(of_sample).astype(str)
    return adata


@pytest.mark.parametrize("name", HOSTILE)
def test_de_does_not_care_how_a_covariate_is_called(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tables = []
    for called in (name, "plain"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tables.append(
                nestde.de(
                    adata_of(called),
                    f"~ sequencing_saturation*`{called}` + (1 | sample_id)",
                    test=[f"`{called}`", f"`{called}`:sequencing_saturation"],
                    levels={called: ["Control", "AD"]},
                    cell_type_key="cell_type",
                    threads=1,
                )
            )
    same(*tables, name)
    assert (tables[0]["status"] != "not_testable").any()
    assert set(tables[0]["level"]) >= {"AD"}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", HOSTILE)
def test_pseudobulk_does_not_care_how_a_covariate_is_called(name):
    tables = []
    for called in (name, "plain"):
        found = profiles(["Control", "AD"] * 5, [200] * 10, genes=25, age=np.arange(10.0))
        found.obs[called] = found.obs.pop("diagnosis")
        of_cells = f"~ nCount + log1p(age) + `{called}` + (1 | sample_id)"
        model = dataclasses.replace(
            config().model, formula=of_cells, test=[f"`{called}`"], levels={called: ["Control", "AD"]}
        )
        table, formula, reason = pseudobulk_test(found, model, None, 0.05)
        assert reason == ""
        assert formula.dropped == ("nCount",)
        given, _, _ = pseudobulk_test(found, model, f"~ 0 + age + log1p(age) + `{called}`", 0.05)
        assert "no intercept" in given["reason"].iloc[0]
        again, _, _ = pseudobulk_test(found, model, formula.text, 0.05)
        pd.testing.assert_frame_equal(table, again)
        tables.append(table)
    same(*tables, name)
    assert (tables[0]["status"] == "ok").sum() > 20
    assert set(tables[0]["level"]) == {"AD"}


def test_the_derived_formula_reads_back():
    model = dataclasses.replace(
        config().model, formula="~ 0 + `x y`*log(`1 z`) + `a:b`:C(`q`, contr.sum) + n + (1 | `g h`)"
    )
    found = sample_formula(model, None, ["x y", "1 z", "a:b", "q"])
    assert found.text == "~ 0 + `x y` + log(`1 z`) + `x y`:log(`1 z`) + `a:b`:C(q, contr.sum)"
    assert (
        sample_formula(dataclasses.replace(model, formula=found.text), None, ["x y", "1 z", "a:b", "q"]).text
        == found.text
    )


@pytest.mark.parametrize("name", ["Disease State", "x/y", "lambda", 'say "x"', "1st"])
def test_the_steps_of_the_workflow_do_not_care_either(name, tmp_path, monkeypatch):
    tables, told = [], []
    for called in (name, "plain"):
        folder = tmp_path / str(len(tables))
        folder.mkdir()
        monkeypatch.chdir(folder)
        adata = cells(n=60)
        adata.write_h5ad("counts.h5ad")
        model = {
            "formula": f"~ `{called}` + (1 | sample_id)",
            "test": [f"`{called}`"],
            "levels": {called: ["Control", "AD"]},
        }
        settings = config(model=model, pseudobulk={"formula": f"~ `{called}`"})
        steps = Steps(folder, settings, sheet().rename(columns={"diagnosis": called}))
        assert steps.ingest() == steps.qc() == steps.pseudobulk("T cell") == steps.matrix("T cell") == 0
        assert steps.pseudobulk_de("de.tsv", explore="explore.json") == 0
        tables.append(read_tsv("de.tsv").astype({"reason": object}))
        told.append((read_tsv("genes.tsv"), read_json("explore.json")["distances"]))
    same(*tables, name)
    pd.testing.assert_frame_equal(told[0][0], told[1][0])
    assert told[0][1] == told[1][1]


@pytest.mark.parametrize("role", ["tested", "grouping", "slope", "pseudobulk"])
@pytest.mark.parametrize("name", ["Disease State", "a:b", "it's", "(1 | g)", "1st"])
def test_the_check_does_not_care_either(role, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study, written = Study(), f"`{name}`"
    if role == "tested":
        study.sheet = study.sheet.rename(columns={"diagnosis": name})
        study.formula(f"~ saturation + {written} + {written}:saturation + (1 | sample_id)", written)
        study.config["model"]["levels"] = {name: ["Control", "AD"]}
    elif role == "grouping":
        study.sheet[name] = [f"D{i // 2}" for i in range(12)]
        study.formula(f"~ saturation + diagnosis + (1 | {written}/sample_id)")
    elif role == "slope":
        study.obs[name] = study.obs["saturation"] ** 2
        study.formula(f"~ {written} + diagnosis + (1 + {written} | sample_id)", written)
    else:
        study.put(name, None, "x")
        study.put(name, ["S01", "S02", "S03"], "y")
        study.config["pseudobulk"] = {"formula": f"~ {written} + diagnosis"}
    assert study.check()


def test_init_quotes_names(tmp_path):
    adata = cells(n=60)
    adata.obs["Disease State"] = adata.obs["sample_id"].isin(["S1", "S3"]).map({True: "healthy", False: "AD"})
    adata.write_h5ad(tmp_path / "data.h5ad")
    assert main(["init", str(tmp_path / "study"), "--from", str(tmp_path / "data.h5ad")]) == 0
    model = load(tmp_path / "study/config/config.yaml").model
    assert model.formula == "~ sequencing_saturation + `Disease State` + (1 | sample_id)"
    assert (model.test, list(model.levels)) == (["`Disease State`"], ["Disease State"])


@pytest.mark.parametrize(
    "name", ["disease` + I(__import__('os').system('touch CANARY')) + `x", "disease\nstate", "disease\x00"]
)
def test_init_refuses_a_name_that_would_be_more_than_a_name(name, tmp_path, monkeypatch, capsys):
    """Such a name of an obs column became code through `init --from` and `check`."""
    monkeypatch.chdir(tmp_path)
    adata = cells(n=60)
    adata.obs["disease"] = adata.obs["sample_id"].isin(["S1", "S3"]).map({True: "healthy", False: "AD"})
    adata.write_h5ad("data.h5ad")
    import nestde.cells.guess

    real = nestde.cells.guess.raw_layer

    def renamed(path):
        layer, source = real(path)
        return layer, dataclasses.replace(source, obs=source.obs.rename(columns={"disease": name}))

    monkeypatch.setattr(nestde.cells.guess, "raw_layer", renamed)
    monkeypatch.setattr(nestde.cells.guess, "DIAGNOSIS", [nestde.cells.guess._plain(name)])
    with pytest.raises(NestdeError, match="no formula and no table can hold"):
        guess_study("data.h5ad")
    monkeypatch.setattr(nestde.cells.guess, "raw_layer", real)
    other = cohort(tmp_path, **{"fine`name": 1.0})
    guess = guess_study(other)
    assert "fine`name" not in guess.sheet and "'fine`name'" in guess.story()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.h5ad"]


@pytest.mark.parametrize("left", ["sqrt(y)", "log(expression + 1)", "y - 1", "2 * y", "age", "saturation"])
def test_a_response_that_nothing_heeds_is_refused(left, tmp_path, monkeypatch, capsys):
    """`sqrt(y) ~ …` in a study's formula was ignored without a word."""
    monkeypatch.chdir(tmp_path)
    study = Study()
    study.formula(f"{left} ~ saturation + diagnosis + (1 | sample_id)")
    said = refusal(study, capsys)
    assert "no response: that is the expression of each gene (model.family)" in said
    study = Study()
    study.config["pseudobulk"] = {"formula": "sqrt(y) ~ diagnosis"}
    assert "pseudobulk.formula, column 1: sqrt(y) is no response" in refusal(study, capsys)
    for response in ("sqrt(y)", "plain", "sequencing_saturation"):
        with pytest.raises(NestdeError, match="no response"):
            nestde.de(
                adata_of("plain"),
                f"{response} ~ plain + (1 | sample_id)",
                test="plain",
                cell_type_key="cell_type",
            )


def test_one_word_may_stand_for_the_response(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = Study()
    study.formula("gene_expression ~ saturation + diagnosis + (1 | sample_id)")
    assert study.check()
