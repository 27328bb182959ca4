"""Time and memory of ingest, QC, matrices and pseudobulk on cohorts from one unsorted h5ad.

    python tests/bench/bench_inputs.py --cells 50000 100000 200000 --scratch /tmp/bench > table.tsv

20,000 genes, 40 samples, 5 cell types, 7 % of the counts not zero. Each step is a process of its own, as in
the workflow; for steps that run once per sample or cell type, seconds are the sum and MB the largest. CPU seconds
are those to compare on a machine that has other work.

Measured on 2 cores that had much other work (0.1.0, Python 3.11, h5py 3.16): CPU seconds of all jobs / MB of the largest.

    cells      ingest (1)   qc (40)    matrix (5)   pseudobulk (5)
    50,000      6.5 / 627   52 / 283    17 / 493     15 / 283
    100,000     9.8 / 639   60 / 259    20 / 556     15 / 260
    200,000    16.1 / 661   76 / 305    35 / 622     15 / 312
"""

import argparse
import json
import os
import resource
import shutil
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata.io import write_elem

from nestde.cells.roster import Comparison
from nestde.io.files import slug, write_tsv
from nestde.study.config import load

GENES, SAMPLES, TYPES, SHARE = 20_000, 40, 5, 0.07
BLOCK = 2_000


def simulate(path: Path, cells: int) -> float:
    """Write the cohort in blocks of cells, genes drawn by how common they are; return the share of non-zeros."""
    rng = np.random.default_rng(1)
    weight = rng.gamma(0.3, 1.0, GENES) + 0.01
    cumulative = np.cumsum(weight / weight.sum())
    draws = int(GENES * SHARE * 1.18)  # with replacement: about 7 % are left
    names = np.array([f"C{i}" for i in range(cells)], object)
    obs = pd.DataFrame(index=names)
    obs["sample_id"] = pd.Categorical.from_codes(
        rng.integers(0, SAMPLES, cells), [f"S{i:02d}" for i in range(SAMPLES)]
    )
    obs["cell_type"] = pd.Categorical.from_codes(
        rng.choice(TYPES, cells, p=[0.4, 0.25, 0.2, 0.1, 0.05]), [f"T{i}" for i in range(TYPES)]
    )
    obs["sequencing_saturation"] = rng.uniform(0.3, 0.9, cells)
    indptr = np.zeros(cells + 1, np.int64)
    with h5py.File(path, "w") as root:
        root.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        x = root.create_group("X")
        x.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": [cells, GENES]})
        chunks = {"shape": (0,), "maxshape": (None,), "chunks": (500_000,), "compression": "lzf"}
        data = x.create_dataset("data", dtype=np.float32, **chunks)
        indices = x.create_dataset("indices", dtype=np.int32, **chunks)
        for start in range(0, cells, BLOCK):
            n = min(BLOCK, cells - start)
            genes = np.searchsorted(cumulative, rng.random((n, draws))).clip(max=GENES - 1)
            flat = genes + np.arange(n)[:, None] * GENES
            places, counts = np.unique(flat.ravel(), return_counts=True)
            rows = np.bincount(places // GENES, minlength=n)
            indptr[start + 1 : start + n + 1] = indptr[start] + np.cumsum(rows)
            for dataset, values in ((data, counts), (indices, places % GENES)):
                dataset.resize((indptr[start + n],))
                dataset[indptr[start] :] = values
        x.create_dataset("indptr", data=indptr)
        write_elem(root, "obs", obs)
        write_elem(root, "var", pd.DataFrame(index=[f"G{i}" for i in range(GENES)]))
    return float(indptr[-1]) / cells / GENES


def step(*words: object) -> tuple[float, float, float]:
    """Run one nestde command in a process of its own: seconds, seconds of CPU, and MB at its peak."""
    started = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        script = "import sys; from nestde.cli import main; sys.exit(main(sys.argv[1:]))"
        os.execv(sys.executable, [sys.executable, "-c", script, *map(str, words)])
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"failed: {words}")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def bench(cells: int, folder: Path) -> None:
    """Simulate a cohort, run the steps, print a row for each."""
    folder.mkdir(parents=True)
    os.chdir(folder)
    started = time.perf_counter()
    share = simulate(folder / "counts.h5ad", cells)
    own = resource.getrusage(resource.RUSAGE_SELF)
    size = (folder / "counts.h5ad").stat().st_size / 1e6
    show(
        cells,
        f"(simulation: {share:.1%} non-zero, {size:,.0f} MB)",
        [(time.perf_counter() - started, own.ru_utime + own.ru_stime, own.ru_maxrss / 1024)],
    )
    samples = [f"S{i:02d}" for i in range(SAMPLES)]
    sheet = pd.DataFrame(
        {"sample_id": samples, "slug": samples, "source": slug("counts.h5ad"), "counts": "counts.h5ad"}
    )
    sheet["diagnosis"] = ["Control", "AD"] * (SAMPLES // 2)
    write_tsv(sheet, "samples.tsv")
    config = load(
        {
            "cell_types": [f"T{i}" for i in range(TYPES)],
            "input": {"counts": "counts.h5ad"},
            "qc": {"doublets": "never"},
            "model": {
                "formula": "~ sequencing_saturation + diagnosis + (1 | sample_id)",
                "test": ["diagnosis"],
                "levels": {"diagnosis": ["Control", "AD"]},
            },
        }
    )
    settings, compared = config.text(), Comparison.of(config.model).text()
    common = ["--settings", settings]
    counts = [f"counts/{sample}.h5ad" for sample in samples]
    merged = [*common, "--samples", "samples.tsv", "--compared", compared, "--counts", *counts]
    runs = {
        "ingest": [
            ["ingest", *common, "--samples", "samples.tsv", "--source", slug("counts.h5ad"), "--out", "all.h5ad"]
        ],
        "qc": [
            ["qc", *common, "--samples", sample, "--counts", "all.h5ad", "--out", f"counts/{sample}.h5ad",
             "--cells", f"qc/{sample}.tsv", "--ledgers", f"qc/{sample}.json"]
            for sample in samples
        ],
        "matrix": [
            ["matrix", *merged, "--cell-type", f"T{i}", "--out", f"T{i}.h5ad", "--cells", f"T{i}.cells.h5ad",
             "--genes", f"T{i}.genes.tsv"]
            for i in range(TYPES)
        ],
        "pseudobulk": [
            ["pseudobulk", *merged, "--cell-type", f"T{i}", "--out", f"T{i}.bulk.h5ad", "--table", f"T{i}.tsv"]
            for i in range(TYPES)
        ],
    }  # fmt: skip
    for name, commands in runs.items():
        used = [step(*words) for words in commands]
        show(cells, name, used)
    kept = sum(json.loads(Path(f"qc/{sample}.json").read_text())["cells_kept"] for sample in samples)
    print(f"# {cells:,} cells: {kept:,} kept", file=sys.stderr)


def show(cells: int, name: str, used: list[tuple[float, float, float]]) -> None:
    """Print one row of the table."""
    seconds, cpu, mb = zip(*used, strict=True)
    print(f"{cells}\t{name}\t{len(used)}\t{sum(seconds):.1f}\t{sum(cpu):.1f}\t{max(mb):.0f}", flush=True)


def main() -> None:
    """Bench every size in turn; the scratch of each is removed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, nargs="+", default=[50_000, 100_000, 200_000])
    parser.add_argument("--scratch", type=Path, required=True, help="folder for some GB, removed at the end")
    args = parser.parse_args()
    scratch = args.scratch.resolve()
    print("cells\tstep\tjobs\tseconds\tcpu_seconds\tpeak_mb")
    for cells in args.cells:
        folder = scratch / str(cells)
        try:
            bench(cells, folder)
        finally:
            os.chdir(scratch)
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
