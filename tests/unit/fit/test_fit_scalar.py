import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from makers.mixed_oracle import of_design

from nestde.design import design as designs
from nestde.fit import fit_responses


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_no_other_variance_is_more_likely(seed, reml):
    rng = np.random.default_rng(seed)
    sizes = rng.geometric(rng.choice([0.1, 0.5]), rng.integers(3, 8)) + 1
    group = np.repeat(np.arange(len(sizes)), sizes)
    frame = pd.DataFrame(
        {"g": group.astype(str), "x": rng.normal(0, 1, len(group)) + rng.normal(0, 2, len(sizes))[group]}
    )
    y = rng.normal(0, rng.choice([0, 0.3, 2]), len(sizes))[group] + rng.standard_t(3, len(group))
    design = designs.build_design("~ x + (1 | g)", frame)
    fits = fit_responses(design, y, reml=reml)
    assert fits.status[0] == ("singular" if fits.theta[0, 0] == 0 else "ok")
    ours, _, _ = of_design(design, [fits.factors[0][0]], y, reml)
    assert abs(ours - fits.loglik[0]) < 1e-8
    for theta in [0.0, *np.logspace(-3, 3, 61), *(fits.theta[0, 0] * np.array([0.999, 1.001]))]:
        assert of_design(design, [np.array([[theta]])], y, reml)[0] <= fits.loglik[0] + 1e-9


def test_the_higher_of_two_optima_is_taken():
    # one group of many rows and some of few, far apart: optima at zero and far from it
    sizes, seen = [40, 2, 2, 2], 0
    group = np.repeat(np.arange(4), sizes)
    design = designs.build_design("~ 1 + (1 | g)", pd.DataFrame({"g": group.astype(str)}))
    y = np.random.default_rng(0).normal(0, 1, (len(group), 400))
    y += (np.linspace(0, 3, 400) * np.array([0, 1, -1, 2])[:, None])[group]
    fits = fit_responses(design, y)
    grid = [np.array([[theta]]) for theta in [0.0, *np.logspace(-2, 2, 161)]]
    several = np.flatnonzero(fits.record.optima > 1)
    assert len(several) > 20
    for g in several[::4]:
        height = np.array([of_design(design, [theta], y[:, g], False)[0] for theta in grid])
        assert height.max() <= fits.loglik[g] + 1e-9
        # a look at the likelihood itself sees both, and how much the lower one is below
        above = np.diff(np.concatenate([[-np.inf], height, [-np.inf]])) > 0
        peaks = height[above[:-1] & ~above[1:]]
        if len(peaks) > 1:
            assert fits.record.optima[g] >= len(peaks)
            assert abs(2 * np.ptp(np.sort(peaks)[-2:]) - fits.record.margin[g]) < 0.01
            seen += 1
    assert seen > 5 and np.isfinite(fits.record.margin[several]).all()


def test_a_slope_alone_is_one_component_too():
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(6), 10)
    frame = pd.DataFrame({"g": group.astype(str), "x": rng.normal(5, 2, 60)})
    y = frame["x"].to_numpy() * rng.normal(1, 0.5, 6)[group] + rng.normal(0, 1, 60)
    design = designs.build_design("~ x + (0 + x | g)", frame)
    fits = fit_responses(design, y)
    assert abs(of_design(design, [fits.factors[0][0]], y, False)[0] - fits.loglik[0]) < 1e-9
    assert fits.record.gradient[0] < 1e-8
