"""How often does each p-value reject at 0.05 where nothing differs? Prints the table that the docs show.

2,000 null genes, 50 cells a sample, a share of 0.1 of the variance between samples, half of the samples in each of two
diagnoses: `python tests/bench/type_one_error.py` (seconds).
"""

import argparse
import sys

import numpy as np
import pandas as pd
from scipy import stats

from nestde.design import design
from nestde.fit import fit_responses
from nestde.fit.genes import ratio
from nestde.fit.inference import f_tests
from nestde.fit.log_sf import log_f_sf

ICC = 0.1
# Issue 3: R 4.2.2 with lme4 1.1-31, lmerTest 3.1-3, pbkrtest 0.5.2 on 2,000 genes of its own
IN_R = {
    "likelihood ratio, χ²": (0.0595, 0.082, 0.136),
    "Satterthwaite": (0.0495, 0.0485, 0.0575),
    "Kenward–Roger": (0.0495, 0.0485, 0.052),
}


def rejections(samples: int, genes: int, cells: int, seed: int) -> tuple[dict[str, float], float]:
    """Share of null genes with p < 0.05 by each method for `samples` in each diagnosis; share of singular fits."""
    random = np.random.default_rng([seed, samples])
    sample = np.repeat(np.arange(2 * samples), cells)
    frame = pd.DataFrame(
        {
            "sample_id": [f"S{i:02d}" for i in sample],
            "diagnosis": np.where(sample % 2, "AD", "Control"),
            "saturation": random.uniform(0.4, 0.9, len(sample)),
        }
    )
    y = np.sqrt(ICC) * random.normal(size=(2 * samples, genes))[sample]
    y += np.sqrt(1 - ICC) * random.normal(size=y.shape)

    levels = {"diagnosis": ["Control", "AD"]}
    full = design.build_design(
        "~ saturation + diagnosis + (1 | sample_id)", frame, test=["diagnosis"], levels=levels
    )
    reduced = design.build_design("~ saturation + (1 | sample_id)", frame)
    (column,) = full.tests["diagnosis"]
    reml = fit_responses(full, y, reml=True)
    (test,) = f_tests(reml, [np.eye(full.x.shape[1])[[column]]])
    singular = reml.status == "singular"
    # without a variance between samples every cell counts: what lmerTest makes of a singular fit
    all_cells = log_f_sf(test.satterthwaite.f, 1, len(y) - full.x.shape[1])
    log_p = {
        "likelihood ratio, χ²": ratio(fit_responses(full, y), fit_responses(reduced, y)).log_p,
        "Satterthwaite": np.where(singular, all_cells, test.satterthwaite.log_p),
        "Satterthwaite, capped in singular fits": test.satterthwaite.log_p,
        "Kenward–Roger": test.kenward_roger.log_p,
        "containment": test.containment.log_p,
        "cells as replicates, t": np.log(_of_cells(full.x, y, column)),
    }
    rejected = {name: float(np.mean(p < np.log(0.05))) for name, p in log_p.items()}
    return rejected, float(np.mean(singular))


def _of_cells(x: np.ndarray, y: np.ndarray, column: int) -> np.ndarray:
    """p-values of ordinary least squares, which takes cells for replicates."""
    freedom = len(x) - x.shape[1]
    inverse = np.linalg.inv(x.T @ x)
    beta = inverse @ (x.T @ y)
    sigma = np.sqrt(np.sum((y - x @ beta) ** 2, axis=0) / freedom)
    return 2 * stats.t.sf(np.abs(beta[column]) / (sigma * np.sqrt(inverse[column, column])), freedom)


def rejections_of_slopes(samples: int, genes: int, cells: int, seed: int) -> dict[str, float]:
    """The same for the effect of diagnosis on the slope of x, which has an SD of 0.3 between samples."""
    random = np.random.default_rng([seed, samples, 2])
    sample = np.repeat(np.arange(2 * samples), cells)
    x = random.normal(size=len(sample))
    frame = pd.DataFrame(
        {
            "sample_id": [f"S{i:02d}" for i in sample],
            "diagnosis": np.where(sample % 2, "AD", "Control"),
            "x": x,
        }
    )
    y = np.sqrt(ICC) * random.normal(size=(2 * samples, genes))[sample]
    y += 0.3 * x[:, None] * random.normal(size=(2 * samples, genes))[sample] + random.normal(size=y.shape)
    built = design.build_design("~ diagnosis * x + (1 + x | sample_id)", frame, test=["diagnosis:x"])
    rows = np.eye(len(built.coef_names))[list(built.tests["diagnosis:x"])]
    (test,) = f_tests(fit_responses(built, y, reml=True), [rows])
    names = {"Satterthwaite": "satterthwaite", "Kenward–Roger": "kenward_roger", "containment": "containment"}
    return {name: float(np.mean(getattr(test, key).log_p < np.log(0.05))) for name, key in names.items()}


def main(arguments: list[str]) -> None:
    """Print the table as Markdown, and what random slopes do."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--cells", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    sizes = (12, 6, 3)
    found = [rejections(samples, options.genes, options.cells, options.seed) for samples in sizes]
    head = [f"{n} v {n}" for n in sizes]
    print("|".join(["| p-value at 0.05 ", *(f" {h} " for h in head), *(f" R, {h} " for h in head)]) + "|")
    print("|---" * 7 + "|")
    for name in found[0][0]:
        ours = [f"{share[name]:.4f}" for share, _ in found]
        theirs = [f"{value:.4f}" for value in IN_R.get(name, ())] or [""] * 3
        print(f"| {name} | {' | '.join([*ours, *theirs])} |")
    print(f"| singular fits | {' | '.join(f'{singular:.4f}' for _, singular in found)} | | | |")
    slopes = [rejections_of_slopes(samples, options.genes, options.cells, options.seed) for samples in sizes]
    print("\ndiagnosis:x beside (1 + x | sample_id)\n")
    for name in slopes[0]:
        print(f"| {name} | {' | '.join(f'{share[name]:.4f}' for share in slopes)} |")


if __name__ == "__main__":
    main(sys.argv[1:])
