"""The forecast: every rule is in it, and its numbers hang together."""

import math
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from nestde.cli import main
from nestde.errors import NestdeError
from nestde.run.plan import START, plan
from nestde.simulate import Cohort, write
from nestde.study import config
from nestde.study.template import workflow_dir

SETTINGS = {
    "samples": "samples.tsv",
    "cell_types": ["Neuron", "Glia"],
    "input": {"counts": "counts.h5ad"},
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
    fitting = sum(seconds for _, _, seconds in forecast.fits.values())
    assert forecast.hours * 3600 == pytest.approx(
        START * sum(forecast.jobs.values()) + forecast.reading + fitting
    )
    assert 100 < forecast.memory < 4000


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
