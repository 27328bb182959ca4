"""The moderated test whose variance between samples is each arm's own."""

import numpy as np
import pytest
from test_moderated import Study, cells_of, joint, one, sums_of

from nestde.fit import grid
from nestde.fit.moderated import arms_of, moderate


def test_arms_are_those_of_the_tested_term():
    frame, _ = cells_of()
    arms = arms_of(one("~ stage + (1 | s)", "stage", frame)[0], "stage")
    assert arms.names == ("I", "III", "II") and (np.bincount(arms.arm) == 4).all()
    assert arms_of(one("~ treated + (1 | s)", "treated", frame)[0], "treated").names == (
        "treated = 0",
        "treated = 1",
    )
    assert arms_of(one("~ region + (1 | s)", "region", frame)[0], "region").names == ("e", "w", "s", "n")
    six = frame.assign(pair="p" + frame["donor"])
    assert arms_of(one("~ pair + (1 | s)", "pair", six)[0], "pair") is None
    assert arms_of(one("~ w + (1 | s)", "w", frame)[0], "w") is None
    assert arms_of(one("~ treated + (1 | donor)", "treated", frame)[0], "treated") is None
    assert arms_of(one("~ d + (1 | donor/s)", "d", frame)[0], "d") is None
    few = frame[frame["donor"].isin(["0", "1", "2"])]
    assert arms_of(one("~ d + (1 | donor)", "d", few)[0], "d") is None


def test_many_arms_have_one_of_two_variances_in_every_way_that_they_part():
    frame, _ = cells_of()
    design, model = one("~ region + (1 | s)", "region", frame)
    laid = grid.build(model, arms_of(design, "region"))
    parted = {tuple(row == row[0]) for row in laid.nodes if len(set(row)) > 1}
    assert len(parted) == 7 and all(len(set(row)) <= 2 for row in laid.values)
    for a in range(4):  # every arm takes part in the same way
        np.testing.assert_allclose(laid.flat @ laid.nodes[:, a], laid.flat @ laid.nodes[:, 0])


def test_the_order_of_four_levels_does_not_matter():
    frame, rng = cells_of(3)
    y = rng.normal(0, 1, (len(frame), 250)) + rng.normal(0, 0.5, (12, 250))[frame["s"].astype(int)]

    def log_p(names):
        renamed = frame.assign(region=frame["region"].map(names))
        design, model = one("~ region + (1 | s)", "region", renamed)
        arms = arms_of(design, "region")
        return (
            moderate(model, sums_of(model, y), [joint(design, "region")], np.zeros(250), arms=arms)
            .tests[0]
            .log_p
        )

    found = log_p({"n": "a", "e": "b", "s": "c", "w": "d"})
    np.testing.assert_allclose(
        log_p({"n": "d", "e": "c", "s": "a", "w": "b"}), found, rtol=1e-3, atol=1e-3
    )  # EM steps end where the likelihood is flat


def test_variances_by_arm_and_their_ratio_are_told():
    study = Study(11, 40, 60, 1500)
    rng = np.random.default_rng(3)
    between = rng.normal(0, 1, (40, 1500)) * np.where(np.arange(40) % 2, 0.8, 0.2)[:, None]
    y = between[study.sample] + rng.normal(0, 1, (len(study.sample), 1500))
    found = moderate(
        study.model, sums_of(study.model, y), [study.rows], np.zeros(1500), arms=arms_of(study.design, "d")
    )
    assert list(found.variance) == ["s [c]", "s [p]"]
    assert np.mean(found.variance["s [c]"]) == pytest.approx(0.04, rel=0.1)
    assert np.mean(found.variance["s [p]"]) == pytest.approx(0.64, rel=0.1)
    assert np.mean(found.sigma2) == pytest.approx(1.0, rel=0.02)
