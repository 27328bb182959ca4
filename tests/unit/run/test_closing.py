"""What a run says at its end: that nothing was tested, and what of quality control has to be known."""

import json

import numpy as np
import pandas as pd
import pytest
from makers.tiny_study import cells, config, write_study

from nestde import report
from nestde.cells import concerns
from nestde.cells.ingest import peek
from nestde.errors import NestdeError
from nestde.io.files import slug, write_json, write_tsv
from nestde.report import brief
from nestde.report.results import Results
from nestde.run.closing import say
from nestde.words import as_sentence

SHEET = pd.DataFrame({"sample_id": list("abcd"), "diagnosis": ["Control", "AD"] * 2, "age": [1, 2, 3, 4]})


def ledger(sample, kept, came=1000, rule="min_genes", **changes):
    found = {
        "sample_id": sample,
        "cells_in": came,
        "removed": [{"rule": rule, "any": came - kept, "only": came - kept, "first": came - kept}],
        "cells_kept": kept,
        "mt_rules": True,
        "mt_genes": 13,
        "spread_of_totals": 0.5,
    }
    return found | changes


def titles(ledgers):
    return [title for title, _ in concerns.concerns(ledgers, SHEET, config().model)]


def test_a_good_study_gives_no_word():
    assert titles([ledger(sample, 900 - 20 * i) for i, sample in enumerate("abcd")]) == []


def test_most_cells_gone():
    ledgers = [ledger(sample, 100) for sample in "abcd"]
    ((title, text),) = concerns.concerns(ledgers, SHEET, config().model)
    assert title == "Quality control removed most cells"
    assert "3,600 of 4,000 cells: 3,600 for too few genes (qc.min_genes)" in text


def test_most_cells_of_a_sample_gone():
    ledgers = [ledger(sample, 900) for sample in "abc"] + [ledger("d", 400)]
    told = dict(concerns.concerns(ledgers, SHEET, config().model))
    text = told["Quality control removed most cells of some samples"]
    assert "1 of 4 samples: d (60 %)" in text


def test_cells_that_keep_did_not_want_are_not_removed_by_quality_control():
    assert titles([ledger(sample, 100, rule="keep:multiplet") for sample in "abcd"]) == []


def test_unequal_shares_of_what_is_compared():
    ledgers = [ledger(sample, kept) for sample, kept in zip("abcd", [950, 700, 950, 700], strict=True)]
    ((title, text),) = concerns.concerns(ledgers, SHEET, config().model)
    assert title == "Quality control removed unequal shares of diagnosis"
    assert "30 % in AD" in text and "5 % in Control" in text


def metrics(counts, hb=0.0):
    return {"after": {"total_counts": [0, 0, counts, 0, 0], "pct_counts_hb": [0, 0, hb, 0, 0]}}


@pytest.mark.parametrize(
    ("control", "ad", "words"),
    [
        ({"metrics": metrics(1200)}, {"metrics": metrics(3100)}, "counts of a cell: 1,200 in Control, 3,100 in AD"),
        ({"metrics": metrics(1200)}, {"metrics": metrics(2000)}, ""),
        ({"metrics": metrics(900, 0.1)}, {"metrics": metrics(900, 3)}, "% of haemoglobin: 0.1 in Control, 3 in AD"),
        ({"kept": 950, "came": 1000}, {"kept": 190, "came": 200}, "cells of a sample: 950 in Control, 190 in AD"),
    ],
)  # fmt: skip
def test_arms_that_are_unlike_in_depth_cells_or_blood(control, ad, words):
    ledgers = [
        ledger(sample, **({"kept": 900} | of)) for sample, of in zip("abcd", [control, ad] * 2, strict=True)
    ]
    told = dict(concerns.concerns(ledgers, SHEET, config().model))
    assert words in told.get("Samples of one diagnosis are unlike those of another", "")
    assert bool(told) == bool(words)


def test_rules_for_mitochondria_without_any_such_gene():
    ledgers = [ledger(sample, 900, mt_genes=0) for sample in "abcd"]
    assert titles(ledgers) == ["No mitochondrial gene was found"]
    assert titles([one | {"mt_rules": False} for one in ledgers]) == []
    assert titles([*ledgers[:3], ledger("d", 900)]) == []


@pytest.mark.parametrize("noise", [0.0, 0.002])
def test_equal_totals_are_told(noise):
    assert titles([ledger(sample, 900, spread_of_totals=noise) for sample in "abcd"]) == [
        "Every cell has the same total"
    ]


def test_rounded_counts_per_ten_thousand_are_seen_and_raw_counts_are_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    raw = cells(genes=400)
    raw.X = raw.X.multiply(np.random.default_rng(0).poisson(3, (raw.n_obs, 1)) + 1).tocsr().astype(np.int32)
    scaled = raw.copy()
    scaled.X = raw.X.multiply(1e4 / raw.X.sum(axis=1)).tocsr().rint().astype(np.int32)
    for adata, wanted in ((raw, []), (scaled, ["Every cell has the same total"])):
        steps = write_study(tmp_path, adata)
        assert steps.ingest() == steps.qc() == 0
        ledgers = [steps.ledger(sample) for sample in steps.samples["sample_id"]]
        assert [title for title, _ in concerns.concerns(ledgers, steps.samples, steps.config.model)] == wanted


@pytest.mark.parametrize("scaled", [False, True])
def test_equal_totals_are_said_before_anything_is_queued(tmp_path, scaled):
    adata = cells(genes=400)
    adata.X = adata.X.multiply(np.random.default_rng(0).poisson(3, (adata.n_obs, 1)) + 1).tocsr()
    if scaled:
        adata.X = adata.X.multiply(1e4 / adata.X.sum(axis=1)).tocsr().rint()
    adata.write_h5ad(tmp_path / "x.h5ad")
    doubt = peek(tmp_path / "x.h5ad", config().input)
    assert ("the first 160 cells have equal totals, or nearly so (10,0" in doubt) == scaled
    assert bool(doubt) == scaled


def results(folder, tested, kept=900, reason="no sample has enough cells of this type"):
    """As much of a results folder as the closing words read."""
    settings = config(cell_types=["T cell"])
    write_tsv(SHEET.assign(counts="x"), folder / "cohort/samples.tsv")
    for sample in SHEET["sample_id"]:
        write_json(ledger(sample, kept), folder / f"qc/{slug(sample)}.json")
    write_tsv(pd.DataFrame({"cell_type": ["T cell"], "tested": [tested]}), folder / "summary.tsv")
    table = pd.DataFrame({"gene": ["A", "B"], "status": "not_testable", "reason": reason})
    write_tsv(table, folder / f"de/{slug('T cell')}.tsv")
    return folder, settings


def test_a_run_in_which_nothing_was_tested_fails_with_the_rule(tmp_path, capsys):
    with pytest.raises(NestdeError, match="no gene was tested in any cell type") as raised:
        say([results(tmp_path, 0, kept=1)])
    assert "3,996 of 4,000 cells: 3,996 for too few genes (qc.min_genes)" in str(raised.value)
    assert "Note: Quality control removed most cells." in capsys.readouterr().out


def test_a_run_in_which_nothing_was_tested_fails_with_the_most_frequent_reason(tmp_path):
    with pytest.raises(NestdeError, match="T cell: of most genes: no sample has enough cells of this type"):
        say([results(tmp_path, 0)])


def test_a_cell_type_that_was_promised_and_not_tested_is_the_last_line_and_a_red_box(tmp_path, capsys):
    folder, _ = results(tmp_path, 2)
    settings = config(cell_types=["T cell", "B/cell"])
    write_tsv(pd.DataFrame({"cell_type": ["T cell", "B/cell"], "tested": [2, 0]}), folder / "summary.tsv")
    why = "no test of diagnosis can be made: AD has none"
    write_json({"testable": False, "reason": why}, folder / f"design/{slug('B/cell')}.json")
    say([(folder, settings)])
    assert capsys.readouterr().out.splitlines()[-1] == f"B/cell was not tested: {why}."
    (folder / f"de/{slug('T cell')}.tsv").unlink()
    (section,) = brief.sections(Results(folder, settings))
    assert "alert-danger" in section.content["data"]
    assert f"<b>B/cell was not tested.</b> {as_sentence(why)}" in section.content["data"]


def test_a_run_with_results_ends_without_a_word(tmp_path, capsys):
    say([results(tmp_path, 2)])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("pattern", ["(", "[", "*", "(?P<"])
def test_a_pattern_that_is_none_is_refused_by_the_check(pattern):
    with pytest.raises(NestdeError, match=r"qc.hb_pattern is .* no regular expression"):
        config(qc={"hb_pattern": pattern})


def test_rules_have_words():
    from nestde.cells.qc import METRIC_OF

    assert set(METRIC_OF) | {"empty", "doublet"} == set(concerns.RULES)


def test_a_finished_run_ends_with_its_findings_its_report_and_what_to_cite(tmp_path, capsys):
    from makers.fabricated import CELL_TYPES, settings, write_results

    folder = write_results(tmp_path / "results")
    totals = pd.DataFrame({"cell_type": CELL_TYPES, "term": "diagnosis", "tested": [60, 0]})
    write_tsv(totals, folder / "summary.tsv")
    report.write(settings(), folder, folder / "report/content")
    (folder / "report/multiqc.html").write_text("")
    say([(folder, settings())], 75.0)
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("Note: ")]
    numbers = json.loads((folder / "report/content/summary.json").read_text())["tests"][0]
    assert lines[0].startswith(
        f"Neuron, AD v Control: {numbers['up'] + numbers['down']} of 60 tested genes differ"
    )
    assert f"Report: {(folder / 'report/multiqc.html').as_uri()}" in lines and "Done in 1 min." in lines
    assert any(line.startswith("To cite: ") for line in lines)
    assert lines[-1].startswith(f"{CELL_TYPES[1]} was not tested: ")
