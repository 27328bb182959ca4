"""Where the wall time of the example goes: Snakemake, starting processes, computing.

    python tests/bench/bench_overhead.py [--runs 3] [CHECKOUT ...]

Runs the example on two cores in each checkout of nestde (default: this one), in turn: once on a machine that has
compiled no kernel yet (cold) and then, as often as asked, with kernels on disk (warm; the run of median wall time
is shown). Seconds of wall time add up to the first figure:

- snakemake: no job is running. `nestde run` checks the study, Snakemake plans, chooses the next job, ends.
- start: the jobs' imports, as `python -X importtime` measures them (the interpreter itself takes 0.02 s a job).
- compute: the rest of the jobs' time, compilation included. Where two jobs run side by side, each counts half.

Measured on 2 idle cores (Python 3.11, numba 0.68, Snakemake 9.27), seconds; before and after what is said at rules
kernels, qc and pseudobulk_de, and the loops for slices in the kernels:

    commit     kernels    wall   snakemake   start   compute     cpu   jobs
    aebf359    cold       67.5         4.8    20.9      41.8   117.8     44
    aebf359    warm       40.8         4.0    19.9      16.9    67.3     44
    35cbf91    cold       39.5         4.0    11.1      24.4    67.7     20
    35cbf91    warm       29.0         4.1    11.2      13.7    45.3     20
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

HERE = Path(__file__).parents[2]
FIGURES = ["wall", "snakemake", "start", "compute", "cpu", "jobs"]


def run(checkout: Path, folder: Path, kernels: Path) -> dict[str, float]:
    """Run the example of a checkout, with its code, in a new folder; seconds by figure."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(checkout / "workflow/src"),
        "NUMBA_CACHE_DIR": str(kernels),
    }
    subprocess.run(["nestde", "init", folder], env=environment, check=True, capture_output=True)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    with (folder / "told.txt").open("w") as told:
        subprocess.run(
            ["nestde", "run", "--cores", "2"],
            cwd=folder,
            env=environment | {"PYTHONPROFILEIMPORTTIME": "1"},
            stdout=told,
            stderr=subprocess.STDOUT,
            check=True,
        )
    wall, after = time.time() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    jobs = jobs_of(folder)
    shares = split(jobs)
    return {
        "wall": wall,
        "snakemake": wall - sum(shares),
        "start": shares[0],
        "compute": shares[1],
        "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "jobs": len(jobs),
    }


def jobs_of(folder: Path) -> list[tuple[float, float, float]]:
    """Begin, end and seconds of imports of each job."""
    times = {}
    for record in (folder / ".snakemake/metadata").iterdir():
        told = json.loads(record.read_text())
        times[told["log"][0]] = (told["starttime"], told["endtime"])
    jobs = []
    for log, (begin, end) in times.items():
        imports = re.findall(r"^import time: +(\d+) \|", (folder / log).read_text(), re.MULTILINE)
        jobs.append((begin, end, min(sum(map(int, imports)) / 1e6, end - begin)))
    return jobs


def split(jobs: list[tuple[float, float, float]]) -> tuple[float, float]:
    """Seconds of wall time in which jobs run: their imports, and the rest."""
    moments = sorted({moment for begin, end, _ in jobs for moment in (begin, end)})
    start = compute = 0.0
    for begin, end in pairwise(moments):
        running = [job for job in jobs if job[0] <= begin and end <= job[1]]
        for job in running:
            share = job[2] / (job[1] - job[0])
            start += (end - begin) / len(running) * share
            compute += (end - begin) / len(running) * (1 - share)
    return start, compute


def main() -> None:
    """Print a line for each checkout and state."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkouts", nargs="*", type=Path, default=[HERE])
    parser.add_argument("--runs", type=int, default=3, help="warm runs of each checkout")
    options = parser.parse_args()
    checkouts = [path.resolve() for path in options.checkouts]
    found: dict[tuple[Path, str], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for i in range(1 + options.runs):
            for j, checkout in enumerate(checkouts):
                figures = run(checkout, Path(scratch) / f"run{i}-{j}", Path(scratch) / f"kernels{j}")
                found.setdefault((checkout, "warm" if i else "cold"), []).append(figures)
    print("\t".join(["checkout", "kernels", *FIGURES]))
    for (checkout, state), runs in sorted(found.items()):
        middle = sorted(runs, key=lambda figures: figures["wall"])[len(runs) // 2]
        print("\t".join([checkout.name, state, *(f"{middle[name]:.1f}" for name in FIGURES)]))


if __name__ == "__main__":
    main()
