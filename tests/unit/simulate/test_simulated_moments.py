"""What counts become on the scale of y, against counts that are drawn."""

import numpy as np
import pytest

from nestde.simulate.moments import moments


@pytest.mark.parametrize(("mean", "dispersion"), [(0.05, 0.3), (0.5, 1.0), (5.0, 3.0), (200.0, 0.5)])
def test_mean_and_sd_are_those_of_drawn_counts(mean, dispersion):
    """400,000 cells: four standard errors, and the table's own step."""
    random = np.random.default_rng(1)
    size = np.linspace(0.1, 0.5, 7)
    known = moments(np.repeat(size, 101))
    of_cell = random.choice(size, 400_000)
    count = random.poisson(mean * of_cell * random.gamma(1 / dispersion, dispersion, len(of_cell)))
    y = np.log1p(count / of_cell)
    found = known.at(np.array([mean]), np.array([dispersion]))
    assert found[0][0] == pytest.approx(y.mean(), abs=4 * y.std() / 632, rel=2e-3)
    assert found[1][0] == pytest.approx(y.std(), rel=0.012)


def test_dispersion_is_found_from_the_sd_and_the_slope_from_differences():
    known = moments(np.full(5, 0.3))
    mean, dispersion = np.array([1.0, 10.0, 100.0]), np.array([0.3, 1.0, 0.1])
    _, sd = known.at(mean, dispersion)
    np.testing.assert_allclose(known.dispersion(mean, sd), dispersion, rtol=0.03)
    up, down = (known.at(mean * np.exp(step), dispersion)[0] for step in (0.05, -0.05))
    np.testing.assert_allclose(known.slope(mean, dispersion), (up - down) / 0.1, rtol=0.02)
    assert (known.shift(mean, dispersion, 0.0) == 0).all()
