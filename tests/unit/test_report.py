"""The report on small fabricated results, with names made to break it."""

import argparse
import base64
import gzip
import json
import re
import shutil
import subprocess
import sys
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nestde import config, report
from nestde.cli import summary as cli
from nestde.files import slug, write_json, write_tsv
from nestde.formula import parse
from nestde.report import concordance, figures, genes, study
from nestde.report.artefacts import Results
from nestde.report.genes import TOP
from nestde.report.sections import Columns, bars, plain_table, table

SCRIPT = "<script>alert(1)</script>"
BREAKOUT = '"><img src=x onerror=alert(2)>'
HOSTILE = [SCRIPT, BREAKOUT, "</title><b>", "'; alert(3); '", "&lt;i&gt;", "{{ 7*7 }}", "a,b.c", "gene.bam"]
SAMPLES = ["S1", "S2", "S3", SCRIPT, BREAKOUT, "S6"]
CELL_TYPES = ["Neuron", f"T cell {BREAKOUT}"]


CHECK = {
    "warnings": [{"title": f"Few {SCRIPT}", "text": f"Only 3 of {BREAKOUT}"}],
    "variables": [
        {"variable": SCRIPT, "role": "tested", "kind": "factor", "varies": "between", "values": BREAKOUT}
    ],
    "nesting": {"text": f"study: {SCRIPT}\n└─ 3 samples"},
    "model": {"sentence": f"Is expression related to {SCRIPT}?"},
    "degrees_of_freedom": [{"text": f"{SCRIPT} is tested between 6 samples.", "lrt_size": 0.136}],
    "explanations": [{"title": f"Why {SCRIPT}", "text": BREAKOUT}],
}


def settings(**changes):
    given = {
        "title": f"A study {SCRIPT}",
        "cell_types": CELL_TYPES,
        "model": {
            "formula": "~ sequencing_saturation + diagnosis + (1 | sample_id)",
            "test": ["diagnosis"],
            "levels": {"diagnosis": ["Control", "AD"]},
        },
    }
    return config.load(given | changes)


def de_table(cell_type, tested=60):
    """Rows as `nestde gather` writes them, the hostile names among the most significant."""
    random = np.random.default_rng(1)
    names = HOSTILE + [f"G{i:03d}" for i in range(tested - len(HOSTILE))]
    height = np.sort(random.exponential(2.0, tested))[::-1]
    p = 10.0**-height
    frame = pd.DataFrame(
        {
            "gene": names,
            "cell_type": cell_type,
            "term": "diagnosis",
            "level": "AD",
            "against": "Control",
            "status": np.where(random.random(tested) < 0.2, "singular", "ok"),
            "reason": "",
            "n_cells": 400,
            "n_samples": 24,
            "mean_Control": 1.0,
            "mean_AD": 1.5,
            "detected_Control": 0.4,
            f"detected_{BREAKOUT}": 0.1,
            "detected_AD": 0.5,
            "log2fc": [np.inf, -np.inf, *[0.58] * (tested - 2)],
            "coef": random.normal(0, 0.5, tested),
            "se": 0.1,
            "pvalue": p,
            "neg_log10_pvalue": height,
            "padj": np.minimum(1, p * tested / np.arange(1, tested + 1)),
            "coef_(Intercept)": 1.0,
            "coef_sequencing_saturation": 0.1,
            "coef_diagnosis[AD]": 0.1,
            "icc": 0.05,
            "pvalue_lrt": p,
            "pvalue_satterthwaite": np.minimum(1, 3 * p),
        }
    )
    untested = pd.DataFrame({"gene": ["LOW1", "LOW2"], "cell_type": cell_type, "term": "diagnosis"}).assign(
        status="not_testable", reason="detected in 1 cell"
    )
    return pd.concat([frame, untested], ignore_index=True)


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results"
    for cell_type in CELL_TYPES:
        write_tsv(de_table(cell_type), folder / "de" / f"{slug(cell_type)}.tsv")
        refit = pd.DataFrame(
            {
                "gene": HOSTILE[:4],
                "difference_loglik": [1e-9, -2e-3, 1e-8, 0.0],
                "difference_coef": 1e-7,
                "verdict": ["agrees", "differs", "agrees", "agrees"],
            }
        )
        write_tsv(refit, folder / "crosscheck" / f"{slug(cell_type)}.tsv")
        random = np.random.default_rng(2)
        bulk = de_table(cell_type)[["gene", "term", "level", "against", "log2fc", "pvalue", "padj"]]
        bulk["log2fc"] = random.normal(size=len(bulk))
        bulk["padj"] = random.permutation(bulk["padj"])
        write_tsv(bulk, folder / "pseudobulk" / f"{slug(cell_type)}.de.tsv")
        values = {f"cpm_{name}": random.exponential(100, len(bulk)) for name in SAMPLES}
        write_tsv(bulk[["gene"]].assign(**values), folder / "pseudobulk" / f"{slug(cell_type)}.tsv")
        about = {
            "cell_type": cell_type,
            "formula": f"~ {SCRIPT}",
            "derived": True,
            "dropped": ["sequencing_saturation"],
            "samples": SAMPLES,
            "pca": {"variance": [0.5, 0.2], "scores": random.normal(size=(6, 2)).tolist()},
            "distances": (np.ones((6, 6)) - np.eye(6)).tolist(),
            "covariates": [
                {"covariate": SCRIPT, "component": 1, "r2": 0.9, "pvalue": 1e-4},
                {"covariate": "sex", "component": 2, "r2": None, "pvalue": None},
            ],
        }
        write_json(about, folder / "pseudobulk" / f"{slug(cell_type)}.json")
    write_json(CHECK, folder / "cohort" / "check.json")
    diagnosis = ["Control", "AD"] * 3
    sheet = pd.DataFrame({"sample_id": SAMPLES, "slug": list(map(slug, SAMPLES)), "diagnosis": diagnosis})
    write_tsv(sheet, folder / "cohort" / "samples.tsv")
    for number, name in enumerate(SAMPLES):
        write_json(ledger(name, 20 * number), folder / "qc" / f"{slug(name)}.json")
    return folder


def ledger(sample, kept):
    """As `nestde qc` writes it."""
    quartiles = {name: [1.0, 2.0, 3.0, 4.0, 5.0] for name in ("total_counts", "n_genes", "pct_counts_mt")}
    rules = {"min_counts": 3, "mad_pct_mt": 2, f"keep:{SCRIPT}": 1}
    return {
        "sample_id": sample,
        "enabled": True,
        "cells_in": kept + 6,
        "removed": [{"rule": rule, "any": n + 1, "only": n, "first": n} for rule, n in rules.items()],
        "cells_kept": kept,
        "left_out": "" if kept > 9 else "too few",
        "doublets": {"run": False, "why": "100 cells; it needs 500"},
        "metrics": {"before": quartiles, "after": quartiles if kept else {}},
        "cell_types": {CELL_TYPES[0]: {"in": kept, "kept": kept - 2}},
    }


@pytest.fixture
def content(results, tmp_path):
    report.write(settings(), results, tmp_path / "content")
    return tmp_path / "content"


class Tags(HTMLParser):
    """Collects tags, event handlers and text outside of scripts."""

    def __init__(self):
        super().__init__()
        self.tags, self.handlers, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data):
        self.text.append(data)


def tags(html):
    parser = Tags()
    parser.feed(html)
    return parser


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
        parsed = tags("".join(texts))
        assert not {"script", "img", "title" if section["plot_type"] != "html" else "iframe"} & {
            tag for tag, _ in parsed.tags
        }, path.name
        assert not parsed.handlers, path.name


def test_hostile_names_are_shown_as_they_are(content):
    top = json.loads((content / "nestde_top_1_mqc.json").read_text())
    shown = ["".join(tags(name).text) for name in top["data"]]
    assert shown[: len(HOSTILE)] == [name.replace("/", "∕") for name in HOSTILE]
    assert [row["log2fc"] for row in top["data"].values()][:3] == ["+∞", "−∞", 0.58]


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
        f"nestde_{name}_mqc.json" for name in ("concordance", "disagreements", "likeness", "covariates")
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
    monkeypatch.setattr(Results, "_made", lambda self, *parts: read.add(parts) or real(self, *parts))
    report.write(settings(), results, tmp_path / "content")
    rule = (Path(__file__).parents[2] / "workflow/rules/report.smk").read_text()
    inputs = rule.partition("rule summary:")[2].partition("output:")[0]
    listed = {re.sub("{.*?}", "*", path) for path in re.findall('<results>/([^"]+)', inputs)} - {
        "summary.tsv"
    }
    names = "|".join(re.escape(slug(name)) for name in SAMPLES + CELL_TYPES)
    assert {re.sub(f"/({names})[.]", "/*.", "/".join(parts)) for parts in read} == listed


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
    table = de_table("Neuron").assign(pvalue_level=0.01)
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
    mci = ad[ad["level"].notna()].assign(level="MCI", pvalue_level=1e-5)
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
    said = brief[brief.index("Neuron, AD v Control") : brief.index("Neuron, MCI v Control")]
    assert f"{strong.sum()} of 60 tested genes differ between the levels of diagnosis" in said
    assert "5 %, 2 of them with p ≤ 0.05 for this pair (" in said
    assert HOSTILE[0] in said and HOSTILE[1] not in said
    assert "of at most 0.05, 2 of them with p ≤ 0.05 for this pair." in section["top_1"]["description"]
    for name in ("overview", "gene_counts", "volcano", "concordance"):
        assert "by the test of all levels, and p ≤ 0.05 for this pair." in section[name]["description"]
    volcano = section["volcano"]["data"]
    volcano = volcano[: volcano.index("MCI v Control")]
    assert volcano.count("<title>") == 2 and "not found for this pair" in volcano


def test_a_single_pair_is_found_by_its_false_discovery_rate(content):
    for path in content.glob("*_mqc.json"):
        assert "this pair" not in path.read_text().replace("p of this pair", ""), path.name


def run_multiqc(content, out):
    command = [
        sys.executable,
        "-m",
        "multiqc",
        str(content),
        "--config",
        str(content / "multiqc_config.yaml"),
    ]
    command += ["--force", "--no-data-dir", "--outdir", str(out), "--filename", "multiqc.html"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=out)
    assert "WARNING" not in done.stderr and "Error" not in done.stderr, done.stderr
    return (out / "multiqc.html").read_text()


# What MultiQC would take for paths, file names with endings, and names of the two reads of a pair.
LIKE_FILES = [
    "CD4 T / naive",
    "CD8 T / naive",
    "a/1",
    "b/1",
    "a∕1",
    "x/",
    "/x",
    "/",
    "c\\1",
    "d\\1",
    "s_1",
    "s_2",
]
LIKE_FILES += [
    "s_R1",
    "s_R2",
    "s.gz",
    "s.fastq.gz",
    "s_val_1",
    ".bam",
    "s|1",
    "s",
    " s",
    "s ",
    "100",
    "1e5",
    "null",
]
LIKE_FILES += ["</b>", "a&b", "a&amp;b", "{x}", "%{y}", "$z$", "[b](c)", "#h", "__proto__"]


def test_multiqc_leaves_names_as_they_are(tmp_path):
    """Every sample, cell type and gene has its own row and its own bar, under its name but for slashes."""
    folder, content = tmp_path / "results", tmp_path / "content"
    sheet = pd.DataFrame({"sample_id": LIKE_FILES, "slug": list(map(slug, LIKE_FILES)), "diagnosis": "AD"})
    write_tsv(sheet, folder / "cohort" / "samples.tsv")
    for number, name in enumerate(LIKE_FILES):
        write_json(ledger(name, number), folder / "qc" / f"{slug(name)}.json")
        genes = de_table(name).assign(gene=[*LIKE_FILES, *(f"G{i}" for i in range(62 - len(LIKE_FILES)))])
        write_tsv(genes.iloc[:TOP], folder / "de" / f"{slug(name)}.tsv")
    report.write(settings(cell_types=LIKE_FILES), folder, content)
    page = run_multiqc(content, tmp_path)

    plots = re.search('id="mqc_compressed_plotdata">(.*?)</script>', page, re.DOTALL)[1]
    plots = json.loads(gzip.decompress(base64.b64decode(plots)))
    shown = {
        id: [unescape(name) for name in reversed(plots[id]["datasets"][0]["samples"])]
        for id in ("nestde_qc_cells_plot", "nestde_gene_counts_plot")
    }
    for id in ("nestde_qc_samples_table", "nestde_overview_table", "nestde_top_1_table"):
        written = re.search(f'<table id="{id}_table".*?</table>', page, re.DOTALL)[0]
        shown[id] = [unescape(name) for name in re.findall('data-original-sn="(.*?)"', written)]
    names = [name.strip().replace("/", "∕") for name in LIKE_FILES]
    for id, found in shown.items():
        # names that would look alike are told apart by a space of no width
        assert len(set(found)) == len(found), id
        assert [name.rstrip("\u200b") for name in found] == names[: len(found)], id
        assert len(found) == (TOP if "top" in id else len(names)), id


def test_the_page_that_multiqc_makes(content, tmp_path):
    """MultiQC itself, offline: every section is there, nothing from data is markup, nothing is fetched."""
    page = run_multiqc(content, tmp_path)
    for path in content.glob("*_mqc.json"):
        assert f'id="{json.loads(path.read_text())["id"]}' in page
    parsed = tags(page)
    assert not [attrs for tag, attrs in parsed.tags if tag == "img" and attrs.get("src") == "x"]
    assert SCRIPT not in page and BREAKOUT not in page
    fetched = [
        attrs.get("src") or attrs.get("href")
        for tag, attrs in parsed.tags
        if tag in ("script", "link", "img", "iframe", "source")
    ]
    assert not [url for url in fetched if url and not url.startswith(("data:", "#"))]


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
    assert rows(text)[1] == ["Neuron", "Control", "2", "116", "38 – 58 – 78", "S1"]
    assert rows(text)[4][2:] == ["0", "0", "–", f"S2, {SCRIPT}, S6"]


def test_concordance_counts_each_gene_once(results):
    read = Results(results, settings())
    test = read.tests()[0]
    frame = concordance.join(test, read.of_cell_types("pseudobulk", ".de.tsv")["Neuron"], 0.05)
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
    assert "13.6 % have p < 0.05" in shown["check"]
    assert "└─ 3 samples" in shown["variables"]
    assert f"Why {SCRIPT}{BREAKOUT}" in shown["explanations"]
    assert json.loads((content / "summary.json").read_text())["warnings"] == CHECK["warnings"]


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
        "t", "T", "Gene", Columns().add("a", "A", "a"), [("z", {"a": 1}), ("y", {"a": 2}), ("z", {"a": 3})]
    )
    assert [row["a"] for row in made["data"].values()] == [1, 2, 3]


def test_missing_values_are_left_out_of_tables():
    made = table(
        "t", "T", "Gene", Columns().add("a", "A", "a"), [("z", {"a": float("nan"), "b": None, "c": "<"})]
    )
    assert made["data"] == {"z": {"c": "&lt;"}}


def test_bars_and_plain_tables_escape():
    assert list(bars("b", "B", "x", {"a": ("<", "#fff")}, {"<": {"a": 1}})["data"]) == ["&lt;"]
    assert "<td>&lt;i&gt;</td>" in plain_table(["a"], [["<i>"]])


def test_model_in_an_equation_and_in_words():
    formula = parse("~ age + diagnosis + (1 + age || donor) + (1 | donor:sample_id)")
    html = study.equation(formula, ["(Intercept)", "age", "diagnosis[AD]"])
    text = re.sub("<[^>]*>", "", html)
    assert "β0 + β1 · age + β2 · diagnosis[AD] + udonor + udonor, age · age + udonor:sample_id + ε" in text
    words = study.sentence(formula, ["diagnosis"], "lrt")
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
