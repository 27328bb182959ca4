import numpy as np
import pytest
from scipy.stats.mstats import mquantiles

from nestde.calibrate.ranks import FEWEST, ranks


def test_the_band_is_that_of_sorted_p_values():
    """At most 40 genes: each rank by itself, by sorting and scipy's plotting positions."""
    p = np.random.default_rng(1).uniform(size=(200, 7))
    found = ranks(np.log(p))
    by_rank = -np.log10(np.sort(p, axis=1))
    np.testing.assert_allclose(found["median"], np.median(by_rank, axis=0), atol=1e-4)
    assert found["expected"] == [round(float(-np.log10((k - 0.5) / 7)), 4) for k in range(1, 8)]
    for name, q in (("lower", 0.025), ("upper", 0.975)):
        wanted = mquantiles(by_rank, [q], alphap=1, betap=1, axis=0)[0]
        np.testing.assert_allclose(found[name], wanted, atol=1e-4)


def test_honest_p_values_lie_along_the_diagonal():
    p = np.random.default_rng(2).uniform(size=(50, 5000))
    found = {name: np.array(values) for name, values in ranks(np.log(p)).items()}
    assert len(found["expected"]) <= 40
    assert (found["lower"] < found["median"]).all() and (found["median"] < found["upper"]).all()
    assert np.abs(found["median"] - found["expected"])[5:].max() < 0.05


@pytest.mark.parametrize(
    "log_p", [np.empty(0), np.empty((9, 0)), np.full((9, 4), np.nan), np.zeros((FEWEST - 1, 4))]
)
def test_where_there_is_nothing_to_tell_from_there_is_no_band(log_p):
    assert ranks(log_p) == {}


def test_genes_without_a_p_value_do_not_count():
    p = np.random.default_rng(3).uniform(size=(30, 12))
    p[4] = np.nan
    p[7, 3] = np.nan
    assert all(np.isfinite(values).all() for values in ranks(np.log(p)).values())
