"""Where a likelihood rises without end: a level without counts, cells that a covariate sets apart.

A direction d of the coefficients is unbounded if X d is 0 at every cell with a count and nowhere positive; for detection, if it
is nowhere negative at cells with a count either. Then the likelihood rises towards a limit, which the search reaches to
1e-9 in some twenty steps, so that likelihood ratios are right; the estimates along d are ±∞. The search betrays such
directions, as the likelihood tells nothing more there; whether they are is looked up in the counts, which also tell exactly where
the search, whose second derivatives are differences, points only about.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.fit.counts.gene import Data

if TYPE_CHECKING:
    from nestde.fit.counts.record import Ended, Fitted

# A variance, of a column of mean square 1, that says that the likelihood tells nothing of a direction.
_UNKNOWN = 1e3
# Of X d's largest element, what is rounding; of d on the scale of the formula.
_ROUNDING = 1e-5
# Cosine of a direction of the search to one that is 0 at counts.
_NEAR = 0.9


@dataclass(frozen=True)
class Unbounded:
    """What is unbounded in one gene, p coefficients.

    Attributes
    ----------
    away
        (p,) the direction in which coefficients go, 0 for those that stay.
    space, turned
        (p, k) all directions that the counts do not bound; (r, k) orthonormal ones of the fitted columns.
    finite, vcov
        (p,), (p, p) coefficients and their covariance without what is unbounded.
    """

    away: Floats
    space: Floats
    turned: Floats
    finite: Floats
    vcov: Floats

    @property
    def coef(self) -> Floats:
        """(p,) the coefficients, ±∞ where they have no bound."""
        unit = np.eye(len(self.away))
        return np.array(
            [
                self.sign(row) * np.inf if self.concerns(row) else value
                for row, value in zip(unit, self.finite, strict=True)
            ]
        )

    def concerns(self, weights: Floats) -> bool:
        """Whether a combination of coefficients has no bound."""
        return bool(np.abs(weights @ self.space).max() > _ROUNDING * np.abs(self.space).max())

    def sign(self, weights: Floats) -> float:
        """The side on which it is."""
        return float(np.sign(weights @ self.away))

    def words(self, names: tuple[str, ...]) -> str:
        """Say it."""
        without = [name for name, value in zip(names, self.coef, strict=True) if np.isinf(value)]
        have = "have" if len(without) > 1 else "has"
        return f"{', '.join(without)} {have} no bound, as the counts are all on one side; the likelihood ratio is valid"


def unbounded(
    which: "Fitted", data: Data, family: str, ends: "Ended", unstable: NDArray[np.bool_]
) -> dict[int, Unbounded]:
    """Look up which genes of those that the search leaves in doubt have unbounded directions."""
    variances = np.einsum("gii->gi", ends.covariance)
    with np.errstate(invalid="ignore"):
        doubtful = np.isfinite(ends.loglik) & (unstable | ~(variances.max(axis=1) < _UNKNOWN))
    found = {}
    for g in map(int, np.flatnonzero(doubtful)):
        for space in _spaces(which.q, data, g, ends.covariance[g]):
            away = space @ (space.T @ ends.coefficients[g])
            if not _rises(which.q @ away, data, g, family):
                continue
            rest = which.back @ _beside(space)
            found[g] = Unbounded(
                which.back @ away,
                which.back @ space,
                space,
                which.back @ (ends.coefficients[g] - away),
                rest @ _given(ends.covariance[g], _beside(space)) @ rest.T,
            )
            break
    return found


def walls_of(separated: dict[int, Unbounded], genes: int, r: int) -> tuple[NDArray[np.int64], Floats]:
    """(G,) of which of (U, r, r) is added to each gene's information: 0, or what holds directions without a bound where they are.

    The likelihood tells nothing of them, whatever the variance between groups; its determinant would tell how far a search went.
    """
    wall, walls = np.zeros(genes, np.int64), [np.zeros((r, r))]
    for g, found in separated.items():
        wall[g] = len(walls)
        walls.append(found.turned @ found.turned.T)
    return wall, np.array(walls)


def _spaces(q: Floats, data: Data, g: int, covariance: Floats) -> Iterator[Floats]:
    """Directions that may be unbounded, (r, k) orthonormal: of those that the search does not know what is 0 at counts; they themselves."""
    unknown = np.eye(len(covariance))
    if np.isfinite(covariance).all():
        values, vectors = np.linalg.eigh(covariance)
        unknown = vectors[:, values > _UNKNOWN]
    counted = q[data.cell[data.begin[g] : data.begin[g + 1]]]
    values, vectors = np.linalg.eigh(counted.T @ counted)
    still = vectors[:, values <= _ROUNDING**2 * len(q)]
    turned, near, _ = np.linalg.svd(still @ (still.T @ unknown), full_matrices=False)
    if (near > _NEAR).any():
        yield turned[:, near > _NEAR]
    if unknown.shape[1]:
        yield unknown


def _beside(space: Floats) -> Floats:
    """(r, r − k) orthonormal, what is at right angles to a space."""
    whole: Floats = np.linalg.svd(space)[0][:, space.shape[1] :]
    return whole


def _given(covariance: Floats, rest: Floats) -> Floats:
    """Covariance of some directions, the others held; NaN where there is none."""
    if not np.isfinite(covariance).all():
        return np.full((rest.shape[1], rest.shape[1]), np.nan)
    found: Floats = np.linalg.inv(rest.T @ np.linalg.solve(covariance, rest))
    return found


def _rises(move: Floats, data: Data, g: int, family: str) -> bool:
    """Whether moving the cells' linear predictors, (n,), so can only raise the likelihood."""
    counted = np.zeros(len(move), bool)
    counted[data.cell[data.begin[g] : data.begin[g + 1]]] = True
    rounding = _ROUNDING * np.abs(move).max()
    if (move[~counted] > rounding).any():
        return False
    with_counts = move[counted]
    return bool(
        (with_counts >= -rounding).all() if family == "bernoulli" else (np.abs(with_counts) <= rounding).all()
    )
