import dataclasses
import json
from pathlib import Path

import pytest
import yaml

from nestde.errors import NestdeError
from nestde.study.config import Config, load, sections
from nestde.study.schema import schema
from nestde.study.template import template_dir

MINIMAL = {"cell_types": ["Neuron"], "model": {"formula": "~ a + (1 | s)", "test": ["a"]}}


def faults(given) -> tuple[str, ...]:
    with pytest.raises(NestdeError) as error:
        load(given)
    return error.value.faults


def test_shipped_configuration_is_valid():
    config = load(template_dir() / "config/config.yaml")
    assert config.cell_types == ["Neuron", "Astrocyte"]
    assert config.model.levels == {"diagnosis": ["Control", "AD"]}


def test_defaults_come_from_the_schema():
    config = load(MINIMAL)
    assert config.qc.min_counts == 500
    assert config.inference.p_value == "auto"
    assert config.samples == "config/samples.tsv"


def test_dataclasses_and_schema_have_the_same_keys():
    rules = schema("config")
    assert [field.name for field in dataclasses.fields(Config)] and {
        field.name for field in dataclasses.fields(Config)
    } == set(rules["properties"])
    for field in dataclasses.fields(Config):
        if dataclasses.is_dataclass(field.type):
            keys = {inner.name for inner in dataclasses.fields(field.type)}
            assert keys == set(rules["properties"][field.name]["properties"]), field.name


def test_every_key_is_explained():
    text = (template_dir() / "config/README.md").read_text()
    for name, rule in schema("config")["properties"].items():
        for key in rule.get("properties", {name: rule}):
            full = name if key == name else f"{name}.{key}"
            assert f"`{full}`" in text, full


def test_all_faults_at_once_each_with_a_remedy():
    given = {
        "cell_types": ["Neuron", "Neuron"],
        "model": {"formula": "", "tests": ["a"]},
        "qc": {"min_count": 3, "max_pct_mt": 120, "doublets": "allways", "enabled": "yes"},
        "inference": {"fdr": 0},
        "chunk": 2,
    }
    assert faults(given) == (
        "configuration: unknown key chunk. Did you mean chunks?",
        "configuration: cell_types names Neuron more than once. Name each once.",
        "configuration: inference.fdr is 0, but must be above 0.",
        "configuration: unknown key model.tests. Did you mean test?",
        "configuration: model: the key test is missing. What is tested; fixed terms, each by leaving it out of the formula, and contrasts of levels by name, as in AD - Control.",
        "configuration: model.formula is empty.",
        "configuration: unknown key qc.min_count. Did you mean min_counts?",
        'configuration: qc.doublets is "allways", but must be one of auto, always, never. Did you mean always?',
        'configuration: qc.enabled is "yes", but must be true or false.',
        "configuration: qc.max_pct_mt is 120, but must be at most 100.",
    )


def test_file_that_is_no_configuration(tmp_path):
    with pytest.raises(NestdeError, match="cannot be read"):
        load(tmp_path / "none.yaml")
    (tmp_path / "a.yaml").write_text("a: [1")
    with pytest.raises(NestdeError, match="not valid YAML"):
        load(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_text("just text")
    with pytest.raises(NestdeError, match="no `key: value` pairs"):
        load(tmp_path / "b.yaml")


def test_a_step_sees_only_its_sections():
    config = load(MINIMAL)
    part = sections(config.text("model", "seed"))
    assert part.model == config.model and part.seed == 1
    with pytest.raises(AttributeError, match="no 'qc' of the configuration"):
        _ = part.qc
    assert json.loads(config.text())["qc"]["mad_counts"] == 5


def test_sections_reads_a_file_too(tmp_path):
    path = Path(tmp_path / "c.yaml")
    path.write_text(yaml.safe_dump(MINIMAL))
    assert sections(str(path)) == load(MINIMAL)


def test_a_step_may_be_given_single_keys():
    config = load(MINIMAL)
    part = sections(config.text("seed", "inference.fdr"))
    assert part.inference.fdr == config.inference.fdr
    with pytest.raises(AttributeError, match="no 'p_value' of the configuration"):
        _ = part.inference.p_value
