"""The manifest: complete, and the same bytes for the same run."""

import hashlib
import json
from pathlib import Path

import pytest

from nestde.cli import main
from nestde.errors import NestdeError
from nestde.provenance.manifest import describe, describe_column, digest, manifest, read_manifest, versions

TABLE = "gene\tstatus\tpvalue\nA\tok\t0.25\nB\tok\t0.5\nC\tnot_testable\t\n"
SETTINGS = {"samples": "config/samples.tsv", "cell_types": ["Neuron"], "input": {"counts": "config/counts.h5ad"},
            "model": {"formula": "~ diagnosis + (1 | sample_id)", "test": ["diagnosis"]}}  # fmt: skip


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_study(tmp_path / "study", monkeypatch)


def make_study(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (folder / "config").mkdir(parents=True)
    (folder / "config/samples.tsv").write_text("sample_id\tdiagnosis\nS1\tAD\n")
    (folder / "config/config.yaml").write_text(json.dumps(SETTINGS))
    (folder / "results/de").mkdir(parents=True)
    (folder / "results/de/Neuron.tsv").write_text(TABLE)
    (folder / "results/qc.json").write_text("{}\n")
    monkeypatch.chdir(folder)
    return folder


def write_manifest() -> bytes:
    options = {"--settings": ["config/config.yaml"], "--inputs": ["config/samples.tsv"]}
    options["--results"] = ["results/qc.json", "results/de/Neuron.tsv"]
    options["--out"] = ["results/manifest.json"]
    assert main(["manifest", *(word for name, values in options.items() for word in (name, *values))]) == 0
    return Path("results/manifest.json").read_bytes()


def test_manifest_tells_digests_configuration_seed_versions_and_command(study: Path) -> None:
    write_manifest()
    told = read_manifest("results")
    assert told["inputs"] == {
        "config/samples.tsv": hashlib.sha256(b"sample_id\tdiagnosis\nS1\tAD\n").hexdigest()
    }
    assert list(told["results"]) == ["de/Neuron.tsv", "qc.json"]
    assert told["results"]["de/Neuron.tsv"]["sha256"] == hashlib.sha256(TABLE.encode()).hexdigest()
    assert told["configuration"]["model"]["formula"] == SETTINGS["model"]["formula"]
    assert told["configuration"]["qc"]["min_counts"] == 500  # a default, resolved
    assert (told["seed"], told["command"], told["root"]) == (1, "nestde run", "..")
    assert {"python", "nestde", "numpy", "scipy", "pandas", "snakemake"} <= told["software"].keys()


def test_manifest_is_the_same_bytes_in_another_folder_and_for_other_chunks(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write_manifest()
    assert b"/tmp" not in first and str(tmp_path).encode() not in first
    make_study(tmp_path / "elsewhere", monkeypatch)
    Path("config/config.yaml").write_text(json.dumps(SETTINGS | {"chunks": 7}))
    assert write_manifest() == first


def test_every_absent_file_is_named(study: Path) -> None:
    with pytest.raises(NestdeError) as caught:
        manifest({"seed": 1}, ["config/none.h5ad"], ["results/none.tsv"], "results/manifest.json")
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["config/none.h5ad", "results/none.tsv"]


def test_another_file_is_no_manifest(study: Path) -> None:
    with pytest.raises(NestdeError, match=r"qc\.json: is no manifest"):
        read_manifest("results/qc.json")


def test_digest_of_a_folder_depends_on_names_and_bytes_only(tmp_path: Path) -> None:
    for name, order in (("a", ["x/1", "2"]), ("b", ["2", "x/1"]), ("c", ["x/1", "3"])):
        for file in order:
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_text("same")
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")
    (tmp_path / "b/2").write_text("other")
    assert digest(tmp_path / "a") != digest(tmp_path / "b")


def test_description_of_a_table(study: Path) -> None:
    told = describe("results/de/Neuron.tsv")
    assert (told["rows"], list(told["columns"])) == (3, ["gene", "status", "pvalue"])
    assert "summary" not in told["columns"]["gene"]
    summary = {"n": 2, "min": 0.25, "max": 0.5, "sum": 0.75, "weighted": 1.25 / 3}
    assert told["columns"]["pvalue"]["summary"] == summary


def test_two_values_that_change_places_change_the_summary() -> None:
    assert describe_column(["1", "2", "3"])["summary"] != describe_column(["2", "1", "3"])["summary"]


def test_infinite_values_are_in_the_digest_and_not_in_the_summary() -> None:
    assert describe_column(["1", "inf"])["summary"]["n"] == 1
    assert describe_column(["inf", ""]).keys() == describe_column(["", ""]).keys() == {"sha256"}


def test_versions_are_those_installed() -> None:
    import numpy

    assert versions()["numpy"] == numpy.__version__
