from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from nestde.calibrate.calibration import about, calibrate, verdict
from nestde.design import design as designs
from nestde.fit.family.gaussian import FAMILY as GAUSSIAN
from nestde.fit.family.poisson import FAMILY as POISSON
from nestde.fit.grain import grain_of


def study(samples=6, cells=40, genes=600, differing=0, spread=0.25, seed=0, bars="(1 | s)"):
    """Counts of samples that differ in level by chance, some genes with a true difference."""
    rng = np.random.default_rng(seed)
    label = np.repeat(["C", "D"], samples // 2)
    frame = pd.DataFrame({"s": [f"S{i:02}" for i in range(samples)], "d": label})
    level = np.exp(rng.normal(0.7, 0.4, genes) + rng.normal(0, spread, (samples, genes)))
    level[label == "D", :differing] *= 4.0
    frame = frame.loc[frame.index.repeat(cells)].reset_index(drop=True)
    counts = sparse.csc_array(rng.poisson(level[np.arange(len(frame)) // cells]).astype(np.int32))
    design = designs.build_design(f"~ d + {bars}", frame, test=["d"])
    names = [f"G{g}" for g in range(genes)]
    return design, GAUSSIAN.sum_up(grain_of(design), counts, np.ones(len(frame)), names)


def rows(found):
    return found.table.set_index("method")


def test_bold_and_honest_p_values_are_told_apart():
    found = rows(calibrate(*study(samples=8), "d", "means", number=60))
    assert found.loc["lrt", "verdict"].startswith("anti-conservative")
    assert found.loc["means", "verdict"] == "calibrated"
    assert 0.035 < found.loc["means", "size_0.05"] < 0.065
    assert (found["lower_0.05"] <= found["size_0.05"]).all()
    assert found.loc["lrt", "size_0.05"] > 1.4 * found.loc["means", "size_0.05"]


def test_true_differences_do_not_spoil_the_measure():
    without = rows(calibrate(*study(samples=8), "d", "means", number=40))
    found = rows(calibrate(*study(samples=8, differing=150), "d", "means", number=40))
    assert found.loc["means", "genes"] < 470
    assert found.loc["means", "found"] > 100
    assert found.loc["means", "found_relabelled"] == 0
    assert abs(found.loc["means", "size_0.05"] - without.loc["means", "size_0.05"]) < 0.015


def test_three_against_three_say_what_nine_splits_can():
    found = calibrate(*study(), "d", "means")
    assert len(found.ways.order) == 9
    assert set(found.table["relabellings"]) == {9}
    assert set(found.table["method"]) >= {"lrt", "satterthwaite", "kenward_roger", "containment", "means"}


def test_p_values_that_take_long_are_measured_on_drawn_genes_and_that_is_told():
    design, statistics = study(genes=300)
    few = replace(statistics, family=replace(GAUSSIAN, calibrated=40))
    found = calibrate(design, few, "d", "means", number=4, seed=3)
    genes = found.table.set_index("method")["genes"]
    assert genes["satterthwaite"] == 40
    assert genes["means"] > 250
    assert about(found)["genes"] == genes.to_dict()
    again = calibrate(design, few, "d", "means", number=4, seed=3)
    pd.testing.assert_frame_equal(again.table, found.table)
    assert POISSON.calibrated < GAUSSIAN.calibrated


def test_two_against_two_are_too_few():
    found = rows(calibrate(*study(samples=4), "d", "means"))
    assert set(found["verdict"]) == {"too few relabellings to tell"}
    assert found["lower_0.05"].isna().all()


def test_the_same_seed_gives_the_same_table_with_any_threads():
    one = calibrate(*study(samples=14, genes=80), "d", "means", number=20, threads=1).table
    two = calibrate(*study(samples=14, genes=80), "d", "means", number=20, threads=2).table
    pd.testing.assert_frame_equal(one, two, check_exact=True)


@pytest.mark.parametrize(
    ("size", "lower", "upper", "said"),
    [
        (0.031, 0.02, 0.04, "anti-conservative by 3.1×"),
        (0.016, 0.012, 0.02, "calibrated"),
        (0.004, 0.003, 0.005, "conservative by 2.5×"),
        (0.0, 0.0, 0.0, "conservative: hardly ever small"),
    ],
)
def test_verdicts(size, lower, upper, said):
    assert verdict(size, lower, upper, 50) == said
