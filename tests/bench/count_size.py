"""Size and power of p-values of count models, over designs: a table for workflow/docs/counts.md.

    python tests/bench/count_size.py            # a few designs, minutes
    python tests/bench/count_size.py --all      # every design of the table
    python tests/bench/count_size.py --bartlett 300     # of so many null genes and half as many others, Bartlett's factor, too

Negative binomial genes of one mean, whose sd between samples is 0 in a fifth of them and log-normal (median .25) in the others, and
whose dispersion is log-normal (median .5); 2,000 null and 1,000 of log fold change .5.
"""

import argparse
import itertools
import time

import numpy as np
import pandas as pd
import scipy.sparse

from nestde.design.design import build_design
from nestde.fit.counts import bartlett, fits, moderated
from nestde.fit.counts.tests import log_p_of_ratio
from nestde.fit.log_sf import log_chi2_sf

NULL, OTHER, EFFECT = 2000, 1000, 0.5
CASE = np.array([[0.0, 1.0]])


def simulate(per, mean, unequal, seed, depth=1.0):
    """Cells' sample, case, library size; (n, genes) counts; which genes are null; dispersions. Cases are sequenced `depth` times as deep."""
    random = np.random.default_rng(seed)
    samples, genes = 2 * per, NULL + OTHER
    sizes = random.integers(10, 201, samples) if unequal else random.integers(50, 101, samples)
    sample = np.repeat(np.arange(samples), sizes)
    case = np.repeat([0.0, 1.0], per)[sample]
    library = np.exp(random.normal(np.log(5000), 0.4, len(sample)) + random.normal(0, 0.2, samples)[sample])
    library *= np.where(case == 1, depth, 1.0)
    null = np.arange(genes) < NULL
    sd = np.where(random.random(genes) < 0.2, 0.0, 0.25 * np.exp(random.normal(0, 0.6, genes)))
    dispersion = 0.5 * np.exp(random.normal(0, 0.5, genes))
    columns = []
    for g in range(genes):
        level = random.normal(0, 1, samples)[sample] * sd[g] + np.where(null[g], 0.0, EFFECT) * case
        mu = library / 5000 * mean * np.exp(level)
        columns.append(
            scipy.sparse.csc_array(
                random.poisson(mu * random.gamma(1 / dispersion[g], dispersion[g], len(mu)))[:, None]
            )
        )
    obs = pd.DataFrame({"sample": [f"S{s:03d}" for s in sample], "case": case})
    return obs, library, scipy.sparse.csc_array(scipy.sparse.hstack(columns)), null, dispersion


def by_bartlett(model, counts, offset):
    """log p by Bartlett's factor; prints what it is, and its time."""
    _, (ratio,) = fits.fit_tests(model, fits.data_of(model.cells, counts), [CASE], threads=1)
    begin = time.process_time()
    names = np.arange(counts.shape[1]).astype(str).astype(object)
    factor = bartlett.factors(model, ratio.reduced, CASE, offset, names, threads=1)
    each = 1e3 * (time.process_time() - begin) / len(names)
    print(f"Bartlett's factor: median {np.nanmedian(factor):.2f}; {each:.0f} ms a gene", flush=True)
    return log_chi2_sf(ratio.stat / factor, 1)


def tested(family, obs, library, counts, rescaled):
    """log p by three ways, and by Bartlett's factor of the genes that are `rescaled`; milliseconds a gene."""
    design = build_design("~ case + (1 | sample)", obs, test=["case"])
    model = fits.prepare(design, family, np.log(library))
    data = fits.data_of(model.cells, counts)
    begin = time.process_time()
    full, (ratio,) = fits.fit_tests(model, data, [CASE], threads=1)
    between = time.process_time()
    expression = np.log(np.asarray(counts.sum(axis=0)).ravel() + 0.5)
    found = moderated.moderate(model, data, full, [CASE], [ratio], expression, threads=1)
    end = time.process_time()
    usable = fits.trusted(ratio.status)
    ways = {
        "χ²": ratio.log_p,
        "F": log_p_of_ratio(design, CASE, ratio.stat),
        "moderated": found.tests[0].log_p,
    }
    each = 1e3 / counts.shape[1]
    if len(rescaled):
        ways["Bartlett"] = np.full(counts.shape[1], np.nan)
        ways["Bartlett"][rescaled] = by_bartlett(model, counts[:, rescaled], np.log(library))
    return (
        {name: np.where(usable, p, np.nan) for name, p in ways.items()},
        each * (between - begin),
        each * (end - between),
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--family", default="negative_binomial")
    parser.add_argument("--bartlett", type=int, default=0)
    arguments = parser.parse_args()
    rescaled = np.r_[: arguments.bartlett, NULL : NULL + arguments.bartlett // 2]
    designs = list(itertools.product((3, 6), (0.05, 0.5, 5.0), (False, True), (1.0,)))
    designs += list(itertools.product((3, 6), (0.5,), (False,), (1.5, 2.0)))
    if not arguments.all:
        designs = [design for design in designs if design[0] == 3 and design[1] < 5]
    ways = ["χ²", "F", "moderated", *["Bartlett"] * bool(arguments.bartlett)]
    print(
        f"| design, mean count, cells a sample, depth of cases | {' | '.join(ways)} | ms a gene: fits, moderated |"
    )
    print("|---" * (len(ways) + 2) + "|")
    for per, mean, unequal, depth in designs:
        obs, library, counts, null, _ = simulate(
            per, mean, unequal, int(per * 1000 + mean * 10 + unequal), depth
        )
        ways, fitting, moderating = tested(arguments.family, obs, library, counts, rescaled)
        cells = []
        for log_p in ways.values():
            known = np.isfinite(log_p)
            p = np.exp(log_p)
            sizes = "/".join(
                f"{(p[known & null] <= alpha).mean():.4f}".lstrip("0") for alpha in (0.05, 0.001)
            )
            cells.append(f"{sizes}; {(p[known & ~null] <= 0.05).mean():.3f}".replace("; 0", "; "))
        name = f"{per}v{per}, {mean:g}, {'10–200' if unequal else '50–100'}, × {depth:g}"
        print(f"| {name} | {' | '.join(cells)} | {fitting:.2f}, {moderating:.2f} |", flush=True)


if __name__ == "__main__":
    main()
