"""Arithmetic that does not depend on the processor: all libraries are held to what every usual one can do.

OpenBLAS, numpy and numba choose their instructions by the processor at hand, and with another order of additions the last
digits of a sum are others. So a `nestde` command asks all three for the same level, x86-64-v3 (AVX2 and FMA: Intel's since
2013, AMD's since 2015), whatever the environment says. Elsewhere they are left to choose, and the manifest says where.
"""

import os
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

LEVEL = "x86-64-v3"
# What Linux calls the instructions of that level (lzcnt is abm there).
_FLAGS = {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"}
# What LLVM calls them.
_FEATURES = (
    "+avx,+avx2,+bmi,+bmi2,+cx16,+f16c,+fma,+lzcnt,+movbe,+popcnt,+sahf,+sse3,+sse4.1,+sse4.2,+ssse3,+xsave"
)


def hold() -> None:
    """Set the environment so that libraries that are imported after it, here and in processes begun here, keep to `LEVEL`."""
    # matrices are small: threads of the linear algebra would wait for each other and for other jobs
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    if arithmetic() != LEVEL:
        return
    numpy = tuple(map(int, version("numpy").split(".")[:2]))
    wide = "X86_V4" if numpy >= (2, 4) else "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL"
    wide += " AVX512_ICL AVX512_SPR" if numpy >= (2, 0) else " AVX512_ICL"  # a name it has not, it warns of
    os.environ |= {
        "OPENBLAS_CORETYPE": "Haswell",
        "MKL_CBWR": "AVX2,STRICT",  # numpy of other makers
        "NPY_DISABLE_CPU_FEATURES": wide,
        "NUMBA_CPU_NAME": LEVEL,
        "NUMBA_CPU_FEATURES": _FEATURES,
    }
    os.environ.pop("NPY_ENABLE_CPU_FEATURES", None)  # not with the other


@cache
def arithmetic() -> str:
    """The level that is kept to, or of a processor that does not have it its name."""
    told = _of_linux()
    if platform.machine() in ("x86_64", "AMD64") and set(told.get("flags", "").split()) >= _FLAGS:
        return LEVEL
    return " ".join(filter(None, [platform.machine(), told.get("model name") or platform.processor()]))


def _of_linux() -> dict[str, str]:
    """What Linux tells of its first processor."""
    told: dict[str, str] = {}
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if not name.strip():  # the next one begins
                    break
                told[name.strip()] = value.strip()
    except OSError:
        pass
    return told
