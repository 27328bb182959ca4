"""Crossed factors with many levels are told of before anything is queued."""

import numpy as np
import pandas as pd
import pytest

from nestde.check.crowded import duration, slow_crossing
from nestde.design import design as designs
from nestde.fit.cost import seconds_per_fit
from nestde.fit.family import family
from nestde.fit.family.gaussian import FAMILY as GAUSSIAN
from nestde.run.plan import FEW, GENES, genes_to_time


def crossing(first, second, rows, formula="~ x + (1 | a) + (1 | b)"):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.integers(0, first, rows), "b": rng.integers(0, second, rows)})
    frame = ("g" + frame.astype(str)).assign(x=rng.normal(0, 1, rows))
    return designs.build_design(formula, frame)


def test_thousands_of_crossed_levels_are_told_with_their_cost():
    warned = slow_crossing(crossing(2500, 1500, 30_000), GAUSSIAN)
    assert warned.id == "crossed_factors_slow"
    text = warned.text
    assert "a (2,500) and b (1,500)" in text
    assert "One fit takes about" in text
    assert "order of magnitude" in text
    assert (
        "Kenward and Roger's test works with all random effects that share cells at once: 4,000 here" in text
    )


def test_what_is_slow_only_for_kenward_and_roger_is_told_as_that():
    text = slow_crossing(crossing(350, 260, 20_000), GAUSSIAN).text
    assert "One fit" not in text
    assert "Kenward and Roger's test works" in text


@pytest.mark.parametrize(
    ("first", "second", "formula"),
    [
        (100, 100, "~ x + (1 | a) + (1 | b)"),
        (2000, 3, "~ x + (1 | a) + (1 | b)"),
        (2000, 5, "~ x + (1 | a/b)"),
        (500, 5, "~ x + (1 | a)"),
    ],
)
def test_ordinary_designs_are_not_warned_of(first, second, formula):
    design = crossing(first, second, 20_000, formula)
    warned = slow_crossing(design, GAUSSIAN)
    assert warned is None or "One fit" not in warned.text
    assert seconds_per_fit(design) < 0.2


def test_cost_grows_with_the_levels():
    costs = [seconds_per_fit(crossing(levels, levels, 20_000)) for levels in (100, 300, 900)]
    assert 0 < costs[0] < costs[1] / 8 < costs[2] / 64


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1.2, "1 second"), (8.4, "8 seconds"), (200, "3 minutes"), (9000, "2 hours"), (1e6, "10 days")],
)
def test_durations_are_round(seconds, words):
    assert duration(seconds) == words


def test_the_plan_times_fewer_genes_where_each_takes_seconds():
    assert genes_to_time(crossing(20, 20, 2000), GAUSSIAN) == GENES
    assert 2 <= genes_to_time(crossing(2500, 1500, 30_000), GAUSSIAN) < 10
    assert genes_to_time(crossing(20, 20, 2000), family("poisson"), "lrt_bartlett") == FEW
