"""Sums over the cells of a group: all that the likelihood and its derivatives need of them.

With ζ the linear predictor (less log θ) and p = e^ζ / (1 + e^ζ), the sums are of weight · P_k · products of covariates, where

    P₀ = log(1 + e^ζ)   P₁ = p   P₂ = p(1 − p)   P₃ = P₂(1 − 2p)   P₄ = P₂(1 − 6P₂)

each the derivative of the one before; for the Poisson family all of them are e^ζ.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.fit.compiled import compiled
from nestde.fit.counts.elementary import exp, log1p
from nestde.fit.dense import sum_of

# P₀ … P₄.
ORDERS = 5
# Cells at a time: what is computed of them stays in the processor's first cache.
_BLOCK = 256


class Cells(NamedTuple):
    """Cells, or what stands for them, group after group.

    Attributes
    ----------
    begin
        (S + 1,) where each group's begin.
    offset, weight
        (N,) each.
    products
        (1 + c + c(c + 1)/2, N) 1, each covariate, each product of two of them.
    """

    begin: NDArray[np.int64]
    offset: Floats
    weight: Floats
    products: Floats


def products_of(x: Floats) -> Floats:
    """The `Cells.products` of covariates (N, c)."""
    cells, c = x.shape
    pairs = [x[:, j] * x[:, k] for j in range(c) for k in range(j, c)]
    return np.ascontiguousarray([np.ones(cells), *x.T, *pairs])


def pairs_of(c: int) -> NDArray[np.int64]:
    """(1 + c, 1 + c) row of `Cells.products` that holds the product of two of 1 and the c covariates."""
    pair = np.empty((1 + c, 1 + c), np.int64)
    pair[0] = pair[:, 0] = np.arange(1 + c)
    for number, (j, k) in enumerate(zip(*np.triu_indices(c), strict=True)):
        pair[1 + j, 1 + k] = pair[1 + k, 1 + j] = 1 + c + number
    return pair


@compiled()
def buffer_of() -> Floats:
    """Room for `sum_up`."""
    return np.empty((1 + ORDERS, _BLOCK))


@compiled()
def sum_up(
    s: int, cells: Cells, shift: float, gamma: Floats, exponential: bool, buffer: Floats, out: Floats
) -> None:
    """Fill (5, products) sums over group `s` at ζ = offset + x'γ + shift; of P₀ without covariates only."""
    for k in range(ORDERS):
        for j in range(out.shape[1]):
            out[k, j] = 0.0
    for begin in range(cells.begin[s], cells.begin[s + 1], _BLOCK):
        end = min(begin + _BLOCK, cells.begin[s + 1])
        zeta, weight = buffer[ORDERS, : end - begin], cells.weight[begin:end]
        _predict(cells.offset[begin:end], shift, zeta)
        for j in range(len(gamma)):
            _add(gamma[j], cells.products[1 + j, begin:end], zeta)
        if exponential:
            _exponentials(zeta, weight, buffer)
        else:
            _logistics(zeta, weight, buffer)
        for k in range(1 if exponential else 0, 2 if exponential else ORDERS):
            out[k, 0] += sum_of(buffer[k, : end - begin])
            for j in range(1, out.shape[1] if k > 0 else 1):
                out[k, j] += _dot(buffer[k], cells.products[j, begin:end])
    if exponential:
        for k in (0, 2, 3, 4):
            for j in range(out.shape[1]):
                out[k, j] = out[1, j]


@compiled()
def sum_up_to_two(
    s: int,
    cells: Cells,
    shift: float,
    gamma: Floats,
    exponential: bool,
    rows: int,
    buffer: Floats,
    out: Floats,
) -> None:
    """As `sum_up`, of P₁ and P₂ and some products only: what a step towards a mode needs, in half the time."""
    for k in range(1, 3):
        for j in range(rows):
            out[k, j] = 0.0
    for begin in range(cells.begin[s], cells.begin[s + 1], _BLOCK):
        end = min(begin + _BLOCK, cells.begin[s + 1])
        zeta, weight = buffer[ORDERS, : end - begin], cells.weight[begin:end]
        _predict(cells.offset[begin:end], shift, zeta)
        for j in range(len(gamma)):
            _add(gamma[j], cells.products[1 + j, begin:end], zeta)
        if exponential:
            _exponentials(zeta, weight, buffer)
        else:
            _variances(zeta, weight, buffer)
        for k in range(1, 2 if exponential else 3):
            out[k, 0] += sum_of(buffer[k, : end - begin])
            for j in range(1, rows):
                out[k, j] += _dot(buffer[k], cells.products[j, begin:end])
    if exponential:
        for j in range(rows):
            out[2, j] = out[1, j]


@compiled()
def _predict(offset: Floats, shift: float, zeta: Floats) -> None:
    for i in range(len(zeta)):
        zeta[i] = offset[i] + shift


@compiled()
def _add(factor: float, x: Floats, zeta: Floats) -> None:
    for i in range(len(zeta)):
        zeta[i] += factor * x[i]


@compiled()
def _exponentials(zeta: Floats, weight: Floats, out: Floats) -> None:
    for i in range(len(zeta)):
        out[1, i] = weight[i] * exp(zeta[i])


@compiled()
def _logistics(zeta: Floats, weight: Floats, out: Floats) -> None:
    for i in range(len(zeta)):
        odds = exp(zeta[i])
        rest = 1.0 / (1.0 + odds)
        w, p = weight[i], odds * rest
        variance = p * rest
        out[0, i] = w * log1p(odds, rest)
        out[1, i] = w * p
        out[2, i] = w * variance
        out[3, i] = w * (variance * (rest - p))
        out[4, i] = w * (variance * (1.0 - 6.0 * variance))


@compiled()
def _variances(zeta: Floats, weight: Floats, out: Floats) -> None:
    for i in range(len(zeta)):
        odds = exp(zeta[i])
        rest = 1.0 / (1.0 + odds)
        p = odds * rest
        out[1, i] = weight[i] * p
        out[2, i] = weight[i] * (p * rest)


@compiled(sums=True)
def _dot(a: Floats, b: Floats) -> float:
    total = 0.0
    for i in range(len(b)):
        total += a[i] * b[i]
    return total
