"""The first seed's story, told by the tool: nested is answered and explained, a batch per diagnosis is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from makers.studies import Study, refusal

from nestde.cli import main
from nestde.simulate import Cohort, write

NESTED = "Why diagnosis is not confounded with sample_id"


def config_of(folder, formula):
    return {
        "samples": str(folder / "samples.tsv"),
        "cell_types": ["Neuron", "Astrocyte"],
        "input": {"counts": str(folder / "counts.h5ad")},
        "model": {"formula": formula, "test": ["diagnosis"], "levels": {"diagnosis": ["Control", "AD"]}},
    }


@pytest.mark.parametrize("alias", [False, True])
def test_simulated_cohort(alias, tmp_path, monkeypatch, capsys):
    """`nestde simulate`, without and with --alias-batch, then `nestde check` with the batch in the formula."""
    monkeypatch.chdir(tmp_path)
    write(Cohort(donors=4, cells=60, genes=60, alias_batch=alias), Path("cohort"))
    config = config_of(Path("cohort"), "~ sequencing_saturation + batch + diagnosis + (1 | sample_id)")
    Path("config.yaml").write_text(json.dumps(config))
    code = main(["check", "--configfile", "config.yaml", "--out", "check.json", "--explain"])
    printed = capsys.readouterr()
    if alias:
        assert code == 2
        assert "diagnosis cannot be separated from batch: batch " in printed.err
        assert "No model can tell the two apart. Drop batch" in printed.err
        assert not Path("check.json").exists()
        return
    assert code == 0
    assert NESTED in printed.out
    content = json.loads(Path("check.json").read_text())
    assert content["faults"] == []
    assert content["tests"][0]["groups"] == 8
    assert NESTED in [part["title"] for part in content["explanations"]]


def test_nested_study_is_accepted_and_explained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = Study(per_level=12).check().as_json()
    assert content["faults"] == []
    assert content["warnings"] == ()
    assert content["nesting"]["text"] == (
        "study: 24 samples → 576 cells (24 a sample)\n"
        "├─ diagnosis Control: 12 samples → 288 cells (24 a sample)\n"
        "└─ diagnosis AD: 12 samples → 288 cells (24 a sample)"
    )
    assert content["tests"][0]["text"] == (
        "diagnosis is tested between 24 samples, not between 576 cells: 2 of them are taken up by coefficients and coarser "
        "groups; 22 degrees of freedom are left."
    )
    reasons = {part["title"]: part["text"] for part in content["explanations"]}
    assert "diagnosis is nested, not confounded: it is tested between samples" in reasons[NESTED]
    assert [report["lrt_size"] for report in content["cell_types"]] == [pytest.approx(0.0635, abs=1e-4)] * 2


def test_contrasts_of_an_interaction_are_explained_and_priced(tmp_path, monkeypatch):
    simple, double = "AD - Control | sex=F", "(AD - Control | sex=F) - (AD - Control | sex=M)"
    study = Study()
    study.config["model"] |= {"formula": "~ diagnosis*sex + (1 | sample_id)", "test": [simple, double]}
    monkeypatch.chdir(tmp_path)
    report = study.check().as_json()
    one, two = report["tests"]
    assert (one["df"], two["df"], one["columns"]) == (8, 8, 1)
    # four means instead of two, of as many samples each
    assert two["smallest_effect"][double]["0.1"] == pytest.approx(
        np.sqrt(2) * one["smallest_effect"][simple]["0.1"], rel=1e-3
    )
    titles = [part["title"] for part in report["explanations"]]
    assert f"What {simple} is" in titles
    assert titles.count("Why combination of diagnosis and sex is not confounded with sample_id") == 1
    assert all(entry["untested"] == {} for entry in report["cell_types"])


def test_samples_within_donors_in_words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = Study()
    study.sheet["donor"] = [f"D{i // 4}{'ab'[i % 2]}" for i in range(12)]
    study.obs["image"] = np.tile(["1", "2", "3"], len(study.obs) // 3)
    study.formula("~ diagnosis + (1 | donor/sample_id) + (1 | sample_id:image)")
    content = study.check().as_json()
    assert content["faults"] == []
    assert content["model"]["sentence"] == (
        "Is the expression of a gene related to diagnosis, where each donor has its own level, and each sample_id within "
        "donor has its own level, and each image within sample_id has its own level?"
    )


def test_groups_of_a_nested_factor_in_words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = Study()
    study.sheet["donor"] = [f"D{i // 2}" for i in range(12)]
    study.formula("~ diagnosis + (1 | donor:sample_id)")
    reasons = {part["title"]: part["text"] for part in study.check().as_json()["explanations"]}
    known = reasons["How well the variances are known"]
    assert "even if every group of donor:sample_id had no end of cells" in known
    assert "an intraclass correlation of 0.1 will be estimated between " in known


def test_the_same_study_with_a_batch_per_diagnosis_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    study = Study(per_level=12)
    study.sheet["batch"] = np.where(study.sheet["diagnosis"] == "AD", "B2", "B1")
    study.formula("~ saturation + batch + diagnosis + (1 | sample_id)")
    assert refusal(study, capsys) == (
        "nestde check: model.formula: diagnosis cannot be separated from batch: batch B1 has only Control samples (12 of 12) "
        "and B2 only AD (12 of 12). No model can tell the two apart. Drop batch, or have samples of both diagnoses in each "
        "batch.\n"
    )
