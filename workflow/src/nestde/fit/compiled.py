"""Compile kernels once and keep them on disk, for as long as no kernel's source changes.

Numba keeps a compiled function while its own file is unchanged, even if a function that it calls, in another file,
is not: after an update that mixes old code with new. So the kernels here share one stamp, that of all their sources.
"""

import contextlib
import hashlib
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def _stamp() -> str:
    sources = [source.read_bytes() for source in sorted(Path(__file__).parent.rglob("*.py"))]
    # kernels, and the tuples that they read by the place of each field
    of_kernels = [source for source in sources if b"compiled" in source or b"NamedTuple" in source]
    return hashlib.sha256(b"".join(of_kernels)).hexdigest()


_STAMP = _stamp()


def compiled(*, inline: bool = False, sums: bool = False) -> Callable[[Kernel], Kernel]:
    """Decorate a kernel.

    Parameters
    ----------
    inline
        Make it part of its caller, which saves compiling the caller's callees twice.
    sums
        Let sums be taken several terms at a time.
    """

    def decorate(kernel: Kernel) -> Kernel:
        dispatcher = numba.njit(
            kernel,
            cache=True,
            nogil=True,
            error_model="numpy",
            inline="always" if inline else "never",
            fastmath={"reassoc", "contract"} if sums else False,
        )
        with contextlib.suppress(AttributeError):  # numba has no public way to say this
            dispatcher._cache._cache_file._source_stamp = _STAMP
        compiled: Kernel = dispatcher
        return compiled

    return decorate


def spread(kernel: Callable[..., None], count: int, threads: int | None, *arguments: Any) -> None:
    """Call ``kernel(begin, end, *arguments)`` for ranges that cover 0 … count − 1, on several threads.

    Threads of numba's own would double the time to compile. `threads` None is one per processor.
    """
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(threads or available, count)
    if workers <= 1:
        kernel(0, count, *arguments)
        return
    step = max(1, math.ceil(count / (8 * workers)))
    with ThreadPoolExecutor(workers) as pool:
        ranges = [(begin, min(begin + step, count)) for begin in range(0, count, step)]
        for done in [pool.submit(kernel, begin, end, *arguments) for begin, end in ranges]:
            done.result()
