"""Whatever happens to a run, the same command goes on, and the results are the bytes of an undisturbed run."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import anndata as ad
import pytest
from crash import copy_study, disturb, results
from makers.command import nestde
from small import start_study

pytestmark = pytest.mark.slow


@pytest.fixture
def study(small: Path, tmp_path: Path) -> Path:
    """The small study before its first run."""
    return copy_study(small, tmp_path / "study")


def test_killed_four_times(small: Path, study: Path) -> None:
    attempts = list(disturb(study, kills=4, moments=random.Random(3), latest=6))
    assert [attempt.returncode for attempt in attempts] == [-9, -9, -9, -9, 0], attempts[-1].text
    assert any(attempt.running for attempt in attempts)
    assert results(study) == results(small)


@pytest.fixture
def small_disk(study: Path) -> Iterator[Path]:
    """The study with its results on a disk of 128 kB."""
    disk = study / "results"
    disk.mkdir()
    told = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", disk], capture_output=True, check=False
    )
    if told.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs: {told.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_full_disk_is_told_and_the_run_goes_on_once_there_is_room(
    small: Path, study: Path, small_disk: Path
) -> None:
    full = nestde("run", "--cores", "2", cwd=study)
    assert full.returncode == 1
    assert "No space left on device" in full.stdout + full.stderr
    for name, digest in results(study).items():  # what is there is whole
        assert results(small).get(name, digest) == digest
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    again = nestde("run", "--cores", "2", cwd=study)
    assert again.returncode == 0, again.stdout + again.stderr
    assert results(study) == results(small)


def copy_run(run: Path, target: Path) -> Path:
    """Copy a finished run, with what Snakemake knows of it."""
    return Path(shutil.copytree(run, target, copy_function=shutil.copy2))


def test_what_was_deleted_or_damaged_is_remade(small: Path, tmp_path: Path) -> None:
    study = copy_run(small, tmp_path / "study")
    for name in ("de/Neuron.tsv", "design/Neuron.npz", "pseudobulk/Neuron.h5ad", "qc/S01.tsv"):
        (study / "results" / name).unlink()
    again = nestde("run", "--cores", "2", cwd=study)
    assert again.returncode == 0, again.stdout + again.stderr
    assert results(study) == results(small)
    damaged = [
        "cohort/samples.tsv", "crosscheck/Neuron.tsv", "design/Neuron.json", "design/Neuron.npz",
        "pseudobulk/Neuron.h5ad", "summary.tsv",
    ]  # fmt: skip
    for name in damaged:
        path = study / "results" / name
        os.truncate(path, path.stat().st_size * 2 // 3)
    again = nestde("run", "--cores", "2", cwd=study)
    assert again.returncode == 0, again.stdout + again.stderr
    told = [line.split(": is damaged (")[0] for line in again.stdout.splitlines() if "is damaged" in line]
    assert told == [f"results/{name}" for name in damaged]
    assert results(study) == results(small)


def test_intermediate_that_a_kill_left_is_removed(small: Path, tmp_path: Path) -> None:
    """The kill came when the jobs that needed it had ended, and it was still there."""
    study = copy_run(small, tmp_path / "study")
    (study / "results/manifest.json").unlink()
    left = study / "results/matrix/Neuron.h5ad"
    shutil.copy(study / "results/pseudobulk/Neuron.h5ad", left)
    os.utime(left, (0, 0))
    # it stands for the very file that was there, of which its job's record tells
    for record in (study / ".snakemake/nestde/results").iterdir():
        if json.loads(record.read_text())["path"] == "results/matrix/Neuron.h5ad":
            record.unlink()
    lock = study / ".snakemake/locks/0.output.lock"
    for options, stays in ((["--dry-run"], True), (["--notemp"], True), ([], False)):
        lock.parent.mkdir(exist_ok=True)
        lock.touch()
        told = nestde("run", "--cores", "2", *options, cwd=study)
        assert told.returncode == 0, told.stdout + told.stderr
        assert left.exists() == stays
    assert results(study) == results(small)


def test_samples_of_a_large_study_have_jobs_of_their_own_and_the_same_results(
    small: Path, study: Path
) -> None:
    os.truncate(
        study / "config/counts.h5ad", 33_000_000
    )  # zeros after the end of an HDF5 file are no part of it
    told = nestde("run", "--cores", "2", "--until", "qc", cwd=study)
    assert told.returncode == 0, told.stdout + told.stderr
    assert len(list((study / "logs/qc").iterdir())) == 6
    assert [path.name for path in (small / "logs/qc").iterdir()] == ["every_sample.log"]
    expected = {name: digest for name, digest in results(small).items() if name.startswith("qc/")}
    found = {name: digest for name, digest in results(study).items() if name.startswith("qc/")}
    assert found == expected and len(found) == 12


def test_same_bytes_in_another_folder_with_one_core_and_other_chunks(small: Path, tmp_path: Path) -> None:
    def told_apart_from_chunks(study: Path) -> dict[str, str]:
        return {name: digest for name, digest in results(study).items() if not name.startswith("fit/")}

    for chunks in (1, 7):
        study = start_study(tmp_path / f"in {chunks} chunks")
        told = nestde("run", "--cores", "1", "--set-scatter", f"genes={chunks}", cwd=study)
        assert told.returncode == 0, told.stdout + told.stderr
        assert told_apart_from_chunks(study) == told_apart_from_chunks(small)


def test_what_was_changed_by_hand_is_not_taken_for_a_result(small: Path, tmp_path: Path) -> None:
    study = copy_run(small, tmp_path / "study")
    table, mine = study / "results/de/Neuron.tsv", study / "results/de/mine.json"
    table.write_text(table.read_text().replace("Neuron", "Nourons", 1))
    os.utime(table, (time.time() + 600,) * 2)
    mine.write_text("{")
    told = nestde("run", "--cores", "2", cwd=study)
    assert told.returncode == 2
    assert "results/de/Neuron.tsv: was changed after the run that made it" in told.stderr
    table.unlink()
    again = nestde("run", "--cores", "2", cwd=study)
    assert again.returncode == 0, again.stdout + again.stderr
    assert mine.read_text() == "{"
    mine.unlink()
    assert results(study) == results(small)


def test_an_input_replaced_by_an_older_file_is_seen(small: Path, tmp_path: Path) -> None:
    study = copy_run(small, tmp_path / "moved")
    still = nestde("run", "--cores", "2", cwd=study)
    assert "Nothing to be done" in still.stdout + still.stderr  # in another folder, too
    counts = study / "config/counts.h5ad"
    data = ad.read_h5ad(counts)
    data.X = data.X[::-1]
    data.write_h5ad(counts)
    os.utime(counts, (1.7e9, 1.7e9))
    again = nestde("run", "--dry-run", cwd=study)
    assert re.search(r"^gather +1$", again.stdout + again.stderr, re.MULTILINE), again.stdout + again.stderr
    # and where Snakemake has no record of what it made
    shutil.rmtree(study / ".snakemake")
    told = nestde("run", "--cores", "2", cwd=study)
    assert told.returncode == 2
    assert (
        "of which this folder has no record (.snakemake), and which differs in config/counts.h5ad"
        in told.stderr
    )
    assert results(study) == results(small)


def test_options_are_read_before_anything_is_touched(small: Path, tmp_path: Path) -> None:
    study = copy_run(small, tmp_path / "study")
    os.truncate(study / "results/de/Neuron.tsv", 100)
    before = results(study)
    for options, status in ((["--corse", "2"], 2), (["--list-rules"], 0), (["--dry-run"], 0)):
        assert nestde("run", *options, cwd=study).returncode == status
        assert results(study) == before


def test_results_of_an_earlier_configuration_are_named(small: Path, tmp_path: Path) -> None:
    study = copy_run(small, tmp_path / "study")
    for name in ("de/Glia.tsv", "qc/S99.tsv"):
        (study / "results" / name).write_text("gene\n")
    told = nestde("run", "--cores", "2", cwd=study)
    assert told.returncode == 0
    assert "results/ holds files that are not of this run: de/Glia.tsv, qc/S99.tsv." in told.stdout


def test_folders_that_cannot_be_run_in_are_refused_in_words(study: Path) -> None:
    (study / "results").symlink_to("purged")
    braces = study.rename(study.with_name("a {study}"))
    told = nestde("run", "--cores", "2", cwd=braces)
    assert told.returncode == 2
    assert "results: is a link to purged, which is not there. Make that folder" in told.stderr
    assert "a {study}: braces in the path of a study are wildcards to Snakemake" in told.stderr


def test_a_plain_snakemake_at_work_is_left_alone(study: Path) -> None:
    snakemake = Path(sys.executable).with_name("snakemake")
    with subprocess.Popen(
        [snakemake, "--cores", "1", "--until", "ingest", "check"],
        cwd=study,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PATH": f"{snakemake.parent}:{os.environ['PATH']}"},
    ) as plain:
        while plain.poll() is None and not list((study / ".snakemake").glob("locks/*")):
            time.sleep(0.01)
        told = nestde("run", "--cores", "1", cwd=study)
        at_work = plain.poll() is None
        plain.wait()
    if at_work:
        assert told.returncode == 2
        assert f"is locked by Snakemake, as process {plain.pid}" in told.stderr
