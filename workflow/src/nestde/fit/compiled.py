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
from typing import Any, Self, TypeVar

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def _stamp() -> str:
    sources = [source.read_bytes() for source in sorted(Path(__file__).parent.rglob("*.py"))]
    # kernels, and the tuples that they read by the place of each field
    of_kernels = [source for source in sources if b"compiled" in source or b"NamedTuple" in source]
    return hashlib.sha256(b"".join(of_kernels)).hexdigest()


_STAMP = _stamp()
# Ranges for each thread: one that has ended its own takes another's.
_RANGES = 8


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
    with Threads(threads, count) as several:
        several.spread(kernel, count, *arguments)


class Threads:
    """The calling thread and others beside it, which stay for many calls of `spread`; of no use beyond `most` of them."""

    def __init__(self, threads: int | None, most: int):
        available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._others = max(1, min(threads or available, most)) - 1
        self._pool = ThreadPoolExecutor(self._others) if self._others else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def spread(self, kernel: Callable[..., None], count: int, *arguments: Any) -> None:
        """As the function `spread`."""
        if self._pool is None:
            kernel(0, count, *arguments)
            return
        step = max(1, math.ceil(count / (_RANGES * (1 + self._others))))
        begins = iter(range(0, count, step))

        def work() -> None:
            for begin in begins:
                kernel(begin, min(begin + step, count), *arguments)

        others = [self._pool.submit(work) for _ in range(self._others)]
        work()
        for other in others:
            other.result()
