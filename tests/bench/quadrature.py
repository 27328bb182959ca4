"""How far the grid of the moderated test is from a much finer one, as a difference of log10 p.

    python tests/bench/quadrature.py [--genes 500] [--only nested]

For designs with several variances, points of the grid are laid four times as densely along each variance (16 times as many of
two); of slopes, correlations too. The prior is fitted anew on either. Genes are those of `moderated_size`, mixed ICC, a tenth of
which differ; those with p below 1e-10 are left out, as their p-values tell nobody apart.
"""

import argparse
import time
from unittest import mock

import numpy as np
from moderated_size import cases, simulate

from nestde.fit import grid as grids
from nestde.fit.moderated import arms_of, moderate

DENSER = 4


def density(denser):
    """Of points that lie so many times as densely."""
    usual = grids.LINEAR
    steps = {dimensions: step / denser for dimensions, step in usual.step.items()}
    return grids.Density(usual.largest, steps, usual.width / denser, 400_000 if denser > 1 else usual.most)


def main(genes: int, only: str) -> None:
    """Print the table as Markdown."""
    print(
        "| design | points | of the finer grid | median | 99 % | largest | CPU s | finer |\n"
        + "|---" * 8
        + "|"
    )
    for case in cases():
        if only not in case.name or "donor variance" in case.name:
            continue
        effect = np.where(np.arange(genes) % 10 == 0, 0.6, 0.0)
        model, sums = simulate(case, "mixed", genes, effect, 5)
        rows = np.eye(model.design.x.shape[1])[list(model.design.tests[case.test])]
        arms = arms_of(model.design, case.test)
        found, points, cost = [], [], []
        for denser in (1, DENSER):
            with (
                mock.patch.object(grids, "LINEAR", density(denser)),
                mock.patch.object(grids, "_BETWEEN", grids._BETWEEN * min(denser, 2)),
            ):
                begin = time.process_time()
                done = moderate(model, sums, [rows], np.zeros(genes), arms=arms, threads=1)
                cost.append(time.process_time() - begin)
                found.append(done.tests[0].log_p / np.log(10))
                points.append(len(done.prior.grid.values))
        known = found[1] > -10
        away = np.abs(found[0] - found[1])[known]
        print(
            f"| {case.name} | {points[0]:,} | {points[1]:,} | {np.median(away):.4f} | {np.quantile(away, 0.99):.3f} "
            f"| {away.max():.3f} | {cost[0]:.1f} | {cost[1]:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--genes", type=int, default=500)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    main(options.genes, options.only)
