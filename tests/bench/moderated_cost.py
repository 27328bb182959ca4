"""What the tests that need all genes of a cell type cost, in CPU seconds of one thread: the table that the docs show.

    python tests/bench/moderated_cost.py [--genes 20000] [--relabellings 20] [--cells 24000]

12 v 12 samples of 10 to 200 cells, mixed ICC, a tenth of the genes differ: the moderated test with one variance and with one for
each arm, effects without each sample in turn, and relabelled samples by every p-value (told for a thousand of them). With
`--cells` also what a whole cell type takes from its counts, a tenth of them not 0: sums, both fits by ML, likelihood ratio, and
the moderated test; and the wall time of all of it on all processors, the median of nine. Everything runs once before it is timed.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import scipy.sparse
from relabelled_covariates import statistics_of

from nestde.calibrate.calibration import calibrate
from nestde.calibrate.leave_out import leave_out
from nestde.design.contrasts import contrasts, joint
from nestde.design.design import Design, build_design
from nestde.fit.family import family
from nestde.fit.grain import grain_of
from nestde.fit.leaf_sums import LeafSums
from nestde.fit.methods import method
from nestde.fit.moderated import arms_of, moderate

SAMPLES = 24


def study(genes: int) -> tuple[Design, LeafSums]:
    """A design, and sums of genes."""
    rng = np.random.default_rng(1)
    cells, arm = rng.integers(10, 201, SAMPLES), np.repeat([0.0, 1.0], SAMPLES // 2)
    variance = np.where(rng.random(genes) < 0.2, 0.0, rng.lognormal(np.log(0.03), 1.2, genes))
    effect = np.where(rng.random(genes) < 0.1, rng.uniform(0.3, 1.2, genes), 0.0)
    means = (
        rng.normal(size=(genes, SAMPLES)) * np.sqrt(variance[:, None] + 1.0 / cells) + effect[:, None] * arm
    )
    return design_of(cells), statistics_of(cells, means, rng.chisquare(cells - 1, (genes, SAMPLES)))


def design_of(cells: np.ndarray) -> Design:
    """Half of the samples in each arm."""
    names = [f"s{i:02}" for i in range(SAMPLES)]
    samples = pd.DataFrame({"sample": names, "arm": np.repeat(["A", "B"], SAMPLES // 2)})
    return build_design("~ arm + (1 | sample)", samples.loc[samples.index.repeat(cells)], test=["arm"])


def seconds(call: Callable[[], object]) -> float:
    """CPU seconds of a second call."""
    call()
    begin = time.process_time()
    call()
    return time.process_time() - begin


def main(genes: int, number: int, cells: int) -> None:
    """Print the table as Markdown."""
    print(f"| {genes:,} genes, {SAMPLES} samples | CPU s |\n|---|---|")
    design, statistics = study(genes)
    model, sums = statistics.model_of(design)
    (pair,) = contrasts(design, "arm")
    for name, arms in (("one variance", None), ("a variance for each arm", arms_of(design, "arm"))):
        cost = seconds(
            lambda arms=arms: moderate(model, sums, [pair.rows], statistics.mean, arms=arms, threads=1)
        )
        print(f"| moderated, {name} | {cost:.2f} |", flush=True)
    print(
        f"| effects without each sample | {seconds(lambda: leave_out(design, statistics, pair, 1)):.2f} |",
        flush=True,
    )

    def of(count: int, auto: str = "auto") -> Callable[[], object]:
        return lambda: calibrate(design, statistics, "arm", auto, number=count, threads=1)

    each = (seconds(of(number)) - seconds(of(1))) / (number - 1)
    print(f"| 1,000 relabellings, every p-value | {1000 * each:.0f} |", flush=True)
    if cells:
        rng = np.random.default_rng(2)
        counts = scipy.sparse.random_array(
            (cells, 36_000), density=0.1, format="csc", rng=rng, data_sampler=lambda size: rng.integers(1, 6, size)
        ).astype(np.int32)  # fmt: skip
        design = design_of(np.full(SAMPLES, cells // SAMPLES))
        names = np.array([f"g{i}" for i in range(36_000)], object)
        of_family, whole = family("gaussian"), [joint(design, "arm")]
        for name in ("lrt", "moderated"):

            def from_counts(name: str = name) -> None:
                made = of_family.sum_up(grain_of(design), counts, np.ones(cells), names, 2)
                method(name, "linear").test(made.fitted(design, 2), whole)

            print(f"| 36,000 genes, {cells:,} cells: sums, {name} | {seconds(from_counts):.2f} |", flush=True)
        walls = []
        for _ in range(9):
            # another object, of which scipy does not know yet that it has no duplicates
            fresh = scipy.sparse.csc_array((counts.data, counts.indices, counts.indptr), counts.shape)
            begin = time.perf_counter()
            fitted = of_family.sum_up(grain_of(design), fresh, np.ones(cells), names).fitted(design)
            for name in ("lrt", "moderated"):
                method(name, "linear").test(fitted, whole)
            walls.append(time.perf_counter() - begin)
        each = f"{np.median(walls):.2f} ({min(walls):.2f} to {max(walls):.2f})"
        print(f"| all of it, wall seconds on all processors | {each} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--genes", type=int, default=20_000)
    parser.add_argument("--relabellings", type=int, default=20)
    parser.add_argument("--cells", type=int, default=24_000)
    options = parser.parse_args()
    main(options.genes, options.relabellings, options.cells)
