"""What an own variance in each level costs where levels are alike: found at a false discovery rate of 5 %, beside one variance for all.

    python tests/bench/arms_alike.py

Poisson–gamma counts of 2,500 genes, means of .1 to 8 counts a cell, samples of 10 to 199 cells; in a tenth the last level is higher, by 1 (log) with 3
samples a level and .7 with 6. The sd between samples is .4 in all genes, or 0 in a fifth and log-normal around .25. All cells are as deep. The linear
model's moderated tests.
"""

import numpy as np
import pandas as pd
import scipy.sparse
from scipy import stats

from nestde.design.contrasts import joint
from nestde.design.design import build_design
from nestde.fit.family import family
from nestde.fit.grain import grain_of
from nestde.fit.moderated import arms_of, moderate

GENES, SEED = 2500, 9


def study(levels: tuple[str, ...], per: int, mixed: bool) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """(genes,) p-values with own variances and with one; which genes differ."""
    random = np.random.default_rng(SEED)
    samples = per * len(levels)
    sizes = random.integers(10, 200, size=samples)
    code = np.repeat(np.arange(samples), sizes)
    level = np.array(levels)[np.arange(samples) % len(levels)]
    mean = np.exp(random.uniform(np.log(0.1), np.log(8), GENES))
    sd = np.full(GENES, 0.4)
    if mixed:
        sd = np.where(random.random(GENES) < 0.2, 0.0, random.lognormal(np.log(0.25), 0.5, GENES))
    mu = mean * np.exp(random.normal(0, 1, (samples, GENES)) * sd)[code]
    differ = np.arange(GENES) < GENES // 10
    mu[:, differ] *= np.exp((1.0 if per == 3 else 0.7) * (level[code] == levels[-1]))[:, None]
    counts = scipy.sparse.csc_array(random.poisson(mu * random.gamma(2, 0.5, mu.shape)))
    obs = pd.DataFrame({"sample": [f"S{s:02d}" for s in code], "level": level[code]})
    design = build_design("~ level + (1 | sample)", obs, test=["level"])
    names = np.array([f"g{i}" for i in range(GENES)], object)
    linear = family("gaussian").sum_up(grain_of(design), counts, np.ones(len(obs)), names, 1)
    model, sums = linear.model_of(design)
    rows = [joint(design, "level").rows]
    found = {}
    for name, arms in (("own", arms_of(design, "level")), ("one", None)):
        found[name] = np.exp(moderate(model, sums, rows, linear.mean, arms=arms, threads=1).tests[0].log_p)
    return found, differ


def main() -> None:
    """Print the table as Markdown."""
    print(
        "| sd between samples | samples | own variances: p < .05 of null; of others; found (false) | one variance |"
    )
    print("|---|---|---|---|")
    for mixed in (False, True):
        for levels in (("A", "B"), ("A", "B", "C")):
            for per in (3, 6):
                found, differ = study(levels, per, mixed)
                told = []
                for p in found.values():
                    hit = stats.false_discovery_control(p) <= 0.05
                    told.append(
                        f"{np.mean(p[~differ] < 0.05):.3f}; {np.mean(p[differ] < 0.05):.2f}; "
                        f"{np.mean(hit[differ]):.2f} ({np.sum(hit & ~differ) / max(hit.sum(), 1):.2f})"
                    )
                print("|", "mixed" if mixed else ".4", "|", " v ".join([str(per)] * len(levels)), "|", " | ".join(told), "|", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
