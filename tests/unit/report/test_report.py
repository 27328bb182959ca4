"""The report on small fabricated results, with names made to break it."""

import argparse
import json
import re
import shutil
from html import escape, unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from makers.fabricated import (
    BREAKOUT,
    CELL_TYPES,
    CHECK,
    HOSTILE,
    SCRIPT,
    de_table,
    settings,
    tags,
    write_results,
)

from nestde import report
from nestde.cli import summary as cli
from nestde.design.effects import RandomEffects
from nestde.expression.tables import TEXT
from nestde.fit.family.gaussian import FAMILY as GAUSSIAN
from nestde.fit.methods import method
from nestde.io import layout
from nestde.io.files import read_tsv, slug, write_tsv
from nestde.report import concordance, figures, genes, study
from nestde.report.page import script
from nestde.report.results import Results
from nestde.report.sections import TableColumns, bars, plain_table, table


@pytest.fixture
def results(tmp_path):
    return write_results(tmp_path / "results")


@pytest.fixture
def content(results, tmp_path):
    report.write(settings(), results, tmp_path / "content")
    return tmp_path / "content"


def rows(html):
    """The cells of a table, row by row."""
    return [
        [unescape(re.sub("<[^>]*>", "", cell)) for cell in re.findall("<t[dh][^>]*>(.*?)</t[dh]>", row)]
        for row in re.findall("<tr>(.*?)</tr>", html)
    ]


def test_all_content_is_free_of_markup_from_data(content):
    files = sorted(content.glob("*_mqc.json"))
    assert len(files) >= 7
    for path in files:
        section = json.loads(path.read_text())
        texts = [section["section_name"], section["description"], section["helptext"]]
        if section["plot_type"] == "html":
            texts.append(section["data"])
        else:
            texts += [str(key) for key in section["data"]]
            texts += [str(v) for row in section["data"].values() for v in row.values()]
        parsed = tags("".join(texts).replace(script(), ""))  # ours, in which there is nothing of the data
        assert not {"script", "img", "title" if section["plot_type"] != "html" else "iframe"} & {
            tag for tag, _ in parsed.tags
        }, path.name
        assert not parsed.handlers, path.name


def test_hostile_names_are_shown_as_they_are(content):
    top = json.loads((content / "nestde_top_1_mqc.json").read_text())
    shown = ["".join(tags(name).text) for name in top["data"]]
    assert shown[: len(HOSTILE)] == [name.replace("/", "∕") for name in HOSTILE]
    assert [row["log2fc"] for row in top["data"].values()][:3] == ["+∞", "−∞", 0.58]


@pytest.mark.parametrize("every", [False, True])
def test_infinite_effects_are_shown(results, tmp_path, every):
    path = results / "de" / f"{slug(CELL_TYPES[0])}.tsv"
    table = read_tsv(path, TEXT)
    if every:
        table["coef"] = -np.inf
    table.loc[:1, "coef"] = [np.inf, -np.inf]
    write_tsv(table, path)
    report.write(settings(), results, tmp_path / "content")
    text = (tmp_path / "content/nestde_top_1_mqc.json").read_text()
    top = json.loads(text)
    assert [row["coef"] for row in top["data"].values()][:2] == ["+∞", "−∞"]
    assert np.isfinite(top["headers"]["coef"]["max"])
    volcano = json.loads((tmp_path / "content/nestde_volcano_mqc.json").read_text())["data"]
    assert volcano.count("<title>") > 2


def test_writing_again_gives_the_same_bytes_and_leaves_nothing_old(results, content, tmp_path):
    (content / "old_mqc.json").write_text("{}")
    before = {path.name: path.read_bytes() for path in content.iterdir() if path.name != "old_mqc.json"}
    report.write(settings(), results, content)
    assert {path.name: path.read_bytes() for path in content.iterdir()} == before


def test_pseudobulk_of_an_earlier_run_is_not_read(results, content, tmp_path):
    off = settings(pseudobulk={"enabled": False})
    report.write(off, results, tmp_path / "off")
    gone = {path.name for path in content.iterdir()} - {path.name for path in (tmp_path / "off").iterdir()}
    assert gone == {
        f"nestde_{name}_mqc.json"
        for name in ("concordance", "disagreements", "likeness", "covariates", "by_sample")
    }
    shutil.rmtree(results / "pseudobulk")
    report.write(off, results, tmp_path / "never")
    made = [
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("off", "never")
    ]
    assert made[0] == made[1]


def test_the_rule_lists_every_file_that_is_read(results, tmp_path, monkeypatch):
    read = set()
    real = Results._made
    monkeypatch.setattr(Results, "_made", lambda self, kind, of: read.add(kind) or real(self, kind, of))
    given = settings()
    also = settings(model={"formula": given.model.formula, "test": ["diagnosis"], "also": ["poisson"]})
    report.write(also, results, tmp_path / "content")
    rule = (Path(__file__).parents[3] / "workflow/rules/report.smk").read_text()
    inputs = rule.partition("rule summary:")[2].partition("output:")[0]
    listed = {re.sub("{.*?}", "*", path) for path in re.findall('<results>/([^"]+)', inputs)}
    assert {re.sub("{.*?}", "*", layout.RESULTS[kind]) for kind in read} == listed


def test_summary_counts_every_gene(content):
    summary = json.loads((content / "summary.json").read_text())
    assert [test["cell_type"] for test in summary["tests"]] == CELL_TYPES
    for test in summary["tests"]:
        assert test["genes"] == 62 and test["tested"] == 60 and test["not_testable"] == 2
        assert 0 < test["up"] + test["down"] < 60
    assert summary["crosscheck_differs"]["Neuron"] == [BREAKOUT]
    assert "numpy" in summary["versions"]


def test_a_gene_over_the_tolerance_is_named_in_red(content):
    section = json.loads((content / "nestde_crosscheck_mqc.json").read_text())
    parsed = tags(section["data"])
    assert any("color:#c62828" in str(attrs.get("style")) for _, attrs in parsed.tags)
    assert BREAKOUT in "".join(parsed.text)


def test_a_cell_type_without_cross_check_is_named(results, tmp_path):
    write_tsv(
        pd.DataFrame(columns=["gene", "verdict"]), results / "crosscheck" / f"{slug(CELL_TYPES[1])}.tsv"
    )
    report.write(settings(), results, tmp_path / "out")
    data = json.loads((tmp_path / "out" / "nestde_crosscheck_mqc.json").read_text())["data"]
    assert f"{CELL_TYPES[1]}: no gene was fitted again" in "".join(tags(data).text)


def test_nothing_but_a_configuration_still_gives_a_report(tmp_path):
    report.write(settings(), tmp_path / "nothing", tmp_path / "content")
    assert (tmp_path / "content" / "nestde_model_mqc.json").exists()


def test_a_term_with_three_levels_and_a_number_have_a_test_each(tmp_path):
    table = de_table("Neuron").assign(pvalue_level=0.01, padj_level=0.02)
    tested = table[table["level"].notna()]
    age = tested.assign(term="age", level="age", against="")
    other, pair = tested.assign(level="MCI"), tested.assign(against="MCI")
    write_tsv(pd.concat([table, other, pair, age]), tmp_path / "de" / "Neuron.tsv")
    results = Results(tmp_path, settings(cell_types=["Neuron"]))
    tests = results.tests()
    assert [test.term_label for test in results.terms()] == ["Neuron: diagnosis", "Neuron: age"]
    assert [test.label for test in tests] == [
        "Neuron: AD v Control",
        "Neuron: MCI v Control",
        "Neuron: AD v MCI",
        "Neuron: age",
    ]
    assert [len(test.frame) for test in tests] == [62, 62, 62, 60]
    assert not any(test.frame["gene"].duplicated().any() for test in tests)
    assert [test.joint for test in tests] == [True, True, True, False]
    bulk = pd.concat([other, pair, age])
    assert [len(concordance.join(test, bulk, 0.05)) for test in tests] == [0, 60, 60, 60]


def test_a_gene_of_one_level_is_not_found_for_every_pair(tmp_path):
    """One p-value for three diagnoses: a gene that only MCI changes must not be up or down in AD v Control."""
    ad = de_table("Neuron")
    strong = ad["padj"] <= 0.05
    ad["pvalue_level"] = np.where(strong & ~ad["gene"].isin([HOSTILE[0], HOSTILE[2]]), 0.65, 1e-4)
    ad["padj_level"] = ad["pvalue_level"]
    mci = ad[ad["level"].notna()].assign(level="MCI", pvalue_level=1e-5, padj_level=1e-5)
    write_tsv(pd.concat([ad, mci]), tmp_path / "de" / "Neuron.tsv")
    bulk = ad[["gene", "term", "level", "against", "log2fc", "pvalue", "padj"]].assign(
        log2fc=ad["coef"], padj=1.0
    )
    write_tsv(bulk, tmp_path / "pseudobulk" / "Neuron.de.tsv")
    three = settings(cell_types=["Neuron"])
    first, second = Results(tmp_path, three).tests()
    assert first.comparison == "AD v Control" and first.joint
    assert set(first.frame["gene"][first.found(0.05)]) == {HOSTILE[0], HOSTILE[2]}
    numbers = [genes.summary(test, 0.05) for test in (first, second)]
    assert [n["up"] + n["down"] for n in numbers] == [2, strong.sum()]
    assert (concordance.join(first, bulk, 0.05)["kind"] == 2).sum() == 2

    report.write(three, tmp_path, tmp_path / "content")
    section = {
        name: json.loads((tmp_path / "content" / f"nestde_{name}_mqc.json").read_text())
        for name in ("brief_text", "overview", "gene_counts", "volcano", "top_1", "concordance")
    }
    brief = "".join(tags(section["brief_text"]["data"]).text)
    assert brief.count(f"{strong.sum()} of 60 tested genes differ with diagnosis in Neuron") == 1
    pairs = {row[1]: row for row in rows(section["brief_text"]["data"]) if " v " in row[1]}
    assert list(pairs) == ["AD v Control", "MCI v Control"]
    assert pairs["AD v Control"][2] == "2" and pairs["MCI v Control"][2] == str(strong.sum())
    assert HOSTILE[0] in pairs["AD v Control"][5] and HOSTILE[1] not in pairs["AD v Control"][5]
    assert "of at most 0.05, 2 of them found for this pair too." in section["top_1"]["description"]
    for name in ("overview", "gene_counts", "volcano", "concordance"):
        assert "by the test of all levels, and by that of this pair" in section[name]["description"]
    volcano = section["volcano"]["data"]
    volcano = volcano[: volcano.index("MCI v Control")]
    assert volcano.count("<title>") == 2 and "not found for this pair" in volcano


def test_a_single_pair_is_found_by_its_false_discovery_rate(content):
    for path in content.glob("*_mqc.json"):
        assert "this pair" not in path.read_text().replace("p of this pair", ""), path.name


def test_quality_adds_up(content):
    section = json.loads((content / "nestde_qc_cells_mqc.json").read_text())
    assert [sum(row.values()) for row in section["data"].values()] == [6, 26, 46, 66, 86, 106]
    assert list(section["categories"]) == ["kept", "min_counts", "mad_pct_mt", escape(f"keep:{SCRIPT}")]
    text = json.loads((content / "nestde_qc_rules_mqc.json").read_text())["data"]
    assert rows(text)[1:] == [
        ["fewer than 500 counts", "24", "18", "18"],
        ["mitochondrial above 3 MAD", "18", "12", "12"],
        [f"{SCRIPT} not wanted", "12", "6", "6"],
    ]
    rules = "".join(tags(text).text)
    assert "336 cells came in; 36 were removed" in rules
    assert "Scrublet did not run on 6 samples, the first with 100 cells; it needs 500." in rules


def test_samples_are_counted_by_level_and_the_few_are_named(content):
    text = json.loads((content / "nestde_samples_mqc.json").read_text())["data"]
    few = "0 cells of this type; model.min_cells is 10"
    assert rows(text)[1] == [
        *("Neuron", "Control", "2", "116", "38 – 58 – 78"),
        "S1 (0 cells after quality control; qc.min_cells_per_sample is 50)",
    ]
    assert rows(text)[4][2:] == ["0", "0", "–", f"S2 ({few}), {SCRIPT} ({few}), S6 ({few})"]


def test_concordance_counts_each_gene_once(results):
    read = Results(results, settings())
    test = read.tests()[0]
    frame = concordance.join(test, read.of_cell_types("pseudobulk_de")["Neuron"], 0.05)
    assert len(frame) == 60
    numbers = concordance.numbers(frame)
    ours, theirs = frame["padj"] <= 0.05, frame["padj_pb"] <= 0.05
    assert numbers["both"] == (ours & theirs).sum()
    assert numbers["both"] + numbers["mixed_only"] == ours.sum()
    assert numbers["both"] + numbers["pseudobulk_only"] == theirs.sum()


def test_genes_of_disagreement_show_their_samples(content):
    section = json.loads((content / "nestde_disagreements_mqc.json").read_text())
    assert section["data"].count("<svg") >= 2
    assert "mixed model only" in section["data"]


def test_samples_are_laid_beside_each_other(content):
    section = json.loads((content / "nestde_likeness_mqc.json").read_text())
    assert section["data"].count("<svg") == 4
    assert section["data"].count("<rect") == 2 * 6 * 5
    covariates = json.loads((content / "nestde_covariates_mqc.json").read_text())["data"]
    assert rows(covariates)[1] == ["Neuron", SCRIPT, "90 %", "–", "–", "–", "–"]
    assert covariates.count("<b>90 %</b>") == 2


def test_other_p_values_stand_beside_the_headline(content):
    text = json.loads((content / "nestde_p_values_mqc.json").read_text())["data"]
    lrt, satterthwaite = rows(text)[1:3]
    assert lrt[1] == "likelihood ratio test (the headline)" and satterthwaite[1] == "Satterthwaite"
    assert int(lrt[4]) > int(satterthwaite[4]) > 0


def test_the_design_check_is_carried_into_the_report(content):
    shown = {}
    for name in ("brief_text", "check", "variables", "explanations"):
        data = json.loads((content / f"nestde_{name}_mqc.json").read_text())["data"]
        shown[name] = "".join(tags(data).text)
    assert f"Is expression related to {SCRIPT}?" in shown["brief_text"]
    assert "The design check has 1 warning" in shown["brief_text"]
    assert f"Few {SCRIPT}. Only 3 of {BREAKOUT}" in shown["check"]
    assert "Neuron: diagnosis is tested between 5 samples, not between 290 cells" in shown["check"]
    assert "up to 13.6 % have p < 0.05" in shown["check"]
    assert f"{CELL_TYPES[1]}: not testable. no sample has enough cells of {BREAKOUT}" in shown["check"]
    assert "└─ 3 samples" in shown["variables"]
    assert f"Why {SCRIPT}{BREAKOUT}" in shown["explanations"]
    assert json.loads((content / "summary.json").read_text())["warnings"] == CHECK["warnings"]


def test_containment_beside_a_random_slope_is_warned_of(results, tmp_path):
    slope = {
        "formula": "~ x * diagnosis + (1 + x | sample_id)",
        "test": ["diagnosis:x"],
        "levels": {"diagnosis": ["Control", "AD"]},
    }
    said = {}
    for p_value in ("containment", "satterthwaite"):
        report.write(settings(model=slope, inference={"p_value": p_value}), results, tmp_path / p_value)
        said[p_value] = json.loads((tmp_path / p_value / "nestde_check_mqc.json").read_text())["data"]
    assert "Containment counts cells for diagnosis:x" in said["containment"]
    assert "Containment" not in said["satterthwaite"]


def test_nothing_else_in_the_folder_is_touched(results, tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    report.write(settings(), results, tmp_path)
    assert (tmp_path / "mine.txt").exists()


def test_strips_draw_each_sample():
    drawn = figures.strips([("<a>", [1.0, 2.0, np.nan], "#000"), ("b", [], "#111")])
    assert drawn.count("h0") == 2 and "&lt;a&gt;" in drawn
    assert figures.strips([("a", [], "#000")]) == ""


def test_rows_keep_their_order_and_repeated_names_their_rows():
    made = table(
        "t",
        "T",
        "Gene",
        TableColumns().add("a", "A", "a"),
        [("z", {"a": 1}), ("y", {"a": 2}), ("z", {"a": 3})],
    )
    assert [row["a"] for row in made["data"].values()] == [1, 2, 3]


def test_missing_values_are_left_out_of_tables():
    made = table(
        "t", "T", "Gene", TableColumns().add("a", "A", "a"), [("z", {"a": float("nan"), "b": None, "c": "<"})]
    )
    assert made["data"] == {"z": {"c": "&lt;"}}


def test_bars_and_plain_tables_escape():
    assert list(bars("b", "B", "x", {"a": ("<", "#fff")}, {"<": {"a": 1}})["data"]) == ["&lt;"]
    assert "<td>&lt;i&gt;</td>" in plain_table(["a"], [["<i>"]])


def test_model_in_an_equation_and_in_words():
    random = [
        RandomEffects("donor", ("(Intercept)", "age"), (0, 1)),
        RandomEffects("donor:sample_id", ("(Intercept)",), (0,)),
    ]
    html = study.equation(["(Intercept)", "age", "diagnosis[AD]"], random, GAUSSIAN.scale)
    text = re.sub("<[^>]*>", "", html)
    assert "β0 + β1 · age + β2 · diagnosis[AD] + udonor + udonor, age · age + udonor:sample_id + ε" in text
    words = study.sentence("age + diagnosis", random, ["diagnosis"], method("lrt", GAUSSIAN.engine))
    assert "each donor has its own level and slope of age" in words
    assert "each sample_id within donor has its own level" in words
    assert "with and without diagnosis" in words


def test_genes_summary_counts_signs():
    test = genes.Test("c", "d", "AD", "Control", de_table("c"), None, None, True, False)
    numbers = genes.summary(test, 0.05)
    significant = test.frame["padj"] <= 0.05
    assert numbers["up"] + numbers["down"] == significant.sum()


def test_command(results, tmp_path):

    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    args = parser.parse_args(
        ["--settings", settings().text(), "--results", str(results), "--out", str(tmp_path / "out")]
    )
    cli.main(args)
    assert isinstance(args.out, Path) and (args.out / "multiqc_config.yaml").exists()


@pytest.mark.parametrize(
    "name", ["=1+1", "+x", "-x", "@SUM(A1)", "\tx", "\rx", " =1+1", "\u200b=1", "-2+3", "=", "-"]
)
def test_a_name_that_a_spreadsheet_would_compute_is_text_in_what_the_page_exports(name):
    columns = TableColumns().add("x", "x", "x")
    in_table = table("t", "t", "Gene", columns, [(name, {"x": name})])["data"]
    (row,), (values,) = in_table.keys(), in_table.values()
    (bar,) = bars("b", "b", "n", {"k": (name, "red")}, {name: {"k": 1}})["data"]
    (category,) = bars("b", "b", "n", {"k": (name, "red")}, {name: {"k": 1}})["categories"].values()
    cell = re.findall("<td>(.*?)</td>", plain_table(["h"], [[name]]), re.DOTALL)[0]
    for shown in (row, values["x"], bar, category["name"], cell):
        assert shown.startswith("\u200b") and unescape(shown).lstrip("\u200b").strip() == name.strip(
            " \t\r\u200b"
        )


@pytest.mark.parametrize("number", ["-1.5", "+3", "-1,204", "-1.5e-07", "-3 %"])
def test_a_number_stays_one(number):
    assert f"<td>{number}</td>" in plain_table(["h"], [[number]])


def test_only_samples_that_pseudobulk_compared_are_drawn(results):
    path = results / "pseudobulk" / f"{slug('Neuron')}.json"
    about = json.loads(path.read_text())
    profiles = Results(results, settings()).of_cell_types("profiles_table")["Neuron"]
    drawn = {}
    for number in (6, 4):
        path.write_text(json.dumps(about | {"samples": about["samples"][:number]}))
        read = Results(results, settings())
        (svg,) = concordance._samples(read, read.tests()[0], profiles, ["G010"]).values()
        drawn[number] = svg.count("h0")
    assert drawn == {6: 6, 4: 4}


def test_shares_of_cell_types_are_told_as_the_table_has_them(results, content):
    section = json.loads((content / "nestde_composition_mqc.json").read_text())
    # two shrink only because one grows
    assert "Of 3 cell types, 3 changed" in section["description"]
    table = read_tsv(results / "composition/tests.tsv", text=TEXT).set_index("cell_type")
    header, *told = rows(section["data"])
    for cells in told:
        row = dict(zip(header, cells, strict=True))
        of = table.loc[row["Cell type"]]
        assert float(row["Odds ratio"]) == pytest.approx(np.exp(of["coef"]), abs=0.005)
        assert float(row["p"]) == pytest.approx(of["pvalue"], rel=0.05)
        assert row["Comparison"] == "AD v Control"
