"""Power of planned studies: against the noncentral law, brute force, and simulation by hand."""

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from nestde.calibrate.planning import (
    Effects,
    best_split,
    cells_at_equal_cost,
    exact,
    power,
    stops_at,
)
from nestde.calibrate.scenarios import Scenario
from nestde.fit.fdr import benjamini_hochberg
from nestde.fit.noncentral import t_power

GENES = 2000


def genes(effect, donor=0.1, sample=0.05, number=GENES):
    same = np.full(number, 1.0)
    return Effects(effect * same, {"donor": donor * same, "sample": sample * same}, np.zeros(number))


@pytest.mark.parametrize(("shift", "df", "alpha"), list(product((0.0, 1.0, 3.0), (4, 22), (0.05, 0.001))))
def test_power_of_t_is_the_noncentral_law(shift, df, alpha):
    bound = stats.t.isf(alpha / 2, df)
    expected = stats.nct.sf(bound, df, shift) + stats.nct.cdf(-bound, df, shift) if shift else alpha
    assert t_power(shift, df, alpha) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize(
    ("scenario", "draw"),
    [
        (Scenario("unpaired", (4, 9), 20), lambda r, n: two(r, (4, 9), 0.1 + 0.05 * 0 + 1 / 20, n)),
        (
            Scenario("nested", (5, 5), 20, samples=2),
            lambda r, n: two(r, (5, 5), 0.1 + (0.05 + 1 / 20) / 2, n),
        ),
        (Scenario("paired", (6, 6), 20), lambda r, n: one(r, 6, 2 * (0.05 + 1 / 20), n)),
    ],
    ids=["unpaired", "nested", "paired"],
)
def test_the_exact_power_is_that_of_t_tests_of_drawn_means(scenario, draw):
    """60,000 studies: four standard errors."""
    of = genes(0.5)
    if scenario.layout == "unpaired":
        of = Effects(of.effect, {"donor": of.variances["donor"]}, of.expression)
    found = draw(np.random.default_rng(1), 60_000)
    assert exact(scenario, of, 0.05) == pytest.approx((found < 0.05).mean(), abs=4 * 0.5 / math.sqrt(60_000))


def two(random, sizes, variance, number):
    parts = [random.normal(0.5 * i, math.sqrt(variance), (size, number)) for i, size in enumerate(sizes)]
    return stats.ttest_ind(*parts).pvalue


def one(random, size, variance, number):
    return stats.ttest_1samp(random.normal(0.5, math.sqrt(variance), (size, number)), 0).pvalue


def test_the_interaction_is_that_of_four_groups():
    of = Effects(np.full(GENES, 0.8), {"donor": np.full(GENES, 0.1)}, np.zeros(GENES))
    random = np.random.default_rng(2)
    cells = [random.normal(0.8 * (i == 3), math.sqrt(0.15), (3, 60_000)) for i in range(4)]
    pooled = np.sqrt(sum(part.var(axis=0, ddof=1) for part in cells) / 4)
    t = (cells[3] - cells[2] - cells[1] + cells[0]).mean(axis=0) / (pooled * math.sqrt(4 / 3))
    found = (2 * stats.t.sf(np.abs(t), 8) < 0.05).mean()
    assert exact(Scenario("interaction", (6, 6), 20), of, 0.05) == pytest.approx(found, abs=0.009)


def test_the_moderated_test_of_genes_without_effect_has_its_size():
    found = power(Scenario("unpaired", (6, 6), 50), genes(0.0), threads=1)
    assert found.by_alpha == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / GENES))
    assert found.by_fdr == 0.0 or found.by_fdr < 0.001


def test_the_moderated_test_of_alike_genes_is_the_normal_test():
    """2,000 genes of one variance tell it all but exactly: power is that of a test that knows it."""
    found = power(Scenario("unpaired", (6, 6), 50), genes(0.5), threads=1)
    known = stats.norm.sf(1.96 - 0.5 / math.sqrt(0.12 * 2 / 6))
    assert known - 0.06 < found.by_alpha < known + 0.03
    assert found.by_alpha > found.exact
    again = power(Scenario("unpaired", (6, 6), 50), genes(0.5))
    assert np.array_equal(found.pvalue, again.pvalue)


@pytest.mark.parametrize("layout", ["unpaired", "paired", "nested", "interaction", "slope"])
def test_more_donors_find_more_in_every_layout(layout):
    of = genes(0.4)
    of.variances["slope"] = np.full(GENES, 0.03)
    few, many = (
        power(Scenario(layout, (n, n), 30, samples=2), of, alpha=0.01, threads=1).by_alpha for n in (4, 12)
    )
    assert many > few + 0.04


def test_where_the_procedure_stops_is_where_benjamini_and_hochberg_do():
    random = np.random.default_rng(3)
    differ = 2 * stats.norm.sf(np.abs(random.normal(3.0, 1.0, 40_000)))
    null = (np.arange(160_000) + 0.5) / 160_000
    taken = benjamini_hochberg(np.concatenate([differ, null])) <= 0.05
    at = stops_at(differ, 0.05, 0.2)
    assert (differ <= at).mean() == pytest.approx(taken[:40_000].mean(), abs=0.002)
    assert stops_at(np.ones(100), 0.05, 0.1) == -1.0


def test_drop_out_and_unequal_cells_cost_power():
    of = genes(0.5)
    whole, less, uneven = (
        power(Scenario("unpaired", (8, 8), 20, **more), of, alpha=0.01, threads=1)
        for more in ({}, {"dropout": 0.3}, {"spread": 1.0})
    )
    assert whole.by_alpha > less.by_alpha + 0.05
    assert whole.by_alpha > uneven.by_alpha
    assert math.isnan(less.exact) and math.isnan(uneven.exact)
    none = power(Scenario("unpaired", (2, 2), 20, dropout=0.9), of, threads=1)
    assert none.by_alpha < 0.05


def test_cohorts_that_differ_are_spread_evenly():
    """Of 40 cohorts each donor is lost in a fifth, and each sample has once the cells of every fortieth part of their law."""
    scenario = Scenario("unpaired", (8, 8), 100, spread=0.7, dropout=0.2)
    even = scenario.evenly(40, np.random.default_rng(1))
    assert np.array_equal((even[:, :, 0] < 0.2).sum(axis=0), np.full(16, 8))
    assert np.array_equal(np.sort(np.floor(40 * even[:, :, 1]), axis=0), np.tile(np.arange(40)[:, None], 16))
    uniform = even[0]
    uniform[:, 0] = np.arange(16) / 16
    frame = scenario.frame(np.random.default_rng(1), uniform)
    assert frame["donor"].nunique() == 16 - 4  # of the first arm
    sizes = np.maximum(np.round(100 * np.exp(0.7 * stats.norm.ppf(uniform[4:, 1]) - 0.245)), 1)
    assert frame["donor"].value_counts(sort=False).tolist() == sizes.tolist()


def test_the_same_power_whatever_chance_has_drawn():
    """Standard errors of what 8,000 genes in 40 cohorts say, over seeds."""
    of = genes(0.5)
    found = [
        power(Scenario("unpaired", (6, 6), 30, spread=0.7, dropout=0.1), of, seed=seed, threads=1).by_alpha
        for seed in range(3)
    ]
    assert np.ptp(found) < 0.03


def test_the_best_split_is_that_of_every_split_and_near_the_square_root():
    of = Effects(np.full(10, 0.4), {"donor": np.full(10, 0.05)}, np.zeros(10))
    best = best_split(Scenario(), of, budget=60_000, donor_cost=1000, cell_cost=5, alpha=0.001)
    tried = {}
    for n in range(2, 30):
        cells = math.floor((60_000 / (2 * n) - 1000) / 5)
        if cells >= 1:
            tried[n] = float(t_power(0.4 / math.sqrt((0.05 + 1 / cells) * 2 / n), 2 * n - 2, 0.001))
    assert tried[best.donors[0]] > max(tried.values()) - 0.003
    assert best.cells == pytest.approx(cells_at_equal_cost(1000, 5, 0.05), rel=0.35)
    with pytest.raises(ValueError, match="too small"):
        best_split(Scenario(), of, 100, 1000, 5, 0.05)
