"""How far results move with the processor: the same fits with other instructions, held to one level and not.

    python tests/bench/processors.py STUDY

STUDY is a study of one file and the results of its run. Its cells are fitted and its profiles compared by PyDESeq2 again, as the
environment would have it on other processors: by the command as it is, and without `nestde.processor`. Prints a table of
the largest differences from the command here: absolute of p-values, relative of other columns (of those above 1e-6).
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

FREE = "import sys; from nestde import cli, processor; processor.hold = lambda: None; sys.exit(cli.entry())"
HELD = "import sys; from nestde import cli; sys.exit(cli.entry())"
PROCESSORS = {
    "this one": {},
    "AVX2 (2013)": {
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
        "NUMBA_CPU_NAME": "x86-64-v3",
        "NUMBA_CPU_FEATURES": "+avx2,+fma",
    },
    "AVX-512": {"OPENBLAS_CORETYPE": "SkylakeX"},
    "before AVX (2006)": {
        "OPENBLAS_CORETYPE": "Prescott",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
        "NUMBA_CPU_NAME": "generic",
    },
}


def run(code: str, processor: dict[str, str], *arguments: str | Path) -> float:
    """Run a command of nestde; return its CPU time (s)."""
    before = os.times()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("OPENBLAS", "NUMBA", "NPY"))
    }
    subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment | {"OPENBLAS_NUM_THREADS": "1"} | processor,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def furthest(ours: Path, theirs: Path) -> tuple[float, float]:
    """Largest differences of two tables: of p-values, and relative of other numbers."""
    a, b = (pd.read_csv(path, sep="\t") for path in (ours, theirs))
    sizes = {True: [0.0], False: [0.0]}
    for name in a.select_dtypes("number"):
        if name == "iterations":  # no result
            continue
        x, y = a[name].to_numpy(float), b[name].to_numpy(float)
        assert np.array_equal(np.isnan(x), np.isnan(y)), name
        is_p = name.startswith(("pvalue", "padj"))
        larger = np.maximum(np.abs(x), np.abs(y))
        gaps = np.abs(x - y) if is_p else np.abs(x - y)[larger > 1e-6] / larger[larger > 1e-6]
        sizes[is_p].append(float(np.nanmax(gaps, initial=0.0)))
    return max(sizes[True]), max(sizes[False])


def main(study: Path) -> None:
    """Print the table."""
    fit = ["de", study / "config/counts.h5ad", "--formula", "~ sequencing_saturation + diagnosis + (1 | sample_id)",
           "--test", "diagnosis", "--cell-type-key", "cell_type", "--reference", "diagnosis=Control", "--threads", "1"]  # fmt: skip
    bulk = ["pseudobulk-de", "--settings", study / "config/config.yaml", "--counts", study / "results/pseudobulk/Neuron.h5ad",
            "--samples", study / "results/cohort/samples.tsv"]  # fmt: skip
    print(
        "| instructions | held | CPU s, fits | p-values | other numbers | p-values, PyDESeq2 | other numbers |\n|---|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as scratch:
        first = None
        for held, code in (("yes", HELD), ("no", FREE)):
            for words, processor in PROCESSORS.items():
                folder = Path(scratch, f"{words} {held}")
                folder.mkdir()
                tables = folder / "de.tsv", folder / "bulk.tsv"
                run(code, processor, *fit, "--out", tables[0])  # compiles
                seconds = run(code, processor, *fit, "--out", tables[0])
                run(code, processor, *bulk, "--out", tables[1], "--explore", folder / "x.json")
                first = first or tables
                told = []
                for mine, here in zip(tables, first, strict=True):
                    same = mine.read_bytes() == here.read_bytes()
                    told += ["same bytes"] * 2 if same else [f"{size:.1e}" for size in furthest(mine, here)]
                print(f"| {words} | {held} | {seconds:.1f} | {' | '.join(told)} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
