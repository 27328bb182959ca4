"""The plain-numpy model that strange studies are held against is R's: what agrees with it agrees with lme4."""

import pytest
from makers.oracle import case
from makers.plain_fit import Fit


@pytest.mark.parametrize(
    "name", ["dyestuff", "dyestuff2", "sleepstudy_intercept", "seed_singular", "seed_six"]
)
def test_the_plain_model_is_lme4s(name):
    built, y, record = case(name)
    assert [factor.effects for factor in built.random] == [("(Intercept)",)]
    found = Fit(built.x, built.random[0].codes, y)
    assert found.loglik == pytest.approx(record["ml"]["loglik"], abs=1e-6)
