import numpy as np
import pytest
from scipy import sparse
from test_fit_genes import GENES, build, study

from nestde.calibrate import leave_out as calibrate_leave_out
from nestde.calibrate.leave_out import LeftOut, leave_out, of_rows
from nestde.design.contrasts import contrasts
from nestde.fit import fit_genes
from nestde.fit.family.gaussian import FAMILY as GAUSSIAN
from nestde.fit.family.log1p import LogCounts
from nestde.fit.grain import grain_of


def left_out(design, counts, size_factor, place=0):
    kept = GAUSSIAN.sum_up(grain_of(design), counts, size_factor, [str(g) for g in range(counts.shape[1])])
    found = leave_out(design, kept, contrasts(design, next(iter(design.tests)))[place])
    assert isinstance(found, LeftOut), found
    return found


def test_without_a_sample_is_the_fit_of_the_others():
    frame, counts, size_factor = study()
    found = left_out(build(frame), counts, size_factor)
    assert found.names == tuple(f"S{i}" for i in range(8))
    for place, name in enumerate(found.names):
        stays = (frame["sample_id"] != name).to_numpy()
        fewer = build(frame[stays].reset_index(drop=True))
        direct = fit_genes(
            fewer, sparse.csc_array(counts[stays]), LogCounts(size_factor[stays]), reml=True
        ).full
        np.testing.assert_allclose(found.coef[:, place], direct.coef[:, 2], rtol=1e-7, atol=1e-9)


def test_an_effect_of_one_sample_is_found_and_named():
    frame, _, size_factor = study()
    rng = np.random.default_rng(0)
    ad = (frame["diagnosis"] == "AD").to_numpy()
    mean = np.full((len(frame), 3), 2.0)
    mean[ad, 0] = 6.0  # all AD samples
    mean[(frame["sample_id"] == "S3").to_numpy(), 1] = 40.0  # one of them
    mean[(frame["sample_id"] == "S3").to_numpy(), 2] = 40.0
    mean[ad & (frame["sample_id"] != "S3").to_numpy(), 2] = 1.0  # against the others
    found = left_out(build(frame, fixed="diagnosis"), sparse.csc_array(rng.poisson(mean)), size_factor)
    assert list(found.hangs) == ["", "half", "sign"] or list(found.hangs) == ["", "sign", "sign"]
    assert list(found.sample[1:]) == ["S3", "S3"]
    whole = found.coef.mean(axis=1)
    assert found.without[0] > 0.8 * whole[0]
    assert found.without[2] < 0


def test_a_sample_that_the_model_needs_is_passed_over():
    frame, counts, size_factor = study()
    frame["batch"] = np.where(frame["sample_id"] == "S7", "b", "a")
    found = left_out(build(frame, fixed="batch + diagnosis"), counts, size_factor)
    assert np.isnan(found.coef[:, 7]).all() and np.isfinite(found.coef[:, :7]).all()
    assert "S7" not in set(found.sample)


def test_donors_of_several_samples_are_left_out_whole():
    frame, counts, size_factor = study()
    frame["donor"] = frame["sample_id"].map({f"S{i}": f"D{i % 4}" for i in range(8)})
    found = left_out(build(frame, "(1 | donor/sample_id)", fixed="diagnosis"), counts, size_factor)
    assert found.unit == "donor" and found.coef.shape == (GENES, 4)


def test_what_varies_within_samples_has_no_sample_to_leave_out():
    frame, counts, size_factor = study()
    design = build(frame, test=["saturation"])
    kept = GAUSSIAN.sum_up(grain_of(design), counts, size_factor, [str(g) for g in range(GENES)])
    assert "of which no one matters" in leave_out(design, kept, contrasts(design, "saturation")[0])


def test_of_many_samples_those_are_left_out_that_can_make_a_finding(monkeypatch):
    frame, counts, size_factor = study()
    frame["dose"] = np.where(frame["sample_id"] == "S3", 5.0, frame["sample_id"].str[1].astype(float) / 8)
    every = left_out(build(frame, fixed="dose", test=["dose"]), counts, size_factor)
    monkeypatch.setattr(calibrate_leave_out, "_MANY", 7)
    few = left_out(build(frame, fixed="dose", test=["dose"]), counts, size_factor)
    assert list(np.flatnonzero(np.isfinite(few.coef).all(axis=0))) == [3]
    np.testing.assert_array_equal(few.coef[:, 3], every.coef[:, 3])
    design = build(frame, fixed="diagnosis")
    kept = GAUSSIAN.sum_up(grain_of(design), counts, size_factor, [str(g) for g in range(GENES)])
    told = leave_out(design, kept, contrasts(design, "diagnosis")[0])
    assert told == "of 8 groups of sample_id no single one can make half of a finding"
    many = np.repeat(np.arange(len(frame)), np.where(frame["sample_id"].isin(["S3", "S6"]), 30, 1))
    larger = build(frame.iloc[many].reset_index(drop=True), fixed="diagnosis")
    found = left_out(larger, sparse.csc_array(counts[many]), size_factor[many])
    assert list(np.flatnonzero(np.isfinite(found.coef).all(axis=0))) == [3, 6]


@pytest.mark.parametrize("bars", ["(1 | sample_id)", "(1 + saturation | sample_id)"])
def test_fewer_rows_are_the_design_of_these_rows(bars):
    frame, _, _ = study()
    stays = (~frame["sample_id"].isin(["S2", "S5"])).to_numpy()
    ours, direct = of_rows(build(frame, bars), stays), build(frame[stays].reset_index(drop=True), bars)
    np.testing.assert_array_equal(ours.x, direct.x)
    for mine, other in zip(ours.random, direct.random, strict=True):
        assert mine.levels == other.levels
        np.testing.assert_array_equal(mine.codes, other.codes)
        np.testing.assert_array_equal(mine.z, other.z)
