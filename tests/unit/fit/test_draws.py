"""Responses drawn as sums over leaves have the law of responses drawn cell by cell."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nestde.design import design
from nestde.fit import draws
from nestde.fit.genes import prepare

DRAWS = 20_000


def nested():
    """Unequal cells, a slope, a covariate of cells: 4 animals × 2 images."""
    random = np.random.default_rng(3)
    animal = np.repeat(np.arange(8) // 2, [1, 2, 3, 4, 5, 3, 2, 6])
    image = np.repeat(np.arange(8) % 2, [1, 2, 3, 4, 5, 3, 2, 6])
    frame = pd.DataFrame(
        {
            "animal": [f"a{i}" for i in animal],
            "image": [f"i{i}" for i in image],
            "diet": np.where(animal < 2, "fed", "not"),
            "x": random.normal(70.0, 5.0, len(animal)),
        }
    )
    return design.build_design("~ diet + x + (x | animal / image)", frame)


def test_drawn_sums_have_the_moments_of_the_model():
    built = nested()
    model = prepare(built)
    lam = [np.array([[0.7, 0.0], [0.02, 0.03]]), np.array([[1.1, 0.0], [-0.01, 0.02]])]
    coef, sigma = np.array([2.0, 1.0, 0.05]), 0.8
    factors = [np.broadcast_to(part, (DRAWS, 2, 2)) for part in lam]
    drawn = draws.draw(
        model, factors, np.tile(coef, (DRAWS, 1)), np.full(DRAWS, sigma), np.random.default_rng(1)
    )
    sums = draws.sums_of(model, drawn)

    z = []
    for factor in built.random:
        dummy = np.eye(len(factor.levels))[factor.codes]
        z.append((dummy[:, :, None] * factor.z[:, None]).reshape(built.n, -1))
    covariance = sigma**2 * (
        np.eye(built.n)
        + sum(
            part @ np.kron(np.eye(part.shape[1] // 2), each @ each.T) @ part.T
            for part, each in zip(z, lam, strict=True)
        )
    )
    fixed = built.x @ coef
    turned = [
        each @ np.linalg.inv(turn)
        for each, turn in zip((f.z for f in built.random), model.basis.turn, strict=True)
    ]
    u = np.hstack(
        [
            (np.eye(len(factor.levels))[factor.codes][:, :, None] * own[:, None]).reshape(built.n, -1)
            for factor, own in zip(built.random, turned, strict=True)
        ]
        + [model.basis.q]
    )
    found = np.hstack([*(part.reshape(DRAWS, -1) for part in sums.zy), sums.qy])
    expected = u.T @ covariance @ u
    spread = np.sqrt(np.diag(expected) / DRAWS)
    assert np.abs((found.mean(axis=0) - u.T @ fixed) / spread).max() < 4.5
    error = np.sqrt((np.outer(np.diag(expected), np.diag(expected)) + expected**2) / DRAWS)
    assert np.abs((np.cov(found.T) - expected) / error).max() < 4.5
    # a quadratic form in normals: mean tr V + f'f, variance 2 tr V² + 4 f'Vf
    mean = np.trace(covariance) + fixed @ fixed
    variance = 2 * np.sum(covariance**2) + 4 * fixed @ covariance @ fixed
    assert abs(sums.yy.mean() - mean) < 4.5 * np.sqrt(variance / DRAWS)
    assert sums.yy.var() == pytest.approx(variance, rel=0.05)


def one_way(groups, cells):
    frame = pd.DataFrame({"g": np.repeat([f"g{i}" for i in range(groups)], cells)})
    return design.build_design("~ 1 + (1 | g)", frame)


def test_the_bootstrap_of_a_balanced_design_has_its_closed_form():
    """Both mean squares are χ²; the SD is zero where theirs between groups is the smaller (Searle et al. 1992, 4.5)."""
    groups, cells, psi, sigma = 6, 5, 0.15, 2.0
    model = prepare(one_way(groups, cells))
    factors = [np.full((1, 1, 1), np.sqrt(psi))]
    drawn = draws.bootstrap(model, factors, sigma, DRAWS, seed=2)
    sd = drawn.sd()[0][:, 0]
    scale = 1 + cells * psi
    zero = stats.f.cdf(1 / scale, groups - 1, groups * (cells - 1))
    assert (sd == 0).mean() == pytest.approx(zero, abs=4 * np.sqrt(zero * (1 - zero) / DRAWS))
    random = np.random.default_rng(5)
    square = sigma**2 * random.chisquare(groups * (cells - 1), 200_000) / (groups * (cells - 1))
    between = sigma**2 * scale * random.chisquare(groups - 1, 200_000) / (groups - 1)
    expected = np.sqrt(np.maximum(between - square, 0) / cells)
    for q in (0.5, 0.75, 0.975):
        assert np.quantile(sd, q) == pytest.approx(np.quantile(expected, q), rel=0.03)
    again = draws.bootstrap(model, factors, sigma, DRAWS, seed=2, threads=1)
    assert np.array_equal(again.loglik, drawn.loglik)
