"""Families beside the headline's: their tables, their place in the report, and what is refused."""

import json

import numpy as np
import pytest
from makers.small_study import CONFIG
from makers.tiny_study import write_study

from nestde.errors import NestdeError
from nestde.expression.tables import TEXT
from nestde.io.files import read_tsv, slug
from nestde.io.layout import CONTENT
from nestde.report.also import join, numbers
from nestde.report.results import Results
from nestde.study.config import load, sections

MODEL = CONFIG["model"] | {"also": ["negative_binomial", "hurdle"]}


def test_what_is_fitted_beside_the_headline(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    steps = write_study(
        tmp_path,
        cell_types=["T cell"],
        samples="samples.tsv",
        input={"counts": None},
        model={"formula": "~ diagnosis + (1 | sample_id)", "also": MODEL["also"]},
        inference={"crosscheck_genes": 0},
        pseudobulk={"enabled": False},
    )
    steps.to_report()
    of = {"cell_type": slug("T cell")}
    table = read_tsv(steps.path("de", **of), TEXT)
    for family in MODEL["also"]:
        beside = read_tsv(steps.path("also", family=family, **of), TEXT)
        assert set(beside["gene"]) == set(table["gene"]) and "padj_global" not in beside
        tested = beside["status"].isin(["ok", "singular"])
        assert beside.loc[tested, ["pvalue", "padj", "coef"]].notna().all(axis=None)
        assert (beside.loc[~tested, "reason"] != "").all()
    assert "dispersion" in read_tsv(steps.path("also", family="negative_binomial", **of), TEXT)
    section = json.loads((tmp_path / CONTENT / "nestde_also_mqc.json").read_text())
    assert "negative binomial mixed model" in section["data"] and "hurdle mixed model" in section["data"]
    (test,) = Results(steps.folder, steps.config).tests()
    beside = read_tsv(steps.path("also", family="negative_binomial", **of), TEXT)
    frame = join(test, beside, 0.5)
    theirs = beside.set_index("gene").reindex(frame["gene"])
    assert np.array_equal(frame["coef_other"], theirs["coef"])
    assert np.array_equal(frame["found_other"], theirs["padj"] <= 0.5)
    assert (
        numbers(frame)[0]
        == (table["pvalue"].notna() & table["gene"].isin(beside.loc[beside["pvalue"].notna(), "gene"])).sum()
    )


def test_other_steps_do_not_hang_on_it():
    without, given = load(CONFIG), load(CONFIG | {"model": MODEL})
    assert given.text("model") == without.text("model")
    assert sections(given.text()).model.also == MODEL["also"]


def test_the_headline_is_not_fitted_twice():
    with pytest.raises(NestdeError, match=r"model\.also: gaussian is what model\.family fits already"):
        load(CONFIG | {"model": MODEL | {"also": ["gaussian"]}})
    with pytest.raises(NestdeError, match="negative_binomial"):
        load(CONFIG | {"model": MODEL | {"also": ["negative_binomal"]}})
