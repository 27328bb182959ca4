"""How long REML with Satterthwaite's and Kenward–Roger's tests takes for all genes of one design, and for one response.

24 samples × 1,000 cells, one count in ten not zero: `python tests/bench/t_and_f_tests.py` (36,000 genes, in slices, so that
the counts fit into memory; compiling is not counted).
"""

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import scipy.sparse

from nestde.design import design
from nestde.fit import fit_genes, fit_responses
from nestde.fit.family.log1p import LogCounts
from nestde.fit.inference import f_tests

SLICE = 3600


def seconds(function: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main(arguments: list[str]) -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--genes", type=int, default=36000)
    parser.add_argument("--random", default="(1 | sample_id)")
    options = parser.parse_args(arguments)
    random = np.random.default_rng(1)
    sample = np.repeat(np.arange(24), 1000)
    frame = pd.DataFrame(
        {
            "sample_id": [f"S{i:02d}" for i in sample],
            "saturation": random.uniform(0.4, 0.9, len(sample)),
            "diagnosis": np.where(sample % 2, "AD", "Control"),
        }
    )
    built = design.build_design(f"~ saturation + diagnosis + {options.random}", frame, test=["diagnosis"])
    rows = [np.eye(3)[[2]]]
    response = random.normal(size=24)[sample] + random.normal(size=len(sample))

    fits = fit_responses(built, response, reml=True)
    f_tests(fits, rows)
    one = min(seconds(lambda: f_tests(fits, rows)) for _ in range(5))
    print(
        f"Satterthwaite and Kenward–Roger of one response of {built.n:,} cells: {1e3 * one:.1f} ms (pbkrtest: 194 s)"
    )

    fitting, testing = 0.0, 0.0
    for first in range(0, options.genes, SLICE):
        genes = min(SLICE, options.genes - first)
        counts = scipy.sparse.random_array((built.n, genes), density=0.1, format="csc", rng=random)
        per_sample = random.gamma(5.0, 0.4, size=(24, genes))
        column = np.repeat(np.arange(genes), np.diff(counts.indptr))
        counts.data = 1 + random.poisson(per_sample[sample[counts.indices], column]).astype(np.int32)
        start = time.perf_counter()
        reml = fit_genes(built, counts, LogCounts(np.ones(built.n)), reml=True).full
        fitting += time.perf_counter() - start
        testing += seconds(lambda reml=reml: f_tests(reml, rows))
    print(f"{options.genes:,} genes: REML {fitting:.1f} s, both tests {testing:.1f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
