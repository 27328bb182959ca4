"""What installs nestde elsewhere is of this version and of these requirements: conda, containers, recipe, release."""

import os
import re
import shutil
import subprocess
import tomllib

import pytest
import yaml

import nestde
from nestde.study.template import template_dir

ROOT = template_dir()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WHEEL = f"nestde-{nestde.__version__}-py3-none-any.whl"


def spaceless(requirement: str) -> str:
    return requirement.replace(" ", "")


def test_the_wheel_has_every_file_of_envs():
    shipped = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    there = {f"envs/{path.name}" for path in (ROOT / "envs").iterdir() if path.suffix != ".whl"}
    assert {name for name in shipped if name.startswith("envs/")} == there


@pytest.mark.parametrize("name", ["Dockerfile", "nestde.def"])
def test_containers_take_the_wheel_of_this_version(name):
    text = (ROOT / "envs" / name).read_text()
    assert set(re.findall(r"nestde-[^ ]*\.whl", text)) == {WHEEL}
    assert (
        f'pip install --no-cache-dir -c /opt/nestde/constraints.txt "/opt/nestde/{WHEEL}[workflow]"' in text
    )


def test_the_recipe_is_the_project():
    recipe = yaml.safe_load((ROOT / ".github/recipe/recipe.yaml").read_text())
    assert recipe["context"]["version"] == nestde.__version__
    python, *others = recipe["requirements"]["run"]
    assert spaceless(python) == f"python{PROJECT['project']['requires-python']}"
    assert [spaceless(one) for one in others] == [
        spaceless(one) for one in PROJECT["project"]["dependencies"]
    ]
    assert recipe["build"]["python"]["entry_points"] == ["nestde = nestde.cli:entry"]


def post_deploy(folder, script="nestde.post-deploy.sh"):
    stand_in = folder / "bin/python"
    stand_in.parent.mkdir()
    stand_in.write_text('#!/bin/sh\necho "$@"\n')
    stand_in.chmod(0o755)
    path = f"{stand_in.parent}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", str(ROOT / "envs" / script)]
    return subprocess.run(
        command, cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )


def test_a_conda_environment_without_the_wheel_says_what_it_needs(tmp_path):
    told = post_deploy(tmp_path)
    assert told.returncode == 1 and told.stdout == ""
    assert told.stderr.startswith(f"nestde: envs/{WHEEL} is not in {tmp_path}.")


def test_a_conda_environment_takes_the_wheel_beside_it(tmp_path):
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / WHEEL).touch()
    told = post_deploy(tmp_path)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == f"-m pip install --quiet --no-deps --no-index envs/{WHEEL}\n"


def test_the_notes_of_a_release_are_its_section_of_the_changelog(tmp_path):
    steps = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]["release"]["steps"]
    script = next(step["run"] for step in steps if "changelog" in step.get("name", ""))
    (tmp_path / "workflow/src/nestde").mkdir(parents=True)
    shutil.copy(ROOT / "workflow/src/nestde/__init__.py", tmp_path / "workflow/src/nestde")
    (tmp_path / "CHANGELOG.md").write_text(
        f"# Changelog\n\n## {nestde.__version__} (2026-12-01)\n\n- New.\n\n## 0.0.9\n\n- Old.\n"
    )
    for tag, passes in ((f"v{nestde.__version__}", True), ("v9.9", False)):
        environment = os.environ | {"GITHUB_REF_NAME": tag}
        done = subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env=environment, check=False)
        assert (done.returncode == 0) == passes
        if passes:
            assert (tmp_path / "notes.md").read_text().strip() == "- New."
