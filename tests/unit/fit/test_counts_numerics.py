"""The parts of count models: functions, points for cells, derivatives."""

import math

import numpy as np
import pytest
from makers.counted import FORMULA, cells_of, counts_of, design_of

from nestde.fit.compiled import compiled
from nestde.fit.counts import elementary, laplace, nodes
from nestde.fit.counts.cells import Cells, products_of
from nestde.fit.counts.fits import FAMILIES, data_of, prepare
from nestde.fit.counts.gene import load
from nestde.fit.log_sf import log_chi2_sf
from nestde.fit.log_tail import log_tail, look_up, tail_of


@compiled()
def _exps(x, out):
    for i in range(len(x)):
        out[i] = elementary.exp(x[i])


@compiled()
def _log1ps(x, out):
    for i in range(len(x)):
        out[i] = elementary.log1p(x[i], 1.0 / (1.0 + x[i]))


def test_exp_and_log1p_are_the_librarys_to_the_last_digits():
    x = np.concatenate([np.linspace(-700, 700, 20001), np.linspace(-1, 1, 2001)])
    out = np.empty_like(x)
    _exps(x, out)
    assert np.abs(out / np.exp(x) - 1).max() < 5e-16
    odds = np.concatenate([[0.0], np.exp(np.linspace(-60, 60, 20001))])
    out = np.empty_like(odds)
    _log1ps(odds, out)
    assert np.abs(out - np.log1p(odds)).max() / 60 < 5e-16
    assert np.abs(out[1:] / np.log1p(odds[1:]) - 1).max() < 5e-16


def test_a_gauss_rule_sums_as_all_offsets_do():
    offset = np.random.default_rng(1).normal(0, 0.5, 3000)
    points, weights = nodes.gauss(offset)
    assert len(points) < 25
    assert weights.sum() == pytest.approx(3000, rel=1e-13)
    for intercept in np.linspace(-12, 6, 10):
        exact = np.log1p(np.exp(offset + intercept)).sum()
        assert (weights * np.log1p(np.exp(points + intercept))).sum() == pytest.approx(exact, rel=1e-13)


@pytest.mark.parametrize(
    "offset", [np.zeros(50), np.array([0.3]), np.repeat([0.1, 2.0], 40), np.linspace(-30, 30, 99)]
)
def test_offsets_that_a_rule_would_not_shorten_stay_as_they_are(offset):
    points, weights = nodes.gauss(offset)
    assert (weights * np.exp(points / 10)).sum() == pytest.approx(np.exp(offset / 10).sum(), rel=1e-13)


@pytest.mark.parametrize("each", [700, 6000])
def test_points_stand_for_cells_up_to_the_slope_that_they_say(each):
    random = np.random.default_rng(2)
    x = random.normal(0, 1, (3 * each, 1))
    cells = Cells(np.arange(4) * each, random.normal(0, 0.4, 3 * each), np.ones(3 * each), products_of(x))
    few, served = nodes.compress(cells)
    assert len(few.offset) < 3 * 280
    assert served[0] >= 0.2 / x.std() * 0.999
    assert nodes.missed(cells, few, served[0]) <= 1e-11


def test_a_covariate_that_is_the_offset_itself_has_points_too():
    offset = np.random.default_rng(2).normal(0, 0.4, 2100)
    cells = Cells(np.arange(4) * 700, offset, np.ones(2100), products_of(offset[:, None]))
    few, served = nodes.compress(cells)
    assert nodes.missed(cells, few, min(served[0], 0.2)) <= 1e-11


def test_two_covariates_of_many_values_take_all_cells():
    random = np.random.default_rng(2)
    cells = Cells(
        np.array([0, 50, 90]), random.normal(0, 1, 90), np.ones(90), products_of(random.normal(0, 1, (90, 2)))
    )
    assert nodes.compress(cells)[0] is cells


@compiled()
def _at(g, model, data, parameters, modes, gradient, hessian):
    gene, point, room = load(g, model, data), laplace.point_of(model), laplace.room_of(model)
    for i in range(len(parameters)):
        point.parameters[i] = parameters[i]
    value = laplace.evaluate(model, model.cells, gene, point, room, laplace.CLOSE)
    for i in range(len(parameters)):
        gradient[i] = point.gradient[i]
        for j in range(len(parameters)):
            hessian[i, j] = point.hessian[i, j]
    for s in range(len(modes)):
        modes[s] = point.modes[s]
    return value


def evaluated(model, data, parameters):
    size = len(parameters)
    modes, gradient, hessian = np.zeros(len(model.z)), np.zeros(size), np.zeros((size, size))
    value = _at(0, model, data, np.asarray(parameters, float), modes, gradient, hessian)
    return value, modes, gradient, hessian


@pytest.fixture(scope="module", params=list(FAMILIES))
def case(request):
    frame = cells_of()
    model = prepare(design_of(frame), request.param, frame["offset"].to_numpy())
    return model.full.model, data_of(model.cells, counts_of(frame, [1.5]))


@pytest.mark.parametrize("variance", [0.05, 1.3])
def test_gradient_and_hessian_are_the_differences_of_the_value(case, variance):
    model, data = case
    kappa = [0.4] if model.family == laplace.NEGATIVE_BINOMIAL else []
    at = np.array([0.3, -0.2, 0.15, *kappa, variance])
    _, _, gradient, hessian = evaluated(model, data, at)
    for i in range(len(at)):
        # not smaller: modes are found to 1e-5 of their SD, which differences feel
        step = 1e-3 if i < len(at) - 1 else 5e-3 * variance
        ahead, back = at.copy(), at.copy()
        ahead[i] += step
        back[i] -= step
        up, down = evaluated(model, data, ahead), evaluated(model, data, back)
        assert (up[0] - down[0]) / (2 * step) == pytest.approx(gradient[i], rel=1e-4, abs=1e-4)
        assert np.allclose((up[2] - down[2]) / (2 * step), hessian[i], rtol=3e-4, atol=3e-4)


def test_the_slope_at_no_variance_is_that_of_a_small_one(case):
    model, data = case
    kappa = [0.4] if model.family == laplace.NEGATIVE_BINOMIAL else []
    at = [0.3, -0.2, 0.15, *kappa]
    value, modes, gradient, _ = evaluated(model, data, [*at, 0.0])
    assert (modes == 0).all()
    near = evaluated(model, data, [*at, 1e-6])[0]
    assert (near - value) / 1e-6 == pytest.approx(gradient[-1], rel=1e-3)


def test_the_value_is_laplaces_approximation_by_hand():
    frame = cells_of()
    model = prepare(design_of(frame, FORMULA), "poisson", frame["offset"].to_numpy())
    counts = counts_of(frame, [1.5])
    data = data_of(model.cells, counts)
    parameters, v = np.array([0.3, -0.2, 0.15]), 0.4
    value, modes, _, _ = evaluated(model.full.model, data, [*parameters, v])
    eta = model.full.q @ parameters + frame["offset"].to_numpy()
    y, code = counts.toarray()[:, 0], model.cells.group
    total = 0.0
    for s, mode in enumerate(modes):
        mine = code == s
        mu = np.exp(eta[mine] + mode)
        total += (y[mine] * (eta[mine] + mode) - mu - [math.lgamma(each + 1) for each in y[mine]]).sum()
        total -= 0.5 * mode**2 / v + 0.5 * math.log1p(v * mu.sum())
        assert v * (y[mine] - mu).sum() == pytest.approx(mode, abs=1e-8)
    assert value == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("df", [1, 3])
def test_the_table_of_tails_is_that_of_chi2_where_no_residual_is_left(df):
    table = log_tail([df], math.inf)
    for s in (0.0, 0.3, 1.96, 7.0, 40.0):
        assert look_up(s, 0, table) == pytest.approx(float(log_chi2_sf(df * s**2, df)), abs=1e-6, rel=1e-7)
        assert tail_of(s, 0, table)[0] == pytest.approx(float(np.exp(log_chi2_sf(df * s**2, df))), abs=1e-7)
