import numpy as np
import pytest
from scipy import stats

from nestde.fit.log_sf import log_chi2_sf, log_f_sf

# R 4.2.2: pchisq(x, df, lower.tail = FALSE, log.p = TRUE)
CHI2 = [
    (3, 1, -2.485732790986078),
    (1000, 1, -503.680666504381691),
    (1140, 2, -570.0),
    (1160, 1, -583.754739213606285),
    (1e5, 3, -49994.469318620314880),
    (0, 4, 0.0),
]
# pf(x, df1, df2, lower.tail = FALSE, log.p = TRUE)
F = [
    (3, 1, 10, -2.172105997563451),
    (5000, 1, 5, -18.351721382577029),
    (1e6, 2, 100, -495.176877564308541),
    (1e20, 3, 200, -4182.772573322749849),
    (2000, 3, 24000, -2673.710023664439177),
    (1300, 1, 24000, -636.7920385780471),
    (1e5, 1, 1e7, -49757.6315547848571),
    (0, 1, 4, 0.0),
]


@pytest.mark.parametrize(("x", "df", "expected"), CHI2)
def test_chi2_as_r(x, df, expected):
    assert log_chi2_sf(x, df) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize(("x", "df", "df_residual", "expected"), F)
def test_f_as_r(x, df, df_residual, expected):
    assert log_f_sf(x, df, df_residual) == pytest.approx(expected, rel=1e-11)


def test_near_and_far_meet():
    x = np.linspace(1100, 1200, 41)
    assert np.all(np.diff(log_chi2_sf(x, 1), 2) >= 0)
    assert np.all(np.diff(log_f_sf(x, 2, 1e6), 2) > 0)


def test_a_squared_t_is_an_f_and_nan_stays():
    assert log_f_sf(4.0, 1, 7.3) == pytest.approx(np.log(2 * stats.t.sf(2.0, 7.3)))
    assert np.isnan(log_chi2_sf(np.nan, 1))
    assert np.isnan(log_f_sf(2.0, 1, np.nan))
