"""Sparse elimination of crossed factors: the kernels against dense algebra, and against the blocks of small designs."""

import numpy as np
import pandas as pd
import pytest
from makers.mixed_oracle import FORMULAS, frame_of, of_design, response_of

from nestde.design import design as designs
from nestde.fit import differences, fit_responses, layout
from nestde.fit.crossproducts import sums_of_responses
from nestde.fit.evaluate import deviance, gradient, space
from nestde.fit.genes import modes, prepare
from nestde.fit.inference import f_tests
from nestde.fit.sparse import products
from nestde.fit.sparse.layout import Sparse
from nestde.fit.sparse.order import eliminate


def wide_frame(n=900, seed=0):
    """Several factors that cross, one of them within sites, one nested; a covariate."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"a": rng.integers(0, 40, n), "b": rng.integers(0, 25, n), "c": rng.integers(0, 7, n)}
    )
    frame["n"] = frame["a"] * 3 + rng.integers(0, 3, n)
    frame["w"] = frame["b"] * 2 + frame["a"] // 20
    return ("g" + frame.astype(str)).assign(x=rng.normal(3, 1, n))


WIDE = [
    "~ x + (1 | a) + (1 | b)",
    "~ x + (x | a) + (1 | b) + (1 | c)",
    "~ x + (1 | n) + (1 | a) + (x | b)",
    "~ x + (x || n) + (x | w) + (1 | c)",
    "~ x + (1 | a) + (1 | w)",
    "~ 1 + (x | a) + (x | w) + (1 | n) + (1 | c)",
]


def evaluated(formula, frame, y, theta, reml):
    """Deviance, gradient, β, its covariance and the modes."""
    design = designs.build_design(formula, frame)
    model = prepare(design)
    sums = sums_of_responses(design, model.basis, model.leaf, y[:, None])
    p = design.x.shape[1]
    laid, zy = model.layout(np.eye(p)), layout.flatten(design, model.order, sums.zy)[0]
    freedom, work = float(design.n - p if reml else design.n), space(laid)
    value, r2 = deviance(theta, laid, zy, sums.qy[0], sums.yy[0], freedom, reml, work)
    slope, beta, covariance = np.empty(len(theta)), np.empty(p), np.empty((p, p))
    gradient(laid, r2, freedom, reml, work, beta, covariance, slope)
    parts = layout.unflatten(design, model.order, work.modes[None])
    return laid, [np.array([value]), slope, beta, covariance, *parts]


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("reml", [False, True])
@pytest.mark.parametrize(
    ("formula", "frame"), [*((f, frame_of()) for f in FORMULAS), *((f, wide_frame()) for f in WIDE)]
)
def test_both_layouts_evaluate_alike(formula, frame, reml, zero, monkeypatch):
    rng = np.random.default_rng(5)
    y = rng.normal(0, 1, len(frame))
    theta = rng.normal(0, 1, len(prepare(designs.build_design(formula, frame)).basis.theta))
    if zero:
        theta[rng.integers(len(theta))] = 0.0
    monkeypatch.setattr(layout, "CROSSED", 10**9)
    _, expected = evaluated(formula, frame, y, theta, reml)
    monkeypatch.setattr(layout, "CROSSED", -1)
    laid, ours = evaluated(formula, frame, y, theta, reml)
    assert isinstance(laid, Sparse)
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9 * max(1.0, np.abs(other).max()))


@pytest.mark.parametrize("reml", [False, True])
def test_both_layouts_end_alike(reml, monkeypatch):
    frame, formula = frame_of(), "~ x + (1 | a/b) + (x | c) + (1 | d)"
    design, y = designs.build_design(formula, frame), response_of(frame)
    fits = []
    for crossed in (10**9, -1):
        monkeypatch.setattr(layout, "CROSSED", crossed)
        fits.append(fit_responses(design, np.stack([y, y[::-1]], axis=1), reml=reml))
    blocks, sparse = fits
    np.testing.assert_allclose(sparse.loglik, blocks.loglik, atol=1e-8)
    np.testing.assert_allclose(sparse.theta, blocks.theta, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(sparse.vcov, blocks.vcov, rtol=1e-6)
    assert sparse.status.tolist() == blocks.status.tolist()


def test_a_fit_does_not_depend_on_threads():
    frame = wide_frame(seed=3)
    design = designs.build_design("~ x + (1 | n) + (1 | w)", frame)
    y = np.random.default_rng(4).normal(0, 1, (len(frame), 5))
    one, two = (fit_responses(design, y, threads=threads) for threads in (1, 2))
    for name in ("loglik", "theta", "coef", "vcov"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def crossed(levels, share, seed, sd=(0.6, 0.4)):
    """Two crossed factors, of which a share of the pairs is there, some levels often; a covariate and a response."""
    rng = np.random.default_rng(seed)
    pairs = np.argwhere(rng.random((levels, levels)) < share * rng.gamma(3, 1 / 3, levels)[:, None])
    frame = pd.DataFrame(pairs, columns=["a", "b"]).astype(str).assign(x=rng.normal(3, 1, len(pairs)))
    y = sd[0] * rng.normal(0, 1, levels)[pairs[:, 0]] + sd[1] * rng.normal(0, 1, levels)[pairs[:, 1]]
    return frame, y + 0.2 * frame["x"].to_numpy() + rng.normal(0, 1, len(pairs))


@pytest.mark.parametrize("reml", [False, True])
@pytest.mark.parametrize(
    ("levels", "share", "formula", "sd"),
    [
        (100, 0.15, "~ x + (1 | a) + (1 | b)", (0.6, 0.4)),
        (100, 0.15, "~ x + (x | a) + (1 | b)", (0.6, 0.4)),
        (200, 0.04, "~ x + (1 | a) + (1 | b)", (0.6, 0.4)),
        (100, 0.15, "~ x + (1 | a) + (1 | b)", (0.0, 0.0)),
    ],
)
def test_no_perturbed_theta_is_better_by_dense_algebra(levels, share, formula, sd, reml):
    frame, y = crossed(levels, share, 1, sd)
    design = designs.build_design(formula, frame)
    fits = fit_responses(design, y, reml=reml)
    factors = [part[0] for part in fits.factors]
    at_ours, beta, sigma = of_design(design, factors, y, reml)
    assert fits.loglik[0] == pytest.approx(at_ours, abs=1e-7)
    np.testing.assert_allclose(fits.coef[0], beta, rtol=1e-8)
    assert fits.sigma[0] == pytest.approx(sigma, rel=1e-8)
    for f in range(len(factors)):
        for change in (0.02, -0.02):
            moved = [np.array(part) for part in factors]
            moved[f][0, 0] = abs(moved[f][0, 0] + change)
            assert of_design(design, moved, y, reml)[0] <= at_ours + 1e-9


def test_conditional_modes_are_those_of_dense_algebra():
    frame, y = crossed(100, 0.1, 2)
    design = designs.build_design("~ x + (1 | a) + (1 | b)", frame)
    model = prepare(design)
    fits = fit_responses(design, y, reml=True)
    sums = sums_of_responses(design, model.basis, model.leaf, y[:, None])
    z = np.hstack([np.equal.outer(f.codes, np.arange(len(f.levels))) for f in design.random]).astype(float)
    psi = np.repeat(fits.theta[0] ** 2, [len(f.levels) for f in design.random])
    v = np.eye(len(y)) + (z * psi) @ z.T
    expected = psi * (z.T @ np.linalg.solve(v, y - design.x @ fits.coef[0]))
    found = np.concatenate([part[0, :, 0] for part in modes(model, sums, fits)])
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("size", [1, 2, 3, 15, 16, 17, 63, 64, 65, 131, 300])
def test_dense_kernels(size):
    rng = np.random.default_rng(size)
    root = rng.normal(0, 1, (size, size + 2))
    matrix = root @ root.T + np.eye(size)
    lower = np.linalg.cholesky(matrix)
    ours = products.Rows(matrix.copy().reshape(-1), 0, size)
    assert products.factorise(ours, size) == pytest.approx(np.linalg.slogdet(matrix)[1], abs=1e-9)
    np.testing.assert_allclose(np.tril(ours.data.reshape(size, size)), lower, rtol=1e-9, atol=1e-9)
    upper = products.Rows(np.full(size * size, np.nan), 0, size)
    products.invert(ours, size, upper)
    np.testing.assert_allclose(upper.data.reshape(size, size), np.linalg.inv(lower).T, atol=1e-9)
    whole = products.Rows(np.zeros(size * size), 0, size)
    products.square(upper, size, whole)
    np.testing.assert_allclose(
        np.tril(whole.data.reshape(size, size)), np.tril(np.linalg.inv(matrix)), atol=1e-9
    )
    b = rng.normal(0, 1, (7, size))
    solved = products.Rows(b.copy().reshape(-1), 0, size)
    products.solve_rows(ours, solved, 7, 0, size)
    np.testing.assert_allclose(solved.data.reshape(7, size), np.linalg.solve(lower, b.T).T, atol=1e-9)


def test_a_matrix_that_is_not_positive_definite_has_no_logarithm():
    assert products.factorise(products.Rows(np.array([1.0, 1.0, 1.0, 1.0]), 0, 2), 2) == -np.inf


def test_sites_that_share_nothing_are_eliminated_by_themselves():
    site = np.repeat(np.arange(20), 30)
    rng = np.random.default_rng(0)
    groups = np.stack([site * 5 + rng.integers(0, 5, 600), site * 4 + rng.integers(0, 4, 600)])
    nodes = eliminate([100, 80], groups)
    assert sum(len(node.members) * len(node.members[0]) for node in nodes) == 180
    assert max(len(node.below) for node in nodes) <= 5
    # but the last sites, which are dense by then
    assert max(len(node.members[0]) for node in nodes) <= 20


def test_what_is_left_dense_is_one_batch_and_one_block():
    a, b = np.divmod(np.arange(10_000), 100)
    batch, last = eliminate([100, 100], np.stack([a, b]))
    assert len(batch.members) == 100 == len(batch.below)
    assert [len(member) for member in last.members] == [100]


@pytest.mark.parametrize("formula", ["~ x + (1 | a) + (1 | b)", "~ x + (x | a) + (1 | b)"])
def test_satterthwaite_by_differences_is_that_of_the_moments(formula, monkeypatch):
    frame, y = crossed(40, 0.4, 7)
    fits = fit_responses(designs.build_design(formula, frame), np.stack([y, y[::-1]], axis=1), reml=True)
    rows = [np.eye(2)[:1], np.eye(2)]
    expected = f_tests(fits, rows)
    monkeypatch.setattr(differences, "LARGEST", 0)
    found = f_tests(fits, rows)
    for ours, theirs in zip(found, expected, strict=True):
        for name in ("f", "df_residual", "log_p", "se"):
            np.testing.assert_allclose(
                getattr(ours.satterthwaite, name), getattr(theirs.satterthwaite, name), rtol=1e-5
            )
        assert np.isnan(ours.kenward_roger.log_p).all()
        np.testing.assert_array_equal(ours.containment.df_residual, theirs.containment.df_residual)
    assert "more than 0" in differences.why_not_kenward_roger(fits.design)
