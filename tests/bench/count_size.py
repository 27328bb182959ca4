"""Size and power of p-values of count models, over designs: a table for workflow/docs/counts.md.

    python tests/bench/count_size.py            # a few designs, minutes
    python tests/bench/count_size.py --all      # every design of the table
    python tests/bench/count_size.py --arms     # cases that vary four times as much, three and four levels
    python tests/bench/count_size.py --bartlett 300     # of so many null genes and half as many others, Bartlett's factor, too

Negative binomial genes of one mean, whose sd between samples is 0 in a fifth of them and log-normal (median .25) in the others, and
whose dispersion is log-normal (median .5); 2,000 null and 1,000 of log fold change .5 in the last arm, the cases.
"""

import argparse
import itertools
import time

import numpy as np
import pandas as pd
import scipy.sparse

from nestde.design.contrasts import joint
from nestde.design.design import build_design
from nestde.fit.counts import moderated
from nestde.fit.family import family
from nestde.fit.grain import grain_of
from nestde.fit.log_sf import log_chi2_sf
from nestde.fit.methods import method

NULL, OTHER, EFFECT = 2000, 1000, 0.5
CASE = np.array([[0.0, 1.0]])
# Cells of a sample: a range, or those of each sample of controls and of cases.
CELLS = {False: "50–100", True: "10–200", (200, 20): "200 v 20", (20, 200): "20 v 200"}


def simulate(per, mean, unequal, seed, depth=1.0, ratio=1.0, arms=2):
    """Cells' sample, arm, library size; (n, genes) counts; which genes are null; dispersions.

    Cases are sequenced `depth` times as deep, and vary `ratio` times as much between samples; `unequal` is of `CELLS`.
    """
    random = np.random.default_rng(seed)
    samples, genes = arms * per, NULL + OTHER
    if isinstance(unequal, tuple):
        sizes = np.repeat(unequal, per)
    else:
        sizes = random.integers(10, 201, samples) if unequal else random.integers(50, 101, samples)
    sample = np.repeat(np.arange(samples), sizes)
    arm = np.repeat(np.arange(arms), per)[sample]
    case = (arm == arms - 1).astype(float)
    library = np.exp(random.normal(np.log(5000), 0.4, len(sample)) + random.normal(0, 0.2, samples)[sample])
    library *= np.where(case == 1, depth, 1.0)
    null = np.arange(genes) < NULL
    sd = np.where(random.random(genes) < 0.2, 0.0, 0.25 * np.exp(random.normal(0, 0.6, genes)))
    dispersion = 0.5 * np.exp(random.normal(0, 0.5, genes))
    columns = []
    for g in range(genes):
        level = random.normal(0, 1, samples)[sample] * np.where(case == 1, np.sqrt(ratio), 1.0) * sd[g]
        level += np.where(null[g], 0.0, EFFECT) * case
        mu = library / 5000 * mean * np.exp(level)
        columns.append(
            scipy.sparse.csc_array(
                random.poisson(mu * random.gamma(1 / dispersion[g], dispersion[g], len(mu)))[:, None]
            )
        )
    obs = pd.DataFrame(
        {"sample": [f"S{s:03d}" for s in sample], "case": case if arms == 2 else [f"L{each}" for each in arm]}
    )
    return obs, library, scipy.sparse.csc_array(scipy.sparse.hstack(columns)), null, dispersion


def by_bartlett(fitted, contrast):
    """log p by Bartlett's factor; prints what it is, and its time."""
    begin = time.process_time()
    factor = fitted.bartlett(contrast)
    each = 1e3 * (time.process_time() - begin) / len(factor)
    print(f"Bartlett's factor: median {np.nanmedian(factor):.2f}; {each:.0f} ms a gene", flush=True)
    return log_chi2_sf(fitted.ratio(contrast).stat / factor, 1)


def tested(name, obs, library, counts, rescaled):
    """log p by each way, and by Bartlett's factor of the genes that are `rescaled`; milliseconds a gene of fits and moderated test."""
    of, design = family(name), build_design("~ case + (1 | sample)", obs, test=["case"])
    genes = np.arange(counts.shape[1]).astype(str)
    statistics = of.sum_up(grain_of(design), counts, library / 1e4, genes, 1)
    fitted, contrast = statistics.fitted(design, 1), joint(design, "case")
    begin = time.process_time()
    usable = fitted.trusted("ML", "case")
    between = time.process_time()
    (own,) = method("moderated", "counts").test(fitted, [contrast])
    end = time.process_time()
    (ratio,), (as_f,) = (method(by, "counts").test(fitted, [contrast]) for by in ("lrt", "lrt_f"))
    model, data = fitted.model
    among = model, data, fitted.full, [contrast.rows], [fitted.ratio(contrast)]
    (common,) = moderated.moderate(*among, statistics.mean, threads=1).tests
    ways = {
        "χ²": ratio.log_p,
        "F": as_f.log_p,
        "moderated, one variance": common.log_p,
        "**moderated**": own.log_p,
    }
    each = 1e3 / counts.shape[1]
    if len(rescaled):
        ways["Bartlett"] = np.full(counts.shape[1], np.nan)
        ways["Bartlett"][rescaled] = by_bartlett(statistics.of(rescaled).fitted(design, 1), contrast)
    return (
        {name: np.where(usable, p, np.nan) for name, p in ways.items()},
        each * (between - begin),
        each * (end - between),
    )


def designs_of(arguments):
    """Samples of an arm, mean, cells, depth and ratio of variance of the cases, arms."""
    if arguments.arms:
        several = itertools.product((3, 6), (0.5, 5.0), CELLS, (1.0,), (4.0,), (2,))
        return [*several, *itertools.product((3,), (0.5,), (True,), (1.0,), (1.0, 4.0), (3, 4))]
    designs = list(itertools.product((3, 6), (0.05, 0.5, 5.0), (False, True), (1.0,), (1.0,), (2,)))
    designs += itertools.product((3, 6), (0.5,), (False,), (1.5, 2.0), (1.0,), (2,))
    return designs if arguments.all else [design for design in designs if design[0] == 3 and design[1] < 5]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--arms", action="store_true")
    parser.add_argument("--family", default="negative_binomial")
    parser.add_argument("--bartlett", type=int, default=0)
    arguments = parser.parse_args()
    rescaled = np.r_[: arguments.bartlett, NULL : NULL + arguments.bartlett // 2]
    heads = False
    for per, mean, unequal, depth, ratio, arms in designs_of(arguments):
        seed = int(per * 1000 + mean * 10 + (unequal is True))
        obs, library, counts, null, _ = simulate(per, mean, unequal, seed, depth, ratio, arms)
        ways, fitting, moderating = tested(arguments.family, obs, library, counts, rescaled)
        if not heads:
            names = " | ".join(ways)
            print(f"| design, mean count, cells a sample | {names} | ms a gene: fits, moderated |")
            print("|---" * (len(ways) + 2) + "|")
            heads = True
        cells = []
        for log_p in ways.values():
            known = np.isfinite(log_p)
            p = np.exp(log_p)
            sizes = "/".join(
                f"{(p[known & null] <= alpha).mean():.4f}".lstrip("0") for alpha in (0.05, 0.001)
            )
            cells.append(f"{sizes}; {(p[known & ~null] <= 0.05).mean():.3f}".replace("; 0", "; "))
        name = f"{' v '.join([str(per)] * arms)}, {mean:g}, {CELLS[unequal]}"
        name += f", depth × {depth:g}" * (depth > 1) + f", variance × {ratio:g}" * (ratio > 1)
        print(f"| {name} | {' | '.join(cells)} | {fitting:.2f}, {moderating:.2f} |", flush=True)


if __name__ == "__main__":
    main()
