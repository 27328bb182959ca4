"""When a run is refused: no Slurm, jobs of a killed run in its queue, a folder that is locked elsewhere."""

import contextlib
import errno
import fcntl
import os
import socket
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from nestde.errors import NestdeError
from nestde.run import lock


@pytest.fixture
def killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as a killed run leaves it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".snakemake/locks").mkdir(parents=True)
    (tmp_path / ".snakemake/locks/0.input.lock").touch()
    (tmp_path / ".snakemake/nestde.lock").write_text(socket.gethostname())
    return tmp_path


def command(folder: Path, name: str, prints: str) -> None:
    """Put a command of that name on the PATH."""
    (folder / "bin").mkdir(exist_ok=True)
    path = folder / "bin" / name
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{prints}\nEND\n")
    path.chmod(0o755)


def test_jobs_of_a_killed_run_that_are_queued_still(killed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Path.cwd()
    command(
        killed,
        "squeue",
        f"12|rule_fit_wildcards_N_1-of-2|{here}\n12|rule_fit_wildcards_N_1-of-2|{here}\n9|rule_qc_qc|{here}\n"
        f"7|rule_qc_qc|/elsewhere\n5|(null)|{here}",
    )
    monkeypatch.setenv("PATH", f"{killed / 'bin'}:{os.environ['PATH']}")
    with pytest.raises(
        NestdeError, match=r"in Slurm's queue still: 9, 12\. Wait for them, or `scancel 9 12`"
    ):
        lock.take_folder([], Namespace(executor="local"))
    assert list(Path(".snakemake/locks").iterdir())


def test_slurm_is_asked_for_and_not_there(killed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(killed / "bin"))
    with pytest.raises(NestdeError, match="there is no sbatch on this machine"):
        lock.take_folder([], Namespace(executor="slurm"))


def test_a_file_system_without_locks(killed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(NestdeError, match="free the folder with `nestde run --unlock`"):
        lock.take_folder([], Namespace(executor="local"))
    (killed / ".snakemake/locks/0.input.lock").unlink()
    assert not lock.take_folder([], Namespace(executor="local"))


@contextlib.contextmanager
def process(folder: Path, name: str) -> Iterator[int]:
    """A process at work in a folder, with that name among its first words."""
    waits = "import sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", waits, f"/bin/{name}"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as started:
        assert started.stdout and started.stdin
        started.stdout.readline()
        yield started.pid
        started.stdin.close()


def test_a_snakemake_that_is_at_work_here_keeps_its_lock(killed: Path) -> None:
    (killed / "sub").mkdir()
    with (
        process(killed, "snakemake") as here,
        process(killed / "sub", "snakemake"),
        process(killed, "snakefmt"),
    ):
        assert lock._snakemakes_here() == [str(here)]
        with pytest.raises(NestdeError, match=f"is locked by Snakemake, as process {here}"):
            lock.take_folder([], Namespace(executor="local"))
    assert lock._snakemakes_here() == []


def test_processes_that_may_not_be_looked_at_or_are_gone_are_none_of_ours(
    killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Other:
        def __init__(self, error: Exception):
            self.error, self.pid = error, 1

        def cmdline(self) -> list[str]:
            return ["python", "snakemake"]

        def cwd(self) -> str:
            raise self.error

    errors = psutil.AccessDenied(1), psutil.NoSuchProcess(1), psutil.ZombieProcess(1), FileNotFoundError()
    monkeypatch.setattr(psutil, "process_iter", lambda: map(Other, errors))
    assert lock._snakemakes_here() == []
