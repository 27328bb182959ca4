"""What a linter or a pair of files can say of the whole tree."""

import itertools
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from nestde.study.template import template_dir

ROOT = template_dir()


def run(*command: str) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).with_name(command[0])
    return subprocess.run([str(tool), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check"),
        ("ruff", "format", "--check"),
        ("mypy",),
        ("snakefmt", "--check", "Snakefile", "workflow"),
        ("snakemake", "--lint"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_clean(command):
    result = run(*command)
    assert result.returncode == 0, result.stdout + result.stderr


def pins() -> dict[str, str]:
    lines = (ROOT / "envs/constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def requirements() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    return [each for each in map(Requirement, texts) if each.name != "nestde"]  # an extra that has another


def test_pins_satisfy_the_bounds():
    pinned = {canonicalize_name(name): version for name, version in pins().items()}
    for requirement in requirements():
        assert requirement.specifier, f"{requirement.name} has no lower bound"
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement


@pytest.mark.parametrize("name", ["nestde", "multiqc"])
def test_conda_and_pip_pin_the_same_versions(name):
    pinned = {canonicalize_name(key): version for key, version in pins().items()}
    called = {"snakemake-minimal": "snakemake", "decoupler-py": "decoupler"}  # in conda
    pinned |= {theirs: pinned[ours] for theirs, ours in called.items()}
    wanted = {canonicalize_name(requirement.name) for requirement in requirements()}
    for dependency in yaml.safe_load((ROOT / f"envs/{name}.yaml").read_text())["dependencies"]:
        package, _, version = dependency.partition("=")
        if package not in ("python", "pip"):
            assert version == pinned[canonicalize_name(package)], package
        wanted.discard(canonicalize_name(called.get(package, package)))
    if name == "nestde":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        makers = {Requirement(text).name for name in ("dev", "docs") for text in extras[name]}
        assert wanted == {canonicalize_name(name) for name in makers} - {"nestde"}


def test_readme_and_ci_run_the_same_command():
    commands = re.findall(r"^python3 -m venv .*pytest$", (ROOT / "README.md").read_text(), re.MULTILINE)
    ci = re.findall(r"^python3 -m venv .*pytest$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert commands == ci and len(ci) == 1


def test_tree_holds_only_what_it_should():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    top = {name.split("/")[0] for name in files if name and not name.startswith(".")}
    assert top <= {
        "Snakefile",
        "config",
        "workflow",
        "envs",
        "tests",
        "README.md",
        "pyproject.toml",
        "LICENSE",
        "CHANGELOG.md",
    }
