import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nestde.calibrate.relabel import LIKENESS, Relabellings, relabelled, relabellings
from nestde.design import design as designs


def build(labels, fixed="d", bars="(1 | s)", cells=3, **columns):
    samples = pd.DataFrame({"s": [f"S{i:02}" for i in range(len(labels))], "d": labels, **columns})
    frame = samples.loc[samples.index.repeat(cells)].reset_index(drop=True)
    frame["x"] = np.sin(np.arange(len(frame)))
    return designs.build_design(f"~ {fixed} + {bars}", frame, test=["d"])


def found(design, number=1000, seed=1):
    ways = relabellings(design, "d", number, seed)
    assert isinstance(ways, Relabellings), ways
    return ways


def correlation(design, ways):
    first = np.unique(design.random[0].codes, return_index=True)[1]
    d = design.x[first, design.tests["d"][0]]
    return np.array([np.corrcoef(d, d[order])[0, 1] for order in ways.order])


def test_three_against_three_have_nine_splits_beside_the_true_one():
    design = build(["AD"] * 3 + ["C"] * 3)
    ways = found(design)
    assert ways.possible == 10
    assert len(ways.order) == 9
    assert ways.blocks == () and ways.unit == "s"
    assert np.abs(correlation(design, ways)).max() == pytest.approx(1 / 3)
    groups = {frozenset(map(frozenset, (np.flatnonzero(o < 3), np.flatnonzero(o >= 3)))) for o in ways.order}
    assert len(groups) == 9


def test_two_against_two_have_two_and_four_against_three_all_that_are_unlike():
    assert len(found(build(["A", "A", "B", "B"])).order) == 2
    ways = found(build(["A"] * 4 + ["B"] * 3))
    assert ways.possible == math.comb(7, 3)
    expected = 0
    for chosen in itertools.combinations(range(7), 3):
        d, o = np.repeat([0.0, 1.0], [4, 3]), np.isin(np.arange(7), chosen).astype(float)
        expected += np.corrcoef(d, o)[0, 1] ** 2 <= LIKENESS + 1e-9
    assert len(ways.order) == expected


def test_pairs_are_swapped_within_donors_only():
    donors = [f"D{i // 2}" for i in range(16)]
    for bars, fixed in (("(1 | donor) + (1 | s)", "d"), ("(1 | s)", "donor + d")):
        design = build(["ctrl", "stim"] * 8, fixed, bars, donor=donors)
        ways = found(design)
        assert ways.possible == 2**7
        assert ways.blocks == ("donor",)
        pairs = ways.order.reshape(-1, 8, 2) // 2
        assert (pairs == np.arange(8)[None, :, None]).all()
        assert (np.abs(correlation(design, ways)) <= 0.5 + 1e-9).all()


def test_donors_of_several_samples_are_relabelled_whole():
    design = build(["A"] * 6 + ["B"] * 6, bars="(1 | donor/s)", donor=[f"D{i // 2}" for i in range(12)])
    ways = found(design)
    assert ways.unit == "donor"
    assert ways.order.shape == (9, 6)
    other = relabelled(design, "d", "donor", ways.order[0])
    donor = next(f for f in design.random if f.name == "donor")
    assert len(np.unique(np.stack([donor.codes, other.x[:, 1]]), axis=1).T) == 6


def test_three_levels_are_groups_whatever_their_names():
    design = build(["A", "A", "B", "B", "C", "C"])
    ways = found(design)
    first = np.arange(6)
    kinds = first // 2
    partitions = {
        frozenset(frozenset(np.flatnonzero(kinds[o] == k).tolist()) for k in range(3)) for o in ways.order
    }
    assert len(partitions) == len(ways.order)
    assert frozenset({frozenset({0, 1}), frozenset({2, 3}), frozenset({4, 5})}) not in partitions


def test_a_number_keeps_its_values():
    samples = 9
    age = np.round(np.random.default_rng(0).normal(70, 9, samples), 1)
    ways = found(build(age), number=50)
    assert ways.possible == math.factorial(9)
    assert len(ways.order) == 50
    assert (np.sort(ways.order, axis=1) == np.arange(samples)).all()


def test_many_are_drawn_without_repetition_and_the_seed_tells_which():
    assert len(found(build(["A", "B"] * 5), number=7).order) == 7
    design = build(["A", "B"] * 12)
    ways, again, other = found(design, 100), found(design, 100), found(design, 100, seed=2)
    assert len(ways.order) == 100
    assert len({tuple((o % 2).tolist()) for o in ways.order}) == 100
    np.testing.assert_array_equal(ways.order, again.order)
    assert not np.array_equal(ways.order, other.order)


def test_untested_columns_stay_with_their_samples():
    design = build(["A", "B"] * 6, "age + x + d", age=np.arange(12.0) ** 2)
    other = relabelled(design, "d", "s", found(design).order[0])
    changed = np.flatnonzero((design.x != other.x).any(axis=0))
    assert list(changed) == list(design.tests["d"])


def test_blocks_that_leave_too_little_are_given_up_but_not_pairs():
    sex = ["f", "f", "f", "m", "f", "f"]
    ways = found(build(["A"] * 3 + ["B"] * 3, "sex + d", sex=sex))
    assert ways.blocks == ("sex",) and ways.possible == 10
    two = build(["A", "B"] * 2, bars="(1 | donor) + (1 | s)", donor=["P", "P", "Q", "Q"])
    assert found(two).possible == 2


def test_without_labels_of_samples_it_is_said_why():
    frame = pd.DataFrame({"s": np.repeat(list("ABCD"), 5), "d": np.sin(np.arange(20.0))})
    design = designs.build_design("~ d + (1 | s)", frame, test=["d"])
    assert "varies between the cells" in relabellings(design, "d", 10, 1)
    alone = build(["A", "B", "A", "B"], "donor + d", donor=["P", "P", "Q", "Q"])
    assert isinstance(relabellings(alone, "d", 10, 1), Relabellings)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from("ABC"), min_size=4, max_size=8))
def test_any_small_study_gives_each_grouping_once(labels):
    if min(labels.count(level) for level in set(labels)) < 2 or len(set(labels)) < 2:
        return
    design = build(labels)
    ways = relabellings(design, "d", 100, 1)
    if isinstance(ways, str):
        return
    kinds = np.array([sorted(set(labels)).index(x) for x in labels])
    seen = set()
    for order in ways.order:
        assert sorted(order) == list(range(len(labels)))
        groups = frozenset(frozenset(np.flatnonzero(kinds[order] == k).tolist()) for k in set(kinds))
        assert groups not in seen
        seen.add(groups)
    assert frozenset(frozenset(np.flatnonzero(kinds == k).tolist()) for k in set(kinds)) not in seen


def test_a_contrast_exchanges_the_labels_of_what_it_compares():
    levels = np.repeat(["AD", "C", "M"], [4, 4, 5])
    samples = pd.DataFrame({"s": [f"S{i:02}" for i in range(13)], "d": levels, "sex": ["F", "M"] * 6 + ["F"]})
    frame = samples.loc[samples.index.repeat(3)].reset_index(drop=True)
    design = designs.build_design("~ d + (1 | s)", frame, test=["AD-C", "(AD+M)/2-C"])
    ways = relabellings(design, "AD-C", 1000, 1)
    assert ways.possible == math.comb(8, 4) // 2
    np.testing.assert_array_equal(ways.order[:, 8:], np.arange(8, 13)[None].repeat(len(ways.order), 0))
    other = relabelled(design, "AD-C", "s", ways.order[0])
    assert (other.x[24:] == design.x[24:]).all() and (other.x[:24] != design.x[:24]).any()
    of_three = relabellings(design, "(AD+M)/2-C", 1000, 1)
    assert of_three.possible == math.factorial(13) // (math.factorial(4) ** 2 * math.factorial(5))
    assert (of_three.order[:, 8:] != np.arange(8, 13)).any()


def test_a_simple_effect_exchanges_labels_where_it_is_and_nowhere_else():
    samples = pd.DataFrame(
        {"s": [f"S{i:02}" for i in range(16)], "d": ["AD", "C"] * 8, "sex": np.repeat(["F", "M"], 8)}
    )
    frame = samples.loc[samples.index.repeat(3)].reset_index(drop=True)
    design = designs.build_design("~ d*sex + (1 | s)", frame, test=["AD-C | sex=F"])
    ways = relabellings(design, "AD-C | sex=F", 1000, 1)
    assert (np.sort(ways.order[:, :8]) == np.arange(8)).all()
    for order in ways.order:
        assert (relabelled(design, "AD-C | sex=F", "s", order).x[24:] == design.x[24:]).all()
