"""A whole run at size: CPU, wall time, memory and disk of each rule, beside what was forecast, and how they grow.

    python tests/bench/scale.py --cells 50000 200000 --scratch /tmp/scale --out table.tsv
    python tests/bench/scale.py --cells 1000000 --genes 30000 --samples 100 --types 12 --detected 1500 --scratch /tmp/scale --out million.tsv

A cohort is drawn (counts of a cell follow the profile of its type, which differs by donor; its depth is log-normal), written
as a file for each sample or as one (``--layout``), and run by `nestde run` with everything on but Scrublet (``--doublets``).
Every process that the run starts reports its own CPU seconds and largest memory (`VmHWM`) as it ends. Intermediates are kept
(``--notemp``), so that disk is of all that each rule ever writes. What numba compiles once for an
installation is counted where it was not yet (`kernels`). Before the run `nestde plan` says what it will take; a job's memory is its process's and that of the two Snakemakes around it on a cluster.
CPU seconds are those to compare on a machine that has other work.
"""

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import yaml
from anndata.io import write_elem

from nestde.io.files import write_tsv
from nestde.run.plan import BEGIN, EACH_JOB, Plan, plan
from nestde.run.rules import init
from nestde.study.config import load

TABLE = 1 << 20  # entries of the table by which genes are drawn
BLOCK = 4_000  # cells drawn at a time
SNAKEMAKES = 280  # MB
# Written as each process ends; Python imports it at the start of any that has its folder on PYTHONPATH.
REPORTER = """
import atexit, os, resource, sys

def report():
    used = resource.getrusage(resource.RUSAGE_SELF)
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    words = [os.path.basename(sys.argv[0]), *sys.argv[1:2]]
    words += [word for word in ("--admitted", "--samples-out") if word in sys.argv]
    with open(os.environ["NESTDE_USAGE"], "a") as out:
        out.write(f"{' '.join(words)}\\t{used.ru_utime + used.ru_stime:.2f}\\t{peak / 1024:.0f}\\n")

atexit.register(report)
"""
# Folders of results by the rule that fills them, and what of them another rule writes.
FOLDERS = {
    "ingest": ["ingest"],
    "qc": ["counts", "qc"],
    "matrix": ["matrix", "cells"],
    "pseudobulk": ["pseudobulk"],
    "design": ["design"],
    "statistics": ["statistics"],
    "fit": ["fit"],
    "moderate": ["moderated", "prior"],
    "calibrate": ["calibration"],
    "gather": ["de"],
    "summary": ["report/content"],
}


def draw(rng: np.random.Generator, profile: np.ndarray, depth: np.ndarray) -> Iterator[tuple]:
    """Counts of cells in blocks: values, genes (sorted in each cell), values per cell."""
    table = np.repeat(np.arange(len(profile)), rng.multinomial(TABLE, profile / profile.sum()))
    for start in range(0, len(depth), BLOCK):
        mine = depth[start : start + BLOCK]
        genes = table[rng.integers(TABLE, size=(len(mine), mine.max()), dtype=np.uint32)].astype(np.uint16)
        genes[np.arange(mine.max()) >= mine[:, None]] = np.iinfo(np.uint16).max
        genes.sort(axis=1)
        first = np.ones(genes.shape, bool)
        first[:, 1:] = genes[:, 1:] != genes[:, :-1]
        ends = np.append(np.flatnonzero(first), first.size)
        found = genes.ravel()[ends[:-1]]
        real = found < np.iinfo(np.uint16).max
        per_cell = (first & (genes < np.iinfo(np.uint16).max)).sum(axis=1)
        yield np.diff(ends)[real], found[real], per_cell


class Writer:
    """An AnnData store, as h5ad or zarr, that grows by blocks of cells."""

    def __init__(self, path: Path, genes: int):
        import zarr

        self.root = (
            zarr.open_group(path, mode="w", zarr_format=2) if path.suffix == ".zarr" else h5py.File(path, "w")
        )
        self.zarr, self.genes, self.per_cell = path.suffix == ".zarr", genes, [np.zeros(1, np.int64)]
        x = self.root.create_group("X")
        how = {} if self.zarr else {"maxshape": (None,), "compression": "lzf"}
        make = x.create_array if self.zarr else x.create_dataset
        self.parts = [
            make(name, shape=(0,), dtype=dtype, chunks=(500_000,), **how)
            for name, dtype in (("data", "f4"), ("indices", "i4"))
        ]

    def put(self, values: np.ndarray, genes: np.ndarray, per_cell: np.ndarray) -> None:
        self.per_cell.append(per_cell)
        for part, new in zip(self.parts, (values, genes), strict=True):
            start = part.shape[0]
            part.resize((start + len(new),))
            part[start:] = new.astype(part.dtype)

    def close(self, obs: pd.DataFrame) -> None:
        indptr = np.cumsum(np.concatenate(self.per_cell))
        x = self.root["X"]
        x.attrs.update(
            {
                "encoding-type": "csr_matrix",
                "encoding-version": "0.1.0",
                "shape": [len(indptr) - 1, self.genes],
            }
        )
        write_elem(x, "indptr", indptr)
        for name in ("data", "indices"):
            x[name].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        write_elem(self.root, "obs", obs)
        write_elem(self.root, "var", pd.DataFrame(index=[f"G{i}" for i in range(self.genes)]))
        self.root.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        if not self.zarr:
            self.root.close()


def cohort(folder: Path, args: argparse.Namespace, cells: int) -> pd.DataFrame:
    """Write the counts; return the sheet. A tenth of the genes is higher in AD; donors differ by 15 %, types by more."""
    rng = np.random.default_rng(1)
    common = rng.gamma(0.3, 1.0, args.genes) + 0.01
    types = common * rng.lognormal(0, 0.7, (args.types, args.genes))
    share = np.full(args.types, 1 / args.types)
    if args.largest:
        share = np.append(args.largest, np.full(args.types - 1, (1 - args.largest) / (args.types - 1)))
    names = [f"S{i:03d}" for i in range(args.samples)]
    sizes = np.diff(np.linspace(0, cells, args.samples + 1).astype(int))
    one = None if args.layout == "files" else Writer(folder / f"counts.{args.layout}", args.genes)
    every = []
    for i, (name, n) in enumerate(zip(names, sizes, strict=True)):
        writer = one or Writer(folder / f"{name}.h5ad", args.genes)
        mine = types * rng.lognormal(0, 0.15, types.shape)
        mine[:, ::10] *= 1 + 0.5 * (i % 2)
        of_type = rng.multinomial(n, share)
        # drawn with replacement from a long tail, about 1.25 counts to a detected gene
        depth = np.minimum(1.25 * args.detected * rng.lognormal(0, 0.25, n), 4 * args.detected).astype(int)
        ends = np.cumsum(of_type)
        for k in range(args.types):
            for block in draw(rng, mine[k], depth[ends[k] - of_type[k] : ends[k]]):
                writer.put(*block)
        obs = pd.DataFrame(index=[f"{name}_{j}" for j in range(n)])
        obs["sample_id"] = name
        obs["cell_type"] = np.repeat([f"T{k}" for k in range(args.types)], of_type)
        obs["sequencing_saturation"] = rng.uniform(0.3, 0.9, n)
        every.append(obs)
        if not one:
            writer.close(obs.astype({"sample_id": "category", "cell_type": "category"}))
    if one:
        one.close(pd.concat(every).astype({"sample_id": "category", "cell_type": "category"}))
    sheet = pd.DataFrame({"sample_id": names, "diagnosis": ["Control", "AD"] * (args.samples // 2)})
    return sheet if one else sheet.assign(counts=[f"data/{name}.h5ad" for name in names])


def study(folder: Path, args: argparse.Namespace, cells: int) -> None:
    """A study's folder with its data."""
    init(folder, example=False)
    (folder / "data").mkdir()
    write_tsv(cohort(folder / "data", args, cells), folder / "config/samples.tsv")
    config = {
        "samples": "config/samples.tsv",
        "cell_types": [f"T{k}" for k in range(args.types)],
        "input": {"counts": None if args.layout == "files" else f"data/counts.{args.layout}"},
        "qc": {
            "doublets": args.doublets,
            "min_counts": 100,
            "min_genes": 50,
            "mad_pct_mt": None,
            "max_pct_mt": None,
        },
        "model": {
            "formula": "~ sequencing_saturation + diagnosis + (1 | sample_id)",
            "test": ["diagnosis"],
            "levels": {"diagnosis": ["Control", "AD"]},
            "min_cells": 5,
        },
        "chunks": args.chunks,
    }
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config))


def run(folder: Path, cores: int) -> tuple[float, float]:
    """Run a study; seconds of wall time, and of CPU of all its processes."""
    reporter = folder / "reporter"
    reporter.mkdir(exist_ok=True)
    (reporter / "sitecustomize.py").write_text(REPORTER)
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(reporter), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "NESTDE_USAGE": str(folder / "usage.tsv"),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # each process would compile all that it imports
    (folder / "usage.tsv").unlink(missing_ok=True)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with (folder / "told.txt").open("w") as told:
        subprocess.run(
            ["nestde", "run", "--cores", str(cores), "--notemp"],
            cwd=folder, env=environment, stdout=told, stderr=subprocess.STDOUT, check=True,
        )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - began, sum(after[:2]) - sum(before[:2])


def rule_of(words: str) -> str:
    """Rule of a process, by the first words of its command."""
    if words.startswith("nestde check"):
        return "admit" if "--admitted" in words else "sheet" if "--samples-out" in words else "check"
    if words.startswith("multiqc"):
        return "multiqc"
    return words.removeprefix("nestde ").replace("-", "_") if words.startswith("nestde ") else "snakemake"


def asked(folder: Path) -> dict[str, int]:
    """Rule -> the most memory (MB) that one of its jobs asked for."""
    (log,) = sorted((folder / ".snakemake/log").glob("*.log"))[-1:]
    found: dict[str, int] = {}
    rule = ""
    for line in log.read_text().splitlines():
        if begins := re.match(r"(?:local)?rule (\w+):", line.strip()):
            rule = begins[1]
        elif told := re.search(r"\bmem_mb=(\d+)", line):
            found[rule] = max(found.get(rule, 0), int(told[1]))
    return found


def size_of(paths: list[Path]) -> int:
    return sum(file.stat().st_size for path in paths for file in path.rglob("*") if file.is_file())


def foretold(folder: Path) -> Plan:
    """What `nestde plan` says of a study."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        return plan(load("config/config.yaml"))
    finally:
        os.chdir(before)


def measured(folder: Path, cells: int, forecast: Plan, wall: float, cpu: float, cores: int) -> pd.DataFrame:
    """A row for each rule, those of most CPU first, one for Snakemake (`run`), and one for all."""
    used = pd.read_csv(folder / "usage.tsv", sep="\t", names=["words", "cpu", "mb"])
    used["rule"] = used["words"].map(rule_of)
    by = used.groupby("rule").agg(
        jobs=("cpu", "size"), cpu_s=("cpu", "sum"), longest_s=("cpu", "max"), peak_mb=("mb", "max")
    )
    wanted, steps = asked(folder), {step.rule: step for step in forecast.steps}
    rules = [str(rule) for rule in by.sort_values("cpu_s", ascending=False).index]
    table = by.loc[rules].reset_index()
    own = BEGIN + EACH_JOB * sum(step.jobs for step in forecast.steps)
    table["forecast_s"] = [
        steps[rule].cpu if rule in steps else own if rule == "run" else np.nan for rule in rules
    ]
    table["asked_mb"] = [wanted.get(rule, np.nan) for rule in rules]
    table["forecast_mb"] = [steps[rule].memory if rule in steps else np.nan for rule in rules]
    table["disk_mb"] = [
        size_of([folder / "results" / name for name in FOLDERS.get(rule, [])]) / 1e6 for rule in rules
    ]
    table["forecast_disk_mb"] = [steps[rule].disk if rule in steps else np.nan for rule in rules]
    whole = {
        "rule": "all",
        "jobs": len(used),
        "cpu_s": cpu,
        "forecast_s": forecast.cpu,
        "peak_mb": table["peak_mb"].max(),
        "forecast_mb": table["forecast_mb"].max(),
        "disk_mb": size_of([folder / "results"]) / 1e6,
        "forecast_disk_mb": sum(step.disk for step in forecast.steps),
    }
    time = {"rule": "wall", "cpu_s": wall, "forecast_s": forecast.wall(cores)}
    table = pd.concat([table, pd.DataFrame([whole, time])], ignore_index=True)
    table.insert(0, "cells", cells)
    table["time_of_forecast"] = table["cpu_s"] / table["forecast_s"]
    # two Snakemakes stand around a job's process on a cluster
    table["asked_of_used"] = table["asked_mb"] / (table["peak_mb"] + SNAKEMAKES)
    table["forecast_of_used"] = table["forecast_mb"] / (table["peak_mb"] + SNAKEMAKES)
    return table


def show(table: pd.DataFrame) -> None:
    """Print it as it is for people."""
    print(
        "cells rule jobs | CPU s, forecast, used/forecast, longest job | MB used, asked, asked/(used + Snakemakes), forecast/.. | disk MB, forecast"
    )
    for row in table.fillna({"jobs": 0}).itertuples():
        print(
            f"{row.cells:>9,} {row.rule:<14}{int(row.jobs):>4} |{row.cpu_s:>8.1f}{row.forecast_s:>8.1f}{row.time_of_forecast:>6.2f}{row.longest_s:>8.1f} |"
            f"{row.peak_mb:>6.0f}{row.asked_mb:>6.0f}{row.asked_of_used:>6.2f}{row.forecast_of_used:>6.2f} |"
            f"{row.disk_mb:>9,.0f}{row.forecast_disk_mb:>9,.0f}".replace("nan", "  -"),
            flush=True,
        )


def growth(table: pd.DataFrame) -> Iterator[str]:
    """Rows of Markdown: each rule's CPU seconds, memory and disk at each size, and the power of cells that CPU goes with."""
    sizes = sorted(table["cells"].unique())
    of = table.set_index(["rule", "cells"])
    yield (
        "| rule | "
        + " | ".join(f"CPU s at {n:,}" for n in sizes)
        + " | grows with cells to the | "
        + " | ".join(f"MB, {n:,}" for n in sizes)
        + " | "
        + " | ".join(f"disk MB, {n:,}" for n in sizes)
        + " |"
    )
    yield "|---|" + "---:|" * (3 * len(sizes) + 1)
    for rule in table.loc[table["cells"] == sizes[-1], "rule"]:
        rows = [of.loc[(rule, n)] if (rule, n) in of.index else None for n in sizes]
        times = [np.nan if row is None else row["cpu_s"] for row in rows]
        power = np.log(times[-1] / times[0]) / np.log(sizes[-1] / sizes[0]) if len(sizes) > 1 else np.nan
        cells = [f"{time:,.1f}" for time in times] + [f"{power:.2f}"]
        cells += [
            f"{np.nan if row is None else row[name]:,.0f}" for name in ("peak_mb", "disk_mb") for row in rows
        ]
        yield f"| {rule} | {' | '.join(cells)} |".replace("nan", "")


def main() -> None:
    """Bench every size in turn; the folder of each is removed, unless it is to be kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, nargs="+", default=[50_000, 200_000, 500_000])
    parser.add_argument("--genes", type=int, default=20_000)
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--types", type=int, default=5)
    parser.add_argument(
        "--largest", type=float, help="share of the cells that are of the first type (default: all alike)"
    )
    parser.add_argument("--detected", type=int, default=1_400, help="genes detected in a cell, about")
    parser.add_argument(
        "--layout", choices=["files", "h5ad", "zarr"], default="files", help="a file for each sample, or one"
    )
    parser.add_argument("--doublets", choices=["never", "auto", "always"], default="never")
    parser.add_argument("--chunks", type=int, default=1)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--scratch", type=Path, required=True, help="folder for some GB")
    parser.add_argument("--keep", action="store_true", help="leave the studies there")
    parser.add_argument("--out", type=Path, help="all that was measured (TSV), after each size")
    args = parser.parse_args()
    tables: list[pd.DataFrame] = []
    for cells in args.cells:
        folder = args.scratch.resolve() / f"{cells}_{args.layout}"
        try:
            if not folder.exists():
                study(folder, args, cells)
            shutil.rmtree(folder / "results", ignore_errors=True)
            shutil.rmtree(folder / ".snakemake", ignore_errors=True)
            forecast = foretold(folder)
            tables.append(measured(folder, cells, forecast, *run(folder, args.cores), args.cores))
            show(tables[-1])
            if args.out:
                write_tsv(pd.concat(tables), args.out)
        finally:
            if not args.keep:
                shutil.rmtree(folder, ignore_errors=True)
    print()
    print("\n".join(growth(pd.concat(tables))))


if __name__ == "__main__":
    main()
