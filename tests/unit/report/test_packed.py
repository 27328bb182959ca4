"""Tables within the page: numbers to so many digits, nothing lost at the ends of their range."""

import base64
import gzip
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nestde.report.packed import INFINITE, MISSING, STEPS, Block, decimal, dictionary, levels, power


@pytest.mark.parametrize("digits", [3, 4])
@settings(max_examples=50)
@given(st.lists(st.floats(-1e308, 1e308, allow_subnormal=False), max_size=20))
def test_a_number_is_the_nearest_of_so_many_digits(digits, values):
    whole, exponent = decimal(np.array(values), digits)
    for value, m, e in zip(values, whole.tolist(), exponent.tolist(), strict=True):
        assert float(f"{m}e{e}") == pytest.approx(value, rel=0.51 * 10.0 ** (1 - digits))
        assert abs(m) < 10**digits


def test_rounding_up_keeps_the_digits():
    whole, exponent = decimal(np.array([9999.6, 0.99996, -99999.0]), 4)
    assert [(m, e) for m, e in zip(whole, exponent, strict=True)] == [(1000, 1), (1000, -3), (-1000, 2)]


def test_what_is_no_number_is_told():
    whole, exponent = decimal(np.array([np.nan, np.inf, -np.inf, 0.0]), 4)
    assert whole.tolist() == [MISSING, INFINITE, -INFINITE, 0] and not exponent.any()


def test_a_p_value_below_the_smallest_float_is_kept():
    whole, exponent = power(np.array([-400.25, -0.3010299956639812, 0.0, np.nan]), 4)
    assert whole.tolist() == [5623, 5000, 1000, MISSING]
    assert exponent.tolist()[:3] == [-404, -4, -3]


def test_a_block_is_its_head_and_its_arrays_and_the_same_each_time():
    def made():
        block = Block()
        at = block.add(np.array([1, 258], np.uint32))
        return block.packed({"at": at, "name": "</script>é"})

    text = made()
    assert text == made() and "<" not in text
    whole = gzip.decompress(base64.b64decode(text))
    length = int.from_bytes(whole[:4], "little")
    assert json.loads(whole[4 : 4 + length]) == {"at": 0, "name": "</script>é"}
    assert list(whole[4 + length :]) == [1, 2, 0, 1, 0, 0, 0, 0]


def test_samples_are_drawn_between_their_least_and_largest():
    values = np.array([[1.0, 2.0, np.nan], [5.0, 5.0, 5.0], [np.nan] * 3, [0.0, 12.7, 6.35]])
    steps, low, high, unit = levels(values)
    assert steps.tolist()[2:] == [[255] * 3, [0, STEPS, STEPS // 2]]
    width = np.maximum(high - low, 1) * unit
    drawn = np.where(steps == 255, np.nan, low[:, None] * unit + steps * width[:, None] / STEPS)
    assert np.nanmax(np.abs(drawn - values) - width[:, None] / STEPS) <= unit
    assert (np.isnan(drawn) == np.isnan(values)).all()


def test_each_text_once():
    words, at = dictionary(["b", "a", "b"])
    assert words == ["b", "a"] and at.tolist() == [0, 1, 0]
