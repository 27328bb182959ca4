import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.stats import chi2

from nestde.design import design as designs
from nestde.fit import fit_genes, fit_responses
from nestde.fit.family.log1p import LogCounts

SAMPLES, CELLS, GENES = 8, 30, 40


def study(seed=0, cells=CELLS):
    rng = np.random.default_rng(seed)
    n = SAMPLES * cells
    frame = pd.DataFrame(
        {
            "sample_id": np.repeat([f"S{i}" for i in range(SAMPLES)], cells),
            "diagnosis": np.repeat(["Control", "AD"] * (SAMPLES // 2), cells),
            "stage": np.repeat(["I", "II", "III", "I", "II", "III", "I", "II"], cells),
            "saturation": rng.normal(70, 5, n),
        }
    )
    rate = np.exp(rng.normal(-0.5, 0.7, GENES) + rng.normal(0, 0.4, (SAMPLES, GENES)))[np.arange(n) // cells]
    return frame, sparse.csc_array(rng.poisson(rate)), rng.lognormal(0, 0.3, n)


def build(frame, bars="(1 | sample_id)", fixed="saturation + diagnosis", test=("diagnosis",)):
    return designs.build_design(
        f"~ {fixed} + {bars}", frame, test=test, levels={"diagnosis": ["Control", "AD"]}
    )


def transformed(counts, size_factor):
    return np.log1p(counts.toarray() / size_factor[:, None])


@pytest.mark.parametrize(
    "bars", ["(1 | sample_id)", "(1 + saturation | sample_id)", "(1 | diagnosis/sample_id)"]
)
def test_counts_and_numbers_give_the_same_fits(bars):
    frame, counts, size_factor = study()
    design = build(frame, bars)
    genes = fit_genes(design, counts, LogCounts(size_factor)).full
    dense = fit_responses(design, transformed(counts, size_factor))
    np.testing.assert_allclose(genes.loglik, dense.loglik, atol=1e-7)
    np.testing.assert_allclose(genes.coef, dense.coef, rtol=1e-6, atol=1e-7)
    assert list(genes.status) == list(dense.status)


@pytest.mark.parametrize("bars", ["(1 | sample_id)", "(1 + saturation | sample_id)"])
def test_the_cut_and_the_threads_do_not_change_a_bit(bars):
    frame, counts, size_factor = study()
    design = build(frame, bars)
    whole = fit_genes(design, counts, LogCounts(size_factor), threads=1)
    for parts, threads in ((1, 2), (3, 1), (7, 2)):
        cuts = np.linspace(0, GENES, parts + 1).astype(int)
        pieces = [
            fit_genes(design, counts[:, a:b], LogCounts(size_factor), threads=threads)
            for a, b in pairwise(cuts)
        ]
        for name in ("loglik", "theta", "sigma", "coef", "se", "vcov"):
            together = np.concatenate([getattr(piece.full, name) for piece in pieces])
            np.testing.assert_array_equal(together, getattr(whole.full, name))
        stat = np.concatenate([piece.tests["diagnosis"].log_p for piece in pieces])
        np.testing.assert_array_equal(stat, whole.tests["diagnosis"].log_p)


def test_statsmodels_agrees_or_stops_short():
    from statsmodels.regression.mixed_linear_model import MixedLM

    frame, counts, size_factor = study()
    design = build(frame)
    fits = fit_genes(design, counts, LogCounts(size_factor))
    y = transformed(counts, size_factor)
    for g in range(4):
        for columns, ours in (([0, 1, 2], fits.full), ([0, 1], fits.tests["diagnosis"].reduced)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                theirs = MixedLM(y[:, g], design.x[:, columns], groups=design.random[0].codes).fit(reml=False)
            assert ours.loglik[g] >= theirs.llf - 1e-7
            if abs(ours.loglik[g] - theirs.llf) < 1e-6:
                np.testing.assert_allclose(ours.coef[g], theirs.fe_params, rtol=1e-3, atol=1e-4)


def test_likelihood_ratio_tests_of_several_terms():
    frame, counts, size_factor = study()
    design = build(
        frame, fixed="saturation + stage + diagnosis", test=("diagnosis", "stage", "stage + diagnosis")
    )
    fits = fit_genes(design, counts, LogCounts(size_factor))
    assert {term: test.df for term, test in fits.tests.items()} == {
        "diagnosis": 1,
        "stage": 2,
        "stage + diagnosis": 3,
    }
    for test in fits.tests.values():
        assert (test.stat >= 0).all()
        np.testing.assert_allclose(test.stat, 2 * (fits.full.loglik - test.loglik_reduced), atol=1e-12)
        np.testing.assert_allclose(test.log_p, chi2.logsf(test.stat, test.df), rtol=1e-9)
    assert (fits.tests["stage + diagnosis"].stat >= fits.tests["stage"].stat - 1e-8).all()


def test_genes_that_cannot_be_fitted_say_why():
    frame, counts, size_factor = study()
    design = build(frame)
    code = design.random[0].codes
    y = np.column_stack(
        [
            np.zeros(design.n),
            np.full(design.n, 3.0),
            design.x @ [1.0, 0.1, 2.0],
            np.arange(SAMPLES)[code] ** 2.0,
            np.random.default_rng(99).normal(0, 1, design.n),
        ]
    )
    fits = fit_responses(design, y)
    assert list(fits.status[:4]) == ["not_testable"] * 3 + ["failed"]
    assert fits.status[4] in ("ok", "singular")
    assert all(fits.reason[:4])
    assert np.isnan(fits.loglik[:4]).all() and np.isnan(fits.coef[:4]).all()
    assert np.isfinite(fits.loglik[4])

    counts = sparse.csc_array((design.n, 3), dtype=np.int32)
    empty = fit_genes(design, counts, LogCounts(size_factor))
    assert list(empty.tests["diagnosis"].status) == ["not_testable"] * 3
    assert np.isnan(empty.tests["diagnosis"].stat).all()
    assert empty.full.reason[0] == "all values are zero: no cell has a count"


def test_general_structures_do_not_crash_on_such_genes_either():
    frame, _, _ = study()
    design = build(frame, "(1 + saturation | sample_id)")
    y = np.column_stack(
        [np.zeros(design.n), np.arange(SAMPLES)[design.random[0].codes] ** 2.0, design.x[:, 1] * 2]
    )
    fits = fit_responses(design, y)
    assert set(fits.status) <= {"not_testable", "failed", "unstable"}


def test_a_response_far_from_zero_costs_no_digits():
    frame, _, _ = study()
    design = build(frame)
    y = np.random.default_rng(99).normal(0, 1, design.n)
    near, far = fit_responses(design, y), fit_responses(design, y + 1e8)
    assert far.loglik[0] == pytest.approx(near.loglik[0], abs=1e-5)
    assert far.coef[0, 0] == pytest.approx(1e8 + near.coef[0, 0], rel=1e-14)


def test_one_cell_per_sample_and_no_genes():
    frame, counts, size_factor = study(cells=3)
    design = build(frame, fixed="diagnosis")
    assert len(fit_genes(design, counts, LogCounts(size_factor)).full.loglik) == GENES
    assert fit_genes(design, counts[:, :0], LogCounts(size_factor)).full.loglik.shape == (0,)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from(["(1 | sample_id)", "(1 + saturation | sample_id)", "(1 + saturation || sample_id)"]),
)
def test_the_full_model_is_never_below_the_reduced_one(seed, bars):
    rng = np.random.default_rng(seed)
    frame, counts, size_factor = study(seed % 7, cells=6)
    counts = counts[:, rng.permutation(GENES)[:5]] * rng.integers(0, 2, (len(frame), 1))
    fits = fit_genes(build(frame, bars), sparse.csc_array(counts), LogCounts(size_factor))
    full, reduced = fits.full.loglik, fits.tests["diagnosis"].loglik_reduced
    fitted = np.isfinite(full) & np.isfinite(reduced)
    assert (full[fitted] >= reduced[fitted] - 1e-7).all()
