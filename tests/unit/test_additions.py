"""What is added is a file and a line in its room's list: toys that are in the list go through every step to the report."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from makers.fabricated import settings, write_results
from makers.studies import Study
from makers.tiny_study import cells, write_study
from makers.toys import RATE, RATES, ROOT, WALD

import nestde
from nestde import report
from nestde.check import warnings
from nestde.check.found import Warned
from nestde.check.render import terminal
from nestde.errors import NestdeError
from nestde.expression.tables import TEXT
from nestde.expression.warmup import compile_kernels
from nestde.fit import family, methods
from nestde.io.files import read_tsv, slug, write_json
from nestde.io.layout import CONTENT
from nestde.report.sections import Section, html
from nestde.study.schema import schema

CELL_TYPE = "T cell"


@pytest.fixture
def study(tmp_path, monkeypatch):
    """With the toys in their lists, a function that runs a study: model and inference to its table and the text of its report."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(methods, "METHODS", [*methods.METHODS, WALD, RATE])
    monkeypatch.setattr(family, "FAMILIES", [*family.FAMILIES, ROOT, RATES])
    schema.cache_clear()

    def run(chosen, p_value, formula="~ diagnosis + (1 | sample_id)"):
        model = {"family": chosen, "formula": formula}
        steps = write_study(
            tmp_path,
            cell_types=[CELL_TYPE],
            samples="samples.tsv",
            input={"counts": None},
            model=model,
            inference={"p_value": p_value, "crosscheck_genes": 3},
            pseudobulk={"enabled": False},
        )
        steps.to_report()
        found = {path.name: json.loads(path.read_text()) for path in (tmp_path / CONTENT).glob("*_mqc.json")}
        tables = {
            kind: read_tsv(steps.path(kind, cell_type=slug(CELL_TYPE)), TEXT) for kind in ("de", "crosscheck")
        }
        return tables, {name.removesuffix("_mqc.json"): section for name, section in found.items()}

    yield run
    schema.cache_clear()


def test_only_a_family_knows_its_scale():
    package = Path(nestde.__file__).parent
    others = [path for path in package.rglob("*.py") if path.parent != package / "fit/family"]
    found = [
        path.name
        for path in others
        if re.search(r"1 \+ (counts per 10,000|count /)|MixedLM", path.read_text(encoding="utf-8"))
    ]
    assert len(others) > 100 and not found


def test_a_p_value(study):
    tables, report = study("gaussian", "wald")
    table = tables["de"]
    assert set(table["pvalue_by"]) == {"wald"} and (table["pvalue"] == table["pvalue_wald"]).all()
    np.testing.assert_allclose(table["wald_z"], table["coef"] / table["se"])
    assert (table["padj"] <= 1).all() and table["pvalue_lrt"].notna().all()
    assert "diagnosis is tested by Wald's z" in report["nestde_model"]["data"].replace("&#x27;", "'")
    assert "Wald (the headline)" in report["nestde_p_values"]["data"]


def test_a_family_of_the_linear_engine(study):
    tables, report = study("root", "lrt")
    assert (tables["crosscheck"]["verdict"] == "agrees").all() and len(tables["crosscheck"]) == 3
    assert "√(counts per 10,000) = " in report["nestde_model"]["data"]
    assert "linear mixed model of roots" in report["nestde_model"]["data"]
    assert "the coefficient on the scale of square roots" in report["nestde_volcano"]["helptext"]
    assert tables["de"]["icc"].notna().all()


@pytest.mark.parametrize("toy", [ROOT, RATES])
def test_the_kernels_of_a_family_are_compiled(study, toy):
    assert compile_kernels("~ diagnosis + (1 | sample_id)", toy) == "~ x + (1 | a)"


def test_a_family_with_an_engine_of_its_own(study):
    tables, report = study("rates", "auto")
    table = tables["de"]
    assert set(table["pvalue_by"]) == {"rate"} and set(table["estimates"]) == {"least squares"}
    assert table["pvalue"].notna().all() and "pvalue_lrt" not in table
    assert tables["crosscheck"].empty and "are held against a ruler by" in report["nestde_crosscheck"]["data"]
    top = report["nestde_top_1"]
    assert top["headers"]["spread"]["title"] == "Spread" and "icc" not in top["headers"]
    assert "ln E(count / size factor) = " in report["nestde_model"]["data"]
    assert "ε" not in report["nestde_model"]["data"]


def test_what_the_family_does_not_have_is_refused(study, capsys):
    with pytest.raises(
        NestdeError,
        match=r"inference\.p_value: lrt is no p-value of this model family\. There are auto, rate\.",
    ):
        study("rates", "lrt")
    adata = cells()
    adata.obs["diagnosis"] = np.where(adata.obs["sample_id"].isin(["S1", "S3"]), "Control", "AD")

    def de(formula="~ diagnosis + (1 | sample_id)", **options):
        levels = {"diagnosis": ["Control", "AD"]}
        return nestde.de(adata, formula, test="diagnosis", cell_type_key=False, levels=levels, **options)

    assert set(de(family="rates")["pvalue_by"]) == {"rate"}
    with pytest.raises(NestdeError, match="p_value: wald is no p-value of this model family"):
        de(family="rates", p_value="wald")
    with pytest.raises(
        NestdeError, match=r"family: rate is no model family of nestde\. Did you mean rates\?"
    ):
        de(family="rate")
    slopes = "~ diagnosis + (1 + sequencing_saturation | sample_id)"
    with pytest.raises(NestdeError, match="slopes of sample_id: the family rates has none"):
        de(slopes, family="rates")
    with pytest.raises(AssertionError, match="check"):
        study("rates", "auto", slopes)
    assert "model.family: slopes of sample_id: the family rates has none" in capsys.readouterr().err


def test_a_warning(tmp_path, monkeypatch):
    def odd(study, answer):
        yield Warned("odd_number_of_samples", "An odd <number>", f"There are {len(study.samples)} samples.")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(warnings, "WARNINGS", [odd, *warnings.WARNINGS])
    found = Study(per_level=3).check().accepted
    assert found.warnings[0] == Warned("odd_number_of_samples", "An odd <number>", "There are 6 samples.")
    assert "Warning: An odd <number>" in terminal(found, explain=False, stream=io.StringIO())
    folder = write_results(tmp_path / "results")
    write_json(found.as_json(), folder / "cohort/check.json")
    report.write(settings(), folder, tmp_path / "content")
    assert "An odd &lt;number&gt;" in (tmp_path / "content/nestde_check_mqc.json").read_text()
    assert (
        json.loads((tmp_path / "content/summary.json").read_text())["warnings"][0]["id"]
        == "odd_number_of_samples"
    )


def test_a_section_of_the_report(tmp_path, monkeypatch):
    def toys(results):
        return [Section("nestde_toy", "trust", "A toy", html(f"<p>{len(results.tests())} tests</p>"))]

    monkeypatch.setattr(report, "PARTS", [*report.PARTS, toys])
    folder = write_results(tmp_path / "results")
    report.write(settings(), folder, tmp_path / "content")
    section = json.loads((tmp_path / "content/nestde_toy_mqc.json").read_text())
    assert section["data"].endswith("tests</p>") and section["parent_name"] == "How far to trust it"
    assert "nestde_toy" in (tmp_path / "content/multiqc_config.yaml").read_text()
