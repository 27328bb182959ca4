"""The second seed study, simulated many times: single estimates stray, their mean does not.

python tests/bench/nested_variance.py [--simulations 1000] [--general]

Prints, for 50 and for 8 animals, the true variance components and the mean and spread of their REML estimates.
One design serves all simulations of a size, so that 1,000 fits take seconds.
"""

import argparse
import time

import numpy as np

from nestde.design import design
from nestde.fit import fit_responses
from nestde.simulate import nested_growth

TRUTH = {
    ("animal:image", "(Intercept)"): 0.06,
    ("animal:image", "x"): 0.08,
    ("animal", "(Intercept)"): 0.015,
    ("animal", "x"): 0.02,
}


def study(animals: int, simulations: int, bars: str) -> None:
    """Fit `simulations` studies of `animals` animals and print a table of variances."""
    frames = [nested_growth(animals=animals, seed=seed) for seed in range(simulations)]
    formula = f"y ~ diet*x + (x {bars} animal/image)"
    built = design.build_design(formula, frames[0])
    started = time.perf_counter()
    fits = fit_responses(built, np.column_stack([frame["y"] for frame in frames]), reml=True)
    seconds = time.perf_counter() - started
    usable = np.isin(fits.status, ["ok", "singular"])
    print(f"\n{formula}, {animals} animals, {usable.sum():,} of {simulations:,} fitted, {seconds:.1f} s")
    print("\n| variance of | true | mean estimate (± standard error) | SD of estimates | 2.5 % to 97.5 % |")
    print("|---|---|---|---|---|")
    estimates = {
        (factor.name, effect): sd[usable, i] ** 2
        for factor, sd in zip(built.random, fits.sd(), strict=True)
        for i, effect in enumerate(factor.effects)
    }
    truths = {**{key: sd**2 for key, sd in TRUTH.items()}, ("Residual", ""): 0.085**2}
    estimates["Residual", ""] = fits.sigma[usable] ** 2
    for (group, effect), true in truths.items():
        found = estimates[group, effect] * 1e4
        error = found.std(ddof=1) / np.sqrt(len(found))
        low, high = np.quantile(found, [0.025, 0.975])
        name = f"{group} {effect}".strip()
        print(
            f"| {name} | {true * 1e4:.3f} | {found.mean():.3f} ± {error:.3f} "
            f"| {found.std(ddof=1):.3f} | {low:.2f} to {high:.2f} |"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--general", action="store_true", help="correlated intercepts and slopes, too")
    options = parser.parse_args()
    print("Variances are times 10,000.")
    for bars in ("||", "|") if options.general else ("||",):
        for animals in (50, 8):
            study(animals, options.simulations, bars)
