"""Steps in a container: a script stands in for Apptainer, notes what it is to run in which image, and runs it outside."""

import os
import sys
from pathlib import Path

import pytest
import yaml
from makers.command import nestde
from small import CONFIG, start_study

APPTAINER = f"""#!{sys.executable}
import os, sys

if sys.argv[1:] == ["--version"]:
    sys.exit(print("apptainer version 1.3.4"))
image, *command = sys.argv[-4:]
with open("ran.txt", "a") as out:
    print(image, command[-1].split("nestde ")[1].split()[0], file=out)
os.execvp(command[0], command)
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "apptainer").write_text(APPTAINER)
    (tmp_path / "apptainer").chmod(0o755)
    return start_study(tmp_path / "study")


def configure(study: Path, container: str | None) -> None:
    (study / "config/config.yaml").write_text(yaml.safe_dump(CONFIG | {"container": container}))


def test_steps_run_in_the_image_that_is_configured(study: Path) -> None:
    configure(study, "nestde.sif")
    (study / "nestde.sif").touch()
    until = ("--until", "design")
    result = nestde("run", "--cores", "2", "--sdm", "apptainer", *until, cwd=study)
    assert result.returncode == 0, result.stdout + result.stderr
    ran = (study / "ran.txt").read_text().split("\n")
    assert {"nestde.sif check", "nestde.sif matrix", "nestde.sif design"} <= set(ran)
    # without the option the same results hold, and no container is used
    result = nestde("run", "--cores", "2", *until, cwd=study)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (study / "ran.txt").read_text().split("\n") == ran


@pytest.mark.parametrize(
    ("container", "said"),
    [(None, "name no image for steps to run in"), ("far.sif", "container: far.sif: there is no such file.")],
)
def test_without_an_image_nothing_is_run_outside(study: Path, container: str | None, said: str) -> None:
    configure(study, container)
    result = nestde("run", "--cores", "2", "--sdm", "apptainer", cwd=study)
    assert result.returncode == 2 and said in result.stderr
    assert not (study / "results").exists()
