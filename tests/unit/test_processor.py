"""Whatever the environment asks of the libraries, a command gives the same bytes."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from nestde import processor
from nestde.simulate import Cohort, write

# What these variables make of a processor of 2006; none of them survives `processor.hold`.
OLD = {
    "OPENBLAS_CORETYPE": "Prescott",
    "OPENBLAS_NUM_THREADS": "2",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    "NUMBA_CPU_NAME": "generic",
    "NUMBA_CPU_FEATURES": "",
}
HELD = pytest.mark.skipif(
    processor.arithmetic() != processor.LEVEL, reason="the processor does not have the level that is kept to"
)


@HELD
def test_libraries_are_held_to_the_level() -> None:
    code = (
        "from nestde import processor; processor.hold(); import numpy, numba, scipy.linalg, threadpoolctl;"
        "from numpy._core._multiarray_umath import __cpu_features__ as has;"
        "print({each['architecture'] for each in threadpoolctl.threadpool_info() if each['internal_api'] == 'openblas'},"
        "has['X86_V4'] if 'X86_V4' in has else has['AVX512_SKX'], numba.config.CPU_NAME, 'avx512' in numba.config.CPU_FEATURES)"
    )
    told = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::ImportWarning", "-c", code],
        env=os.environ | OLD | {"OPENBLAS_CORETYPE": "SkylakeX"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "{'Haswell'} False x86-64-v3 False\n"


@HELD
def test_a_fit_is_the_same_bytes_under_any_of_their_variables(tmp_path: Path) -> None:
    write(Cohort(donors=4, cells=15, genes=25, cell_types=("Neuron",), batches=1), tmp_path)
    tables = []
    for name, variables in (("here", {}), ("old", OLD)):
        command = [
            Path(sys.executable).with_name("nestde"), "de", "counts.h5ad", "--all-cells", "--test", "diagnosis",
            "--formula", "~ sequencing_saturation + diagnosis + (1 | sample_id)", "--reference", "diagnosis=Control",
            "--min-cells", "5", "--out", f"{name}.tsv",
        ]  # fmt: skip
        told = subprocess.run(
            command, cwd=tmp_path, env=os.environ | variables, capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, told.stderr
        tables.append((tmp_path / f"{name}.tsv").read_bytes())
    assert tables[0].count(b"\tok\t") > 5 and tables[0] == tables[1]


def test_a_processor_without_the_level_is_named_and_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(processor, "_of_linux", lambda: {"model name": "Neoverse"})
    processor.arithmetic.cache_clear()
    try:
        assert processor.arithmetic() == "aarch64 Neoverse"
        monkeypatch.setenv("OPENBLAS_CORETYPE", "NEOVERSEN1")
        processor.hold()
        assert os.environ["OPENBLAS_CORETYPE"] == "NEOVERSEN1"
    finally:
        processor.arithmetic.cache_clear()
