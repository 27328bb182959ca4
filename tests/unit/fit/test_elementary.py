"""Logarithms and exponentials by loops, beside the system's."""

import numpy as np

from nestde.fit.elementary import exps, logs


def in_last_places(found: np.ndarray, true: np.ndarray) -> float:
    return float(np.max(np.abs(found - true) / np.spacing(np.abs(true) + (true == 0))))


def test_logarithms_are_those_of_the_system_to_the_last_places():
    random = np.random.default_rng(1)
    x = np.concatenate(
        [np.exp(random.uniform(-700, 700, 50_000)), random.uniform(0.5, 2, 50_000), 1 + random.normal(0, 1e-7, 1000),
         [1.0, 2.0, 0.5, np.sqrt(0.5), np.nextafter(np.sqrt(0.5), 0), np.finfo(float).tiny, np.finfo(float).max]]
    )  # fmt: skip
    found = np.empty_like(x)
    logs(x, found)
    assert in_last_places(found, np.log(x)) <= 2
    for wrong in (0.0, -0.0, -1.0, np.nan, -np.inf, 5e-324):
        logs(np.array([1.5, wrong]), found[:2])
        assert np.isnan(found[1]), wrong


def test_exponentials_are_those_of_the_system_to_the_last_places():
    random = np.random.default_rng(2)
    x = np.concatenate(
        [
            random.uniform(-700, 700, 50_000),
            random.uniform(-1, 1, 50_000),
            [0.0, -0.0, 1.0, -1.0, 700.0, -699.9],
        ]
    )
    room, found = np.empty_like(x), np.empty_like(x)
    exps(x, room, found)
    assert in_last_places(found, np.exp(x)) <= 2
    small = np.array([-700.5, -750.0, -1e300, -np.inf])
    exps(small, room[:4], found[:4])
    assert (found[:4] == 0).all()
