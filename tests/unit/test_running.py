"""When a run is refused: no Slurm, jobs of a killed run in its queue, a folder that is locked elsewhere."""

import errno
import fcntl
import os
import socket
from argparse import Namespace
from pathlib import Path

import pytest

from nestde import running
from nestde.errors import NestdeError


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
        running._take_folder([], Namespace(executor="local"))
    assert list(Path(".snakemake/locks").iterdir())


def test_slurm_is_asked_for_and_not_there(killed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(killed / "bin"))
    with pytest.raises(NestdeError, match="there is no sbatch on this machine"):
        running._take_folder([], Namespace(executor="slurm"))


def test_a_file_system_without_locks(killed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(NestdeError, match="free the folder with `nestde run --unlock`"):
        running._take_folder([], Namespace(executor="local"))
    (killed / ".snakemake/locks/0.input.lock").unlink()
    assert not running._take_folder([], Namespace(executor="local"))


def test_unknown_profile_names_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(NestdeError, match="Shipped are local, slurm"):
        running.find_profile("slrum", tmp_path)
