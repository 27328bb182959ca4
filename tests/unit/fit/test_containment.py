import numpy as np
import pandas as pd
import pytest
from makers.oracle import SINGLE, case

from nestde.design import design
from nestde.fit.containment import containment, containment_of


@pytest.mark.parametrize("name", SINGLE)
def test_as_nlme(name):
    built, _, record = case(name)
    nlme = record["reml"].get("nlme")
    if nlme:
        np.testing.assert_array_equal(containment(built), list(nlme["df"].values()))
    else:
        assert name == "penicillin"  # crossed: nlme has no such model


def test_crossed_factors_and_several_levels():
    frame = pd.DataFrame(
        [(a, b, r) for a in range(6) for b in range(4) for r in range(3)], columns=["a", "b", "r"]
    )
    frame["of_a"] = frame["a"] % 2
    frame["of_b"] = frame["b"] % 2
    frame["own"] = np.sin(np.arange(72))
    df = containment(design.build_design("~ of_a + of_b + own + (1 | a) + (1 | b)", frame))
    assert df.tolist() == [62.0, 4.0, 2.0, 62.0]  # 72 − 1 − 5 − 3 − 1 at the rows
    assert containment_of(np.array([[0.0, 1, 0, 1]]), df) == 4.0


def test_nothing_left_is_no_number():
    frame = pd.DataFrame(
        {"g": np.repeat([1, 2, 3], 4), "x": np.repeat([0.0, 1, 3], 4), "w": np.repeat([0.0, 1, 0], 4)}
    )
    df = containment(design.build_design("~ x + w + (1 | g)", frame))
    assert np.isnan(df[1:]).all()
