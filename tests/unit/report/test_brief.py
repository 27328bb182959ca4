"""The report in brief: what each way of testing found, in numbers, and what a study without any finding looks like."""

import json
from dataclasses import replace
from html import escape

import numpy as np
from makers.fabricated import (
    BREAKOUT,
    CELL_TYPES,
    SCRIPT,
    de_table,
    settings,
    tags,
    write_calibration,
    write_results,
)

from nestde import report
from nestde.calibrate.calibration import COLUMNS
from nestde.io.files import slug, write_json, write_tsv
from nestde.io.layout import RESULTS
from nestde.report import answers
from nestde.report.results import Results
from nestde.report.sections import plain_table


def sections(results, out):
    report.write(settings(), results, out)
    return {
        path.name.removesuffix("_mqc.json"): json.loads(path.read_text()) for path in out.glob("*_mqc.json")
    }


def row(**told):
    return dict.fromkeys(COLUMNS, 0.05) | told


def test_findings_of_each_test_stand_beside_the_verdict(tmp_path):
    folder = write_results(tmp_path / "results")
    verdict = row(term="diagnosis", method="lrt", found=9, found_relabelled=2.0, verdict="anti-conservative")
    write_calibration(
        folder, "Neuron", {"relabellings": 30, "possible": 99, "unit": "donor", "blocks": []}, [verdict]
    )
    results = Results(folder, settings())
    test = results.tests()[0]
    assert answers.found_by(test, "lrt", 0.05) > answers.found_by(test, "satterthwaite", 0.05) > 0
    assert answers.found_by(test, "means", 0.05) is None
    bulk = results.pseudobulk["Neuron"]
    assert (
        answers.found_by_pseudobulk(results, test) == ((bulk["padj"] <= 0.05) & (bulk["level"] == "AD")).sum()
    )
    said = sections(folder, tmp_path / "content")
    text = "".join(tags(said["nestde_brief_text"]["data"]).text)
    assert "anti-conservative" in text and "between AD and Control" in text
    assert "not known" in text  # of the other cell type, which was not relabelled


def test_why_auto_took_another_p_value_stands_below_the_table(tmp_path):
    folder = write_results(tmp_path / "results")
    results = Results(folder, settings())
    test = results.tests()[0]
    other = replace(test, frame=test.frame.assign(pvalue_by="means"))
    path = folder / RESULTS["reasons"].format(cell_type=results.slugs[test.cell_type])
    write_json({"diagnosis": {"moderated": f"too few {SCRIPT}"}}, path)
    told = f"by moderated means, as there is no moderated p-value: too few {SCRIPT}"
    assert escape(told) in answers.table(results, [other])
    assert "as there is no" not in answers.table(results, [test])
    asked = Results(folder, settings(inference={"p_value": "means"}))
    assert "as there is no" not in answers.table(asked, [other])


def test_warnings_are_told_in_their_own_words_and_the_sign_once(tmp_path):
    text = "".join(
        tags(sections(write_results(tmp_path / "r"), tmp_path / "c")["nestde_brief_text"]["data"]).text
    )
    assert f"Few {SCRIPT}. Only 3 of {BREAKOUT}" in text
    assert text.count("means: higher expression in AD than in Control") == 1


def test_nothing_found_looks_like_nothing(tmp_path):
    folder = write_results(tmp_path / "results")
    for cell_type in CELL_TYPES:
        table = de_table(cell_type)
        table["padj"] = np.where(table["padj"].notna(), 0.99, np.nan)
        table["neg_log10_pvalue"] /= 10
        write_tsv(table, folder / "de" / f"{slug(cell_type)}.tsv")
    said = sections(folder, tmp_path / "content")
    text = "".join(tags(said["nestde_brief_text"]["data"]).text)
    assert text.startswith(
        "No gene is found to differ between AD and Control in any of 2 cell types, at a false"
    )
    assert text.count("smallest FDR 0.99 (") == 2 and "nd-scale" not in said["nestde_brief_text"]["data"]
    top = said["nestde_top_1"]
    assert top["section_name"].startswith("No gene was found") and len(top["data"]) == 5
    assert not any(header["scale"] for header in top["headers"].values())
    assert said["nestde_volcano"]["data"].count("FDR 0.05, were one gene above") == 2


def test_the_bars_of_evidence_are_on_one_scale(tmp_path):
    folder = write_results(tmp_path / "results")
    said = sections(folder, tmp_path / "content")
    ends = {said[f"nestde_top_{number}"]["headers"]["neg_log10_pvalue"]["max"] for number in (1, 2)}
    assert len(ends) == 1 and ends.pop() >= 6


def test_a_cell_type_without_any_test_has_no_row(tmp_path):
    assert answers.table(Results(tmp_path, settings()), []) == ""
    assert plain_table(["a"], []).count("<td>") == 0
