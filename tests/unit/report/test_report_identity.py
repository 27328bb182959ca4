"""Whose sample it is, in the report: a plot where the genes are there, in red what contradicts the sheet."""

from typing import Any

import pandas as pd
import pytest
from makers.fabricated import ledger, settings

from nestde.io.files import slug, write_json, write_tsv
from nestde.report.identity import sections
from nestde.report.results import Results

SEXES = {"female": {"XIST": 300, "Y": 2}, "male": {"XIST": 3, "Y": 150}, "none": {"XIST": None, "Y": 9}}


def shown(tmp_path: Any, found: list[str], said: str) -> str:
    names = [f"S<{i}>" for i in range(len(found))]
    write_tsv(
        pd.DataFrame({"sample_id": names, "diagnosis": "AD", "sex": list(said)}),
        tmp_path / "cohort/samples.tsv",
    )
    results = Results(tmp_path, settings())
    for name, sex in zip(names, found, strict=True):
        counts = {} if sex == "absent" else {"sex_counts": SEXES[sex], "sex_cells": {}}
        write_json(ledger(name, 20) | counts, tmp_path / f"qc/{slug(name)}.json")
    made = sections(results)
    return "".join(section.content["data"] for section in made)


def test_a_swap_is_red_and_named(tmp_path):
    text = shown(tmp_path, ["female", "male", "male", "female"], "FMMM")
    assert "alert-danger" in text and "S&lt;3&gt; (sex M; XIST 300, Y 2)" in text
    assert "of both, or not as the sheet says" in text and "<svg" in text and "S<3>" not in text


def test_a_right_sheet_has_a_plot_and_no_box(tmp_path):
    text = shown(tmp_path, ["female", "male"], "FM")
    assert "<svg" in text and "alert" not in text


@pytest.mark.parametrize("found", [["none", "none"], ["absent", "absent"]])
def test_data_without_these_genes_have_no_section(tmp_path, found):
    assert shown(tmp_path, found, "FM") == ""
