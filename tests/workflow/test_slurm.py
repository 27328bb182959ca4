"""The example cohort through a real Slurm: arrays, a job killed for its memory, a job cancelled, and the same bytes as here."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from makers.command import nestde

HERE = Path(__file__).parent / "slurm"
STATES = ("FAILED", "COMPLETED")
TOOLS = ["munged", "mungekey", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel"]
# What a cluster of one node needs otherwise than a real one; `fit` asks first for what is too little for Python.
OPTIONS = [
    "--profile", "slurm", "--set-scatter", "genes=2", "--default-resources", "slurm_partition=test", "mem_mb=1000", "runtime=5",
    "--set-resources", "fit:mem_mb=60*attempt**4", "--latency-wait", "5",
    "--slurm-init-seconds-before-status-checks", "6",
]  # fmt: skip

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Slurm on loopback, for as long as the tests of this module run."""
    path = os.environ["PATH"] + os.pathsep + "/usr/sbin"
    missing = [tool for tool in TOOLS if not shutil.which(tool, path=path)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (Debian: slurmctld slurmd slurm-client munge)")
    if os.geteuid() != 0:
        pytest.skip("starting Slurm's daemons needs root")
    folder = tmp_path_factory.mktemp("slurm")
    subprocess.run([HERE / "start_slurm.sh", folder], check=True)
    yield
    subprocess.run([HERE / "stop_slurm.sh", folder], check=True)


@pytest.fixture(scope="module")
def run(slurm: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The example run through Slurm, its first crosscheck cancelled once it is queued: folder, and what was said."""
    folder = tmp_path_factory.mktemp("cluster") / "study"
    nestde("init", folder, cwd=folder.parent)
    command = [str(Path(sys.executable).with_name("nestde")), "run", *OPTIONS]
    with (folder / "run.txt").open("w") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        try:
            cancel("rule_crosscheck", process)
            process.wait(600)
        finally:
            process.terminate()
            process.wait()
    said = (folder / "run.txt").read_text()
    assert process.returncode == 0, said
    return folder, said


def queue() -> list[dict[str, str]]:
    """Every job that Slurm knows of, finished ones too: what it is, its state and its memory."""
    told = subprocess.run(
        ["squeue", "--noheader", "--states=all", "--array", "--format=%i|%k|%T|%m"],
        capture_output=True,
        text=True,
        check=True,
    )
    return [
        dict(zip(("id", "rule", "state", "memory"), line.split("|"), strict=True))
        for line in told.stdout.splitlines()
    ]


def cancel(rule: str, process: subprocess.Popen[bytes]) -> None:
    """Cancel the first job of a rule as soon as it is there."""
    while process.poll() is None:
        for job in queue():
            if job["rule"].startswith(rule):
                subprocess.run(["scancel", job["id"]], check=True)
                return
        time.sleep(0.1)


def test_chunks_are_a_job_array_and_the_samples_of_a_small_study_share_a_job(run: tuple[Path, str]) -> None:
    arrays = re.findall(r"Submitted array job with Snakemake IDs ([\d,]+) and SLURM job ID \d+", run[1])
    assert len(arrays[0].split(",")) >= 2
    assert len([job for job in queue() if job["rule"] == "rule_qc_qc"]) == 1


def test_job_killed_for_its_memory_comes_back_with_more(run: tuple[Path, str]) -> None:
    jobs = [job for job in queue() if job["rule"].startswith("rule_fit")]
    asked = {
        state: sorted(int(job["memory"].strip("M")) for job in jobs if job["state"] == state)
        for state in STATES
    }
    # an array asks for a megabyte more, for the list of its tasks; and for all of them what its first one asks:
    # chunks of the slower cell type may come in one with those that are tried again
    assert len(asked["FAILED"]) >= 2 and set(asked["FAILED"]) <= {60, 61}
    assert len(asked["COMPLETED"]) == 4 and min(asked["COMPLETED"]) >= 960
    logs = [path.read_text() for path in (run[0] / ".snakemake/slurm_logs/rule_fit").rglob("*.log")]
    assert sum("exceeded memory limit" in log for log in logs) == len(asked["FAILED"])


def test_cancelled_job_is_reported_and_done_again(run: tuple[Path, str]) -> None:
    assert "CANCELLED" in run[1]
    states = sorted(job["state"] for job in queue() if job["rule"].startswith("rule_crosscheck"))
    assert states == ["CANCELLED", "COMPLETED", "COMPLETED"]


def test_results_are_those_of_a_run_on_this_machine(run: tuple[Path, str], example: Path) -> None:
    told = nestde("verify", run[0] / "results", "--against", example / "results", cwd=example)
    assert told.returncode == 0, told.stdout
    assert "The same, byte for byte." in told.stdout


def test_unknown_profile_is_refused(tmp_path: Path) -> None:
    told = nestde("run", "--profile", "slrum", cwd=tmp_path)
    assert told.returncode == 2
    assert "--profile slrum: there is no such profile" in told.stderr
