"""Kill a run, again and again, and compare what comes of it with an undisturbed run.

    python tests/workflow/crash.py STUDY --kills 20 --seed 1

STUDY is a folder as `nestde init` makes it; a copy is run undisturbed, and others disturbed: at random moments
(seeded) SIGKILL goes to the whole process group, and `nestde run`, the one documented command, goes on. A run
that comes to its end is compared with the undisturbed one and, until there were as many kills as asked for,
another is begun. Prints a row for each kill, and for each run whether the results are the same bytes.
"""

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from nestde.io.files import sha256

# With --verbose Snakemake tells of each job as it begins.
COMMAND = [str(Path(sys.executable).with_name("nestde")), "run", "--cores", "2", "--verbose"]
# Hold the date, and nothing of the science.
DATED = ("report/multiqc.html", "ro-crate-metadata.json")


@dataclass
class Attempt:
    """One start of the command: how it ended, and the jobs as Snakemake told of them."""

    seconds: float
    returncode: int
    text: str
    jobs: dict[str, str] = field(default_factory=dict)  # jobid -> job
    finished: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        blocks = re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)+)", self.text, re.MULTILINE)
        for rule, block in blocks:
            told = dict(line.strip().split(": ", 1) for line in block.splitlines() if ": " in line)
            self.jobs[told.get("jobid", "?")] = " ".join(filter(None, [rule, told.get("wildcards", "")]))
        done = re.findall(r"Finished jobid: (\d+)", self.text)
        self.finished = [self.jobs[jobid] for jobid in done if jobid in self.jobs]

    @property
    def running(self) -> list[str]:
        """Jobs that had started and not finished."""
        return [job for job in self.jobs.values() if job not in self.finished]


def attempt(folder: Path, kill_after: float | None = None, command: list[str] | None = None) -> Attempt:
    """Run the command in a process group of its own; SIGKILL the group some seconds after its first job began."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command or COMMAND, cwd=folder, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        if kill_after is not None:
            try:
                _wait_for_first_job(process, output.fileno())
                process.wait(kill_after)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        seconds = time.monotonic() - began
        _wait_until_gone(process.pid)
        output.seek(0)
        return Attempt(seconds, process.returncode, output.read())


def _wait_for_first_job(process: subprocess.Popen[bytes], output: int) -> None:
    while process.poll() is None and not re.search(rb"\n(local)?rule ", os.pread(output, 1_000_000, 0)):
        time.sleep(0.02)


def _wait_until_gone(group: int) -> None:
    """Wait for the killed to be gone: one that outlives its group would write into the next attempt."""
    while any(
        int(fields[2]) == group and fields[0] != "Z"
        for fields in (stat.rpartition(")")[2].split() for stat in _processes())
    ):
        time.sleep(0.01)


def _processes() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            yield path.read_text()


def results(folder: Path, where: str = "results") -> dict[str, str]:
    """Digest of every result, but for those that hold a date."""
    root = folder / where
    names = (path.relative_to(root).as_posix() for path in sorted(root.rglob("*")) if path.is_file())
    return {name: sha256(root / name) for name in names if name not in DATED}


def copy_study(study: Path, target: Path) -> Path:
    """Copy what a study starts with, and nothing that a run has made."""
    made = shutil.ignore_patterns("results", "logs", "benchmarks", ".snakemake")
    return Path(shutil.copytree(study, target, ignore=made))


def disturb(folder: Path, kills: int, moments: random.Random, latest: float) -> Iterator[Attempt]:
    """Kill the run up to `kills` times, at random moments of its first `latest` seconds, then let it end."""
    for _ in range(kills):
        killed = attempt(folder, kill_after=moments.uniform(0, latest))
        yield killed
        if killed.returncode == 0:
            return
    yield attempt(folder)


def rows(attempts: list[Attempt]) -> Iterator[tuple[str, str, str]]:
    """Moment, jobs running at the kill, jobs begun before that the next attempt did again."""
    begun: set[str] = set()
    for killed, after in pairwise(attempts):
        begun |= set(killed.jobs.values())
        again = [job for job in after.jobs.values() if job in begun]
        yield f"{killed.seconds:.1f} s", "; ".join(killed.running) or "-", "; ".join(again) or "-"


def main() -> int:
    """Run the harness and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        calm = copy_study(args.study, Path(scratch, "calm"))
        undisturbed = attempt(calm)
        if undisturbed.returncode != 0:
            print(undisturbed.text)
            return 2
        expected = results(calm)
        print(
            f"undisturbed: {undisturbed.seconds:.1f} s, {len(undisturbed.finished)} jobs, {len(expected)} results\n"
        )
        print("| kill | moment | running | remade |\n|---|---|---|---|")
        moments, kills, good = random.Random(args.seed), 0, True
        while kills < args.kills:
            folder = copy_study(args.study, Path(scratch, f"after {kills} kills"))
            # a quarter of the run: long enough for any job to end, now and then
            attempts = list(disturb(folder, args.kills - kills, moments, undisturbed.seconds / 4))
            for row in rows(attempts):
                kills += 1
                print(f"| {kills} | {' | '.join(row)} |")
            found = results(folder)
            differ = sorted(name for name in expected if found.get(name) != expected[name])
            left = sorted(found.keys() - expected.keys())
            print(
                f"| | end | ended with {attempts[-1].returncode} | differing or missing: {', '.join(differ) or 'none'};"
                f" left behind: {', '.join(left) or 'none'} |"
            )
            good &= not (differ or left or attempts[-1].returncode)
        return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
