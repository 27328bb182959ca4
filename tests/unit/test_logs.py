"""The log of a step has times; results have none, and a person's own Python hears nothing that it did not ask for."""

import logging
import re
from pathlib import Path

import pytest

from nestde import cli
from nestde.cli import main
from nestde.logs import log, telling

LINE = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "


def test_each_line_has_its_time_and_the_step_is_first_and_last(capsys: pytest.CaptureFixture[str]) -> None:
    log.info("before")
    with telling("fit"):
        log.info("%d genes", 7)
        logging.getLogger("another.package").info("chatter")
    log.info("after")
    told = capsys.readouterr()
    assert told.out == ""
    lines = told.err.splitlines()
    assert [re.sub(f"^{LINE}", "", line) for line in lines[:-1]] == [
        f"fit begins: nestde {cli.__version__}",
        "7 genes",
    ]
    assert re.fullmatch(LINE + r"fit ends after \d+\.\d s", lines[-1])
    assert all(re.match(LINE, line) for line in lines)


def test_names_from_data_steer_no_terminal_and_begin_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    with telling("qc"):
        log.info("%s: 1 cell", "S\x1b[2J\u202e1\nqc ends")
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_a_step_that_fails_says_when(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), telling("qc"):
        print(1 / 0)
    assert re.search(r"qc fails after \d+\.\d s$", capsys.readouterr().err)
    assert log.handlers == [] and log.level == logging.NOTSET


def test_steps_tell_and_what_a_person_calls_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(*_: object) -> None:
        log.info("at work")

    for module in ("kernels", "simulate"):
        monkeypatch.setattr(f"nestde.cli.{module}.main", work)
    assert main(["kernels", "--settings", "{}", "--out", str(tmp_path / "x")]) == 0
    assert capsys.readouterr().err.count("at work") == 1
    assert main(["simulate", str(tmp_path)]) == 0
    assert capsys.readouterr().err == ""
