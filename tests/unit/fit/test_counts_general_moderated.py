"""The moderated test of count models with several random effects, against the likelihood itself and the test of one intercept."""

import numpy as np
import pytest
import scipy.optimize
from makers.counted import cells_of, counts_of

from nestde.design.design import build_design
from nestde.fit.counts import fits, moderated
from nestde.fit.counts.gene import load
from nestde.fit.counts.general import moderated as several
from nestde.fit.counts.general.laplace import evaluate_general, fill_lambda
from nestde.fit.counts.general.model import general_model
from nestde.fit.counts.general.standin import climb, expand, room_for, standin_of

CASE = np.array([[0.0, 0.0, 1.0]])
# sd of each random effect on the fitted basis, around what the counts have
COVARIANCES = {
    "~ depth + case + (1 | pair/sample)": [(0.3, 0.2), (0.6, 0.0), (0.1, 0.5)],
    "~ depth + case + (1 + depth | sample)": [(0.3, 0.05, 0.2), (0.5, 0.0, 0.1), (0.15, -0.1, 0.3)],
}


@pytest.fixture(scope="module")
def frame():
    cells = cells_of(sizes=(40, 25, 60, 33, 52, 18, 30, 44))
    return cells.assign(pair=cells["sample"].map(lambda name: f"P{int(name[1:]) // 2}"))


def prepared(frame, formula, family, counts):
    design = build_design(formula, frame)
    model = general_model(design, family, fits.FAMILIES[family], frame["offset"].to_numpy())
    return model, fits.data_of(model.cells, counts)


def highest(model, which, gene, theta, start, nb):
    """Laplace's likelihood at given θ, maximised over φ and κ by a general optimiser."""
    columns, points = which.model, which.points
    r, modes = columns.fixed.shape[2], np.zeros(len(columns.slot))

    def fall(x):
        at, slope = np.concatenate([x[:r], [0.0], theta]), np.zeros(r + 1 + len(theta))
        value = evaluate_general(
            columns, points.family, points.cells, gene, at, x[r] if nb else 0.0, modes, slope
        )
        return -value, -slope[: len(x)]

    found = scipy.optimize.minimize(
        fall, start[: r + nb], jac=True, method="BFGS", options={"gtol": 1e-4, "maxiter": 60}
    )
    return -found.fun


# the dispersion is that of the fit, which far from it makes ratios of NB larger by a few percent; of detection a stratum with slopes has one curvature
@pytest.mark.parametrize("family", list(fits.FAMILIES))
@pytest.mark.parametrize("formula", list(COVARIANCES))
def test_the_stand_in_has_the_likelihood_ratios_of_the_likelihood_itself(frame, formula, family):
    counts = counts_of(frame, (0.3, 1.0, 4.0))
    model, data = prepared(frame, formula, family, counts)
    full, nb = fits.fit(model, model.full, data, threads=1), family == "negative_binomial"
    less, points = model.without(CASE), model.full.points
    close = 0.1 if family == "bernoulli" else 0.04
    k = model.full.model.effect.shape[2]
    for g in range(counts.shape[1]):
        gene, gene_stand_in, lam = load(g, points, data), standin_of(model.full.model), np.zeros((k, k))
        ends = full.ends
        fill_lambda(ends.theta[g], model.full.model.element, model.full.model.shift, lam)
        kappa = ends.kappa[g]
        poisson = nb and not np.isfinite(kappa)
        expand(
            *(model.full.model, 0 if poisson else points.family, points.cells, gene),
            *(ends.coefficients[g], kappa, lam, ends.modes[g], gene_stand_in),
        )
        exact, stand_in = [], []
        for theta in np.array(COVARIANCES[formula]):
            lam[:] = 0.0
            fill_lambda(theta, model.full.model.element, model.full.model.shift, lam)
            for which in (model.full, less):
                phi = which.of(model.full, ends.coefficients[[g]])[0]
                start = np.append(phi, kappa if np.isfinite(kappa) else 8.0)
                exact.append(highest(model, which, gene, theta, start, nb))
                height, logdet, _ = climb(
                    which.model, gene_stand_in, lam, phi.copy(), ends.modes[g].copy(), room_for(which.model)
                )
                stand_in.append(height - 0.5 * logdet)
        exact, stand_in = (np.array(each).reshape(-1, 2) for each in (exact, stand_in))
        ratios = 2.0 * (exact[:, 0] - exact[:, 1])
        assert np.allclose(2.0 * (stand_in[:, 0] - stand_in[:, 1]), ratios, rtol=close, atol=0.02)
        assert np.allclose(np.diff(stand_in[:, 0]), np.diff(exact[:, 0]), rtol=close, atol=0.05)


def test_is_the_test_of_one_intercept_where_there_is_one(frame):
    counts = counts_of(frame, np.geomspace(0.1, 5.0, 240), effect=0.0)
    expression = np.log(np.asarray(counts.sum(axis=0)).ravel())
    design = build_design("~ depth + case + (1 | sample)", frame)
    own = fits.prepare(design, "negative_binomial", frame["offset"].to_numpy())
    model, data = prepared(frame, "~ depth + case + (1 | sample)", "negative_binomial", counts)
    full, ratios = fits.fit_tests(own, data, [CASE], threads=1)
    both = [moderated.moderate(own, data, full, [CASE], ratios, expression, threads=1)]
    full = fits.fit(model, model.full, data, threads=1)
    both.append(several.moderate(model, data, full, [CASE], expression, threads=1))
    one, other = (found.tests[0] for found in both)
    known = np.isfinite(one.log_p)
    assert (np.isfinite(other.log_p) == known).all()
    away = np.abs(other.log_p - one.log_p)[known]
    assert np.median(away) < 0.01 and np.quantile(away, 0.99) < 0.1 and away.max() < 0.2
    assert np.quantile(np.abs(other.estimate - one.estimate)[known] / one.se[known], 0.99) < 0.05
    assert np.quantile(np.abs(np.log(other.se / one.se))[known], 0.99) < 0.1
    variance, again = both[0].columns["variance_moderated"], both[1].columns["variance_moderated_sample"]
    assert np.quantile(np.abs(np.log(again / variance))[known], 0.9) < 0.1


def test_threads_and_chunks_give_the_same_bytes(frame):
    formula = "~ depth + case + (1 | pair/sample)"
    counts = counts_of(frame, np.geomspace(0.2, 5.0, 40))
    model, data = prepared(frame, formula, "negative_binomial", counts)
    full, expression = fits.fit(model, model.full, data, threads=1), np.zeros(40)
    whole = several.moderate(model, data, full, [CASE], expression, threads=2)
    model, some = prepared(frame, formula, "negative_binomial", counts[:, 25:])
    part = several.moderate(
        *(model, some, fits.fit(model, model.full, some, threads=1), [CASE], expression[25:], whole.prior),
        threads=1,
    )
    for name in ("log_p", "estimate", "se", "lower", "upper"):
        assert np.array_equal(getattr(part.tests[0], name), getattr(whole.tests[0], name)[25:])
    for name, variance in whole.columns.items():
        assert np.array_equal(part.columns[name], variance[25:])


@pytest.mark.parametrize("family", list(fits.FAMILIES))
def test_an_arm_without_counts_is_told_and_tested(frame, family):
    counts = counts_of(frame, np.full(30, 2.0)).toarray()
    counts[frame["case"] == 0, 7] = 0
    model, data = prepared(frame, "~ depth + case + (1 | pair/sample)", family, counts)
    full = fits.fit(model, model.full, data, threads=1)
    assert full.coef[7, 2] == np.inf and full.coef[7, 0] == -np.inf and np.isfinite(full.coef[7, 1])
    assert "case has no bound" in full.reason[7].replace("(Intercept), ", "").replace("have", "has")
    assert np.isfinite(full.coef[:7]).all()
    (found,) = several.moderate(model, data, full, [CASE], np.zeros(30), threads=1).tests
    assert found.log_p[7] < np.log(0.05)


def test_says_what_no_grid_can_hold(frame):
    design = build_design("~ depth + case + (1 + depth | pair/sample)", frame)
    assert "correlated random effects are more than a grid" in several.infeasible(design)
    many = frame.assign(run=np.arange(len(frame)) % 70)
    crossed = build_design("~ depth + case + (1 | sample) + (1 | run)", many.astype({"run": str}))
    assert "78 random effects hang together" in several.infeasible(crossed)
    assert several.infeasible(build_design("~ depth + case + (1 | pair/sample)", frame)) == ""
