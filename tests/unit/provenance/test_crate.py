"""The RO-Crate: what its profiles demand (their MUSTs, one test each), and no more than the date between equal runs.

The same crate was seen to pass all 57 required checks of roc-validator 0.13.0 for workflow-run-crate-0.5; the
validator fetches JSON-LD contexts from the network and so is no part of the tests.
"""

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from nestde.io.files import write_json
from nestde.provenance.crate import copy_workflow, crate
from nestde.provenance.manifest import manifest
from nestde.study.template import workflow_dir

CONFIGURATION = {
    "title": "A study", "seed": 1, "cell_types": ["Neuron"], "qc": {"max_pct_mt": 20, "enabled": True},
    "model": {"formula": "~ diagnosis + (1 | sample_id)", "levels": {}}, "inference": {"fdr": 0.05},
}  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    (folder / "samples.tsv").write_text("sample_id\nS1\n")
    (folder / "results/de").mkdir(parents=True)
    (folder / "results/de/Neuron.tsv").write_text("gene\tpvalue\nA\t0.5\n")
    (folder / "results/report").mkdir()
    (folder / "results/report/multiqc.html").write_text("<html></html>")
    copy_workflow(workflow_dir(), folder / "results/workflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        told = manifest(CONFIGURATION, ["samples.tsv"], ["results/de/Neuron.tsv"], "results/manifest.json")
        write_json(told, "results/manifest.json")
        write_json(crate(told, "results", date(2026, 1, 2)), "results/ro-crate-metadata.json")
    return folder / "results"


@pytest.fixture(scope="module")
def graph(results: Path) -> dict[str, Any]:
    content = json.loads((results / "ro-crate-metadata.json").read_text())
    assert content["@context"][0] == "https://w3id.org/ro/crate/1.1/context"
    entities = {entity["@id"]: entity for entity in content["@graph"]}
    assert len(entities) == len(content["@graph"])  # one entity, one identifier
    return entities


def ids(value: Any) -> list[str]:
    return [item["@id"] for item in (value if isinstance(value, list) else [value])]


def types(entity: dict[str, Any]) -> list[str]:
    return entity["@type"] if isinstance(entity["@type"], list) else [entity["@type"]]


def test_descriptor_names_the_root_and_the_specification(graph: dict[str, Any]) -> None:
    descriptor = graph["ro-crate-metadata.json"]
    assert descriptor["@type"] == "CreativeWork"
    assert descriptor["about"] == {"@id": "./"}
    assert "https://w3id.org/ro/crate/1.1" in ids(descriptor["conformsTo"])


def test_root_has_name_description_licence_and_date(graph: dict[str, Any]) -> None:
    root = graph["./"]
    assert root["@type"] == "Dataset"
    assert all(root[key] for key in ("name", "description", "license"))
    assert date.fromisoformat(root["datePublished"]) == date(2026, 1, 2)


@pytest.mark.parametrize("profile", ["process/0.5", "workflow/0.5"])
def test_root_conforms_to_the_profile_by_an_entity(graph: dict[str, Any], profile: str) -> None:
    url = f"https://w3id.org/ro/wfrun/{profile}"
    assert url in ids(graph["./"]["conformsTo"])
    assert types(graph[url]) == ["CreativeWork"]


def test_main_entity_is_the_workflow_and_has_a_language(graph: dict[str, Any]) -> None:
    workflow = graph[graph["./"]["mainEntity"]["@id"]]
    assert {"File", "SoftwareSourceCode", "ComputationalWorkflow"} == set(types(workflow))
    assert types(graph[workflow["programmingLanguage"]["@id"]]) == ["ComputerLanguage"]


def test_an_action_has_the_workflow_as_instrument_and_is_mentioned(graph: dict[str, Any]) -> None:
    run = graph[graph["./"]["mentions"]["@id"]]
    assert types(run) == ["CreateAction"]
    assert run["instrument"] == graph["./"]["mainEntity"]
    assert {"de/Neuron.tsv", "manifest.json", "report/multiqc.html"} == set(ids(run["result"]))


def test_parameters_have_type_and_example(graph: dict[str, Any]) -> None:
    workflow = graph["workflow/Snakefile"]
    parameters = ids(workflow["input"]) + ids(workflow["output"])
    assert "#parameter/model.formula" in parameters
    for parameter in (graph[identifier] for identifier in parameters):
        assert types(parameter) == ["FormalParameter"] and parameter["additionalType"]
        example = graph[parameter["workExample"]["@id"]]
        assert set(types(example)) & {"File", "PropertyValue"}
        assert example["exampleOfWork"] == {"@id": parameter["@id"]}


def test_every_file_is_part_of_the_crate_and_there_with_its_digest(
    graph: dict[str, Any], results: Path
) -> None:
    parts = ids(graph["./"]["hasPart"])
    files = [entity for entity in graph.values() if "File" in types(entity)]
    assert sorted(parts) == sorted(entity["@id"] for entity in files)
    assert {"workflow/rules/model.smk", "workflow/schemas/config.schema.yaml"} <= set(parts)
    for entity in files:
        if ":" not in entity["@id"]:
            content = (results / entity["@id"]).read_bytes()
            assert (
                entity.get("sha256", hashlib.sha256(content).hexdigest())
                == hashlib.sha256(content).hexdigest()
            )
        else:
            assert entity["@id"].startswith("ni:///sha-256;") and entity["name"] == "samples.tsv"


def test_every_reference_within_the_crate_is_to_an_entity(graph: dict[str, Any]) -> None:
    for entity in graph.values():
        for key, value in entity.items():
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dict) and not item["@id"].startswith("http"):
                    assert item["@id"] in graph, (entity["@id"], key)


def test_equal_runs_differ_by_the_date_alone(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(results.parent)
    told = json.loads((results / "manifest.json").read_text())
    first = (results / "ro-crate-metadata.json").read_text()
    write_json(crate(told, "results", date(2027, 3, 4)), "again.json")
    assert Path("again.json").read_text().replace("2027-03-04", "2026-01-02") == first
    assert str(results.parent) not in first
