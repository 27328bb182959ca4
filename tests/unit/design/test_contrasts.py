import dataclasses

import numpy as np
import pandas as pd
import pytest

from nestde.design import design
from nestde.design.contrasts import contrasts, joint


@pytest.fixture
def frame():
    return pd.DataFrame(
        {"d": np.tile(["Control", "AD", "MCI"], 8), "x": np.sin(np.arange(24)), "g": np.repeat(range(6), 4)}
    )


LEVELS = {"d": ["Control", "AD", "MCI"]}


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("~ x + d + (1 | g)", [[0, 0, 1, 0], [0, 0, 0, 1], [0, 0, -1, 1]]),
        ("~ 0 + d + (1 | g)", [[-1, 1, 0], [-1, 0, 1], [0, -1, 1]]),
    ],
)
def test_every_level_against_each_before_it(frame, formula, expected):
    built = design.build_design(
        formula, frame, levels=LEVELS
    )  # as a test of d, build refuses one without an intercept
    built = dataclasses.replace(built, tests={"d": built.terms["d"]})
    found = contrasts(built, "d")
    assert [(c.level, c.against) for c in found] == [("AD", "Control"), ("MCI", "Control"), ("MCI", "AD")]
    np.testing.assert_array_equal([c.rows[0] for c in found], expected)
    np.testing.assert_array_equal(
        joint(built, "d").rows, np.eye(len(built.coef_names))[list(built.tests["d"])]
    )


def test_other_terms_by_coefficient(frame):
    built = design.build_design("~ x*d + (1 | g)", frame, test=["x", "x:d"], levels=LEVELS)
    assert [(c.level, c.against) for c in contrasts(built, "x")] == [("x", "")]
    assert [c.level for c in contrasts(built, "x:d")] == ["x:d[AD]", "x:d[MCI]"]
