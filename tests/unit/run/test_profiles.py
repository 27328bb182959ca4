"""The scripts beside the profiles of clusters, with what LSF, Grid Engine and PBS answer."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from nestde.study.template import workflow_dir

PROFILES = workflow_dir() / "profiles"
QACCT = "==============\nqname        all.q\nfailed       {}\nexit_status  {}\n"
QSTAT = "Job Id: 7.server\n    Job_Name = nestde.fit\n    job_state = {}\n    Exit_status = {}\n"


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose files answer in place of the commands of a cluster."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(folder: Path, command: str, text: str, status: int = 0) -> None:
    """Have a command say something; what it was called with is in ``called``."""
    (folder / f"{command}.txt").write_text(text)
    (folder / command).write_text(
        f'#!/bin/sh\necho {command} "$@" >called\ncat {command}.txt\nexit {status}\n'
    )
    (folder / command).chmod(0o755)


def run(system: str, script: str, *arguments: str) -> str:
    command = ["sh", PROFILES / system / script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("system", "command", "text", "fares"),
    [
        ("lsf", "bjobs", "PEND\n", "running"),
        ("lsf", "bjobs", "DONE\n", "success"),
        ("lsf", "bjobs", "EXIT\n", "failed"),
        ("lsf", "bjobs", "", "running"),
        ("sge", "qacct", QACCT.format(0, 0), "success"),
        ("sge", "qacct", QACCT.format(0, 1), "failed"),
        ("sge", "qacct", QACCT.format("37  : qmaster enforced h_rt", 0), "failed"),
        ("sge", "qacct", "", "running"),
        ("pbs", "qstat", QSTAT.format("R", ""), "running"),
        ("pbs", "qstat", QSTAT.format("F", "0"), "success"),
        ("pbs", "qstat", QSTAT.format("F", "271"), "failed"),
        ("pbs", "qstat", "", "running"),
    ],
)
def test_how_a_job_fares(answers: Path, system: str, command: str, text: str, fares: str) -> None:
    if system == "sge":
        answer(answers, "qstat", "", status=1)  # which knows only those that have not ended
    answer(answers, command, text)
    assert run(system, "status", "7") == f"{fares}\n"


def test_a_job_of_grid_engine_that_has_not_ended(answers: Path) -> None:
    answer(answers, "qstat", "job_number: 7\n")
    assert run("sge", "status", "7") == "running\n"


@pytest.mark.parametrize(
    ("system", "command", "said", "asks"),
    [
        ("lsf", "bsub", "Job <7> is submitted to queue <normal>.\n", ["-n 2", "rusage[mem=1500MB]", "-M 1500MB", "-W 90"]),
        ("sge", "qsub", "7\n", ["-pe smp 2", "mem_free=1500M", "h_rt=5400"]),
        ("pbs", "qsub", "7\n", ["select=1:ncpus=2:mem=1500mb", "walltime=5400"]),
    ],
)  # fmt: skip
def test_what_a_job_asks_for(answers: Path, system: str, command: str, said: str, asks: list[str]) -> None:
    answer(answers, command, said)
    assert run(system, "submit", "2", "1500", "90", "fit", "-q", "long", "job.sh") == "7\n"
    called = (answers / "called").read_text()
    assert all(ask in called for ask in asks) and called.endswith("-q long job.sh\n")


@pytest.mark.parametrize("system", ["lsf", "sge", "pbs"])
def test_profiles_name_their_own_scripts(system: str) -> None:
    told = yaml.safe_load((PROFILES / system / "profile.yaml").read_text())
    for key, script in (("submit", "submit"), ("status", "status")):
        assert told[f"cluster-generic-{key}-cmd"].split()[:2] == [
            "sh",
            f"workflow/profiles/{system}/{script}",
        ]
        assert (PROFILES / system / script).is_file()
