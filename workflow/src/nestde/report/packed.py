"""Tables inside the page: numbers in decimal, typed, compressed, so that a genome of many cell types is a few megabytes.

A packed block is base64 of gzip of: the length of its head (four bytes, least first), the head (JSON), and the arrays one
after the other. The head says where each begins and what it is; the page's scripts read them (`page/unpack.js`). Nothing of
the data is markup: it is all within the base64.
"""

import base64
import gzip
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nestde.arrays import Floats

STEPS = 48
MISSING, INFINITE = -32768, 32767


class Block:
    """Arrays that are packed together."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._at = 0

    def add(self, array: NDArray[Any]) -> int:
        """Add an array of whole numbers, byte plane by byte plane; return where it begins."""
        width = array.dtype.itemsize
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        planes = little.view(np.uint8).reshape(-1, width).T
        begins = self._at
        self._parts.append(planes.tobytes())
        self._at += len(self._parts[-1])
        return begins

    def decimals(self, values: ArrayLike, digits: int = 4) -> dict[str, int]:
        """Add numbers, rounded to significant digits; return what the head says of them."""
        return self._decimals(*decimal(np.asarray(values, float), digits), digits)

    def powers(self, exponents: ArrayLike, digits: int = 4) -> dict[str, int]:
        """Add powers of 10, which may be too small for a floating-point number."""
        return self._decimals(*power(np.asarray(exponents, float), digits), digits)

    def _decimals(self, whole: NDArray[np.int16], exponent: NDArray[np.int16], digits: int) -> dict[str, int]:
        at = self.add(whole)
        self.add(exponent)
        return {"at": at, "n": len(whole), "digits": digits}

    def packed(self, head: dict[str, Any]) -> str:
        """All of it as text; equal content gives equal text."""
        text = json.dumps(head, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        whole = b"".join([len(text).to_bytes(4, "little"), text, *self._parts])
        return base64.b64encode(gzip.compress(whole, 9, mtime=0)).decode()


def decimal(values: Floats, digits: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Write numbers as a whole number of so many digits times a power of 10.

    Returns
    -------
    whole
        `MISSING` for NaN, ± `INFINITE` for infinite ones.
    exponent
        Of 10.
    """
    there = np.isfinite(values) & (values != 0)
    exponent = np.zeros(len(values), int)
    exponent[there] = np.floor(np.log10(np.abs(values[there]))).astype(int) - (digits - 1)
    scaled = np.zeros(len(values))
    # in two steps: the power alone may be infinite
    half = exponent[there] // 2
    scaled[there] = np.rint(values[there] / 10.0**half / 10.0 ** (exponent[there] - half))
    over = np.abs(scaled) >= 10**digits
    scaled[over], exponent[over] = np.rint(scaled[over] / 10), exponent[over] + 1
    scaled[np.isnan(values)] = MISSING
    scaled[np.isposinf(values)], scaled[np.isneginf(values)] = INFINITE, -INFINITE
    return scaled.astype(np.int16), exponent.astype(np.int16)


def power(exponents: Floats, digits: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Write 10 to these powers as `decimal` writes numbers."""
    known = np.isfinite(exponents)
    floor = np.where(known, np.floor(np.where(known, exponents, 0)), 0)
    whole, exponent = decimal(10.0 ** np.where(known, exponents - floor, np.nan), digits)
    return whole, (exponent + floor).astype(np.int16)


def levels(values: Floats) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], float]:
    """Write each row of numbers of 0 or more in a few steps from its least to its largest: enough to draw them.

    Returns
    -------
    steps
        (n, m) 0 to `STEPS`; 255 for NaN.
    low, high
        (n,) what 0 and `STEPS` stand for, in units.
    unit
        A 254th of the largest number.
    """
    known = np.isfinite(values)
    unit = max(float(np.max(values, where=known, initial=0.0)) / 254, 1e-9)
    low = np.floor(np.where(known, values, np.inf).min(axis=1, initial=np.inf) / unit)
    high = np.ceil(np.where(known, values, -np.inf).max(axis=1, initial=-np.inf) / unit)
    low, high = (np.where(np.isfinite(each), each, 0.0) for each in (low, high))
    width = np.maximum(high - low, 1.0)[:, None]
    steps = np.rint(STEPS * (np.where(known, values / unit, low[:, None]) - low[:, None]) / width)
    return np.where(known, steps, 255).astype(np.uint8), low.astype(np.uint8), high.astype(np.uint8), unit


def dictionary(texts: Sequence[str]) -> tuple[list[str], NDArray[np.uint32]]:
    """Texts, each once, in the order of their first appearance, and the place there of each."""
    words = list(dict.fromkeys(texts))
    place = {word: at for at, word in enumerate(words)}
    return words, np.array([place[text] for text in texts], np.uint32)
