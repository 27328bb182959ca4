"""Size and power of ways to one p-value of a hurdle model's two parts: a table for workflow/docs/counts.md.

    python tests/bench/hurdle_size.py

Genes, samples and cells of count_size.py, with the logarithm of a cell's size factor as a covariate.
"""

import count_size
import numpy as np
import scipy.stats

from nestde.design.contrasts import contrasts
from nestde.design.design import build_design
from nestde.fit.family import family
from nestde.fit.methods import method

DESIGNS = (
    (3, 0.05, False),
    (3, 0.5, False),
    (3, 1.0, True),
    (3, 5.0, False),
    (6, 0.5, True),
    (6, 2.0, False),
)


def ways(fitted, contrast):
    """Name of each way -> (G,) p."""
    (ratio,) = method("lrt", "hurdle").test(fitted, [contrast])
    (as_f,) = method("lrt_f", "hurdle").test(fitted, [contrast])
    (combined,) = method("moderated", "hurdle").test(fitted, [contrast])
    parts = np.array([combined.columns[f"pvalue_{part}"] for part in ("detection", "continuous")])
    both = np.isfinite(parts).all(axis=0)

    def where_both(p):
        return np.where(both, p, np.nanmin(np.where(np.isfinite(parts), parts, 1.0), axis=0))

    return {
        "detection": parts[0],
        "detecting cells": parts[1],
        "χ² added (MAST)": np.exp(ratio.log_p),
        "F, combined": np.exp(as_f.log_p),
        "moderated, as χ² added": where_both(
            scipy.stats.chi2.sf(scipy.stats.chi2.isf(parts, 1).sum(axis=0), 2)
        ),
        "moderated, twice the smaller": where_both(np.minimum(1.0, 2.0 * parts.min(axis=0))),
        "moderated, combined by Cauchy": np.exp(combined.log_p),
    }


def main():
    heads = None
    for per, mean, unequal in DESIGNS:
        obs, library, counts, null, _ = count_size.simulate(
            per, mean, unequal, int(per * 1000 + mean * 10 + unequal)
        )
        obs["depth"] = np.log(library / 5000)
        design = build_design("~ depth + case + (1 | sample)", obs, test=["case"])
        names = [str(gene) for gene in range(counts.shape[1])]
        statistics = family("hurdle").sum_up(None, counts, library / 1e4, names)
        found = ways(statistics.fitted(design, 1), contrasts(design, "case")[0])
        if heads is None:
            heads = list(found)
            print(
                f"| design, mean count, cells a sample | {' | '.join(heads)} |\n|{'---|' * (1 + len(heads))}"
            )
        cells = []
        for p in found.values():
            known = np.isfinite(p)
            size = "/".join(f"{(p[known & null] <= alpha).mean():.4f}"[1:] for alpha in (0.05, 0.001))
            cells.append(f"{size}; {(p[known & ~null] <= 0.05).mean():.3f}".replace("; 0", "; "))
        print(
            f"| {per}v{per}, {mean:g}, {'10–200' if unequal else '50–100'} | {' | '.join(cells)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
