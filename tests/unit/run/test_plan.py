"""The forecast: every rule is in it, and its numbers hang together."""

import math
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from makers import public

from nestde.check import seen
from nestde.check.foreseen import foreseen
from nestde.check.study import read_study
from nestde.cli import main
from nestde.errors import Faults, NestdeError
from nestde.run.needs import COSTS, asked
from nestde.run.plan import BEGIN, CHAIN, EACH_JOB, plan, used
from nestde.simulate import Cohort, write
from nestde.study import config
from nestde.study.template import workflow_dir

SETTINGS = {
    "samples": "samples.tsv",
    "cell_types": ["Neuron", "Glia"],
    "input": {"counts": "counts.h5ad"},
    "qc": {"min_cells_per_sample": 10},
    "model": {"formula": "~ diagnosis + (1 | sample_id)", "test": ["diagnosis"]},
}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> config.Config:
    write(Cohort(donors=3, cells=30, genes=100, cell_types=("Neuron", "Glia"), batches=1), tmp_path)
    monkeypatch.chdir(tmp_path)
    return config.load(SETTINGS)


def test_every_rule_is_in_the_forecast(study: config.Config) -> None:
    rules = {
        rule
        for path in (workflow_dir() / "rules").glob("*.smk")
        for rule in re.findall(r"^rule (\w+):", path.read_text(), re.MULTILINE)
    }
    assert set(plan(study).jobs) == rules


def test_numbers_hang_together(study: config.Config) -> None:
    forecast = plan(study)
    assert (forecast.samples, forecast.files, forecast.cells) == (6, 1, 180)
    assert sum(cells for cells, _, _ in forecast.fits.values()) == 180
    assert forecast.jobs["qc"] == 1 and forecast.jobs["fit"] == 2 * forecast.chunks == 2
    steps = {step.rule: step for step in forecast.steps}
    fitting = sum(seconds for _, _, seconds in forecast.fits.values())
    assert steps["fit"].cpu == pytest.approx(fitting + 2 * COSTS["fit"].start)
    assert forecast.cpu == pytest.approx(
        BEGIN + EACH_JOB * sum(forecast.jobs.values()) + sum(step.cpu for step in forecast.steps)
    )
    assert all(step.longest <= step.cpu and step.memory > 100 for step in forecast.steps)
    waits = BEGIN + sum(steps[rule].longest for rule in CHAIN)
    assert forecast.wall(1) == pytest.approx(forecast.cpu)
    assert waits < forecast.wall(64) < forecast.wall(2) < forecast.wall(1)


def test_a_run_teaches_what_the_machine_takes(
    study: config.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("config").mkdir()
    Path("config/config.yaml").write_text(str(SETTINGS).replace("'", '"'))
    forecast = plan(study)
    steps = {step.rule: step for step in forecast.steps}
    head = "s\th:m:s\tmax_rss\tcpu_time\n"
    for name, rows in {
        "check.tsv": "9\t0:00:09\t500.0\t30.0\n",
        "matrix/Neuron.tsv": "9\t0:00:09\t700.0\t12.0\n",
        "matrix/Glia.tsv": "9\t0:00:09\t600.0\t8.0\n",
        "fit/Glia/1-of-1.tsv": "0.1\t0:00:00\tNA\tNA\n",
    }.items():
        path = Path("benchmarks") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(head + rows)
    learnt = {step.rule: step for step in forecast.learnt(used(Path("benchmarks")), forecast).steps}
    assert learnt["check"].cpu == pytest.approx(30) and learnt["matrix"].cpu == pytest.approx(20)
    assert learnt["check"].memory == pytest.approx(asked(500))
    assert learnt["matrix"].memory == pytest.approx(asked(700))
    assert learnt["fit"] == steps["fit"] and learnt["gather"] == steps["gather"]
    assert main(["plan", "--from", "benchmarks"]) == 0
    assert re.search(r"^check +1 +0\.5 +30 s +950 ", capsys.readouterr().out, re.MULTILINE)
    assert main(["plan", "--from", "nowhere"]) == 2
    assert "nowhere: holds no benchmark of a run" in capsys.readouterr().err


def test_samples_of_a_large_study_have_jobs_of_their_own(study: config.Config) -> None:
    os.truncate("counts.h5ad", 33_000_000)  # zeros after the end of an HDF5 file are no part of it
    assert plan(study).jobs["qc"] == 6


def test_shorter_jobs_are_more_chunks(study: config.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nestde.run.plan._seconds", lambda config, design, read: 0.6 * read.counts.shape[1])
    forecast = plan(study, minutes=0.1)
    genes = forecast.fits["Neuron"][1]
    assert forecast.fits["Neuron"][2] == pytest.approx(0.6 * genes)
    assert forecast.chunks == math.ceil(genes / 10)  # ten genes in six seconds
    assert plan(study, minutes=1e-9).chunks == genes  # and one at least


def test_story(study: config.Config, capsys: pytest.CaptureFixture[str]) -> None:
    Path("config.yaml").write_text(str(SETTINGS).replace("'", '"'))
    assert main(["plan", "--configfile", "config.yaml"]) == 0
    told = capsys.readouterr().out
    assert "6 samples in 1 file, 180 cells" in told
    assert "--set-scatter genes=1" in told


def test_a_study_that_cannot_be_read_is_refused(study: config.Config) -> None:
    with pytest.raises(NestdeError, match="Neurone"):
        plan(replace(study, cell_types=["Neurone"]))


@pytest.mark.parametrize("minutes", [0, -5, float("nan")])
def test_a_job_takes_some_time(study: config.Config, minutes: float) -> None:
    with pytest.raises(NestdeError, match="Give a number above 0"):
        plan(study, minutes)


def test_there_are_no_more_chunks_than_genes(study: config.Config) -> None:
    assert plan(study, minutes=1e-12).chunks <= 100


def test_the_forecast_applies_quality_control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules that removed every cell of a panel were first heard of in the run."""
    monkeypatch.chdir(public.write("three_levels", tmp_path).parent)
    assert main(["init", "study", "--from", "three_levels.h5ad"]) == 0
    monkeypatch.chdir("study")
    given = config.load("config/config.yaml")
    said = plan(given).foreseen.lines
    assert re.match(r"Quality control would remove \d+ of 1,411 cells", said[0])
    assert (
        "  Pericyte would be tested without MCI: MCI has only P06: of its 5 samples, 4 have too few"
        in said[-2]
    )
    assert said[-1].startswith(
        "  T cell would be tested without AD: AD has none: of its 5 samples, 5 have no cell"
    )
    assert seen.PATH.is_file()  # for the check
    strict = replace(given, qc=replace(given.qc, min_counts=10**7))
    assert (
        "  Neuron would not be tested. No sample is left to be tested: 15 have too few cells in all"
        in "\n".join(plan(strict).foreseen.lines)
    )


def test_the_check_counts_cells_after_what_the_plan_saw_while_that_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(public.write("three_levels", tmp_path).parent)
    assert main(["init", "study", "--from", "three_levels.h5ad"]) == 0
    monkeypatch.chdir("study")
    file, counted = Path("config/config.yaml"), "after quality control, as nestde plan saw it"
    strict = file.read_text().replace("qc:\n", "qc:\n  min_genes: 225\n")

    def check() -> str:
        capsys.readouterr()
        assert main(["check"]) == 0
        return capsys.readouterr().out

    def recalled() -> seen.Seen | None:
        study = read_study(config.load(str(file)), Faults())
        assert study is not None
        return seen.recall(study)

    file.write_text(strict)
    before = check()
    assert counted not in before
    study = read_study(config.load("config/config.yaml"), Faults())
    seen.remember(study, foreseen(study).seen)
    after = check()
    assert counted in after and len(after) > len(before)
    # in a table, or below the name where the terminal is narrow
    kept, came = (re.search(r"Pericyte\s+(?:cells: )?(\d+)", text) for text in (after, before))
    assert kept and came and int(kept[1]) < int(came[1])
    assert recalled() is not None
    file.write_text(strict.replace("225", "226"))
    assert recalled() is None
    file.write_text(strict)
    assert recalled() is not None
    os.utime("../three_levels.h5ad", (0, 0))
    assert recalled() is None
    Path(".nestde/seen.json").write_text("{")
    assert recalled() is None


def test_check_and_plan_run_from_outside_and_agree_on_what_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = public.write("coded", tmp_path)
    study, home = tmp_path / "study", Path.cwd()
    assert main(["init", str(study), "--from", str(data)]) == 0
    monkeypatch.chdir(tmp_path)  # is undone after the test, wherever a command went
    assert main(["check", "-d", str(study)]) == 0
    assert "diagnosis 0: 5 samples" in capsys.readouterr().out  # coded levels have their tree
    spoilt = (study / "config/config.yaml").read_text().replace("gene_key: null", 'gene_key: "nope"')
    (study / "config/config.yaml").write_text(spoilt.replace('layer: "X"', 'layer: "none"'))
    for command in ("check", "plan"):
        monkeypatch.chdir(home)
        assert main([command, "-d", str(study)]) == 2
        assert "holds no layer none (input.layer). It holds X." in capsys.readouterr().err
    (study / "config/config.yaml").write_text(spoilt)
    assert main(["check", "--configfile", str(study / "config/config.yaml"), "-d", str(study)]) == 2
    assert "var has no column nope (input.gene_key)" in capsys.readouterr().err
