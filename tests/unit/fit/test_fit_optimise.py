import numpy as np
import pytest
from makers.mixed_oracle import FORMULAS, frame_of, of_design, response_of

from nestde.design import design as designs
from nestde.fit import fit_responses
from nestde.fit.crossproducts import sums_of_responses
from nestde.fit.genes import fit, prepare


@pytest.mark.parametrize("reml", [False, True])
@pytest.mark.parametrize("formula", FORMULAS)
def test_estimates_have_the_likelihood_that_is_claimed_and_no_neighbour_a_higher(formula, reml):
    frame = frame_of()
    y = response_of(frame)
    design = designs.build_design(formula, frame)
    fits = fit_responses(design, y, reml=reml)
    factors = [part[0] for part in fits.factors]
    value, beta, sigma = of_design(design, factors, y, reml)
    assert fits.loglik[0] == pytest.approx(value, abs=1e-8)
    assert fits.sigma[0] == pytest.approx(sigma, rel=1e-8)
    np.testing.assert_allclose(fits.coef[0], beta, rtol=1e-7, atol=1e-8)
    rng = np.random.default_rng(0)
    for _ in range(20):
        moved = []
        for part, factor in zip(factors, design.random, strict=True):
            same = np.equal.outer(factor.blocks, factor.blocks)
            moved.append(np.tril(part + same * rng.normal(0, 0.02, part.shape)))
        assert of_design(design, moved, y, reml)[0] <= value + 1e-8


def small(seed, responses):
    """Few groups, effects of all sizes: where likelihoods have several optima."""
    rng = np.random.default_rng(seed)
    frame = frame_of(80, seed)
    a = frame["a"].astype(int).to_numpy()
    x = (frame["x"] - frame["x"].mean()).to_numpy()[:, None]
    effects = rng.normal(0, 1, (2, 8, responses)) * rng.choice([0, 0.3, 1], (2, 1, responses))
    return frame, effects[0][a] + x * effects[1][a] + rng.standard_t(3, (80, responses))


@pytest.mark.parametrize(
    "formula", ["~ x + (x | a)", "~ x + (x || a)", "~ x + (x | a/b)", "~ x + (1 | a) + (1 | c)"]
)
def test_no_random_start_finds_better(formula):
    frame, y = small(5, 40)
    design = designs.build_design(formula, frame)
    model = prepare(design)
    sums = sums_of_responses(design, model.basis, model.leaf, y)
    columns = np.eye(design.x.shape[1])
    ours = fit(model, sums, columns, False)
    rng = np.random.default_rng(0)
    starts = [np.exp(rng.normal(0, 2, ours.record.end.shape)) * 0.3 for _ in range(6)]
    assert (fit(model, sums, columns, False, starts).loglik <= ours.loglik + 1e-6).all()
    assert set(ours.status) <= {"ok", "singular"}
    assert (ours.record.decrease < 1e-8).all()


def test_zeros_are_exact():
    frame, y = small(6, 60)
    fits = fit_responses(designs.build_design("~ x + (x || a)", frame), y)
    variances = np.concatenate(fits.sd(), axis=1)
    assert (variances == 0).any()
    assert ((variances == 0) | (variances > 1e-5)).all()
    assert ((fits.status == "singular") == (variances == 0).any(axis=1)).all()


def test_correlations_of_one_are_exact():
    frame, y = small(7, 60)
    fits = fit_responses(designs.build_design("~ x + (x | a)", frame), y)
    theta = fits.theta
    singular = fits.status == "singular"
    assert singular.any() and not singular.all()
    assert ((theta[:, 0] == 0) | (theta[:, 2] == 0))[singular].all()
    assert (theta[~singular][:, [0, 2]] > 1e-5).all()


def test_the_formula_decides_not_the_units():
    frame = frame_of()
    y = response_of(frame)
    raw = fit_responses(designs.build_design("~ x + (x | a)", frame), y)
    far = fit_responses(designs.build_design("~ x + (x | a)", frame.assign(x=1e6 + 1e-3 * frame["x"])), y)
    assert far.loglik[0] == pytest.approx(raw.loglik[0], abs=1e-6)
    assert far.coef[0, 1] == pytest.approx(1e3 * raw.coef[0, 1], rel=1e-5)
    # without correlation the intercepts' variance is at x = 0, which scaling leaves and shifting moves
    plain = fit_responses(designs.build_design("~ x + (x || a)", frame), y)
    scaled = fit_responses(designs.build_design("~ x + (x || a)", frame.assign(x=1e3 * frame["x"])), y)
    shifted = fit_responses(designs.build_design("~ x + (x || a)", frame.assign(x=frame["x"] - 3)), y)
    assert scaled.loglik[0] == pytest.approx(plain.loglik[0], abs=1e-8)
    assert abs(shifted.loglik[0] - plain.loglik[0]) > 0.1
