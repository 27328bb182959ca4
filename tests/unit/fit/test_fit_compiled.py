import subprocess
import sys

import numpy as np

from nestde.fit import compiled, scalar
from nestde.fit.compiled import spread


def test_ranges_cover_everything_once():
    for count in (0, 1, 2, 17, 1000):
        for threads in (None, 1, 2, 5):
            seen = np.zeros(count, int)

            def mark(begin, end, out):
                out[begin:end] += 1

            spread(mark, count, threads, seen)
            assert (seen == 1).all()


def test_a_fault_in_a_thread_is_raised():
    def fail(begin, end):
        raise ValueError("here")

    try:
        spread(fail, 10, 2)
    except ValueError as error:
        assert str(error) == "here"
    else:
        raise AssertionError("nothing was raised")


def test_kernels_are_kept_under_the_stamp_of_all_their_sources():
    assert scalar._minimise._cache._cache_file._source_stamp == compiled._STAMP


def test_the_engine_does_not_import_what_is_slow():
    code = "import sys, nestde.fit; print([m for m in ('pandas', 'formulaic', 'statsmodels') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
