import itertools

import numpy as np
import pytest
from test_calibration import study

from nestde.calibrate.calibration import calibrate
from nestde.calibrate.max_t import StepDown
from nestde.calibrate.relabel import relabellings


def test_adjusted_p_values_are_those_of_westfall_and_young_by_enumeration():
    random = np.random.default_rng(4)
    y = random.normal(size=(7, 6)) + np.outer([3, 1.5, 1, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1])
    splits = [list(half) for half in itertools.combinations(range(6), 3)]

    def statistic(half):
        rest = [i for i in range(6) if i not in half]
        a, b = y[:, half], y[:, rest]
        return np.abs(a.mean(axis=1) - b.mean(axis=1)) / np.sqrt(
            a.var(axis=1, ddof=1) + b.var(axis=1, ddof=1)
        )

    every = np.array([statistic(half) for half in splits])
    observed = every[0]
    # algorithm 4.1 of Westfall & Young, gene by gene: the largest of this gene and all that are less significant
    expected, before = np.empty(7), 0.0
    for gene in np.argsort(-observed):
        weaker = observed <= observed[gene]
        share = np.mean(every[:, weaker].max(axis=1) >= observed[gene] - 1e-9)
        before = expected[gene] = max(before, share)
    counts = StepDown(observed)
    for other in every[1:]:
        counts.add(other)
    np.testing.assert_allclose(counts.adjusted(), expected, rtol=1e-12)


def test_genes_without_a_p_value_have_no_adjusted_one_and_move_no_other():
    observed, other = np.array([3.0, np.nan, 1.0]), np.array([0.5, 99.0, 2.0])
    counts = StepDown(observed)
    counts.add(other)
    np.testing.assert_allclose(counts.adjusted(), [0.5, np.nan, 1.0])
    counts.add(np.array([np.nan, np.nan, np.inf]))
    np.testing.assert_allclose(counts.adjusted(), [2 / 3, np.nan, 1.0])


@pytest.mark.parametrize(("samples", "possible"), [(8, 34), (10, 125)])
def test_relabellings_like_the_true_one_take_part(samples, possible):
    design, _ = study(samples=samples, genes=5)
    ways = relabellings(design, "d", 1000, 1)
    assert len(ways.order) + len(ways.like) == possible
    assert ways.drawn.all()
    few = relabellings(design, "d", 20, 1)
    assert int(few.drawn.sum()) + len(few.like) == 20
    assert len(few.order) == 20


def test_adjusted_p_values_find_what_differs_and_only_from_a_hundred_relabellings_on():
    design, statistics = study(samples=10, genes=300, differing=12)
    found = calibrate(design, statistics, "d", "means", number=200)
    assert list(found.genes.columns) == ["gene", "term", "padj_max_t"]
    small = found.genes["padj_max_t"].to_numpy() <= 0.05
    assert small[:12].all()
    assert small[12:].sum() <= 1
    assert found.genes["padj_max_t"].min() == 1 / 126
    assert calibrate(design, statistics, "d", "means", number=60).genes.empty
