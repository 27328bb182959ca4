import numpy as np

from nestde.fit.record import Record
from nestde.fit.status import AMBIGUOUS, CONSTANT, NOT_OPTIMAL, PERFECT, UNBOUNDED, judge, untestable


def record(theta, decrease, margin):
    theta = np.array(theta)
    zero = np.zeros(len(theta), int)
    return Record(theta, theta, zero, zero, np.array(decrease), zero, np.array(margin))


def test_untestable():
    status, reason = untestable(np.array([0.0, 1e-13, 1.0]), np.array([0.0, 1e-12, 1e-12]))
    assert list(status) == ["not_testable", "not_testable", ""]
    assert list(reason) == [CONSTANT, PERFECT, ""]


def test_one_status_and_one_reason_for_each_response():
    theta = [[np.nan, np.nan], [np.nan, np.nan], [1.0, 2.0], [1.0, 2.0], [0.0, 2.0], [0.0, 0.0], [1.0, 0.0]]
    decrease = [np.nan, np.nan, 1e-3, 0.0, 0.0, 0.0, 0.0]
    margin = [np.inf, np.inf, np.inf, 1e-9, np.inf, np.inf, np.inf]
    untested = np.array(["not_testable"] + [""] * 6), np.array([CONSTANT] + [""] * 6)
    # the second theta is a covariance: its zero is no boundary
    status, reason = judge(
        untested, record(theta, decrease, margin), np.array([True, False]), ["first", "second"]
    )
    assert list(status) == ["not_testable", "failed", "unstable", "unstable", "singular", "singular", "ok"]
    assert list(reason) == [CONSTANT, UNBOUNDED, NOT_OPTIMAL, AMBIGUOUS, "first", "first", ""]
