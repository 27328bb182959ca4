"""Milliseconds a gene of count models, beside glmmTMB and lme4 in the same run: 24 samples of 1,000 cells, one covariate of cells.

    python tests/bench/count_speed.py [--genes 2000] [--peers 2]
    python tests/bench/count_speed.py --genes 40 --general
    python tests/bench/count_speed.py --whole
    python tests/bench/count_speed.py --samples 48 --cells 4167 --means 0.2 0.2 --genes 200

Means are even in log from .01 to 20. Peers fit the first genes of mean about 1; R with glmmTMB and lme4 must be there for them.
`--whole` tells the wall time of 36,000 genes on all processors, as many chunks of the genes that are drawn.
"""

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse

from nestde.design.design import build_design
from nestde.fit.counts import by_arm, fits
from nestde.fit.moderated import arms_of

WHOLE = 36_000
# Genes of about the same mean that are timed together.
EACH = 100
CASE = np.array([[0.0, 0.0, 1.0]])
PEERS = """
suppressMessages({library(glmmTMB); library(lme4)})
d <- read.csv("cells.csv")
for (g in grep("^g", names(d), value = TRUE)) {
  d$y <- d[[g]]
  pair <- function(fit) system.time({fit(y ~ depth + case + (1 | sample)); fit(y ~ depth + (1 | sample))})[["user.self"]]
  nb <- pair(function(f) glmmTMB(f, data = d, family = nbinom2, offset = off))
  tmb <- pair(function(f) glmmTMB(f, data = d, family = poisson, offset = off))
  glmer <- pair(function(f) glmer(f, data = d, family = poisson, offset = off))
  cat(sprintf("| %s | glmmTMB NB %.0f | glmmTMB Poisson %.0f | glmer Poisson %.0f |\\n", g, 1e3 * nb, 1e3 * tmb, 1e3 * glmer))
}
"""


def simulate(genes, samples=24, each=1000, means=(0.01, 20.0)):
    """Cells, as many of each sample, and their (n, genes) counts."""
    random = np.random.default_rng(1)
    sample = np.repeat(np.arange(samples), each)
    n = len(sample)
    cells = pd.DataFrame(
        {
            "sample": [f"S{s:02d}" for s in sample],
            "case": (sample % 2).astype(float),
            "depth": random.normal(0.7, 0.1, n),
            "off": random.normal(0, 0.4, n) + random.normal(0, 0.2, samples)[sample],
        }
    )
    columns = []
    for mean in np.geomspace(*means, genes):
        sd, theta = 0.25 * np.exp(random.normal(0, 0.6)), 2 * np.exp(random.normal(0, 0.5))
        mu = mean * np.exp(
            cells["off"] + 0.5 * (cells["depth"] - 0.7) + random.normal(0, sd, samples)[sample]
        )
        columns.append(
            scipy.sparse.csc_array(random.poisson(mu * random.gamma(theta, 1 / theta, n))[:, None])
        )
    return cells, scipy.sparse.csc_array(scipy.sparse.hstack(columns))


def median(milliseconds):
    return f"{np.median(milliseconds):.2f} ({np.quantile(milliseconds, 0.1):.2f}–{np.quantile(milliseconds, 0.9):.2f})"


def general(cells, counts):
    """Print milliseconds a gene, full and reduced, with the random effects that take the general kernels."""
    cells = cells.assign(donor=[f"D{int(s[1:]) // 4 * 2 + int(s[1:]) % 2}" for s in cells["sample"]])
    for random in ("(1 | donor/sample)", "(1 + depth | sample)"):
        design = build_design(f"~ depth + case + {random}", cells, test=["case"])
        for family in fits.FAMILIES:
            model = fits.prepare(design, family, cells["off"].to_numpy())
            times = []
            for g in [0, *range(counts.shape[1])]:  # the first compiles
                data = fits.data_of(model.cells, counts[:, [g]])
                begin = time.process_time()
                fits.fit_tests(model, data, [CASE], threads=1)
                times.append(1e3 * (time.process_time() - begin))
            print(f"| {family}, {random} | {median(times[1:])}, at most {max(times[1:]):.1f} |", flush=True)


def whole(cells, counts):
    """Print the wall time of a transcriptome of negative binomial genes."""
    design = build_design("~ depth + case + (1 | sample)", cells, test=["case"])
    model, arms = fits.prepare(design, "negative_binomial", cells["off"].to_numpy()), arms_of(design, "case")
    for rounds in (1, WHOLE // counts.shape[1]):  # the first compiles
        took = np.zeros(2)
        for _ in range(rounds):
            begin = time.perf_counter()
            data = fits.data_of(model.cells, counts)
            full, _ = fits.fit_tests(model, data, [CASE])
            middle = time.perf_counter()
            by_arm.moderate(model, data, full, [CASE], arms, np.zeros(counts.shape[1]))
            took += middle - begin, time.perf_counter() - middle
    print(
        f"{rounds * counts.shape[1]:,} genes, wall seconds: full and reduced {took[0]:.1f}, moderated beside them {took[1]:.1f}"
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument(
        "--general", action="store_true", help="nested and slope terms instead, one gene at a time"
    )
    parser.add_argument("--peers", type=int, default=0, help="genes that glmmTMB and lme4 fit")
    parser.add_argument("--whole", action="store_true", help="36,000 genes instead, on all processors")
    parser.add_argument("--samples", type=int, default=24)
    parser.add_argument("--cells", type=int, default=1000, help="of each sample")
    parser.add_argument("--means", type=float, nargs=2, default=(0.01, 20.0))
    arguments = parser.parse_args()
    cells, counts = simulate(arguments.genes, arguments.samples, arguments.cells, arguments.means)
    if arguments.general or arguments.whole:
        (general if arguments.general else whole)(cells, counts)
        return
    print(
        "| family | full + reduced, ms: median (10–90 %) over means | moderated | free of the counts, s |\n|---|---|---|---|"
    )
    for formula, rows in (("~ depth + case + (1 | sample)", CASE), ("~ case + (1 | sample)", CASE[:, 1:])):
        design = build_design(formula, cells, test=["case"])
        arms = arms_of(design, "case")
        for family in fits.FAMILIES:
            begin = time.process_time()
            model = fits.prepare(design, family, cells["off"].to_numpy())
            built = time.process_time() - begin
            both, over = [], []
            for some in np.array_split(np.arange(arguments.genes), max(1, arguments.genes // EACH)):
                data = fits.data_of(model.cells, counts[:, some])
                if not both:  # the first compiles
                    warm, _ = fits.fit_tests(model, data, [rows], threads=1)
                    by_arm.moderate(model, data, warm, [rows], arms, np.zeros(len(some)), threads=1)
                begin = time.process_time()
                full, _ = fits.fit_tests(model, data, [rows], threads=1)
                middle = time.process_time()
                by_arm.moderate(model, data, full, [rows], arms, np.zeros(len(some)), threads=1)
                over.append(1e3 * (time.process_time() - middle) / len(some))
                both.append(1e3 * (middle - begin) / len(some))
            print(f"| {family}, {formula} | {median(both)} | {median(over)} | {built:.2f} |", flush=True)
    if arguments.peers:
        some = np.abs(np.log(np.geomspace(*arguments.means, arguments.genes))).argsort()[: arguments.peers]
        with tempfile.TemporaryDirectory() as folder:
            names = [f"g{g}" for g in some]
            cells.assign(**dict(zip(names, counts[:, some].toarray().T, strict=True))).to_csv(
                Path(folder) / "cells.csv", index=False
            )
            subprocess.run(["Rscript", "-e", PEERS], cwd=folder, check=True)


if __name__ == "__main__":
    main()
