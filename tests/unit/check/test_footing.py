"""What a test stands on, from the design alone, beside what the check says of the same study."""

import numpy as np
import pandas as pd
import pytest

from nestde.check import footing
from nestde.check.footing import cells_of, replicates_of
from nestde.design.design import build_design
from nestde.study.config import Model


def frame(donors=4, samples=3, cells=5, seed=0):
    """Donors in a diagnosis, samples of a donor in treatments, cells with x."""
    rng = np.random.default_rng(seed)
    rows = [(d, s) for d in range(donors) for s in range(samples) for _ in range(cells)]
    donor, sample = (np.array(part) for part in zip(*rows, strict=True))
    return pd.DataFrame(
        {
            "donor": [f"D{i}" for i in donor],
            "sample_id": [f"D{i}S{j}" for i, j in rows],
            "diagnosis": np.where(donor % 2, "AD", "Control"),
            "treatment": [f"T{j}" for j in sample],
            "age": donor * 3.0 % 7,
            "x": rng.normal(size=len(rows)),
        }
    )


@pytest.mark.parametrize(
    ("formula", "term", "expected"),
    [
        # unit, groups, dimension, df, columns
        ("~ diagnosis + (1 | sample_id)", "diagnosis", ("sample_id", 12, 12, 10, 1)),
        ("~ x + diagnosis + (1 | sample_id)", "diagnosis", ("sample_id", 12, 12, 10, 1)),
        ("~ diagnosis + age + (1 | sample_id)", "diagnosis", ("sample_id", 12, 12, 9, 1)),
        ("~ treatment + (1 | sample_id)", "treatment", ("sample_id", 12, 12, 9, 2)),
        # within donors: the donors' means are taken up
        ("~ treatment + (1 | donor) + (1 | sample_id)", "treatment", ("sample_id", 12, 8, 6, 2)),
        ("~ treatment + diagnosis + (1 | donor/sample_id)", "diagnosis", ("donor", 4, 4, 2, 1)),
        # slopes: as many as there are groups, whatever the number of cells
        ("~ x + (1 + x | sample_id)", "x", ("sample_id", 12, 12, 11, 1)),
        ("~ x * diagnosis + (1 + x | sample_id)", "diagnosis:x", ("sample_id", 12, 12, 10, 1)),
        ("~ treatment + (1 + treatment | donor)", "treatment", ("donor", 4, 4, 3, 2)),
        # cells
        ("~ x + (1 | sample_id)", "x", ("", 60, 48, 47, 1)),
    ],
)
def test_replicates(formula, term, expected):
    found = replicates_of(build_design(formula, frame(), test=[term]), term)
    assert (found.unit, found.groups, found.dimension, found.df, found.columns) == expected


def test_size_is_that_of_the_samples_left():
    (test,) = footing.footings(
        build_design("~ diagnosis + (1 | sample_id)", frame(donors=2), test=["diagnosis"])
    )
    assert test.groups == 6 and test.lrt_size == pytest.approx(0.1308, abs=2e-3)  # 3 v 3: see `lrt_size`
    (test,) = footing.footings(build_design("~ x + (1 | sample_id)", frame(), test=["x"]))
    assert test.lrt_size is None


def test_cells_are_counted_by_sample_and_level():
    cells = frame(donors=2, samples=2, cells=3).iloc[:-1]
    levels = {"diagnosis": ["Control", "AD"]}
    model = Model("~ diagnosis + (1 | sample_id)", ["diagnosis"], levels, 1, "gaussian", [])
    assert cells_of(cells, model) == {
        "cells_per_sample": {"D0S0": 3, "D0S1": 3, "D1S0": 3, "D1S1": 2},
        "levels_of": {"diagnosis": {"Control": {"D0S0": 3, "D0S1": 3}, "AD": {"D1S0": 3, "D1S1": 2}}},
    }
    # a factor that varies within samples has a sample in several levels; a number has none
    model = Model("~ part + x + (1 | donor)", ["part", "x"], {}, 1, "gaussian", [])
    within = cells.assign(part=np.where(np.arange(len(cells)) % 2, "b", "a"))
    levels = cells_of(within, model)["levels_of"]
    assert list(levels) == ["part"] and set(levels["part"]["a"]) == set(levels["part"]["b"])
    assert sum(map(sum, (level.values() for level in levels["part"].values()))) == len(cells)
    assert cells_of(within.iloc[:0], model)["cells_per_sample"] == {}
