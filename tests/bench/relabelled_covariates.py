"""Does calibration by relabelled samples measure a p-value's true size where samples have a covariate too? And what it costs.

    python tests/bench/relabelled_covariates.py [--cohorts 6] [--genes 1000] [--relabellings 25]

6 v 6 samples of 10 to 200 cells with an age that correlates with the diagnosis by 0 or .6 and moves half of the genes; a tenth
of the genes differ by diagnosis. Printed is the share of null genes with p below .05 and .01 in the cohorts as they are, and
what is measured in each by relabelling (`calibrate`: the diagnosis is dealt out anew, ages stay) and by Freedman and Lane (1983):
residuals of the samples' means on age alone are dealt out, labels and ages stay. The prior is kept, and genes called under the
true labels are not counted, in both.
"""

import argparse
import time

import numpy as np
import pandas as pd

from nestde.calibrate.calibration import CALLED, calibrate
from nestde.design.contrasts import joint
from nestde.design.design import Design, build_design
from nestde.fit.family import family
from nestde.fit.fdr import benjamini_hochberg
from nestde.fit.grain import Grain
from nestde.fit.leaf_sums import LeafSums
from nestde.fit.methods import method

LEVELS = (0.05, 0.01)
METHODS = ("moderated", "lrt", "means")
SAMPLES = 12


def cohort(
    genes: int, likeness: float, seed: int
) -> tuple[Design, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A design, cells of each sample, (genes, samples) means and squares within samples, and which genes differ."""
    rng = np.random.default_rng(seed)
    cells, arm = rng.integers(10, 201, SAMPLES), np.repeat([0.0, 1.0], SAMPLES // 2)
    age = likeness * (2 * arm - 1) + np.sqrt(1 - likeness**2) * rng.normal(size=SAMPLES)
    samples = pd.DataFrame(
        {"sample": [f"s{i:02}" for i in range(SAMPLES)], "age": age, "arm": np.where(arm > 0, "B", "A")}
    )
    design = build_design(
        "~ age + arm + (1 | sample)", samples.loc[samples.index.repeat(cells)], test=["arm"]
    )
    true = rng.random(genes) < 0.1
    variance = np.where(rng.random(genes) < 0.2, 0.0, rng.lognormal(np.log(0.03), 1.2, genes))
    means = rng.normal(size=(genes, SAMPLES)) * np.sqrt(variance[:, None] + 1.0 / cells)
    means += np.where(rng.random(genes) < 0.5, 0.3, 0.0)[:, None] * age
    means += np.where(true, rng.uniform(0.3, 1.2, genes), 0.0)[:, None] * arm
    return design, cells, means, rng.chisquare(cells - 1, (genes, SAMPLES)), true


def statistics_of(cells: np.ndarray, means: np.ndarray, within: np.ndarray) -> LeafSums:
    """Sums of genes with these means."""
    code = np.repeat(np.arange(len(cells)), cells)
    names = np.array([f"g{i}" for i in range(len(means))], object)
    sums, squares = (cells * means)[:, :, None], within + cells * means**2
    return LeafSums(family("gaussian"), names, Grain(code, np.zeros((len(code), 0))), sums, squares)


def log_p(design: Design, statistics: LeafSums, learnt: dict[str, object]) -> dict[str, np.ndarray]:
    """(genes,) log p of each method."""
    fitted = statistics.fitted(design, 1, learnt)
    return {
        name: method(name, statistics.family.engine).test(fitted, [joint(design, "arm")])[0].log_p
        for name in METHODS
    }


def freedman_lane(
    design: Design, cells: np.ndarray, means: np.ndarray, within: np.ndarray, number: int
) -> dict[str, list[float]]:
    """Sizes of each method over dealt-out residuals."""
    learnt: dict[str, object] = {}
    observed = log_p(design, statistics_of(cells, means, within), learnt)
    counted = benjamini_hochberg(np.exp(observed["moderated"])) > CALLED
    first = np.unique(design.random[0].codes, return_index=True)[1]
    x = np.delete(design.x[first], list(design.tests["arm"]), axis=1)
    hat = x @ np.linalg.pinv(x)
    fitted, rng, sizes = means @ hat, np.random.default_rng(1), {name: [] for name in METHODS}
    for _ in range(number):
        dealt = fitted + (means - fitted)[:, rng.permutation(SAMPLES)]
        for name, found in log_p(design, statistics_of(cells, dealt, within), learnt).items():
            sizes[name].append([float(np.mean(found[counted] < np.log(level))) for level in LEVELS])
    return {name: np.mean(of, axis=0).tolist() for name, of in sizes.items()}


def main(cohorts: int, genes: int, number: int) -> None:
    """Print the table as Markdown."""
    print("| correlation with age | p-value | true size | relabelled | Freedman–Lane |\n" + "|---" * 5 + "|")
    spent = {"relabelled": 0.0, "Freedman–Lane": 0.0}
    for likeness in (0.0, 0.6):
        found: dict[str, dict[str, list[list[float]]]] = {
            name: {"true": [], **{way: [] for way in spent}} for name in METHODS
        }
        for seed in range(cohorts):
            design, cells, means, within, true = cohort(genes, likeness, seed)
            statistics = statistics_of(cells, means, within)
            for name, p in log_p(design, statistics, {}).items():
                found[name]["true"].append([float(np.mean(p[~true] < np.log(level))) for level in LEVELS])
            begin = time.process_time()
            table = calibrate(
                design, statistics, "arm", "moderated", number=number, threads=1
            ).table.set_index("method")
            spent["relabelled"] += time.process_time() - begin
            begin = time.process_time()
            dealt = freedman_lane(design, cells, means, within, number)
            spent["Freedman–Lane"] += time.process_time() - begin
            for name in METHODS:
                found[name]["relabelled"].append(
                    [float(table.loc[name, f"size_{level:g}"]) for level in LEVELS]
                )
                found[name]["Freedman–Lane"].append(dealt[name])
        for name, ways in found.items():
            told = [
                " / ".join(f"{value:.4f}".lstrip("0") for value in np.mean(of, axis=0))
                for of in ways.values()
            ]
            print(f"| {likeness:g} | {name} | {' | '.join(told)} |", flush=True)
    each = 2 * cohorts * number
    print(
        "\nCPU s a relabelling: " + ", ".join(f"{way} {seconds / each:.3f}" for way, seconds in spent.items())
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cohorts", type=int, default=6)
    parser.add_argument("--genes", type=int, default=1000)
    parser.add_argument("--relabellings", type=int, default=25)
    options = parser.parse_args()
    main(options.cohorts, options.genes, options.relabellings)
