"""Shares of variance, by hand; those of a fitted study are in `test_contrasts_of_levels`."""

import numpy as np
import pandas as pd
import pytest

from nestde.report.evidence import partition

DESIGN = {
    "coefficients": ["(Intercept)", "d[AD]"],
    "covariance": [[0.0, 0.0], [0.0, 0.25]],
    "random": [{"name": "s", "effects": ["(Intercept)"], "blocks": [0]}],
}
FRAME = pd.DataFrame(
    {
        "coef_(Intercept)": [5.0, 1.0, 1.0],
        "coef_d[AD]": [2.0, 0.0, np.nan],
        "sd_s_(Intercept)": [1.0, 0.0, 1.0],
        "sigma": [2.0, 3.0, 1.0],
    }
)


def test_shares_are_of_the_sum_of_all_parts():
    found = partition(FRAME, DESIGN)
    assert list(found) == ["fixed effects", "s", "rest"]
    np.testing.assert_allclose(found["fixed effects"], [1 / 6, 0])
    np.testing.assert_allclose(found["s"], [1 / 6, 0])
    np.testing.assert_allclose(found["rest"], [4 / 6, 1])


@pytest.mark.parametrize(
    "design",
    [
        {},
        DESIGN | {"random": [{"name": "s", "effects": ["(Intercept)", "x"], "blocks": [0, 0]}]},
        DESIGN | {"coefficients": ["other"]},
    ],
)
def test_where_parts_cannot_be_told_there_are_none(design):
    assert partition(FRAME, design) == {}
    assert partition(FRAME.drop(columns="sigma"), DESIGN) == {}
