"""The spectral form of one variance component against dense matrices."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makers.mixed_oracle import of_design

from nestde.design import design as designs
from nestde.fit import fit_responses, scalar
from nestde.fit.status import UNBOUNDED


def study(seed, samples=9, most=60):
    rng = np.random.default_rng(seed)
    sizes = np.maximum(1, most ** rng.uniform(0, 1, samples)).astype(int) + 1
    group = np.repeat(np.arange(samples), sizes)
    cells = len(group)
    frame = pd.DataFrame(
        {
            "g": group.astype(str),
            "diagnosis": np.where(np.arange(samples) % 2, "p", "q")[group],
            "age": rng.normal(60, 9, samples)[group],
            "depth": rng.normal(1e4, 30, cells) + rng.normal(0, 30, samples)[group],
        }
    )
    return frame, group, rng


FORMULAS = [
    "~ 1 + (1 | g)",
    "~ diagnosis + age + (1 | g)",
    "~ depth + diagnosis + (1 | g)",
    "~ depth * diagnosis + (1 | g)",
    "~ depth + (0 + depth | g)",
]


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("reml", [False, True])
def test_determinant_and_residual_are_those_of_the_whole_matrix(formula, reml):
    frame, _, rng = study(1)
    design = designs.build_design(formula, frame)
    q = np.linalg.qr(design.x)[0]
    z = np.eye(9)[design.random[0].codes] * design.random[0].z / np.abs(design.random[0].z).max()
    y = rng.normal(5, 1, len(q))
    free = scalar.spectrum((z**2).sum(axis=0), z.T @ q, reml)
    u = np.empty(len(free.mu))
    rest = scalar._project(free, z.T @ y, q.T @ y, y @ y, u)
    # directions between samples that coefficients take up are none of the random effect's
    between = np.linalg.matrix_rank(np.hstack([z, q])) - q.shape[1]
    assert len(free.mu) == between
    for psi in (0.0, 1e-3, 0.2, 5.0, 1e4):
        v = np.eye(len(q)) + psi * z @ z.T
        information = q.T @ np.linalg.solve(v, q)
        e = y - q @ np.linalg.solve(information, q.T @ np.linalg.solve(v, y))
        logdet = np.linalg.slogdet(v)[1] + (np.linalg.slogdet(information)[1] if reml else 0.0)
        assert np.log1p(psi * free.d).sum() == pytest.approx(logdet, rel=1e-9, abs=1e-9)
        assert rest + (u / (1 + psi * free.mu)).sum() == pytest.approx(e @ np.linalg.solve(v, e), rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(FORMULAS), st.booleans())
def test_unequal_samples_and_cell_level_columns_have_their_global_optimum(seed, formula, reml):
    frame, group, rng = study(seed)
    design = designs.build_design(formula, frame)
    y = rng.normal(0, rng.choice([0, 0.2, 1, 5], 4), (9, 4))[group] + rng.standard_t(3, (len(group), 4))
    fits = fit_responses(design, y, reml=reml)
    assert (fits.record.decrease < 1e-9).all()
    for g in range(4):
        theta = fits.theta[g, 0]
        at = of_design(design, [np.array([[theta]])], y[:, g], reml)
        assert at[0] == pytest.approx(fits.loglik[g], abs=1e-8)
        np.testing.assert_allclose(fits.coef[g], at[1], rtol=1e-6, atol=1e-8)
        scale = 1.0 / np.abs(design.random[0].z).max()
        for other in [0.0, *(scale * np.logspace(-3, 3, 13)), 0.999 * theta, 1.001 * theta]:
            assert of_design(design, [np.array([[other]])], y[:, g], reml)[0] <= fits.loglik[g] + 1e-8


def test_samples_a_hundred_times_as_variable_as_cells_are_fitted():
    # coefficients take three of five samples: the far end of the grid is rounding there
    rng = np.random.default_rng(31)
    frame, group, _ = study(31, samples=5)
    design = designs.build_design("~ depth + diagnosis + age + (1 | g)", frame)
    y = rng.normal(0, 100, (5, 50))[group] + rng.normal(0, 1, (len(group), 50))
    for reml in (False, True):
        fits = fit_responses(design, y, reml=reml)
        assert set(fits.status) <= {"ok", "singular"}


def test_nothing_left_within_samples_has_no_maximum():
    frame, group, rng = study(2)
    design = designs.build_design("~ diagnosis + (1 | g)", frame)
    between = rng.normal(0, 1, (9, 3))[group]
    fits = fit_responses(design, between + np.array([0, 1e-9, 1e-2]) * rng.normal(0, 1, (len(group), 3)))
    assert list(fits.status) == ["failed", "failed", "ok"]
    assert list(fits.reason[:2]) == [UNBOUNDED] * 2


def test_coefficients_that_leave_no_direction_between_groups_leave_no_variance():
    frame, group, rng = study(3, samples=3)
    frame["x"], frame["w"] = np.arange(3)[group], (np.arange(3)[group] - 1) ** 2
    design = designs.build_design("~ x + w + (1 | g)", frame)
    fits = fit_responses(design, rng.normal(0, 1, (len(group), 5)), reml=True)
    assert list(fits.status) == ["singular"] * 5
