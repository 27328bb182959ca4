"""The run as a Workflow Run RO-Crate: `results/ro-crate-metadata.json`.

RO-Crate 1.1 with the profiles Workflow Run Crate 0.5 and Process Run Crate 0.5 (Leo et al. 2024, PLoS ONE
19(9): e0309210) and Workflow RO-Crate 1.0. The results folder is the crate. All is taken from the manifest;
the date, which RO-Crate demands, is the one thing that differs between equal runs.
"""

import base64
import json
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.model.entity import Entity
from rocrate.rocrate import ROCrate

from nestde.io.files import sha256
from nestde.io.layout import MANIFEST, PAGE, WORKFLOW

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate 0.5",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate 0.5",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate 1.0",
}
TERMS = "https://w3id.org/ro/terms/workflow-run/context"  # sha256
FORMATS = {
    ".html": "text/html",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".tsv": "text/tab-separated-values",
    ".yaml": "application/yaml",
}
TYPES = {bool: "Boolean", int: "Integer", float: "Float"}


def copy_workflow(workflow: str | Path, target: str | Path) -> None:
    """Copy the rules that were run (not the package, which is named by its version) to a folder of the crate."""
    shutil.copytree(
        workflow, target, ignore=shutil.ignore_patterns("src", "__pycache__", ".*"), dirs_exist_ok=True
    )


def crate(manifest: dict[str, Any], folder: str | Path, day: date) -> dict[str, Any]:
    """Describe a run as a Workflow Run RO-Crate.

    Parameters
    ----------
    manifest
        As `nestde.provenance.manifest.manifest` returns it.
    folder
        The results folder, with ``workflow/`` in it (see `copy_workflow`) and all that the manifest lists.
    day
        Day of the run: ``datePublished`` of the crate and ``endTime`` of the action.

    Returns
    -------
    JSON-LD, the content of ``ro-crate-metadata.json``.
    """
    folder = Path(folder)
    made = ROCrate(version="1.1")
    title = manifest["configuration"]["title"]
    made.name = f"{title}: nestde {manifest['software']['nestde']}"
    made.description = f"{title}. Model of each gene: {manifest['configuration']['model']['formula']}."
    made.datePublished = day
    made.license = "Not stated: who made the results says what may be done with them."
    profiles = [
        made.add(
            ContextEntity(
                made, url, {"@type": "CreativeWork", "name": name, "version": url.rpartition("/")[2]}
            )
        )
        for url, name in PROFILES.items()
    ]
    made.root_dataset["conformsTo"] = profiles
    made.metadata.extra_contexts.append(TERMS)
    made.metadata["conformsTo"] = [{"@id": "https://w3id.org/ro/crate/1.1"}, profiles[-1]]

    packages = [
        made.add(_package(made, name, number)) for name, number in sorted(manifest["software"].items())
    ]
    workflow = made.add_workflow(dest_path=f"{WORKFLOW}/Snakefile", main=True, lang="snakemake", properties={
        "name": "nestde", "version": manifest["software"]["nestde"], "softwareRequirements": packages,
        "sha256": sha256(folder / WORKFLOW / "Snakefile"), "encodingFormat": "text/plain",
    })  # fmt: skip
    workflow["conformsTo"] = {"@id": "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"}
    if "snakemake" in manifest["software"]:
        workflow["programmingLanguage"]["version"] = manifest["software"]["snakemake"]
    for path in sorted((folder / WORKFLOW).rglob("*.*")):
        _file(made, folder, path.relative_to(folder).as_posix(), sha256(path))

    inputs = [_input(made, path, value) for path, value in manifest["inputs"].items()]
    settings = list(_settings(made, workflow, manifest["configuration"]))
    results = [_file(made, folder, path, told["sha256"]) for path, told in manifest["results"].items()]
    results += [_file(made, folder, path) for path in (MANIFEST, PAGE) if (folder / path).is_file()]
    workflow["output"] = [_output(made, result) for result in results]
    run = made.add_action(workflow, "#run", object=[*inputs, *settings], result=results, properties={
        "name": manifest["command"], "endTime": day.isoformat(),
        "description": "One run of the workflow, from counts to report.",
        "actionStatus": "http://schema.org/CompletedActionStatus",
    })  # fmt: skip
    made.root_dataset["mentions"] = run
    return dict(made.metadata.generate())


def _package(made: ROCrate, name: str, number: str) -> Entity:
    url = "https://www.python.org/" if name == "python" else f"https://pypi.org/project/{name}/{number}/"
    properties = {"@type": "SoftwareApplication", "name": name, "softwareVersion": number, "url": url}
    return ContextEntity(made, url, properties)


def _file(made: ROCrate, folder: Path, path: str, digest: str | None = None) -> Entity:
    """Add a file of the results folder; one whose bytes hold a date has no digest."""
    properties = {"name": path, "encodingFormat": FORMATS.get(Path(path).suffix, "text/plain")}
    if digest:
        properties |= {"sha256": digest, "contentSize": str((folder / path).stat().st_size)}
    return made.add_file(dest_path=path, properties=properties)


def _input(made: ROCrate, path: str, digest: str) -> Entity:
    """Add an input, which lies outside of the crate and so is named by its digest (RFC 6920)."""
    name = base64.urlsafe_b64encode(bytes.fromhex(digest)).decode().rstrip("=")
    properties = {"name": path, "sha256": digest, "encodingFormat": "application/octet-stream"}
    return made.add_file(f"ni:///sha-256;{name}", properties=properties)


def _output(made: ROCrate, result: Entity) -> Entity:
    return _parameter(made, f"#output/{result.id}", result, "File")


def _settings(made: ROCrate, workflow: Entity, configuration: dict[str, Any]) -> Iterator[Entity]:
    """Each key of the configuration as a parameter of the workflow, with the value that it had."""
    for key, value in _leaves(configuration):
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        properties = {"@type": "PropertyValue", "name": key, "value": text}
        entity = made.add(ContextEntity(made, f"#setting/{key}", properties))
        workflow.append_to(
            "input", _parameter(made, f"#parameter/{key}", entity, TYPES.get(type(value), "Text"))
        )
        yield entity


def _parameter(made: ROCrate, identifier: str, example: Entity, kind: str) -> Entity:
    name = identifier.partition("/")[2]
    properties = {"@type": "FormalParameter", "name": name, "additionalType": kind, "workExample": example}
    parameter = made.add(ContextEntity(made, identifier, properties))
    parameter["conformsTo"] = {"@id": "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"}
    example["exampleOfWork"] = parameter
    return parameter


def _leaves(configuration: dict[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in sorted(configuration.items()):
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{at}{key}.")
        else:
            yield f"{at}{key}", value
