"""Seconds per fit beside statsmodels and, where Rscript has it, lme4: the goals of issue 3, in one table.

    python tests/bench/bench_fit.py [--quick]

Compilation is not counted (it is kept on disk between processes); `peer` is one process, `ours` all processors.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from nestde.design import design as designs
from nestde.design.contrasts import joint
from nestde.fit import fit_genes, fit_responses
from nestde.fit.family.log1p import LogCounts
from nestde.fit.inference import f_tests

LME4 = """
suppressMessages(library(lme4))
data <- read.csv("data.csv", stringsAsFactors = TRUE)
y <- as.matrix(read.csv("y.csv"))
quiet <- function(e) suppressWarnings(suppressMessages(e))
data$y <- y[, 1]
full <- quiet(lmer({full}, data, REML = FALSE))
reduced <- {reduced}
time <- system.time(for (j in seq_len(ncol(y))) quiet({{refit(full, y[, j]); if (!is.null(reduced)) refit(reduced, y[, j])}}))
cat(time[["elapsed"]] / ncol(y))
"""

# A fit from its own start, `full` once; `refit` would begin at the end of the last.
LMER = """
suppressMessages(library(lme4))
data <- read.csv("data.csv", stringsAsFactors = TRUE)
cat(system.time(suppressWarnings(suppressMessages(lmer({full}, data, REML = FALSE))))[["elapsed"]])
"""


def study(samples, cells, rng):
    """Cells of `samples` samples, half of each diagnosis, with a covariate of each cell."""
    n = samples * cells
    return pd.DataFrame(
        {
            "sample_id": np.repeat([f"S{i:03}" for i in range(samples)], cells),
            "saturation": rng.normal(70, 5, n),
            "diagnosis": np.repeat(np.where(np.arange(samples) % 2, "AD", "Control"), cells),
        }
    )


def counts_of(frame, genes, rng, share=0.1):
    """Counts that are non-zero in a share of the cells, more often in some samples: (n, genes) by column."""
    samples, sample = np.unique(frame["sample_id"], return_inverse=True)
    columns = []
    for _ in range(genes):
        chance = np.clip(share * rng.lognormal(0, 0.3, len(samples)), 0, 1)[sample]
        cells = np.flatnonzero(rng.random(len(frame)) < chance)
        columns.append((cells.astype(np.int32), rng.geometric(0.6, len(cells)).astype(np.int32)))
    indptr = np.cumsum([0, *(len(cells) for cells, _ in columns)])
    data = np.concatenate([values for _, values in columns])
    return sparse.csc_array(
        (data, np.concatenate([c for c, _ in columns]), indptr), shape=(len(frame), genes)
    )


def build(formula, frame):
    return designs.build_design(formula, frame, test=["diagnosis"], levels={"diagnosis": ["Control", "AD"]})


def seconds(work, repeats=1):
    """Wall time of each repeat, after one call that compiles."""
    begin = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - begin) / repeats


def statsmodels_pair(design, y, tested=True):
    """Seconds of statsmodels' ML fit, and of the one without the tested columns."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    kept = [j for j in range(design.x.shape[1]) if j not in design.tests.get("diagnosis", ())]
    factor = design.random[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return seconds(
            lambda: [
                MixedLM(y, x, groups=factor.codes, exog_re=factor.z).fit(reml=False)
                for x in ([design.x, design.x[:, kept]] if tested else [design.x])
            ]
        )


def lme4(frame, y, full, reduced):
    """Seconds of lme4's ML fit by `refit`, and of the one without the tested term; NaN where R lacks it."""
    other = f"quiet(lmer({reduced}, data, REML = FALSE))" if reduced else "NULL"
    return rscript(frame, y, LME4.format(full=full, reduced=other))


def rscript(frame, y, program):
    """The number that a program in R prints, given data.csv and y.csv; NaN without R."""
    if shutil.which("Rscript") is None:
        return np.nan
    with tempfile.TemporaryDirectory() as folder:
        frame.to_csv(Path(folder) / "data.csv", index=False)
        pd.DataFrame(y).to_csv(Path(folder) / "y.csv", index=False)
        done = subprocess.run(
            ["Rscript", "-e", program],
            cwd=folder,
            capture_output=True,
            text=True,
        )
    return float(done.stdout) if done.returncode == 0 else np.nan


def memory(field):
    """MB of this process now (`VmRSS`) or at most since `forget_peak` (`VmHWM`); NaN where Linux does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field)), np.nan)


def forget_peak():
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


def dense(counts, size_factor, genes):
    return np.log1p(counts[:, :genes].toarray() / size_factor[:, None])


def row(what, ours, goal, statsmodels=np.nan, r=np.nan):
    times = "".join(
        f"{'-':>11}{'-':>9}" if np.isnan(t) else f"{t:11.4f}{t / ours:9,.0f}" for t in (statsmodels, r)
    )
    print(f"{what:58}{1e3 * ours:10.4f}  {goal:>14}{times}", flush=True)


def genes_of_24_samples(quick, rng):
    frame = study(24, 1000, rng)
    counts = counts_of(frame, 360 if quick else 3600, rng)
    size_factor = rng.lognormal(0, 0.3, len(frame))
    blocks, genes = 2 if quick else 10, counts.shape[1]
    y = dense(counts, size_factor, 3)

    design = build("~ saturation + diagnosis + (1 | sample_id)", frame)
    fit_genes(design, counts[:, :4], LogCounts(size_factor))
    forget_peak()
    before = memory("VmRSS")
    pair = seconds(lambda: fit_genes(design, counts, LogCounts(size_factor)), blocks)
    grown = memory("VmHWM") - before
    fixed = "y ~ saturation + diagnosis + {}", "y ~ saturation + {}"
    bars = "(1 | sample_id)", "(1 + saturation | sample_id)"
    row(
        f"(1 | sample_id), 24 x 1,000 cells: pair and LRT, {blocks} x {genes:,} genes",
        pair / genes,
        "0.111 ms",
        statsmodels_pair(design, y[:, 0]),
        lme4(frame, y, *(text.format(bars[0]) for text in fixed)),
    )
    print(
        f"    36,000 genes: {36_000 * pair / genes:.2f} s (goal 4 s); memory beside the counts {grown:.0f} MB"
    )

    def inference():
        f_tests(
            fit_genes(design, counts, LogCounts(size_factor), reml=True).full,
            [joint(design, "diagnosis").rows],
        )

    inference()
    both = seconds(inference, 1 if quick else 2)
    row("  REML, Satterthwaite, Kenward-Roger", both / genes, "0.833 ms")

    design, few = build("~ saturation + diagnosis + (1 + saturation | sample_id)", frame), counts[:, :200]
    fit_genes(design, counts[:, :4], LogCounts(size_factor))
    row(
        "(1 + saturation | sample_id): pair and LRT, 200 genes",
        seconds(lambda: fit_genes(design, few, LogCounts(size_factor))) / few.shape[1],
        "2 ms",
        statsmodels_pair(design, y[:, 0]),
        lme4(frame, y[:, :1], *(text.format(bars[1]) for text in fixed)),
    )


def nested_images(quick, rng):
    """The second seed study: 50 animals, 10 images, 10 points."""
    frame = pd.DataFrame(
        {
            "animal": np.repeat([f"A{i:02}" for i in range(50)], 100),
            "image": np.tile(np.repeat([f"I{i}" for i in range(10)], 10), 50),
            "diet": np.repeat(np.where(np.arange(50) < 25, "fed", "starved"), 100),
            "x": np.tile(np.linspace(0, 1, 10), 500),
        }
    )
    many = 50 if quick else 400
    sd = np.array([0.015, 0.02]), np.array([0.06, 0.08])
    animal, image = (
        rng.normal(0, 1, (2, 50, many)) * sd[0][:, None, None],
        rng.normal(0, 1, (2, 500, many)) * sd[1][:, None, None],
    )
    of_animal, of_image = np.repeat(np.arange(50), 100), np.repeat(np.arange(500), 10)
    x = frame["x"].to_numpy()[:, None]
    y = 0.5 + 0.1 * x + animal[0][of_animal] + image[0][of_image] + rng.normal(0, 0.085, (5000, many))
    y += x * (animal[1][of_animal] + image[1][of_image])
    design = designs.build_design("~ diet*x + (x | animal/image)", frame)
    fit_responses(design, y[:, :2])
    row(
        f"(x | animal/image), 5,000 rows, one ML fit, {many} responses",
        seconds(lambda: fit_responses(design, y)) / many,
        "5 ms",
        r=lme4(frame, y[:, :1], "y ~ diet*x + (x | animal/image)", None),
    )


def crossed_factors(quick, rng):
    """Crossed factors of many levels: simulated ones, and lme4's students by instructors."""
    for levels in (100, 200):
        pairs = np.argwhere(rng.random((levels, levels)) < 0.5)
        effects = rng.normal(0, 0.5, (2, levels))
        frame = pd.DataFrame(pairs, columns=["a", "b"]).add_prefix("g").astype(str).radd("l")
        frame["x"] = rng.normal(0, 1, len(frame))
        y = effects[0][pairs[:, 0]] + effects[1][pairs[:, 1]] + rng.normal(0, 1, len(frame))
        one_crossing(f"{levels} x {levels} levels, {len(frame):,} rows", frame, y, "x + (1 | ga) + (1 | gb)")
    if not quick:
        frame = pd.read_csv(Path(__file__).parents[1] / "oracle" / "data" / "insteval.csv.gz")
        y = frame.pop("y").to_numpy(float)
        for fixed in ("1", "service"):
            what = f"InstEval, 2,972 x 1,128 x 14 levels, ~ {fixed}"
            one_crossing(what, frame, y, f"{fixed} + (1 | s) + (1 | d) + (1 | dept)")


def one_crossing(what, frame, y, formula):
    design = designs.build_design(f"~ {formula}", frame)
    fit_responses(design, y)
    theirs = rscript(frame.assign(y=y), y[:, None], LMER.format(full=f"y ~ {formula}"))
    row(f"{what}, one ML fit", seconds(lambda: fit_responses(design, y)), "3 x lme4", r=theirs)


def more_samples(quick, rng):
    """Cost grows with non-zeros + genes x samples."""
    print("\n1,000 cells per sample, 10 % non-zeros, (1 | sample_id): pair and LRT")
    print(f"{'samples':>8}{'non-zeros/gene':>16}{'ms/gene':>10}{'us per 1,000 non-zeros + sample':>34}")
    for samples in (10, 50, 100) if quick else (10, 50, 100, 500):
        nonzeros, each = one_size(samples, rng)
        print(
            f"{samples:8}{nonzeros:16,.0f}{1e3 * each:10.3f}{1e6 * each / (nonzeros / 1000 + samples):34.2f}"
        )


def one_size(samples, rng):
    """Non-zeros and seconds of a gene, without the y-free part, which is built once however many genes there are."""
    frame = study(samples, 1000, rng)
    counts = counts_of(frame, 100, rng)
    design = build("~ saturation + diagnosis + (1 | sample_id)", frame)
    size_factor = rng.lognormal(0, 0.3, len(frame))
    fit_genes(design, counts[:, :4], LogCounts(size_factor))
    once = seconds(lambda: fit_genes(design, counts[:, :1], LogCounts(size_factor)))
    whole = seconds(lambda: fit_genes(design, counts, LogCounts(size_factor)))
    return counts.nnz / counts.shape[1], max(whole - once, 0) / (counts.shape[1] - 1)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer genes")
    quick = parser.parse_args().quick
    rng = np.random.default_rng(1)
    print(f"{len(os.sched_getaffinity(0))} processors, load {os.getloadavg()[0]:.1f}")
    print(f"{'':58}{'ours, ms':>10}  {'goal':>14}{'statsmodels':>11}{'ratio':>9}{'lme4, s':>11}{'ratio':>9}")
    genes_of_24_samples(quick, rng)
    nested_images(quick, rng)
    crossed_factors(quick, rng)
    more_samples(quick, rng)


if __name__ == "__main__":
    main()
