"""What a run says while it runs, from records as Snakemake makes them."""

import io
import logging
from argparse import Namespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry

from nestde.logs import coloured
from nestde.run import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def told(records, stream=None):
    """What the handler writes of (level, message, fields)."""
    handler = progress.LogHandler(Namespace(), None)
    handler.begin(stream or io.StringIO())
    for level, message, fields in records:
        record = logging.LogRecord("snakemake", level, "", 0, message, (), None)
        record.__dict__ |= fields
        handler.emit(record)
    return handler.stream.getvalue()


def job(number, rule="fit", **more):
    fields = {
        "jobid": number,
        "rule_name": rule,
        "wildcards": {"cell_type": "Neuron", "scatteritem": "1-of-2"},
    }
    return (logging.INFO, "", {"event": LogEvent.JOB_INFO, **fields, **more})


def ended(number):
    return (logging.INFO, "", {"event": LogEvent.JOB_FINISHED, "job_id": number})


BEGIN = (logging.INFO, "Job stats", {"event": LogEvent.RUN_INFO, "stats": {"total": 4}})


def test_a_line_for_each_step_that_ended_with_what_is_left():
    lines = told([BEGIN, job(1), ended(1), job(2), ended(2), job(3), ended(3), job(4), ended(4)]).splitlines()
    assert lines[0] == "4 steps to do" and len(lines) == 5
    assert lines[1].startswith("[1/4] fit Neuron 1-of-2  0.0 s")
    assert ["left" in line for line in lines[1:]] == [False, False, True, False]


def test_a_failed_step_shows_the_last_lines_of_its_log_and_no_frame(tmp_path):
    log = tmp_path / "fit.log"
    log.write_text("".join(f"line {i}\n" for i in range(50)) + "No space left on device\x1b[2J\n")
    failed = {
        "event": LogEvent.JOB_ERROR,
        "jobid": 1,
        "rule_name": "fit",
        "log": [f"{log} (check log file(s) for error details)"],
    }
    frame = "RuleException:\nCalledProcessError in file ..."
    text = told([BEGIN, job(1), (logging.ERROR, frame, {}), (logging.ERROR, "Error in rule fit", failed)])
    assert "fit Neuron 1-of-2 failed." in text and "No space left on device" in text
    assert "line 49" in text and "line 38" not in text and "RuleException" not in text
    assert "\x1b" not in text


def test_numbers_of_jobs_with_slurm_and_why_one_failed_there_are_told():
    array = (
        logging.INFO,
        "Submitted array job with Snakemake IDs 3,4 and SLURM job ID 12 for rule fit (log: x).",
        {},
    )
    failed = {
        "event": LogEvent.JOB_ERROR,
        "jobid": 1,
        "rule_name": "fit",
        "log": [],
        "rule_msg": "SLURM status is: 'CANCELLED'",
    }
    text = told([BEGIN, job(1), array, (logging.ERROR, "Error in rule fit", failed)])
    assert array[1] in text and "fit Neuron 1-of-2 failed. SLURM status is: 'CANCELLED'" in text


@pytest.mark.parametrize(
    ("says", "log", "words"),
    [
        ("status is: 'FAILED'", "slurmstepd: error: StepId=11.batch exceeded memory limit (161869824 > 63963136), being killed",
         "(asked for 60 MB, used 154 MB)"),
        ("status is: 'FAILED'", "slurmstepd: error: Detected 1 oom_kill event in StepId=11.batch.", "(asked for 60 MB, used all of it)"),
        ("status is: 'OUT_OF_MEMORY'", "", "(asked for 60 MB, used all of it)"),
    ],
)  # fmt: skip
def test_what_a_step_lacked_memory_for_and_has_the_next_time(tmp_path, says, log, words):
    path = tmp_path / "11.log"
    path.write_text(log)
    failed = {
        "event": LogEvent.JOB_ERROR,
        "jobid": 1,
        "rule_name": "fit",
        "rule_msg": says,
        "log": [str(path)],
    }
    records = [BEGIN, job(1, resources={"mem_mb": 60}), (logging.ERROR, "Error in rule fit", failed)]
    lines = told([*records, job(1, resources={"mem_mb": 960})]).splitlines()
    assert lines[1] == f"fit Neuron 1-of-2 failed: out of memory {words}. {says}"
    assert lines[-1] == "fit Neuron 1-of-2: attempt 2. It asks for 960 MB now."
    plain = told([BEGIN, job(1), (logging.ERROR, "Error in rule fit", failed | {"rule_msg": "", "log": []})])
    assert "memory" not in plain


def test_a_step_that_was_killed_and_a_run_that_is_stopped_are_told_once():
    killed = "RuleException:\nCalledProcessError in file x:\nCommand 'set -euo pipefail' returned non-zero exit status 137."
    stops = (logging.INFO, "Will exit after finishing currently running jobs (scheduler).", {})
    lines = told([(logging.ERROR, killed, {}), stops, stops]).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "A step was killed",
        "No step is begun any more; those that run come to their end.",
    ]


def test_a_step_that_was_stopped_shows_no_log(tmp_path):
    log = tmp_path / "fit.log"
    log.write_text("begins\nnestde: stopped.\n")
    failed = {"event": LogEvent.JOB_ERROR, "jobid": 1, "rule_name": "fit", "log": [str(log)]}
    lines = told([BEGIN, job(1), (logging.ERROR, "Error in rule fit", failed)]).splitlines()
    assert lines[1:] == ["fit Neuron 1-of-2 was stopped."]


def test_what_snakemake_tells_beside_is_in_its_log_but_for_warnings():
    chat = (logging.INFO, "Select jobs to execute...", {})
    done = (logging.INFO, "Nothing to be done (all requested files are present and up to date).", {})
    warned = (logging.WARNING, "The file is gone.", {})
    assert told([chat, done, warned]).splitlines() == [done[1], warned[1]]


@pytest.mark.parametrize(
    ("name", "value", "colour"), [("NO_COLOR", "1", False), ("TERM", "dumb", False), ("NO_COLOR", "", True)]
)
def test_colours_are_for_terminals_that_take_them(monkeypatch, name, value, colour):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(name, value)
    assert coloured(Terminal()) == colour and not coloured(io.StringIO())
    assert ("\x1b[" in told([BEGIN, job(1), ended(1)], Terminal())) == colour


def test_it_is_snakemakes_logger_unless_another_was_asked_for():
    for asked, used in (
        ({}, [progress.NAME]),
        ({"verbose": True}, []),
        ({"quiet": {"all"}}, []),
        ({"logger": ["rich"]}, ["rich"]),
    ):
        args = Namespace(**({"verbose": False, "quiet": None, "logger": []} | asked))
        progress.use(args)
        assert args.logger == used
    assert LoggerPluginRegistry().get_plugin(progress.NAME).log_handler is progress.LogHandler


@pytest.mark.parametrize(
    ("seconds", "words"), [(4.12, "4.1 s"), (42, "42 s"), (150, "2 min"), (4800, "1 h 20 min")]
)
def test_times_are_for_people(seconds, words):
    assert progress.span(seconds) == words


def test_lines_have_room_on_the_terminal_and_stay_whole_on_a_pipe(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    long = job(1, wildcards={"cell_type": "x" * 80})
    note = (logging.WARNING, "one word after the other until they fill a line of it", {})
    lines = told([BEGIN, long, ended(1), note], Terminal()).splitlines()
    assert max(map(len, lines)) <= 40 and lines[1].endswith("…  0.0 s")
    assert " ".join(line.strip() for line in lines[2:]) == note[1]
    lines = told([BEGIN, long, ended(1), note]).splitlines()
    assert "x" * 80 in lines[1] and lines[2] == note[1]
