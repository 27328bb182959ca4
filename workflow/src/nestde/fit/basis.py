"""Well-conditioned columns to fit with, and the way back to the columns of the formula.

X = QR, so that raw covariates (age in days, counts in millions) cost no digits. The random effects of a
correlated block are turned in the same way, Z = Z̃R: ZΛ = Z̃(RΛ), so that is a change of θ only. Effects that
are not correlated are scaled, not centred: centring x would change what ``(1 + x || g)`` means.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.design.design import Design, RandomFactor

# A diagonal element of Λ below this share of its row is rounding: the covariance is singular there.
_ROUNDING = 1e-12
# A block whose columns are more nearly collinear than this is scaled, not turned.
_COLLINEAR = 1e-12


@dataclass(frozen=True)
class Basis:
    """The columns that are fitted; T thetas, p fixed effects.

    Attributes
    ----------
    q
        (n, p) orthonormal basis of X.
    r
        (p, p) upper triangle: X = `q` `r`.
    z
        For each random factor its (n, k) effects in the fitted basis, of mean square 1.
    turn
        For each random factor the (k, k) upper triangle with Z = z `turn`.
    theta
        (T, 3) factor, row and column in its Λ of each theta, column by column within correlated blocks.
    """

    q: Floats
    r: Floats
    z: tuple[Floats, ...]
    turn: tuple[Floats, ...]
    theta: NDArray[np.int64]

    def factors(self, theta: Floats) -> list[Floats]:
        """Λ of each random factor, (G, k, k) lower triangles, on the scale of the formula, from the fitted θ."""
        out = [np.zeros((len(theta), len(turn), len(turn))) for turn in self.turn]
        for t, (f, row, column) in enumerate(self.theta):
            out[f][:, row, column] = theta[:, t]
        for f, turn in enumerate(self.turn):
            out[f] = _lower(np.asarray(np.linalg.solve(turn, out[f])))
        return out

    def theta_of(self, factors: list[Floats]) -> Floats:
        """(G, T) θ on the scale of the formula, in lme4's order, from what `factors` gives."""
        return np.stack([factors[f][:, row, column] for f, row, column in self.theta], axis=1)


def combine(values: Floats, rows: Floats) -> Floats:
    """(G, p) and (rows, p) -> (G, rows), each response by itself: BLAS would round by what is beside it."""
    return np.stack([np.sum(values * row, axis=1) for row in rows], axis=1)


def basis(design: Design) -> Basis:
    """Turn and scale the columns of a design."""
    q, r = np.linalg.qr(design.x)
    z, turn, theta = [], [], []
    for f, factor in enumerate(design.random):
        turned, back = _turn(factor)
        z.append(turned)
        turn.append(back)
        k = len(factor.blocks)
        theta += [
            (f, row, column)
            for column in range(k)
            for row in range(column, k)
            if factor.blocks[row] == factor.blocks[column]
        ]
    return Basis(q, r, tuple(z), tuple(turn), np.array(theta, np.int64))


def _turn(factor: RandomFactor) -> tuple[Floats, Floats]:
    """Orthogonalise the effects within each correlated block, and scale them to mean square 1."""
    rms = np.sqrt(np.mean(factor.z**2, axis=0))
    rms[rms == 0] = 1.0
    z, back = factor.z / rms, np.diag(rms)
    for block in set(factor.blocks):
        columns = np.flatnonzero(np.array(factor.blocks) == block)
        if len(columns) == 1:
            continue
        q, r = np.linalg.qr(z[:, columns])
        size = np.abs(np.diag(r))
        if size.min() <= _COLLINEAR * size.max():
            continue
        scale = np.sign(np.diag(r)) * np.sqrt(len(z))
        z[:, columns] = q * scale
        back[np.ix_(columns, columns)] = (r / scale[:, None]) * rms[columns]
    return z, back


def _lower(matrix: Floats) -> Floats:
    """Lower triangle L with LL' = MM' and non-negative diagonal, for each of (G, k, k); exact zeros."""
    if matrix.shape[-1] == 1:
        return np.abs(matrix)
    lower = np.linalg.qr(matrix.swapaxes(-1, -2))[1].swapaxes(-1, -2)
    lower = lower * np.where(np.einsum("gii->gi", lower) < 0, -1.0, 1.0)[:, None, :]
    size = np.linalg.norm(matrix, axis=-1, keepdims=True)
    return np.where(np.abs(lower) <= _ROUNDING * size, 0.0, lower)
