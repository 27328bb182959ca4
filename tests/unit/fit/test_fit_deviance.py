import numpy as np
import pytest
from makers.mixed_oracle import FORMULAS, frame_of, loglik, response_of

from nestde.design import design as designs
from nestde.fit.blocks import blocks, flatten
from nestde.fit.crossproducts import sums_of_responses
from nestde.fit.deviance import deviance, space
from nestde.fit.genes import prepare
from nestde.fit.gradient import gradient

FRAME, Y = frame_of(), response_of(frame_of())


class Kernels:
    """Deviance and gradient of one response as functions of θ on the fitted basis."""

    def __init__(self, formula, reml):
        self.design = designs.build_design(formula, FRAME)
        self.model = prepare(self.design)
        sums = sums_of_responses(self.design, self.model.basis, self.model.leaf, Y[:, None])
        p = self.design.x.shape[1]
        self.blocks = blocks(self.design, self.model.basis, self.model.leaf, np.eye(p))
        self.reml, self.freedom = reml, float(len(Y) - p if reml else len(Y))
        self.y = flatten(self.design, sums.zy)[0], sums.qy[0], sums.yy[0]
        self.shift, self.work = sums.shift[0], space(self.blocks)

    def value(self, theta):
        return deviance(theta, self.blocks, *self.y, self.freedom, self.reml, self.work)

    def slope(self, theta):
        _, r2 = self.value(theta)
        p = len(self.shift)
        beta, out = np.empty(p), np.empty(len(theta))
        gradient(self.blocks, r2, self.freedom, self.reml, self.work, beta, np.empty((p, p)), out)
        return out, beta

    def long_way(self, theta):
        basis, factors = self.model.basis, []
        for f, z in enumerate(basis.z):
            lam = np.zeros((z.shape[1], z.shape[1]))
            for t, (owner, row, column) in enumerate(basis.theta):
                if owner == f:
                    lam[row, column] = theta[t]
            factors.append(lam)
        effects = [(factor.codes, z) for factor, z in zip(self.design.random, basis.z, strict=True)]
        return loglik(basis.q, effects, factors, Y, self.reml)


@pytest.mark.parametrize("reml", [False, True])
@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("zero", [False, True])
def test_deviance_and_gradient(formula, reml, zero):
    kernels = Kernels(formula, reml)
    rng = np.random.default_rng(3)
    theta = rng.normal(0, 1, len(kernels.blocks.scale))
    if zero:
        theta[rng.integers(len(theta))] = 0.0
    value, _ = kernels.value(theta)
    expected, beta, _ = kernels.long_way(theta)
    constant = kernels.freedom * (1 + np.log(2 * np.pi / kernels.freedom))
    assert -0.5 * (value + constant) == pytest.approx(expected, abs=1e-9)
    slope, ours = kernels.slope(theta)
    np.testing.assert_allclose(ours + kernels.shift, beta, atol=1e-9)
    h = 1e-5
    steps = h * np.eye(len(theta))
    differences = [(kernels.value(theta + s)[0] - kernels.value(theta - s)[0]) / (2 * h) for s in steps]
    np.testing.assert_allclose(slope, differences, rtol=1e-5, atol=1e-5)


def test_the_sign_of_a_column_does_not_matter():
    kernels = Kernels("~ x + (x | a)", False)
    assert kernels.value(np.array([1.0, 0.5, 0.7]))[0] == kernels.value(np.array([-1.0, -0.5, 0.7]))[0]


def test_nothing_left_is_infinite():
    kernels = Kernels("~ x + (x | a)", False)
    kernels.y = (kernels.y[0], kernels.y[1], 0.0)
    assert kernels.value(np.ones(3))[0] == np.inf
