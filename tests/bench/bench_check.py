"""Time and memory of `nestde check` on 500 samples and 1,000,000 cells (issue: under 20 s and 2 GB).

Usage: python tests/bench/bench_check.py [samples] [cells]
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata.io import write_elem

SAMPLES, CELLS, TYPES = 500, 1_000_000, 20


def write(samples: int, cells: int) -> None:
    """Write a sheet and the obs of unequal samples: 20 cell types, cell-level and sample-level covariates."""
    rng = np.random.default_rng(0)
    sheet = pd.DataFrame({"sample_id": [f"S{i:04}" for i in range(samples)]})
    sheet["diagnosis"] = np.where(np.arange(samples) % 2, "AD", "Control")
    sheet["sex"] = rng.choice(["F", "M"], samples)
    sheet["age"] = rng.integers(55, 95, samples)
    sheet["batch"] = [f"B{i // 2 % 12}" for i in range(samples)]
    sheet["donor"] = [f"D{i // 2:04}" for i in range(samples)]
    sheet.to_csv("samples.tsv", sep="\t", index=False)
    share = rng.lognormal(0, 0.5, samples)
    code = np.sort(rng.choice(samples, cells, p=share / share.sum()))
    kind = rng.choice(TYPES, cells, p=rng.dirichlet(np.full(TYPES, 2.0)))
    barcodes = np.array([f"{i:016d}-1" for i in range(cells)], dtype=object)
    obs = pd.DataFrame(
        {
            "sample_id": pd.Categorical.from_codes(code, sheet["sample_id"]),
            "cell_type": pd.Categorical.from_codes(kind, [f"type {i}" for i in range(TYPES)]),
            "diagnosis": pd.Categorical(sheet["diagnosis"].to_numpy()[code]),
            "saturation": rng.uniform(0.4, 0.9, cells),
            "total": rng.integers(500, 30_000, cells),
            "multiplet": pd.Categorical(np.where(rng.random(cells) < 0.02, "doublet", "singlet")),
        },
        index=barcodes,
    )
    with h5py.File("counts.h5ad", "w") as root:
        write_elem(root, "obs", obs)
        write_elem(root, "var", pd.DataFrame(index=["G1"]))
    config = {
        "samples": "samples.tsv",
        "cell_types": [f"type {i}" for i in range(TYPES)],
        "input": {"counts": "counts.h5ad", "keep": {"multiplet": ["singlet"]}},
        "model": {
            "formula": "~ saturation + sex + age + batch + diagnosis + (1 | sample_id)",
            "test": ["diagnosis"],
            "levels": {"diagnosis": ["Control", "AD"]},
        },
    }
    Path("config.yaml").write_text(json.dumps(config))
    aliased = json.loads(json.dumps(config))
    aliased["model"]["formula"] = "~ saturation + sex + age + site + diagnosis + (1 | sample_id)"
    sheet["site"] = sheet["diagnosis"].map({"AD": "Leiden", "Control": "Utrecht"})
    sheet.to_csv("samples.tsv", sep="\t", index=False)
    Path("aliased.yaml").write_text(json.dumps(aliased))


def main() -> None:
    """Run the accepted and the refused study, each in a process of its own."""
    samples, cells = (int(value) for value in [*sys.argv[1:], *(SAMPLES, CELLS)[len(sys.argv) - 1 :]])
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        write(samples, cells)
        for config, code in (("config.yaml", 0), ("aliased.yaml", 2)):
            start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            command = [
                sys.executable,
                "-c",
                "from nestde.cli import entry; entry()",
                "check",
                "--configfile",
                config,
            ]
            done = subprocess.run(
                [*command, "--out", "check.json"], capture_output=True, text=True, check=False
            )
            seconds = time.perf_counter() - start
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            assert done.returncode == code, done.stderr
            print(
                f"{config}: {samples:,} samples, {cells:,} cells: {seconds:.1f} s ({processor:.1f} s of processor)"
            )
            print(f"largest memory of these processes so far: {after.ru_maxrss / 1024:,.0f} MB")
            print(done.stderr.strip()[:300])
        os.chdir("/")


if __name__ == "__main__":
    main()
