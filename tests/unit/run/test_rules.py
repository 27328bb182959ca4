"""What jobs ask of a cluster."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.exceptions import WorkflowError

from nestde.run.needs import NEEDS, Need, asked
from nestde.run.rules import WorkflowStudy, by_input


def test_jobs_ask_by_the_size_of_their_input_and_the_attempt(tmp_path: Path) -> None:
    (tmp_path / "folder/deep").mkdir(parents=True)
    (tmp_path / "file").write_bytes(bytes(3_000_000))
    (tmp_path / "folder/deep/file").write_bytes(bytes(1_000_000))
    paths = [str(tmp_path / name) for name in ("file", "folder", "made by an earlier job of its group")]
    wanted = by_input(500, 2.5)
    assert [wanted(None, input=paths, attempt=attempt) for attempt in (1, 2, 3)] == [510, 1020, 1530]
    assert wanted(None, input=paths[2:], attempt=2) == 1000


def test_quality_control_asks_by_the_size_of_a_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("samples.tsv").write_text("sample_id\tcounts\nS1\ta.h5ad\nS2\ta.h5ad\nS3\tb.h5ad\n")
    for name, size in (("a.h5ad", 40_000_000), ("b.h5ad", 10_000_000)):
        with Path(name).open("wb") as handle:
            handle.truncate(size)
    given = {
        "samples": "samples.tsv",
        "cell_types": ["N"],
        "model": {"formula": "~ diagnosis + (1 | sample_id)", "test": ["diagnosis"]},
    }
    study = WorkflowStudy(given)
    of = {name: SimpleNamespace(sample=name) for name in ("S1", "S3")}
    Path("ingest").mkdir()
    ingested = str(Path("a.h5ad").rename("ingest/a.h5ad.h5ad"))
    shared, own = NEEDS["qc_doublets"], NEEDS["qc_own_doublets"]
    assert study.shared_of_job(of["S1"]) == ["a.h5ad"] and study.own_of_job(of["S1"]) == []
    assert study.shared_of_job(of["S3"]) == [] and study.own_of_job(of["S3"]) == ["b.h5ad"]
    assert study.memory_of_qc(of["S1"], input=[ingested], attempt=1) == int(shared.memory(20))
    assert study.memory_of_qc(of["S3"], input=["b.h5ad"], attempt=2) == int(2 * own.memory(10))
    with pytest.raises(
        WorkflowError, match=r"of another version than the nestde that is installed.*'pseudobulk'"
    ):
        study.pseudobulk("results/pseudobulk/{cell_type}.tsv")
    without = WorkflowStudy(given | {"qc": {"doublets": "never"}})
    assert without.memory_of_qc(of["S1"], input=[ingested], attempt=1) == int(NEEDS["qc"].memory(20))


def test_the_report_asks_by_what_it_holds_and_the_manifest_by_the_largest_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("samples.tsv").write_text("sample_id\tcounts\nS1\ta.h5ad\nS2\tb.h5ad\n")
    model = {"formula": "~ diagnosis + (1 | sample_id)", "test": ["diagnosis"]}
    study = WorkflowStudy({"samples": "samples.tsv", "cell_types": ["N"], "model": model})
    made = {"results/pseudobulk/N.tsv": 60, "results/de/N.tsv": 10, "results/de/N.parquet": 90}
    for name, mb in made.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
        os.truncate(name, mb * 1_000_000)
    tables = list(made)[:2]
    assert study.memory_of_summary(None, tables, attempt=2) == int(2 * NEEDS["summary"].memory(20))
    assert study.memory_of_manifest(None, list(made), attempt=1) == int(NEEDS["manifest"].memory(60))


def test_files_that_are_read_in_blocks_take_no_more_memory_from_some_size_on() -> None:
    need = Need(200, 2, most=100, beyond=0.1, per_sample=1)
    taken = [200, 305, 410, 430]
    assert [need.memory(mb) for mb in (0, 50, 100, 300)] == pytest.approx([asked(mb) for mb in taken])
    assert need.memory(50, samples=7) == pytest.approx(asked(312))


def test_the_content_of_an_input_changes_the_stamp_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("samples.tsv").write_text("sample_id\tdiagnosis\nS1\tAD\n")
    deep = Path("counts.zarr/X/data")
    deep.mkdir(parents=True)
    for chunk in range(101):
        (deep / f"{chunk}").write_bytes(b"12")
    study = WorkflowStudy(
        {
            "samples": "samples.tsv",
            "cell_types": ["N"],
            "input": {"counts": "counts.zarr"},
            "model": {"formula": "~ diagnosis + (1 | sample_id)", "test": ["diagnosis"]},
        }
    )
    assert study.inputs == ["samples.tsv", "counts.zarr"]
    stamp = study.stamp(None)
    os.utime("samples.tsv", (1.7e9, 1.7e9))
    os.utime(deep / "7", (4e9, 4e9))
    assert study.stamp(None) == stamp
    (deep / "7").write_bytes(b"21")  # neither the folder's time nor any size tells
    assert study.stamp(None) != stamp


def test_what_counts_are_made_of_and_what_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("samples.tsv").write_text("sample_id\tdiagnosis\nS1\tAD\n")
    Path("counts.h5ad").write_bytes(b"12")
    given: dict[str, Any] = {
        "samples": "samples.tsv",
        "cell_types": ["N"],
        "input": {"counts": "counts.h5ad"},
        "model": {"formula": "~ diagnosis + (1 | sample_id)", "test": ["diagnosis"]},
    }
    counted = WorkflowStudy(given).counted(None)
    assert WorkflowStudy(given | {"cell_types": ["N", "M"]}).counted(None) == counted
    assert WorkflowStudy(given | {"inference": {"fdr": 0.1}}).counted(None) == counted
    assert WorkflowStudy(given | {"seed": 7}).counted(None) != counted
    assert WorkflowStudy(given | {"qc": {"min_genes": 7}}).counted(None) != counted
