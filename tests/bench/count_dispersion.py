"""What is to be gained by shrinking dispersions: moderated tests of counts with each gene's own, all genes' median, and the true one.

    python tests/bench/count_dispersion.py

Genes of `count_size`. The test is that of several random effects, which takes the dispersion from the fit; of one intercept that
test and the one that fits the dispersion at each variance differ by .005 in log p (median). No shrinkage knows more than the truth.
"""

from dataclasses import replace

import numpy as np
from count_size import CASE, simulate

from nestde.design.design import build_design
from nestde.fit.counts import fits
from nestde.fit.counts.general import moderated
from nestde.fit.counts.general.model import general_model

DESIGNS = ((3, 0.05, False), (3, 0.5, False), (3, 0.5, True), (3, 5.0, False), (6, 0.5, False))


def main() -> None:
    """Print the table as Markdown."""
    print(
        "| design, mean count, cells a sample | own (ML) | median of all genes | true |\n" + "|---" * 4 + "|"
    )
    for per, mean, unequal in DESIGNS:
        obs, library, counts, null, dispersion = simulate(
            per, mean, unequal, int(per * 1000 + mean * 10 + unequal)
        )
        design = build_design("~ case + (1 | sample)", obs, test=["case"])
        model = general_model(
            design, "negative_binomial", fits.FAMILIES["negative_binomial"], np.log(library)
        )
        data = fits.data_of(model.cells, counts)
        full, (ratio,) = fits.fit_tests(model, data, [CASE])
        usable = fits.trusted(ratio.status)
        expression = np.log(np.asarray(counts.sum(axis=0)).ravel() + 0.5)
        own = full.ends.kappa
        cells = []
        for kappa in (own, np.full(len(own), np.median(own[np.isfinite(own)])), -np.log(dispersion)):
            given = replace(full, ends=full.ends._replace(kappa=np.where(usable, kappa, own)))
            log_p = moderated.moderate(model, data, given, [CASE], expression).tests[0].log_p
            known = usable & np.isfinite(log_p)
            p = np.exp(log_p)
            sizes = "/".join(
                f"{(p[known & null] <= alpha).mean():.4f}".lstrip("0") for alpha in (0.05, 0.001)
            )
            cells.append(f"{sizes}; {(p[known & ~null] <= 0.05).mean():.3f}".replace("; 0", "; "))
        cells_a_sample = "10–200" if unequal else "50–100"
        print(f"| {per}v{per}, {mean:g}, {cells_a_sample} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
