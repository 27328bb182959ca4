"""Whatever is wrong is said in one try, and nothing that only follows from it; names from data steer no terminal."""

import copy
import itertools
import json
import unicodedata
from pathlib import Path

import pytest
from makers.studies import Study, refusal

from nestde.check import check_study
from nestde.cli import main
from nestde.errors import NestdeError, a_few, printable, shortened
from nestde.study.config import Config, read
from nestde.study.schema import schema


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def study():
    return Study()


def test_faults_of_the_configuration_hide_none_of_formula_sheet_and_data(study, capsys):
    study.config["chunk"] = 2
    study.config["inference"] = {"fdr": 2}
    study.config["model"]["formula"] = "~ diagnosis + (1 | sample_id"
    study.sheet = study.sheet.rename(columns={"diagnosis": "sex.1"}).assign(sample_id="S01")
    told = refusal(study, capsys)
    assert "unknown key chunk. Did you mean chunks?" in told
    assert "inference.fdr is 2, but must be below 1." in told
    assert 'model.formula, column 15: the bracket "(" is never closed' in told
    assert "samples.tsv: 1 sample has more than one" in told


def test_a_fault_beside_the_point_lets_the_whole_design_be_checked(study, capsys):
    study.config["inference"] = {"fdr": 2}
    study.put("diagnosis", None, "AD")
    told = refusal(study, capsys)
    assert "inference.fdr is 2" in told and told.count("nestde check:") > 1
    assert "diagnosis" in told


@pytest.mark.parametrize(
    ("section", "key", "value", "wrong"),
    [
        ("input", "count", "counts.h5ad", "counts"),  # the key that was meant is not there
        ("input", "counts", 5.0, "counts"),
        ("input", "sample_keys", "sample_id", "sample_key"),
        ("model", "levels", {"diagnosis": "AD"}, "levels"),
        ("model", "tests", ["diagnosis"], "test"),
    ],
)
def test_nothing_that_only_follows_from_a_fault_is_said(study, capsys, section, key, value, wrong):
    study.config[section].pop(wrong, None)
    study.config[section][key] = value
    assert refusal(study, capsys).count("nestde check: ") == (2 if key == "tests" else 1)


def test_a_section_that_is_none_leaves_the_formula_to_be_read(study, capsys):
    study.config["input"] = 5
    study.config["model"]["formula"] = "~ diagnosis +"
    told = refusal(study, capsys)
    assert "input is 5, but must be a mapping." in told
    assert "model.formula, column 13" in told and told.count("nestde check: ") == 2


VALUES = [
    None, True, False, 0, 1, -1, 10**30, -(10**30), 1.5, 1e300, float("nan"), float("inf"), "", " ", "x", "~", "\0", "\x1b[2J",
    "a\nb", "ä" * 5000, "{x}", "*", "../..", [], [[]], [None], [1, 1], ["x", "x"], [float("nan")], {}, {"x": {}}, {1: [1, 2]},
    {None: [True]}, {True: ["a", "b"]}, {"x": [None, None]}, {"": [""]}, {(1, 2): 3}, b"x", {1, 2}, object(),
]  # fmt: skip
READ_BY_THE_CHECK = ("samples", "cell_types", "input", "model", "pseudobulk")
KEYS = [
    (name, key)
    for name, rule in schema("config")["properties"].items()
    for key in ("", *rule.get("properties", ()), "unknown")
]


@pytest.mark.parametrize(("section", "key"), KEYS, ids=lambda part: part or "-")
def test_any_value_at_any_key_is_a_sentence_or_a_configuration(study, section, key):
    study.write()
    for value in VALUES:
        given = copy.deepcopy(study.config)
        if key:
            given.setdefault(section, {})
            if not isinstance(given[section], dict):
                given[section] = {}
            given[section][key] = value
        else:
            given[section] = value
        config, told = read(given)
        assert isinstance(config, Config)
        assert all(isinstance(sentence, str) and sentence for sentence in told)
        if section in READ_BY_THE_CHECK:
            found = check_study(config, told)
            assert set(told) <= set(found.faults)
            json.dumps(found.as_json(), allow_nan=False)


def test_names_from_data_steer_no_terminal(study, capsys):
    hostile = "AD\x1b[2J\x9b31m\u202e"
    study.put("diagnosis", ["S02", "S04"], hostile)
    told = refusal(study, capsys)
    assert "AD\\x1b[2J\\x9b31m\\u202e" in told
    study.config["model"]["levels"] = {}
    study.write()
    Path("config.yaml").write_text(json.dumps(study.config))
    assert main(["check", "--configfile", "config.yaml", "--explain"]) == 0
    told = capsys.readouterr().out
    assert not set(told) & {"\x1b", "\x9b", "\u202e"}


def test_a_name_is_shown_on_one_line_and_cut():
    assert (
        a_few(["a\nnestde check: fine", "x" * 500]) == f"a\\nnestde check: fine, {'x' * 60}… (500 characters)"
    )
    assert printable(f"a {'x' * 1000} b") == f"a {'x' * 200}… (1,000 characters) b"
    assert shortened("Müller-Lüdenscheidt Ω 神経") == "Müller-Lüdenscheidt Ω 神経"
    for code in itertools.chain(range(0x300), range(0x2000, 0x2070), [0xD800, 0xFEFF]):
        shown = printable(chr(code), line_ends=False)
        assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}, code


def test_nestde_alone_prints_its_help(capsys):
    assert main([]) == 0
    assert "steps of the workflow" in capsys.readouterr().out


def test_a_configuration_that_cannot_be_read_at_all_is_one_sentence(capsys):
    Path("config.yaml").write_text("a: [")
    assert main(["check", "--configfile", "config.yaml"]) == 2
    assert capsys.readouterr().err.count("nestde check: ") == 1
    with pytest.raises(NestdeError):
        read("nowhere.yaml")
