"""Studies in folders of their own, run as a person runs them."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from makers.command import nestde
from makers.real import real_data
from small import start_study

HERE = Path(__file__).parent


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Have a folder made by the first worker that asks for it; others wait, and take it as it is."""
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, made = shared / name, shared / f"{name}.made"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            made.touch()
    return folder


def run(folder: Path) -> None:
    """Run the study of a folder to its end."""
    result = nestde("run", "--cores", "2", cwd=folder)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example cohort, started by `nestde init` and run to its report."""

    def make(folder: Path) -> None:
        started = nestde("init", folder, cwd=folder.parent)
        assert started.returncode == 0, started.stderr
        run(folder)

    return once(tmp_path_factory, "example", make)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study of six donors, run undisturbed."""
    return once(tmp_path_factory, "small", lambda folder: run(start_study(folder)))


@pytest.fixture(scope="session")
def study_of_real_data(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Run tests/workflow/<name> on a file of the real data; return the folder."""

    def of(name: str, data: str) -> Path:
        path = real_data(data)

        def make(folder: Path) -> None:
            shutil.copytree(HERE / name, folder / "config")
            (folder / data).symlink_to(path)
            run(folder)

        return once(tmp_path_factory, name, make)

    return of
