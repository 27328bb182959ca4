import dataclasses

import numpy as np
import pytest
from scipy import sparse
from test_fit_genes import GENES, build, study

from nestde.design import design as designs
from nestde.errors import NestdeError
from nestde.fit import fit_genes, statistics
from nestde.fit.family.gaussian import FAMILY as GAUSSIAN
from nestde.fit.family.log1p import LogCounts
from nestde.fit.genes import fit, fit_tests
from nestde.fit.grain import grain_of

BARS = ["(1 | sample_id)", "(1 + saturation | sample_id)", "(1 | diagnosis/sample_id)"]
NAMES = [f"G{i}" for i in range(GENES)]


def of_study(design, counts, size_factor):
    return GAUSSIAN.sum_up(grain_of(design), counts, size_factor, NAMES)


@pytest.mark.parametrize("bars", BARS)
def test_fits_from_stored_statistics_are_those_from_the_counts(bars, tmp_path):
    frame, counts, size_factor = study()
    design = build(frame, bars)
    cut = [GAUSSIAN.sum_up(grain_of(design), counts[:, part], size_factor, NAMES[part.start : part.stop])
           for part in (slice(0, 7), slice(7, 30), slice(30, GENES))]  # fmt: skip
    statistics.save(statistics.together(cut), tmp_path / "s.npz")
    found = statistics.load(tmp_path / "s.npz")
    assert list(found.genes) == NAMES
    ours, direct = fit_tests(*found.model_of(design)), fit_genes(design, counts, LogCounts(size_factor))
    np.testing.assert_allclose(ours.full.loglik, direct.full.loglik, rtol=1e-12)
    np.testing.assert_allclose(ours.tests["diagnosis"].stat, direct.tests["diagnosis"].stat, atol=1e-8)
    np.testing.assert_allclose(ours.full.coef, direct.full.coef, rtol=1e-8, atol=1e-10)


def test_equal_statistics_give_equal_bytes(tmp_path):
    frame, counts, size_factor = study()
    design = build(frame)
    for name in ("a", "b"):
        statistics.save(of_study(design, counts, size_factor), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    "fixed", ["saturation", "saturation + stage", "saturation + diagnosis:stage", "stage + diagnosis"]
)
def test_other_covariates_of_the_samples_need_no_second_pass(fixed):
    frame, counts, size_factor = study()
    kept = of_study(build(frame), counts, size_factor)
    other = build(frame, fixed=fixed, test=())
    ours, direct = fit_tests(*kept.model_of(other)), fit_genes(other, counts, LogCounts(size_factor))
    np.testing.assert_allclose(ours.full.loglik, direct.full.loglik, rtol=1e-12)
    np.testing.assert_allclose(ours.full.coef, direct.full.coef, rtol=1e-8, atol=1e-9)


def test_relabelled_samples_need_no_second_pass():
    frame, counts, size_factor = study()
    kept = of_study(build(frame, "(1 + saturation | sample_id)"), counts, size_factor)
    frame["diagnosis"] = np.where(frame["sample_id"] < "S4", "AD", "Control")
    other = build(frame, "(1 + saturation | sample_id)")
    ours = fit(*kept.model_of(other), np.eye(other.x.shape[1]), True)
    direct = fit_genes(other, counts, LogCounts(size_factor), reml=True).full
    np.testing.assert_allclose(ours.loglik, direct.loglik, rtol=1e-10)


def test_a_sample_can_be_left_out_without_a_second_pass():
    frame, counts, size_factor = study()
    kept = of_study(build(frame), counts, size_factor)
    stays = (frame["sample_id"] != "S3").to_numpy()
    fewer = build(frame[stays].reset_index(drop=True))
    ours = fit(*kept.of_cells(stays).model_of(fewer), np.eye(3), True)
    direct = fit_genes(fewer, sparse.csc_array(counts[stays]), LogCounts(size_factor[stays]), reml=True).full
    np.testing.assert_allclose(ours.loglik, direct.loglik, rtol=1e-12)
    np.testing.assert_allclose(ours.coef, direct.coef, rtol=1e-8, atol=1e-10)
    with pytest.raises(ValueError, match="whole leaves"):
        kept.of_cells(np.arange(len(frame)) > 3)


@pytest.mark.parametrize("changed", ["(1 | cell)", "(1 + other | sample_id)"])
def test_what_the_sums_do_not_hold_is_refused(changed):
    frame, counts, size_factor = study()
    frame["other"] = np.random.default_rng(3).normal(size=len(frame))
    frame["cell"] = np.arange(len(frame)) // 2
    kept = of_study(build(frame), counts, size_factor)
    with pytest.raises(NestdeError, match="that the statistics do not hold"):
        kept.model_of(designs.build_design(f"~ diagnosis + {changed}", frame))


def test_a_file_of_something_else_is_refused_in_words(tmp_path):
    (tmp_path / "s.npz").write_bytes(b"no")
    with pytest.raises(NestdeError, match="no statistics that nestde can read"):
        statistics.load(tmp_path / "s.npz")
    with pytest.raises(NestdeError, match="no statistics"):
        statistics.load(tmp_path / "absent.npz")


def test_statistics_of_a_family_that_is_gone_are_refused_in_words(tmp_path):
    frame, counts, size_factor = study()
    strange = dataclasses.replace(GAUSSIAN, name="toy")
    statistics.save(strange.sum_up(grain_of(build(frame)), counts, size_factor, NAMES), tmp_path / "s.npz")
    with pytest.raises(NestdeError, match="they are of a family toy, of which this nestde knows nothing"):
        statistics.load(tmp_path / "s.npz")


def test_statistics_of_what_cannot_be_tested_hold_the_genes_alone(tmp_path):
    frame, counts, size_factor = study()
    parts = [
        statistics.sum_up(GAUSSIAN, None, counts[:, cut], size_factor, NAMES[cut])
        for cut in (slice(0, 7), slice(7, GENES))
    ]
    statistics.save(statistics.together(parts), tmp_path / "s.npz")
    found = statistics.load(tmp_path / "s.npz")
    assert list(found.of(slice(3, None)).genes) == NAMES[3:] and found.family is GAUSSIAN
    with pytest.raises(NestdeError, match="when there was nothing to test"):
        found.fitted(build(frame))
