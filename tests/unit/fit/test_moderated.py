"""The moderated test against dense matrices, under its prior, and under all that must not change it."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nestde.design import design as designs
from nestde.fit import grid, prior
from nestde.fit.crossproducts import Sums, sums_of_responses
from nestde.fit.genes import prepare
from nestde.fit.log_sf import log_f_sf
from nestde.fit.log_tail import log_tail, look_up
from nestde.fit.moderated import LEAST_GENES, arms_of, moderate, not_applicable

GENES = 12


def cells_of(seed=0, donors=6, cells=(3, 15)):
    """Cells of two samples of each donor: `d` belongs to the donor, `treated` to the sample, `w` to the cell."""
    rng = np.random.default_rng(seed)
    size = rng.integers(*cells, 2 * donors)
    sample = np.repeat(np.arange(2 * donors), size)
    donor = sample // 2
    return pd.DataFrame(
        {
            "s": sample.astype(str),
            "donor": donor.astype(str),
            "batch": rng.integers(0, 3, 2 * donors)[sample].astype(str),
            "d": np.array(["c", "p"])[donor % 2],
            "stage": np.array(["I", "II", "III"])[donor % 3],
            "region": np.array(["n", "e", "s", "w"])[sample % 4],
            "treated": sample % 2.0,
            "w": rng.normal(3, 1, len(sample)),
        }
    ), rng


def one(formula, term, frame):
    design = designs.build_design(formula, frame, test=[term])
    return design, prepare(design)


def sums_of(model, y):
    return sums_of_responses(model.design, model.basis, model.leaf, y)


def joint(design, term):
    return np.eye(design.x.shape[1])[list(design.tests[term])]


def covariance(model, points, k, arms=None):
    """Dense V / σ² at a point of the grid, from what `Grid` says of its axes."""
    design, value, v, at = model.design, points.values[k], np.eye(model.design.n), 0
    for z, factor in zip(model.basis.z, design.random, strict=True):
        width, names = z.shape[1], 1 if arms is None else len(arms.names)
        psi = value[at : at + width * names]
        same = np.equal.outer(factor.codes, factor.codes)
        if arms is not None:
            v += same * psi[arms.arm[factor.codes]]
        else:
            rho = value[-1] if factor.blocks == (0, 0) else 0.0
            inner = np.diag(psi) + (rho * np.sqrt(psi.prod()) * (1 - np.eye(2)) if width == 2 else 0)
            v += same * (z @ inner @ z.T)
        at += width * names
    return v


def given_covariance(x, v, y, rows):
    """REML log-likelihood but for constants, log p of F, estimate, its standard error: generalised least squares."""
    n, p = x.shape
    solved = np.linalg.solve(v, np.column_stack([x, y]))
    information = x.T @ solved[:, :p]
    inverse = np.linalg.inv(information)
    beta = inverse @ x.T @ solved[:, p]
    residual = y - x @ beta
    s2 = residual @ np.linalg.solve(v, residual) / (n - p)
    effect, spread = rows @ beta, rows @ inverse @ rows.T * s2
    f = effect @ np.linalg.solve(spread, effect) / len(rows)
    value = -0.5 * (
        (n - p) * np.log(s2 * (n - p)) + np.linalg.slogdet(v)[1] + np.linalg.slogdet(information)[1]
    )
    return value, log_f_sf(f, len(rows), n - p), effect[0], np.sqrt(spread[0, 0])


def at_one(points, k):
    """A grid whose prior is all at one of its points."""
    share = (np.arange(len(points.values)) == k)[:, None].astype(float)
    return dataclasses.replace(points, node=np.zeros_like(share, int), share=share)


STRUCTURES = [
    ("~ d + (1 | s)", "d", False),
    ("~ w + stage + (1 | s)", "stage", False),
    ("~ d + w + (1 | s)", "d", True),
    ("~ stage + (1 | s)", "stage", True),
    ("~ region + (1 | s)", "region", True),
    ("~ d + (1 | donor/s)", "d", False),
    ("~ treated + (1 | donor) + (1 | s)", "treated", False),
    ("~ d * w + (1 + w | s)", "d:w", False),
    ("~ stage * w + (w || s)", "stage:w", False),
    ("~ treated + (1 | donor) + (1 | batch)", "treated", False),
    ("~ treated + (1 | donor) + (1 | batch) + (1 | s)", "treated", False),
]


@pytest.mark.parametrize(("formula", "term", "by_arm"), STRUCTURES)
def test_given_the_covariance_it_is_the_exact_f_test(formula, term, by_arm):
    frame, rng = cells_of()
    design, model = one(formula, term, frame)
    arms = arms_of(design, term) if by_arm else None
    y = rng.normal(50, 1, (design.n, GENES)) + rng.normal(0, 1, (12, GENES))[design.random[0].codes % 12]
    rows = [joint(design, term), joint(design, term)[:1]]
    points = grid.build(model, arms)
    assert points.flat.sum() == pytest.approx(1) and (points.flat > 0).all()
    np.testing.assert_allclose(points.of_points(np.eye(len(points.flat))).sum(axis=1), 1)
    chosen = rng.choice(len(points.values), 6, replace=False)
    for k in [0, *chosen, len(points.values) - 1]:
        only = prior.Prior(at_one(points, k), np.zeros(1), np.ones((1, 1)), 0)
        found = moderate(model, sums_of(model, y), rows, np.zeros(GENES), arms=arms, prior=only)
        v = covariance(model, points, k, arms)
        for g in range(3):
            for test, row in zip(found.tests, rows, strict=True):
                _, log_p, estimate, se = given_covariance(design.x, v, y[:, g], row)
                assert test.log_p[g] == pytest.approx(log_p, rel=1e-6, abs=1e-7)
            half = stats.t.ppf(0.975, design.n - design.x.shape[1]) * se
            assert test.estimate[g] == pytest.approx(estimate, rel=1e-7, abs=1e-8)
            assert test.se[g] == pytest.approx(se, rel=1e-7)
            assert test.lower[g] == pytest.approx(estimate - half, abs=1e-6 * se)
            assert test.upper[g] == pytest.approx(estimate + half, abs=1e-6 * se)


def plainly(design, model, y, rows, points, arms=None):
    """The whole method in a few lines, without strata of expression."""
    at = [
        [
            given_covariance(design.x, covariance(model, points, k, arms), column, rows)[:2]
            for k in range(len(points.values))
        ]
        for column in y.T
    ]
    loglik, log_p = np.moveaxis(np.array(at), 2, 0)
    likelihood = np.exp(loglik - loglik.max(axis=1, keepdims=True))
    of_nodes = np.zeros((len(points.values), len(points.nodes)))
    for at, shares in zip(points.node.T, points.share.T, strict=True):
        np.add.at(of_nodes, (np.arange(len(at)), at), shares)
    by_node, weights = likelihood @ of_nodes, points.flat
    for _ in range(20_000):
        share = (by_node / (by_node @ weights)[:, None]).sum(axis=0)
        weights = (weights * share + 3 * points.flat) / (len(y.T) + 3)
    posterior = likelihood * (of_nodes @ weights) / (by_node @ weights)[:, None]
    beside = points.values if arms else points.values.sum(axis=1, keepdims=True)
    return (posterior * np.exp(log_p)).sum(axis=1), posterior @ (points.values / (1 + beside))


@pytest.mark.parametrize(
    ("formula", "term", "by_arm"),
    [
        ("~ d + (1 | s)", "d", False),
        ("~ w + d + (1 | s)", "d", True),
        ("~ stage + (1 | donor/s)", "stage", False),
    ],
)
def test_prior_and_average_are_those_of_the_plain_method(formula, term, by_arm):
    frame, rng = cells_of(1, cells=(2, 6))
    design, model = one(formula, term, frame)
    arms = arms_of(design, term) if by_arm else None
    sd = rng.choice([0, 0.5, 1.5], 40)
    y = rng.normal(0, 1, (design.n, 40)) + sd * rng.normal(0, 1, (12, 40))[design.random[0].codes]
    found = moderate(model, sums_of(model, y), [joint(design, term)], np.zeros(40), arms=arms)
    p, icc = plainly(design, model, y, joint(design, term), found.prior.grid, arms)
    # where the likelihood is flat in the prior's weights, EM steps end early
    np.testing.assert_allclose(np.exp(found.tests[0].log_p), p, rtol=2.5e-2)
    np.testing.assert_allclose(np.stack(list(found.icc.values()), axis=1), icc, rtol=0.03, atol=0.006)


class Study:
    """Sums of many genes of one design, simulated a few at a time."""

    def __init__(self, seed, samples, cells, genes, formula="~ d + (1 | s)", effect=0.0):
        rng = np.random.default_rng(seed)
        size = np.broadcast_to(cells, samples) if np.ndim(cells) < 2 else rng.integers(*cells[0], samples)
        self.sample = np.repeat(np.arange(samples), size)
        self.frame = pd.DataFrame({"s": self.sample.astype(str), "d": np.array(["c", "p"])[self.sample % 2]})
        self.design, self.model = one(formula, "d", self.frame)
        self.rows = joint(self.design, "d")
        self.psi = np.where(rng.random(genes) < 0.2, 0, rng.lognormal(np.log(0.03), 1.2, genes))
        parts = []
        for some in np.array_split(np.arange(genes), max(1, genes // 2000)):
            between = rng.normal(0, 1, (samples, len(some))) * np.sqrt(self.psi[some])
            between += effect * (np.arange(samples) % 2)[:, None]
            y = between[self.sample] + rng.normal(0, 1, (len(self.sample), len(some)))
            parts.append(sums_of(self.model, y))
        self.sums = joined(parts)


def joined(parts):
    zy = tuple(np.concatenate([part.zy[f] for part in parts]) for f in range(len(parts[0].zy)))
    return Sums(
        zy,
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("qy", "yy", "shift", "rounding")
        ),
    )


def some(sums, chosen):
    return Sums(
        tuple(part[chosen] for part in sums.zy),
        *(getattr(sums, name)[chosen] for name in ("qy", "yy", "shift", "rounding")),
    )


@pytest.mark.parametrize("cells", [50, [(10, 200)]])
@pytest.mark.parametrize("by_arm", [False, True])
def test_p_is_uniform_over_null_genes_at_three_against_three(cells, by_arm):
    study = Study(4, 6, cells, 12_000)
    arms = arms_of(study.design, "d") if by_arm else None
    found = moderate(study.model, study.sums, [study.rows], np.zeros(12_000), arms=arms)
    for level in (0.05, 0.01):
        low, high = stats.binom.ppf([1e-4, 1 - 1e-4], 12_000, level)
        assert low <= (found.tests[0].log_p < np.log(level)).sum() <= high
    inside = (found.tests[0].lower < 0) & (found.tests[0].upper > 0)
    np.testing.assert_array_equal(inside, found.tests[0].log_p > np.log(0.05))
    share = study.psi / (1 + study.psi)
    icc = np.mean(list(found.icc.values()), axis=0)
    assert abs(icc.mean() - share.mean()) < 0.01
    assert np.corrcoef(icc, share)[0, 1] > 0.5


@pytest.mark.parametrize(
    ("samples", "arms", "genes", "finer"),
    [
        (6, False, 1000, 16),
        (24, False, 1000, 16),
        (60, False, 1000, 16),
        (6, True, 300, 4),
        (24, True, 300, 4),
    ],
)
def test_quadrature_is_close_to_a_much_finer_one(samples, arms, genes, finer, monkeypatch):
    study = Study(5, samples, [(10, 200)], genes, effect=0.15)
    own = arms_of(study.design, "d") if arms else None
    coarse = moderate(study.model, study.sums, [study.rows], np.zeros(genes), arms=own)
    usual = grid.LINEAR
    steps = {variances: step / finer for variances, step in usual.step.items()}
    monkeypatch.setattr(grid, "LINEAR", grid.Density(usual.largest, steps, usual.width / finer, 50_000))
    fine = moderate(study.model, study.sums, [study.rows], np.zeros(genes), arms=own)
    assert len(fine.prior.grid.values) > 1.7 ** (1 + arms) * len(coarse.prior.grid.values)
    off = np.abs(coarse.tests[0].log_p - fine.tests[0].log_p) / np.log(10)
    assert off.max() < 0.02


def test_a_p_value_far_below_what_a_float_holds_has_its_logarithm():
    study = Study(6, 160, 20, 300)
    y = (
        np.random.default_rng(0).normal(0, 1, (len(study.sample), 3))
        + np.array([1, 3, 30]) * (study.sample % 2)[:, None]
    )
    everything = joined([study.sums, sums_of(study.model, y)])
    found = moderate(study.model, everything, [study.rows], np.zeros(303)).tests[0]
    assert np.isfinite(found.log_p).all()
    assert found.log_p[-1] < -800 and found.log_p[-1] < found.log_p[-2] < found.log_p[-3] < -10
    np.testing.assert_allclose(found.estimate[-3:], [1, 3, 30], atol=0.3)


def same(ours, theirs, scale=1.0, order=slice(None)):
    np.testing.assert_allclose(ours.log_p, theirs.log_p[order], rtol=1e-4, atol=1e-4)
    for name in ("estimate", "se", "lower", "upper"):
        atol = 1e-4 * scale * np.nanmax(theirs.se)
        np.testing.assert_allclose(
            getattr(ours, name), scale * getattr(theirs, name)[order], rtol=1e-4, atol=atol
        )


def test_units_shifts_and_the_order_of_genes_do_not_matter():
    frame, rng = cells_of(2)
    y = rng.normal(0, 1, (len(frame), 300)) + rng.normal(0, 0.4, (12, 300))[frame["s"].astype(int)]
    expression = rng.normal(0, 1, 300)

    def test(frame, y, expression=expression):
        design, model = one("~ w + d + (1 | s)", "d", frame)
        return moderate(model, sums_of(model, y), [joint(design, "d")], expression).tests[0]

    plain = test(frame, y)
    same(test(frame, 1000 * y), plain, 1000)
    same(test(frame.assign(w=1e3 * frame["w"] + 1e5), y), plain)
    same(test(frame, y + 1e6), plain)
    order = rng.permutation(300)
    same(test(frame, y[:, order], expression[order]), plain, order=order)


def test_threads_do_not_change_a_bit():
    study = Study(7, 6, [(10, 200)], 2500)
    expression = np.random.default_rng(1).normal(0, 1, 2500)
    for arms in (None, arms_of(study.design, "d")):
        found = [
            moderate(study.model, study.sums, [study.rows], expression, arms=arms, threads=threads)
            for threads in (1, 2, 5)
        ]
        for other in found[1:]:
            np.testing.assert_array_equal(other.prior.weights, found[0].prior.weights)
            for name in ("log_p", "estimate", "se", "lower", "upper"):
                np.testing.assert_array_equal(getattr(other.tests[0], name), getattr(found[0].tests[0], name))


def test_a_given_prior_makes_genes_independent_of_each_other():
    study = Study(8, 6, 30, 600)
    whole = moderate(study.model, study.sums, [study.rows], np.zeros(600))
    few = moderate(
        study.model, some(study.sums, np.arange(50, 83)), [study.rows], np.zeros(33), prior=whole.prior
    )
    np.testing.assert_array_equal(few.tests[0].log_p, whole.tests[0].log_p[50:83])
    arms = arms_of(study.design, "d")
    with pytest.raises(ValueError, match="of 0 arms"):
        moderate(study.model, study.sums, [study.rows], np.zeros(600), arms=arms, prior=whole.prior)


def test_the_prior_follows_mean_expression_without_jumps():
    study = Study(9, 12, 60, 6000)
    expression = np.argsort(np.argsort(study.psi + 1e-9 * np.arange(6000))) / 6000.0
    found = moderate(study.model, study.sums, [study.rows], expression)
    assert len(found.prior.knots) == 5
    psi = found.prior.grid.nodes[:, 0]
    assert (np.diff(found.prior.weights @ psi) > 0).all()
    left, share = found.prior.place(np.linspace(-1, 2, 1001))
    position = left + share
    assert (np.diff(position) >= 0).all() and position[0] == 0 and position[-1] == 4
    table = found.prior.columns()
    assert set(table) == {"expression", "s", "weight"} and len(table["weight"]) == 5 * len(psi)
    # what is known of expression tells the samples' variance better than 12 samples do
    flat = moderate(study.model, study.sums, [study.rows], np.zeros(6000))
    true = study.psi / (1 + study.psi)
    assert np.corrcoef(found.icc["s"], true)[0, 1] > np.corrcoef(flat.icc["s"], true)[0, 1]


def test_genes_without_a_fit_are_left_out_of_the_prior_and_of_the_tests():
    study = Study(10, 6, 30, 400)
    whole = moderate(study.model, study.sums, [study.rows], np.zeros(400))
    y = np.zeros((len(study.sample), 3))
    y[:, 1], y[:, 2] = 1.0, study.sample.astype(float)
    more = joined([study.sums, sums_of(study.model, y)])
    skip = np.arange(403) == 402
    found = moderate(study.model, more, [study.rows], np.zeros(403), skip=skip)
    assert np.isnan(found.tests[0].log_p[-3:]).all() and np.isnan(found.sigma2[-3:]).all()
    np.testing.assert_array_equal(found.tests[0].log_p[:400], whole.tests[0].log_p)


def test_points_lie_between_the_nodes_of_a_correlation_and_take_their_weights():
    frame, _ = cells_of()
    laid = grid.build(one("~ d * w + (1 + w | s)", "d:w", frame)[1])
    assert len(np.unique(laid.values[:, 2])) == 2 * len(np.unique(laid.nodes[:, 2])) - 1
    weights = np.random.default_rng(1).dirichlet(np.ones(len(laid.nodes)))
    of_points = laid.of_points(weights[None])[0]
    assert of_points.sum() == pytest.approx(1.0)
    # a node's share ends where the next node is, along each axis; nodes without a variance are by themselves
    for node in (0, 7, len(laid.nodes) - 1, len(laid.nodes) // 2):
        alone = np.zeros((1, len(laid.nodes)))
        alone[0, node] = 1.0
        reached = laid.values[laid.of_points(alone)[0] > 0]
        assert (np.abs(reached[:, 2] - laid.nodes[node, 2]) < 0.4 - 1e-9).all()
        assert np.isclose(reached[:, 2], laid.nodes[node, 2]).any()
        assert ((reached[:, :2] == 0) == (laid.nodes[node, :2] == 0)).all()
        for d in range(2):
            near, psi = np.unique(laid.nodes[:, d]), reached[:, d]
            at = np.searchsorted(near, laid.nodes[node, d])
            if at:
                assert near[max(at - 1, 1)] < psi.min() < psi.max() < near[min(at + 1, len(near) - 1)]


def test_where_it_does_not_apply_it_says_why():
    frame, _ = cells_of(cells=(20, 30))
    model = one("~ d + (1 | s)", "d", frame)[1]
    assert not_applicable(model, LEAST_GENES) == ""
    assert "199 genes are too few" in not_applicable(model, 199)
    rich = one("~ d + (1 + w + treated | donor)", "d", frame)[1]
    assert "correlated random effects are more" in not_applicable(rich, 1000)
    assert not_applicable(one("~ d * w + (1 + w | s)", "d", frame)[1], 1000) == ""
    rng = np.random.default_rng(0)
    many = pd.DataFrame(rng.integers(0, (400, 150), (4000, 2)), columns=["a", "b"]).astype(str)
    crossed = one("~ w + (1 | a) + (1 | b)", "w", many.assign(w=rng.normal(size=4000)))[1]
    assert "groups of b cross others and are too many" in not_applicable(crossed, 1000)
    assert "5 variances" in not_applicable(one("~ d + (w || donor/s) + (1 | batch)", "d", frame)[1], 1000)


def test_the_table_of_tails_is_as_good_as_the_function():
    rng = np.random.default_rng(0)
    s = np.concatenate([rng.uniform(0, 30, 300), 10 ** rng.uniform(-3, 8, 300)])
    for residual in (3.0, 20.0, 24_000.0):
        table = log_tail((1, 2, 5), residual)
        for which, df in enumerate((1, 2, 5)):
            found = np.array([look_up(x, which, table) for x in s])
            np.testing.assert_allclose(found, log_f_sf(s**2, df, residual), rtol=1e-7, atol=1e-7)


def test_results_are_frozen():
    study = Study(12, 6, 20, 250)
    found = moderate(study.model, study.sums, [study.rows], np.zeros(250))
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.sigma2 = None


def test_no_genes_and_none_that_can_be_tested_are_no_fault():
    frame, _ = cells_of()
    design, model = one("~ w + d + (1 | s)", "d", frame)
    for y in (np.empty((design.n, 0)), np.zeros((design.n, 3))):
        found = moderate(model, sums_of(model, y), [joint(design, "d")], np.zeros(y.shape[1]))
        assert found.prior.genes == 0 and found.prior.weights.sum() == pytest.approx(1)
        assert found.tests[0].log_p.shape == (y.shape[1],) and np.isnan(found.tests[0].log_p).all()


def test_a_prior_of_many_nodes_is_fitted_to_genes_of_every_mean(monkeypatch):
    study = Study(13, 6, 30, 3000)
    expression = np.random.default_rng(0).normal(0, 1, 3000)
    arms = arms_of(study.design, "d")
    every = moderate(study.model, study.sums, [study.rows], expression, arms=arms)
    monkeypatch.setattr(prior, "_LIKELIHOODS", 3000 * 225 / 2)
    half = moderate(study.model, study.sums, [study.rows], expression, arms=arms)
    assert (every.prior.genes, half.prior.genes) == (3000, 1500)
    np.testing.assert_allclose(
        half.prior.knots[[0, -1]], np.quantile(expression, [0.1, 0.9])[[0, -1]], atol=0.6
    )
    assert np.median(np.abs(every.tests[0].log_p - half.tests[0].log_p)) < 0.05
