"""What composition and depth that differ between the arms do to null genes, by size factor and by term: the docs' tables.

    python tests/bench/normalisation.py composition [--genes 40000]
    python tests/bench/normalisation.py depth [--genes 40000] [--ratio 2]
    python tests/bench/normalisation.py cells

Gamma–Poisson counts of 6 v 6 samples of 50 to 100 cells; genes' means are log-normal around .5 with an SD between samples
of up to .2, cells' depths log-normal (SD .3). No gene differs between the arms, but for those that take the share. Size is
the share of null genes with p below .05 / .01 by the moderated test, and by a t test of samples' means for other scales.
"""

import argparse
import time

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy import stats

from nestde.design.design import build_design
from nestde.expression.celltype import moderate
from nestde.expression.tables import benjamini_hochberg
from nestde.fit.family import family
from nestde.fit.grain import grain_of
from nestde.size_factors import Counted, size_factor
from nestde.size_factors.median_of_ratios import abundant, median_ratios

GENES = 4000  # of a study; the table is of several
TAKING = 5
SAMPLES = 12
TERMS = {
    "no depth term": "",
    "log_total": "log_total + ",
    "its square too": "poly(log_total, 2) + ",
    "spline, 3 df": "ns(log_total, df = 3) + ",
    "spline, 5 df": "ns(log_total, df = 5) + ",
    "log_size_factor": "log_size_factor + ",
    "log_genes": "log_genes + ",
    "log_total and log_genes": "log_total + log_genes + ",
}


def study(rng, share=0.0, ratio=1.0):
    """Counts (cells × genes, csc), the cells, and which genes are null."""
    cells = rng.integers(50, 101, SAMPLES)
    sample = np.repeat(np.arange(SAMPLES), cells)
    arm = sample >= SAMPLES // 2
    means = 0.5 * rng.lognormal(0, 1.2, GENES)
    of_sample = means * rng.lognormal(0, rng.uniform(0, 0.2, GENES), (SAMPLES, GENES))
    taking = np.arange(GENES) < TAKING
    if share:
        rest = of_sample[SAMPLES // 2 :]
        total = rest.sum(axis=1, keepdims=True)
        rest *= 1 - share
        rest[:, :TAKING] += share * total / TAKING
    depth = rng.lognormal(0, 0.3, len(sample)) * np.where(arm, ratio, 1.0)
    rate = of_sample[sample] * depth[:, None] * rng.gamma(5, 1 / 5, (len(sample), GENES))
    counts = sp.csc_matrix(rng.poisson(rate).astype(np.int32))
    total = np.asarray(counts.sum(axis=1), float).ravel()
    frame = pd.DataFrame(
        {
            "diagnosis": np.where(arm, "AD", "Control"),
            "sample_id": [f"S{i:02}" for i in sample],
            "log_total": np.log(total),
            "log_genes": np.log(np.bincount(counts.indices, minlength=len(sample))),
        }
    )
    of = sp.csr_matrix((np.ones(len(sample)), (sample, np.arange(len(sample)))))
    counted = Counted(total, sample, SAMPLES, lambda: np.asarray((of @ counts).toarray()).astype(np.int64))
    return counts, frame, counted, ~taking if share else np.ones(GENES, bool)


def p_moderated(counts, frame, scale, term=""):
    """p-values of diagnosis."""
    formula = f"~ {term}diagnosis + (1 | sample_id)"
    frame = frame.assign(log_size_factor=np.log(scale))
    design = build_design(formula, frame, test=["diagnosis"], levels={"diagnosis": ["Control", "AD"]})
    statistics = family("gaussian").sum_up(
        grain_of(design), counts, scale, [str(g) for g in range(counts.shape[1])]
    )
    return moderate(design, statistics, ["diagnosis"], 1).table["pvalue_moderated"].to_numpy(float)


def p_means(values, counted):
    """p-values of a t test of the samples' means of each gene."""
    cells = np.bincount(counted.sample)
    sums = np.stack([values[counted.sample == s].sum(axis=0) for s in range(SAMPLES)])
    means = sums / cells[:, None]
    return stats.ttest_ind(means[: SAMPLES // 2], means[SAMPLES // 2 :]).pvalue


def scales(counts, counted):
    """Other values than log(1 + count / size factor) per 10,000, cells × genes."""
    x, total = counts.toarray().astype(float), counted.total[:, None]
    factor = total / total.mean()
    mu = total * (x.sum(axis=0) / total.sum())
    residual = (x - mu) / np.sqrt(mu + mu**2 / 100)
    return {
        "log(1 + count / factor), factors of mean 1": np.log1p(x / factor),
        "acosh (2 α y + 1), α = .05, factors of mean 1": np.arccosh(0.1 * x / factor + 1),
        "Pearson residuals (θ = 100)": np.clip(residual, -np.sqrt(len(x)), np.sqrt(len(x))),
        "count / factor, no logarithm": x / factor,
    }


def size(p):
    return " / ".join(f"{(p < level).mean():.3f}"[1:] for level in (0.05, 0.01))


def rows(repeats, made, named):
    """Collect the p-values of null genes over studies, by name."""
    found, false = {}, {}
    for repeat in range(repeats):
        counts, frame, counted, null = made(np.random.default_rng(repeat))
        for name, p in named(counts, frame, counted):
            found.setdefault(name, []).append(p[null])
            false.setdefault(name, []).append(int((benjamini_hochberg(p)[null] <= 0.05).sum()))
    return {name: (np.concatenate(p), np.mean(false[name])) for name, p in found.items()}


def composition(repeats):
    print(
        "| share | size factor | .05 / .01, moderated | false at BH 5 % of 4,000 | with log_size_factor | false | .05 / .01, t of means |\n|---|---|---|---|---|---|---|"
    )
    for share in (0.0, 0.1, 0.2, 0.3):

        def named(counts, frame, counted):
            for name in ("library", "median_of_ratios"):
                scale = size_factor(name).scale(counted).of_cells
                yield name, p_moderated(counts, frame, scale)
                yield f"{name} depth", p_moderated(counts, frame, scale, "log_size_factor + ")
                yield f"{name} t", p_means(np.log1p(counts.toarray() / scale[:, None]), counted)

        found = rows(repeats, lambda rng, share=share: study(rng, share=share), named)
        for name in ("library", "median_of_ratios"):
            p, false = found[name]
            adjusted, left = found[f"{name} depth"]
            means = size(found[f"{name} t"][0])
            print(
                f"| {share:g} | {name} | {size(p)} | {false:,.0f} | {size(adjusted)} | {left:,.0f} | {means} |",
                flush=True,
            )


def depth(repeats, only):
    print("| deeper | term or scale | .05 / .01 |\n|---|---|---|")
    for ratio in [only] if only else (1.0, 1.5, 2.0, 3.0, 4.0):

        def named(counts, frame, counted):
            scale = size_factor("median_of_ratios").scale(counted).of_cells
            for name, term in TERMS.items():
                yield name, p_moderated(counts, frame, scale, term)
            yield "t of means", p_means(np.log1p(counts.toarray() / scale[:, None]), counted)
            for name, values in scales(counts, counted).items():
                yield f"t of means: {name}", p_means(values, counted)

        for name, (p, _) in rows(repeats, lambda rng, ratio=ratio: study(rng, ratio=ratio), named).items():
            print(f"| × {ratio:g} | {name} | {size(p)} |", flush=True)


def poscounts(profiles):
    """DESeq2's poscounts: ratios of what is positive to the n-th root of the product of what is positive."""
    logs = np.log(np.maximum(profiles, 1))
    mean = logs.mean(axis=0)
    used = [(row > 0) & (mean > 0) for row in profiles]
    return np.exp([np.median(log[mask] - mean[mask]) for log, mask in zip(logs, used, strict=True)])


def unequal_cells(repeats=20, genes=20_000):
    """How far factors over totals part by arm where nothing but the number of cells differs (it should be 0)."""
    print(
        "| cells | counts a cell | DESeq2's ratios | poscounts | median_of_ratios (genes) |\n|---|---|---|---|---|"
    )
    for cells in ([100] * 6, [20] * 3 + [200] * 3, [10, 50, 200] * 2, [10] * 6):
        for counts in (500, 3000):
            parts = []
            for repeat in range(repeats):
                rng = np.random.default_rng(repeat)
                means = rng.lognormal(0, 2, genes)
                means = means / means.sum() * rng.lognormal(0, 0.3, (6, genes))
                profiles = rng.poisson(means * np.array(cells)[:, None] * counts)
                usable = abundant(profiles)
                factors = (
                    median_ratios(profiles[:, (profiles > 0).all(axis=0)]), poscounts(profiles), median_ratios(profiles[:, usable])
                )  # fmt: skip
                logs = [np.log(factor / profiles.sum(axis=1)) for factor in factors]
                parts.append([np.sqrt(((log - log.mean()) ** 2).mean()) for log in logs] + [usable.sum()])
            of_all, positive, ours, number = np.mean(parts, axis=0)
            words = " ".join(map(str, cells))
            print(
                f"| {words} | {counts:,} | {of_all:.3f} | {positive:.3f} | {ours:.3f} ({number:,.0f}) |",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["composition", "depth", "cells"])
    parser.add_argument("--genes", type=int, default=40_000, help="null genes of a row")
    parser.add_argument("--ratio", type=float, help="one ratio of depths only")
    given = parser.parse_args()
    began = time.perf_counter()
    repeats = max(1, given.genes // GENES)
    if given.what == "cells":
        unequal_cells()
    elif given.what == "composition":
        composition(repeats)
    else:
        depth(repeats, given.ratio)
    print(f"\n{time.perf_counter() - began:.0f} s")
