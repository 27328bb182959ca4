"""Strata's sums against the same quantities from n × n matrices, as their definitions have them."""

import numpy as np
import pandas as pd
import pytest

from nestde.design import design
from nestde.fit import basis, clusters
from nestde.fit.crossproducts import leaves, sums_of_responses
from nestde.fit.grain import grain_of
from nestde.fit.moments import moments


@pytest.mark.parametrize(
    "bars",
    [
        "(1 | a)",
        "(x | a)",
        "(1 + x || a) + (1 | b)",  # crossed
        "(x | a/c)",  # nested, unbalanced
        "(1 | a/c) + (0 + x + w | b)",
    ],
)
def test_as_defined(bars):
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({name: rng.integers(0, k, 70) for name, k in [("a", 5), ("b", 4), ("c", 3)]})
    frame["x"], frame["w"] = rng.normal(3, 1, 70), rng.normal(size=70)
    built = design.build_design(f"~ x + {bars}", frame)
    turned = basis.basis(built)
    leaf = leaves(built, turned, grain_of(built, turned))
    cut = clusters.clusters_of(built, turned, leaf)
    y = rng.normal(size=(70, 1))
    sums = sums_of_responses(built, turned, leaf, y)
    theta = rng.uniform(0.2, 1.0, len(turned.theta))

    # Z and its covariance's derivatives, on the fitted basis
    z = np.hstack(
        [
            part[:, [e]] * (factor.codes[:, None] == np.arange(len(factor.levels)))
            for factor, part in zip(built.random, turned.z, strict=True)
            for e in range(part.shape[1])
        ]
    )
    place = {}
    for f, factor in enumerate(built.random):
        for e in range(len(factor.effects)):
            place[f, e] = np.arange(len(factor.levels)) + sum(map(len, place.values()))
    directions, psi = [], []
    for f, row, column in turned.theta:
        one = np.zeros((z.shape[1], z.shape[1]))
        one[place[f, row], place[f, column]] = one[place[f, column], place[f, row]] = 1.0
        directions.append(z @ one @ z.T)
        lower = {(i, j): t for (g, i, j), t in zip(turned.theta, theta, strict=True) if g == f}
        psi.append(sum(lower.get((row, k), 0) * lower.get((column, k), 0) for k in range(3)))
    v = np.eye(70) + sum(weight * d for weight, d in zip(psi, directions, strict=True))
    inverse, q = np.linalg.inv(v), turned.q
    phi = np.linalg.inv(q.T @ inverse @ q)
    p = inverse - inverse @ q @ phi @ q.T @ inverse
    b = phi @ q.T @ inverse @ y[:, 0]
    # along V the kernel takes y'Py = (n − p)σ², as REML estimates have it
    quadratic = y[:, 0] @ p @ y[:, 0]
    variance = quadratic / (70 - q.shape[1])

    found = moments(cut.products, theta, variance, b - sums.shift[0], cut.place(sums.zy)[0])
    every = [v, *directions]
    np.testing.assert_allclose(found.phi, phi, rtol=1e-9)
    np.testing.assert_allclose(
        found.inner, [q.T @ inverse @ d @ inverse @ q for d in every], rtol=1e-8, atol=1e-10
    )
    outer = [[q.T @ inverse @ d @ inverse @ e @ inverse @ q for e in every] for d in every]
    np.testing.assert_allclose(found.outer, outer, rtol=1e-8, atol=1e-10)
    expected = [[0.5 * np.trace(p @ d @ p @ e) for e in every] for d in every]
    np.testing.assert_allclose(found.expected, expected, rtol=1e-8)
    py = p @ y[:, 0]
    gradient = [np.trace(p @ d) - py @ d @ py / variance for d in every]
    np.testing.assert_allclose(found.gradient, gradient, rtol=1e-8, atol=1e-8)
    hessian = [[2 * py @ d @ p @ e @ py / variance - np.trace(p @ d @ p @ e) for e in every] for d in every]
    np.testing.assert_allclose(found.hessian, hessian, rtol=1e-8, atol=1e-8)
