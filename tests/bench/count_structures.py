"""Size, power and time of p-values of count models with nested, paired and slope structures: rows for workflow/docs/counts.md.

    python tests/bench/count_structures.py                    # every row, a few minutes each
    python tests/bench/count_structures.py nested slope       # some of them
    python tests/bench/count_structures.py cells "cells, high" --family poisson

Negative binomial genes of one mean count. Each random effect's sd is 0 in a fifth of the genes and log-normal (median .25, of slopes
for a covariate of sd 1 median .2) in the others, the dispersion log-normal (median .5); null genes, and half as many of log fold change .5
(of a covariate of cells, in samples that all have the same slope, .1).
"""

import argparse
import time

import numpy as np
import pandas as pd
import scipy.sparse

from nestde.design.contrasts import joint
from nestde.design.design import build_design
from nestde.fit.family import family
from nestde.fit.grain import grain_of
from nestde.fit.methods import of_engine

EFFECT = 0.5
# Name: formula, what is tested, samples of each arm (or pairs), unequal cells, mean count.
ROWS = {
    "nested": ("~ case + (1 | donor/sample)", "case", 3, False, 0.5),
    "nested, unequal": ("~ case + (1 | donor/sample)", "case", 3, True, 0.5),
    "nested, 6 v 6": ("~ case + (1 | donor/sample)", "case", 6, True, 2.0),
    "paired": ("~ case + (1 | donor) + (1 | sample)", "case", 4, False, 0.5),
    "paired, unequal": ("~ case + (1 | donor) + (1 | sample)", "case", 8, True, 0.5),
    "slope": ("~ x * case + (1 + x | sample)", "x:case", 3, False, 0.5),
    "slope, unequal": ("~ x * case + (1 + x | sample)", "x:case", 3, True, 2.0),
    "slope, 6 v 6": ("~ x * case + (1 + x | sample)", "x:case", 6, True, 0.5),
    "cells": ("~ x + (1 | sample)", "x", 3, False, 0.5),
    "cells, high": ("~ x + (1 | sample)", "x", 3, False, 5.0),
}


def sds(random, genes, median):
    """Standard deviations, a fifth of them 0."""
    return np.where(random.random(genes) < 0.2, 0.0, median * np.exp(random.normal(0, 0.6, genes)))


def simulate(name, null, others, seed):
    """Cells; library sizes; (n, genes) counts; which genes are null."""
    formula, term, per, unequal, mean = ROWS[name]
    random, genes = np.random.default_rng(seed), null + others
    if "donor" in formula:
        donor = np.repeat(np.arange(per if name.startswith("paired") else 2 * per), 2)
        case = np.arange(len(donor)) % 2 if name.startswith("paired") else donor >= per
    else:
        donor = np.arange(2 * per)
        case = donor >= per
    samples = len(donor)
    sizes = random.integers(10, 201, samples) if unequal else random.integers(50, 101, samples)
    sample = np.repeat(np.arange(samples), sizes)
    library = np.exp(random.normal(np.log(5000), 0.4, len(sample)) + random.normal(0, 0.2, samples)[sample])
    x, case = random.normal(0, 1, len(sample)), case.astype(float)[sample]
    of_donor = sds(random, genes, 0.25) if "donor" in formula else np.zeros(genes)
    of_sample, of_slope = sds(random, genes, 0.25), sds(random, genes, 0.2)
    dispersion = 0.5 * np.exp(random.normal(0, 0.5, genes))
    columns = []
    for g in range(genes):
        level = of_donor[g] * random.normal(0, 1, samples)[donor][sample]
        level += of_sample[g] * random.normal(0, 1, samples)[sample]
        changed = 0.0 if g < null else EFFECT * random.choice([-1, 1])
        if term == "x:case":
            level += x * (0.2 + of_slope[g] * random.normal(0, 1, samples)[sample] + changed * case)
        elif term == "x":
            level += 0.2 * changed * x
        else:
            level += changed * case
        mu = library / 5000 * mean * np.exp(level)
        cells = random.poisson(mu * random.gamma(1 / dispersion[g], dispersion[g], len(mu)))
        columns.append(scipy.sparse.csc_array(cells[:, None]))
    obs = pd.DataFrame({"donor": donor[sample], "sample": sample, "x": x, "case": case})
    obs = obs.astype({"donor": str, "sample": str})
    return obs, library, scipy.sparse.csc_array(scipy.sparse.hstack(columns)), np.arange(genes) < null


def main():
    """Print a row for each design."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)}; all if none")
    parser.add_argument("--null", type=int, default=2000)
    parser.add_argument("--family", default="negative_binomial")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print(
        "| model, tested; samples, mean count, cells a sample | null genes | χ² | F | moderated | ms a gene: fits, moderated |"
    )
    print("|---|---|---|---|---|---|")
    for name in arguments.rows or ROWS:
        formula, term, per, unequal, mean = ROWS[name]
        obs, library, counts, null = simulate(name, arguments.null, arguments.null // 2, arguments.seed)
        design = build_design(formula, obs, test=[term])
        of = family(arguments.family)
        statistics = of.sum_up(grain_of(design), counts, library, np.arange(counts.shape[1]).astype(str))
        fitted, contrast = statistics.fitted(design, threads=1), joint(design, term)
        methods = {each.name: each for each in of_engine(of.engine)}
        begin = time.process_time()
        usable = fitted.trusted("ML", term)
        between = time.process_time()
        (averaged,) = methods["moderated"].test(fitted, [contrast])
        end = time.process_time()
        cells = []
        for way in ("lrt", "lrt_f", "moderated"):
            tested = averaged if way == "moderated" else methods[way].test(fitted, [contrast])[0]
            p = np.where(usable, np.exp(tested.log_p), np.nan)
            known = np.isfinite(p)
            sizes = "/".join(
                f"{(p[known & null] <= alpha).mean():.4f}".lstrip("0") for alpha in (0.05, 0.001)
            )
            cells.append(f"{sizes}; {(p[known & ~null] <= 0.05).mean():.3f}".replace("; 0", "; "))
        each, bar = 1e3 / counts.shape[1], "\\|"
        what = f"`{formula[2:].replace('|', bar)}`, `{term}`; {per} {'pairs' if name.startswith('paired') else f'v {per}'}"
        row = f"{what}, {mean:g}, {'10–200' if unequal else '50–100'}"
        print(
            f"| {row} | {null.sum():,} | {' | '.join(cells)} | {each * (between - begin):.1f}, {each * (end - between):.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
