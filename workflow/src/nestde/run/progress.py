"""What a run says while it runs: a line for each step that ended, how far it is, and of a failed one its log's last lines.

A logger plugin of Snakemake, which `nestde run` registers under the name `nestde`. Snakemake's own words are in
`.snakemake/log`, and on the terminal with `--verbose`.
"""

import re
import shutil
import sys
import time
from argparse import Namespace
from contextlib import suppress
from logging import WARNING, LogRecord
from pathlib import Path
from typing import Any, TextIO

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from nestde.errors import printable
from nestde.logs import STOPPED, fitted, painted
from nestde.words import count

NAME = "nestde"
TAIL = 12  # lines of a failed step's log
RED, DIM = "31", "2"
# From so many steps on, how long they took tells how long the others will take.
KNOWN = 3
# What Snakemake says beside that a person wants to know: also under which numbers jobs are with Slurm.
SAID = re.compile(
    r"Nothing to be done|Trying to restart job|(Submitted|Job \d+ has been submitted)\b.*SLURM", re.DOTALL
)
# What a failed step's own words say better.
HUSHED = (
    "RuleException:\nCalledProcessError",
    "Exiting because a job execution failed",
    "WorkflowError:\nAt least one job did not complete",
)
# What the words of a local process that was killed have in them, and of Slurm where memory was the reason: with the accounting
# (the state), without it (the daemon of the node, in the log).
KILLED = re.compile(r"Signals\.SIGKILL|exit status 137\b")
OUT_OF_MEMORY = re.compile(r"OUT_OF_MEMORY|exceeded memory limit|oom[-_ ]kill", re.IGNORECASE)
USED = re.compile(r"exceeded memory limit \((\d+) > \d+\)")


def use(args: Namespace) -> None:
    """Have Snakemake tell in our words, unless its own, others or none were asked for."""
    from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry

    if not (args.verbose or args.quiet or args.logger):
        LoggerPluginRegistry().register_plugin(NAME, sys.modules[__name__])
        args.logger = [NAME]


def span(seconds: float) -> str:
    """A time for people: ``4.1 s``, ``2 min``, ``1 h 20 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


class LogHandler(LogHandlerBase):
    """Writes to standard error."""

    def __post_init__(self) -> None:
        """Begin."""
        self.begin(sys.stderr)

    def begin(self, stream: TextIO) -> None:
        """Begin, with a stream to write to."""
        self.stream = stream
        self.steps: dict[int, str] = {}
        self.since: dict[int, float] = {}
        self.attempts: dict[int, int] = {}
        self.memory: dict[int, int] = {}  # MB that a step asked for
        self.stopping = False
        self.began = time.monotonic()
        self.done, self.total = 0, 0

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def emit(self, record: LogRecord) -> None:
        """Say what a record of Snakemake's tells, if a person wants to know it."""
        told: Any = record
        match getattr(record, "event", None):
            case LogEvent.RUN_INFO:
                self.total = int(told.stats.get("total", 0))
                self._say(f"{count(self.total, 'step')} to do")
            case LogEvent.JOB_INFO:
                self.steps[told.jobid] = " ".join(
                    [told.rule_name, *map(str, (told.wildcards or {}).values())]
                )
                self.since[told.jobid] = time.monotonic()
                self._begins(told.jobid, getattr(told, "resources", None))
            case LogEvent.JOB_FINISHED:
                self._ended(told.job_id)
            case LogEvent.JOB_ERROR:
                self._failed(told)
            case None | LogEvent.GROUP_ERROR | LogEvent.ERROR:
                message = record.getMessage()
                if KILLED.search(message):
                    self._say("A step was killed: by the system where memory ran out, or by hand.", RED)
                if message.startswith("Will exit after finishing") and not self.stopping:  # said at each look
                    self.stopping = True
                    self._say("No step is begun any more; those that run come to their end.")
                heard = record.levelno >= WARNING and not message.startswith(HUSHED)
                if heard or SAID.match(message):
                    self._say(message, RED if record.levelno > WARNING else "")

    def _begins(self, job: int, resources: Any) -> None:
        """Note what a step asks for, and tell of one that was tried before."""
        self.attempts[job] = self.attempts.get(job, 0) + 1
        asked = resources.get("mem_mb") if resources is not None else None
        if isinstance(asked, int):
            self.memory[job] = asked
        if self.attempts[job] > 1:
            memory = f" It asks for {self.memory[job]:,} MB now." if job in self.memory else ""
            self._say(f"{self.steps[job]}: attempt {self.attempts[job]}.{memory}")

    def _ended(self, job: int) -> None:
        self.done += 1
        now = time.monotonic()
        took = now - self.since.get(job, now)
        step = self.steps.get(job, f"step {job}")
        left = ""
        if KNOWN <= self.done < self.total:
            left = f", about {span((now - self.began) / self.done * (self.total - self.done))} left"
        width = len(str(self.total))
        of = f"[{self.done:>{width}}/{self.total}]" if self.total else f"[{self.done}]"
        after = f"  {span(took)}{left}"
        self._say(f"{of} {self._short(step, len(of) + 1 + len(after))}", after=after)

    def _short(self, step: str, beside: int) -> str:
        """What of a step's name has room on a terminal's line, `beside` what else stands there."""
        room = max(shutil.get_terminal_size().columns - beside, 12)
        return step if len(step) <= room or not self.stream.isatty() else f"{step[: room - 1]}…"

    def _failed(self, told: Any) -> None:
        """Name the step, and show where it went wrong: the last lines of its log; one that was stopped has no fault to show."""
        step = self.steps.get(told.jobid, told.rule_name)
        why = f" {told.rule_msg}" if getattr(told, "rule_msg", None) else ""
        logs = {}
        for path in (Path(str(given).split(" (")[0]) for given in told.log or ()):
            with suppress(OSError):
                logs[path] = path.read_text(encoding="utf-8", errors="replace").rstrip("\n")
        if any(text.endswith(STOPPED) for text in logs.values()):
            self._say(f"{step} was stopped.")
            return
        short = self._out_of_memory(told.jobid, [why, *logs.values()])
        self._say(f"{step} failed{short}.{why}", RED)
        for path, text in logs.items():
            self._say(f"The last lines of {path}:")
            for line in text.split("\n")[-TAIL:]:
                self._say(f"  {line}")

    def _out_of_memory(self, job: int, texts: list[str]) -> str:
        """Say so where a step was killed for its memory: what it asked for, and what it had when it was killed, if a log tells."""
        if not any(OUT_OF_MEMORY.search(text) for text in texts):
            return ""
        asked = f"asked for {self.memory[job]:,} MB" if job in self.memory else ""
        used = [int(found) / 2**20 for text in texts for found in USED.findall(text)]
        had = f"used {max(used):,.0f} MB" if used else "used all of it" if asked else ""
        told = ", ".join(filter(None, [asked, had]))
        return f": out of memory ({told})" if told else ": out of memory"

    def _say(self, text: str, style: str = "", after: str = "") -> None:
        """Write a line; on a terminal in colour."""
        text = printable(text) if after else fitted(printable(text), self.stream, "  ")
        dimmed = painted(printable(after), DIM, self.stream)
        self.stream.write(f"{painted(text, style, self.stream)}{dimmed}\n")
        self.stream.flush()
