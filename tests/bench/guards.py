"""What calibration by relabelled samples would say without each of its three guards (see `nestde.calibrate.calibration`).

    python tests/bench/guards.py [--cohorts 6] [--genes 2000] [--relabellings 20]

6 v 6 samples of 10 to 200 cells, mixed ICC; a tenth or a third of the genes differ, by 0.3 to 1.2 SD. Printed is the share of null
genes with p below .05 / .01 by the moderated test under the true labels, and what relabelling measures: as it is, with a prior that
is learnt anew under each relabelling, of all genes instead of those that are not called, and by those relabellings alone that are
like the true one.
"""

import argparse

import numpy as np
import pandas as pd
from relabelled_covariates import LEVELS, SAMPLES, statistics_of

from nestde.calibrate.calibration import CALLED
from nestde.calibrate.relabel import relabelled, relabellings
from nestde.design.contrasts import joint
from nestde.design.design import Design, build_design
from nestde.fit.fdr import benjamini_hochberg
from nestde.fit.leaf_sums import LeafSums
from nestde.fit.methods import method

WAYS = ("true size", "as it is", "prior learnt anew", "all genes", "relabellings like the true one")


def cohort(genes: int, share: float, seed: int) -> tuple[Design, LeafSums, np.ndarray]:
    """A design, sums of genes, and which of them differ."""
    rng = np.random.default_rng(seed)
    cells, arm = rng.integers(10, 201, SAMPLES), np.repeat([0.0, 1.0], SAMPLES // 2)
    names = [f"s{i:02}" for i in range(SAMPLES)]
    samples = pd.DataFrame({"sample": names, "arm": np.where(arm > 0, "B", "A")})
    design = build_design("~ arm + (1 | sample)", samples.loc[samples.index.repeat(cells)], test=["arm"])
    true = rng.random(genes) < share
    variance = np.where(rng.random(genes) < 0.2, 0.0, rng.lognormal(np.log(0.03), 1.2, genes))
    effect = np.where(true, rng.uniform(0.3, 1.2, genes) * rng.choice([-1, 1], genes), 0.0)
    means = rng.normal(size=(genes, SAMPLES)) * np.sqrt(variance[:, None] + 1.0 / cells)
    means += effect[:, None] * arm
    return design, statistics_of(cells, means, rng.chisquare(cells - 1, (genes, SAMPLES))), true


def measure(genes: int, share: float, seed: int, number: int) -> np.ndarray:
    """Shares of p-values below `LEVELS`, (WAYS, LEVELS), in one cohort."""
    design, statistics, true = cohort(genes, share, seed)
    learnt: dict[str, object] = {}

    def log_p(labels: Design, known: dict[str, object]) -> np.ndarray:
        fitted = statistics.fitted(labels, 1, known)
        return method("moderated", "linear").test(fitted, [joint(labels, "arm")])[0].log_p

    def sizes(log_p: np.ndarray) -> list[float]:
        return [np.mean(log_p < np.log(level)) for level in LEVELS]

    own = log_p(design, learnt)
    counted = benjamini_hochberg(np.exp(own)) > CALLED
    ways, every = (relabellings(design, "arm", most, seed) for most in (number, 1000))
    orders = [relabelled(design, "arm", ways.unit, order) for order in ways.order]
    like = [relabelled(design, "arm", ways.unit, order) for order in every.like[:number]]
    kept = np.array([log_p(other, learnt) for other in orders])
    anew = np.array([log_p(other, {}) for other in orders])
    near = np.array([log_p(other, learnt) for other in like])
    found = (own[~true], kept[:, counted], anew[:, counted], kept, near[:, counted])
    return np.array([sizes(each) for each in found])


def main(cohorts: int, genes: int, number: int) -> None:
    """Print the table as Markdown."""
    print(f"| genes that differ | {' | '.join(WAYS)} |\n{'|---' * (1 + len(WAYS))}|")
    for share, name in ((0.1, "a tenth"), (1 / 3, "a third")):
        found = np.mean([measure(genes, share, seed, number) for seed in range(cohorts)], axis=0)
        cells = [" / ".join(f"{size:.4f}".lstrip("0") for size in of_way) for of_way in found]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cohorts", type=int, default=6)
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--relabellings", type=int, default=20)
    options = parser.parse_args()
    main(options.cohorts, options.genes, options.relabellings)
