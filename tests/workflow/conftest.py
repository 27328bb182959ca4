"""Studies in folders of their own, run as a person runs them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from makers.command import nestde
from makers.real import real_data
from small import start_study

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example cohort, started by `nestde init` and run to its report."""
    folder = tmp_path_factory.mktemp("example") / "study"
    started = nestde("init", folder, cwd=folder.parent)
    assert started.returncode == 0, started.stderr
    result = nestde("run", "--cores", "2", cwd=folder)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study of six donors, run undisturbed."""
    folder = start_study(tmp_path_factory.mktemp("small") / "study")
    result = nestde("run", "--cores", "2", cwd=folder)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


@pytest.fixture(scope="session")
def study_of_real_data(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Run tests/workflow/<name> on a file of the real data; return the folder."""
    done: dict[str, Path] = {}

    def run(name: str, data: str) -> Path:
        path = real_data(data)
        if name not in done:
            folder = tmp_path_factory.mktemp(name)
            shutil.copytree(HERE / name, folder / "config")
            (folder / data).symlink_to(path)
            result = nestde("run", "--cores", "2", cwd=folder)
            assert result.returncode == 0, result.stdout + result.stderr
            done[name] = folder
        return done[name]

    return run
