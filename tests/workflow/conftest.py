"""Studies in folders of their own, run as a person runs them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from small import start_study

from nestde.study.template import template_dir

HERE = Path(__file__).parent


def nestde(*arguments: str | Path, cwd: Path, timeout: int = 900) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder, without anything that the shell around pytest has set for Snakemake."""
    command = [str(Path(sys.executable).with_name("nestde")), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False)


def real_data(name: str) -> Path:
    """Path of a file of the real data; the test is skipped where they are absent."""
    folder = Path(os.environ.get("NESTDE_REAL_DATA", template_dir() / "../shared/data"))
    if not (folder / name).exists():
        pytest.skip(f"{name} is not in {folder}; set NESTDE_REAL_DATA to the folder of the real data")
    return (folder / name).resolve()


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
