"""What holds of every fit of a count model, whatever the counts."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse
from makers.counted import cells_of, counts_of, design_of

from nestde.errors import NestdeError
from nestde.fit.counts import fits
from nestde.fit.counts.tests import log_p_of_ratio, residual_df

MEANS = (0.02, 0.1, 0.5, 2.0, 10.0)
CASE = np.array([[0.0, 0.0, 1.0]])


def fitted(frame, counts, family="negative_binomial", formula=None, rows=CASE, threads=1):
    design = design_of(frame, formula) if formula else design_of(frame)
    model = fits.prepare(design, family, frame["offset"].to_numpy())
    return fits.fit_tests(model, fits.data_of(model.cells, counts), [rows], threads=threads)


def strange(n, seed):
    """Counts that fits stumble on: single ones, huge ones, everywhere the same, all on one side."""
    random = np.random.default_rng(seed)
    columns = [np.zeros(n), np.ones(n), np.full(n, 7), np.arange(n) % 2, np.arange(n)]
    columns += [np.where(np.arange(n) == at, size, 0) for at in (0, n // 2) for size in (1, 500)]
    columns += [random.binomial(1, 0.01, n) for _ in range(6)]
    columns += [random.negative_binomial(0.02, 0.01, n) for _ in range(4)]
    columns += [random.poisson(1, n) * (np.arange(n) > n * share) for share in (0.3, 0.6, 0.9)]
    columns += [random.poisson(3e3, n), random.poisson(3e3, n) * random.binomial(1, 0.02, n)]
    return scipy.sparse.csc_array(np.array(columns, dtype=np.int64).T)


@pytest.mark.parametrize("family", list(fits.FAMILIES))
def test_no_number_is_missing_without_a_reason(family):
    frame = cells_of()
    for counts in (strange(len(frame), 1), counts_of(frame, MEANS)):
        full, (ratio,) = fitted(frame, counts, family)
        known = fits.trusted(full.status)
        assert (full.reason[~known] != "").all()
        for values in (full.loglik, full.sd()[0], full.dispersion):
            assert np.isfinite(values[known]).all()
        bounded = known & ~np.isin(np.arange(len(known)), list(full.separated))
        assert np.isfinite(full.coef[bounded]).all()
        assert np.isfinite(full.se[bounded]).all()
        assert not np.isnan(full.coef[known]).any()
        assert np.isfinite(ratio.log_p[fits.trusted(ratio.status)]).all()


def test_more_parameters_never_fit_worse():
    frame = cells_of()
    for seed in (1, 2):
        counts = scipy.sparse.csc_array(
            scipy.sparse.hstack([strange(len(frame), seed), counts_of(frame, MEANS, seed)])
        )
        nb, (ratio,) = fitted(frame, counts)
        poisson, _ = fitted(frame, counts, "poisson")
        known = np.isfinite(nb.loglik)
        assert known.sum() > 15
        assert (nb.loglik[known] >= poisson.loglik[known]).all()
        assert (nb.loglik[known] - ratio.reduced.loglik[known] >= -1e-8).all()


@pytest.mark.parametrize("family", list(fits.FAMILIES))
def test_order_and_names_of_cells_do_not_matter(family):
    frame = cells_of()
    counts = counts_of(frame, MEANS)
    full, (ratio,) = fitted(frame, counts, family)
    order = np.random.default_rng(3).permutation(len(frame))
    other = frame.iloc[order].reset_index(drop=True)
    other["sample"] = other["sample"].map(
        {name: f"T{9 - i}" for i, name in enumerate(sorted(set(other["sample"])))}
    )
    turned, (again,) = fitted(other, counts[order], family)
    assert (turned.status == full.status).all()
    tested = fits.trusted(full.status)
    assert np.allclose(turned.loglik[tested], full.loglik[tested], rtol=1e-10)
    assert np.allclose(again.stat[tested], ratio.stat[tested], atol=1e-6)


def test_the_other_reference_turns_the_sign():
    frame = cells_of()
    counts = counts_of(frame, MEANS)
    full, (ratio,) = fitted(frame, counts)
    turned, (again,) = fitted(frame.assign(case=1 - frame["case"]), counts)
    tested = fits.trusted(full.status)
    assert np.allclose(turned.coef[tested, 2], -full.coef[tested, 2], atol=1e-5)
    assert np.allclose(again.stat[tested], ratio.stat[tested], atol=1e-6)


def test_threads_and_chunks_give_the_same_bytes():
    frame = cells_of()
    counts = counts_of(frame, MEANS * 3)
    whole, (ratio,) = fitted(frame, counts, threads=2)
    for chosen in (slice(0, 4), slice(4, 15)):
        part, (own,) = fitted(frame, counts[:, chosen])
        for name in ("loglik", "coef", "se", "dispersion"):
            assert np.array_equal(getattr(part, name), getattr(whole, name)[chosen], equal_nan=True)
        assert np.array_equal(part.sd()[0], whole.sd()[0][chosen], equal_nan=True)
        assert np.array_equal(own.stat, ratio.stat[chosen], equal_nan=True)


def test_points_for_cells_give_the_likelihood_of_all_cells():
    frame = cells_of(sizes=(300, 280, 310, 350))
    model = fits.prepare(design_of(frame), "negative_binomial", frame["offset"].to_numpy())
    data = fits.data_of(model.cells, counts_of(frame, [0.05, 0.5, 5.0]))
    assert len(model.full.model.nodes.offset) < len(frame)
    for of_family in (model.full.model, model.full.simple):
        few, every = (
            fits.fit(model, replace(model.full, model=of_family._replace(nodes=nodes)), data).loglik
            for nodes in (of_family.nodes, of_family.cells)
        )
        assert np.allclose(few, every, rtol=0, atol=1e-7)


def test_a_slope_beyond_what_points_serve_is_fitted_with_all_cells():
    frame = cells_of(sizes=(300, 280, 310, 350))
    random = np.random.default_rng(1)
    steep = random.poisson(np.exp(1.5 * (frame["depth"] - 0.7) / 0.1 - 2))
    model = fits.prepare(design_of(frame), "poisson", np.zeros(len(frame)))
    data = fits.data_of(model.cells, scipy.sparse.csc_array(steep[:, None]))
    of_all = replace(model.full, model=model.full.model._replace(nodes=model.full.model.cells))
    found = fits.fit(model, model.full, data)
    assert found.coef[0, 1] == pytest.approx(15, rel=0.1)
    assert found.loglik[0] == pytest.approx(fits.fit(model, of_all, data).loglik[0], abs=1e-7)


def test_an_arm_without_counts_has_an_endless_effect_and_a_valid_ratio():
    frame = cells_of()
    counts = counts_of(frame, [0.5, 2.0]).toarray() * (frame["case"] == 0).to_numpy()[:, None]
    full, (ratio,) = fitted(frame, scipy.sparse.csc_array(counts), "poisson")
    assert (full.coef[:, 2] == -np.inf).all()
    assert (full.se[:, 2] == np.inf).all()
    assert np.isfinite(full.coef[:, :2]).all()
    assert np.isin(full.status, ("ok", "singular")).all()
    assert all("case has no bound" in reason for reason in full.reason)
    # the limit is the likelihood of the other arm's cells alone
    other = frame[frame["case"] == 0]
    alone, _ = fitted(
        other,
        scipy.sparse.csc_array(counts[frame["case"] == 0]),
        "poisson",
        "~ depth + (1 | sample)",
        np.eye(2)[[1]],
    )
    assert np.allclose(full.loglik, alone.loglik, atol=1e-7)
    assert np.allclose(full.coef[:, :2], alone.coef, atol=1e-4)
    assert (ratio.stat > 1).all()
    estimate, se = full.effect(np.array([0.0, 0.0, -2.0]))
    assert (estimate == np.inf).all()
    assert (se == np.inf).all()
    estimate, se = full.effect(np.array([0.0, 1.0, 0.0]))
    assert np.allclose(estimate, full.coef[:, 1])
    assert np.allclose(se, full.se[:, 1])


def test_genes_that_cannot_be_told_say_why():
    frame = cells_of()
    lone = (np.arange(len(frame)) < 10).astype(int)
    counts = scipy.sparse.csc_array(np.array([0 * lone, lone, 1 + 0 * lone, 1 - lone]).T)
    of_counts, _ = fitted(frame, counts, "poisson")
    assert list(of_counts.status[:2]) == ["not_testable"] * 2
    assert "no cell has a count" in of_counts.reason[0]
    assert "a single group of sample has a count" in of_counts.reason[1]
    detection, _ = fitted(frame, counts, "bernoulli")
    assert list(detection.status) == ["not_testable"] * 4
    assert "every cell has a count" in detection.reason[2]
    assert "cells without a count" in detection.reason[3]


def test_counts_without_overdispersion_are_poisson():
    frame = cells_of()
    counts = scipy.sparse.csc_array((np.arange(len(frame)) % 2 + 1)[:, None])  # less varied than Poisson
    nb, _ = fitted(frame, counts)
    poisson, _ = fitted(frame, counts, "poisson")
    assert nb.dispersion[0] == 0
    assert nb.loglik[0] == poisson.loglik[0]
    assert fits.NO_OVERDISPERSION in nb.reason[0]


def test_a_model_without_intercept_or_with_raw_covariates_is_the_same_model():
    frame = cells_of()
    counts = counts_of(frame, MEANS)
    full, _ = fitted(frame, counts)
    other = frame.assign(arm=np.where(frame["case"] == 1, "B", "A"), days=1e6 + 1000 * frame["depth"])
    again, _ = fitted(other, counts, formula="~ 0 + arm + days + (1 | sample)")
    tested = fits.trusted(full.status)
    assert np.allclose(again.loglik[tested], full.loglik[tested], rtol=0, atol=1e-6)
    assert np.allclose(again.coef[tested, 2] * 1000, full.coef[tested, 1], rtol=1e-4, atol=1e-4)


def test_a_model_without_random_effects_is_refused_in_words():
    frame = cells_of()
    with pytest.raises(NestdeError):
        fits.prepare(design_of(frame, "~ case"), "poisson", np.zeros(len(frame)))


def test_f_counts_samples_between_samples_and_cells_within():
    design = design_of(cells_of())
    assert residual_df(design, CASE) == (6, 4)
    assert residual_df(design, np.array([[0.0, 1.0, 0.0]])) == (design.n, design.n - 3)
    bold = 0.05
    assert np.exp(log_p_of_ratio(design, CASE, np.array([3.841459])))[0] > bold
    assert log_p_of_ratio(design, CASE, np.array([0.0]))[0] == 0
    assert np.isfinite(log_p_of_ratio(design, CASE, np.array([5000.0]))[0])
