"""Which studies a Snakefile asks for, wherever it puts their results; and what is wrong with one of them."""

from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from makers.small_study import write_studies, write_study
from snakemake.cli import parse_args

from nestde.errors import NestdeError
from nestde.run import snakemake as running
from nestde.run.asked import Asked, asked_of, study_of
from nestde.run.rules import StudyError
from nestde.study.config import Config, load
from nestde.study.template import workflow_dir


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shipped(*options: str) -> Namespace:
    workflow = str(workflow_dir() / "Snakefile")
    return parse_args(["--snakefile", workflow, "--configfile", "config/config.yaml", *options])[1]


def own() -> Namespace:
    return parse_args(["--snakefile", "Snakefile"])[1]


def test_the_shipped_workflow_asks_for_results(folder: Path) -> None:
    write_study(folder, seed=7)
    (study,) = asked_of(shipped())
    assert study.folder == Path("results")
    assert study.config == load("config/config.yaml")
    (study,) = asked_of(shipped("--config", "seed=8"))
    assert study.config.seed == 8
    assert not (folder / ".snakemake").exists()  # a question, no run


@pytest.mark.parametrize("where", ["out/a", "../elsewhere", "/scratch/mine", "results"])
def test_results_are_where_the_snakefile_puts_them(folder: Path, where: str) -> None:
    write_studies(folder, first=where)
    assert [study.folder for study in asked_of(own())] == [Path(where)]


def test_several_studies_each_with_its_folder_and_configuration(folder: Path) -> None:
    write_studies(folder, first="out", second="out/b", third="out/c")
    studies = asked_of(own())
    assert [str(study.folder) for study in studies] == ["out", "out/b", "out/c"]
    assert [study.config.pseudobulk.enabled for study in studies] == [True, False, False]
    assert studies[1].manifest == Path("out/b/manifest.json")


def test_the_image_is_that_of_the_rules(folder: Path) -> None:
    write_study(folder, seed=7)
    (study,) = asked_of(shipped("--config", "container=far.sif"))
    assert study.image == "far.sif"
    # a module's rules do not know of it
    write_studies(folder, first="out")
    path = folder / "Snakefile"
    path.write_text('container: "far.sif"\n' + path.read_text())
    assert [study.image for study in asked_of(own())] == [None]


def test_a_file_is_of_the_innermost_study() -> None:
    config = load({"samples": "s.tsv", "cell_types": ["N"], "input": {"counts": "c.h5ad"},
                   "model": {"formula": "~ diagnosis + (1 | sample_id)", "test": ["diagnosis"]}})  # fmt: skip
    outer, inner = Asked(Path("out"), config), Asked(Path("out/b"), config)
    for path, study in (
        ("out/de/N.tsv", outer),
        ("out/b/de/N.tsv", inner),
        ("out/bc/N.tsv", outer),
        ("results/N.tsv", None),
    ):
        assert study_of(Path(path), [inner, outer]) is study_of(Path(path), [outer, inner]) is study


def test_a_snakefile_that_makes_no_manifest_asks_for_no_study(folder: Path) -> None:
    (folder / "Snakefile").write_text("rule all:\n    output: 'x'\n    shell: 'touch x'\n")
    assert asked_of(own()) == []


def test_a_fault_of_one_of_two_studies_is_said_of_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_studies(folder, first="out/a", second="out/b")
    configs = yaml.safe_load(Path("studies.yaml").read_text())
    configs["second"] |= {"modle": {}, "cell_types": []}
    Path("studies.yaml").write_text(yaml.safe_dump(configs))
    with pytest.raises(StudyError) as caught:
        asked_of(own())
    assert caught.value.given == configs["second"]
    assert [" ".join(fault.split()[:4]) for fault in caught.value.faults] == [
        "configuration: unknown key modle.", "configuration: cell_types has 0",
    ]  # fmt: skip
    with pytest.raises(NestdeError, match="unknown key modle"):
        running._checked(own())


def test_a_configuration_is_named_by_its_file_and_all_its_faults_are_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study(folder)
    Path("samples.tsv").write_text("sample_id\tdiagnosis\nS1\t\n")  # Snakemake stops here
    checked: list[Config] = []

    def check(config: Config, told: Iterable[str] = ()) -> Namespace:
        checked.append(config)
        return Namespace(faults=[*told, "samples.tsv: one", "counts.h5ad: other"])

    monkeypatch.setattr(running, "check_study", check)
    with pytest.raises(NestdeError) as caught:
        running._checked(shipped())
    assert {"samples.tsv: one", "counts.h5ad: other"} <= set(caught.value.faults)
    assert checked == [load("config/config.yaml")]
    write_study(folder, modle={})
    with pytest.raises(NestdeError, match=r"^config/config\.yaml: unknown key modle"):
        running._checked(shipped())


def test_a_snakefile_that_cannot_be_read_is_told_by_snakemake(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_study(folder)
    (folder / "Snakefile").write_text("rule all:\n    inptu: 'x'\n")
    with pytest.raises(SystemExit) as caught:
        running._checked(own())
    assert caught.value.code == 1
    assert "inptu" in caplog.text
