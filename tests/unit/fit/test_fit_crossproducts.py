import numpy as np
import pytest
from makers.mixed_oracle import FORMULAS, frame_of
from scipy import sparse

from nestde.design import design as designs
from nestde.fit.crossproducts import collect, sums_of_counts, sums_of_responses
from nestde.fit.family.log1p import LogCounts
from nestde.fit.genes import prepare

FRAME = frame_of()


def sums_the_long_way(design, basis, y):
    zy = []
    for factor, z in zip(design.random, basis.z, strict=True):
        groups = np.eye(len(factor.levels))[factor.codes]
        zy.append(np.einsum("ng,nk,nm->mgk", groups, z, y))
    return zy, (basis.q.T @ y).T


def sums_of(design, model, counts, size_factor, **options):
    return collect(
        design, model.leaf, *sums_of_counts(model.leaf.grain, counts, LogCounts(size_factor), **options)
    )


@pytest.mark.parametrize("formula", FORMULAS)
def test_one_pass_gives_all_that_y_contributes(formula):
    design = designs.build_design(formula, FRAME)
    model = prepare(design)
    rng = np.random.default_rng(0)
    counts, size_factor = rng.poisson(0.5, (len(FRAME), 6)), rng.lognormal(0, 0.3, len(FRAME))
    y = np.log1p(counts / size_factor[:, None])
    found = sums_of(design, model, sparse.csc_array(counts), size_factor, threads=2)
    zy, qy = sums_the_long_way(design, model.basis, y)
    for ours, theirs in zip(found.zy, zy, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-11)
    np.testing.assert_allclose(found.qy, qy, atol=1e-11)
    np.testing.assert_allclose(found.yy, (y**2).sum(axis=0), rtol=1e-13)


def test_dense_responses_are_freed_of_their_fit():
    design = designs.build_design("~ x + (x | a)", FRAME)
    model = prepare(design)
    y = np.random.default_rng(0).normal(1e6, 1, (len(FRAME), 2))
    found = sums_of_responses(design, model.basis, model.leaf, y)
    assert np.abs(found.qy).max() < 1e-9
    residual = y - model.basis.q @ found.shift.T
    np.testing.assert_allclose(found.yy, (residual**2).sum(axis=0), rtol=1e-9)


def test_what_varies_within_leaves_is_few_columns():
    design = designs.build_design("~ x + C(d) + w + (x | a)", FRAME)
    assert prepare(design).leaf.grain.f.shape[1] == 2
    design = designs.build_design("~ C(d) + (1 | a)", FRAME)
    assert prepare(design).leaf.grain.f.shape[1] == 0


def test_rows_first_and_entries_in_pieces_are_put_right():
    design = designs.build_design("~ w + (1 | a)", FRAME)
    model = prepare(design)
    counts = np.random.default_rng(0).poisson(0.5, (len(FRAME), 3))
    right = sums_of(design, model, sparse.csc_array(counts), np.ones(len(FRAME)))
    by_row = sums_of(design, model, sparse.csr_array(counts), np.ones(len(FRAME)))
    np.testing.assert_array_equal(by_row.yy, right.yy)
    rows, columns = np.nonzero(counts)
    values = counts[rows, columns]
    order = np.argsort(np.tile(columns, 2), kind="stable")
    pieces = sparse.csc_array(
        (np.tile(values, 2)[order], np.tile(rows, 2)[order], np.cumsum([0, *(2 * (counts > 0).sum(axis=0))])),
        shape=counts.shape,
    )
    doubled = sums_of(design, model, sparse.csc_array(2 * counts), np.ones(len(FRAME)))
    np.testing.assert_allclose(sums_of(design, model, pieces, np.ones(len(FRAME))).yy, doubled.yy)


@pytest.mark.parametrize("kind", [np.int32, np.uint16, np.float32, np.float64])
def test_few_and_many_counts_and_fractions_have_the_same_logarithm(kind):
    design = designs.build_design("~ 1 + (1 | a)", FRAME)
    model = prepare(design)
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 9, (len(FRAME), 5)).astype(kind)
    if np.issubdtype(kind, np.floating):
        counts *= 0.5
    counts[0, 0] = 3000
    size_factor = rng.lognormal(0, 1, len(FRAME))
    y = np.log1p(counts * (1.0 / size_factor)[:, None])
    sums, squares = sums_of_counts(model.leaf.grain, sparse.csc_array(counts), LogCounts(size_factor))
    code = model.leaf.grain.code
    for g in range(5):
        np.testing.assert_allclose(sums[g, :, 0], np.bincount(code, y[:, g]), rtol=1e-13)
        np.testing.assert_allclose(squares[g], np.bincount(code, y[:, g] ** 2), rtol=1e-13)
