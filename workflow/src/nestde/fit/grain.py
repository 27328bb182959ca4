"""How finely sums over cells are kept: the leaves that cells belong to, and what varies within them.

A leaf is a set of cells that agree in all that groups them: a sample, an image of an animal. What of a design varies within
leaves is written on columns that are orthonormal leaf by leaf, so that sums over them serve every design whose columns vary by
the same covariates of cells, whatever these are multiplied by from leaf to leaf.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.design.cellwise import combined
from nestde.design.design import Design
from nestde.fit.basis import Basis, basis

# Of what varies within leaves, the share of one leaf below this is rounding; so is this share of a value.
_ROUNDING, _DIGITS = 1e-11, 16 * np.finfo(float).eps


@dataclass(frozen=True)
class Grain:
    """Leaves of n cells, and w columns that vary within them.

    Attributes
    ----------
    code
        (n,) leaf of each cell.
    f
        (n, w) in each leaf columns of mean 0 that are orthonormal, or 0.
    """

    code: NDArray[np.int64]
    f: Floats

    @property
    def leaves(self) -> int:
        """Number of leaves."""
        return int(self.code.max()) + 1 if len(self.code) else 0

    def of_cells(self, kept: NDArray[np.bool_]) -> Self:
        """Those of some cells, given as the (n,) cells that stay: all of a leaf or none.

        Raises
        ------
        ValueError
            A leaf would lose a part of its cells.
        """
        stays = np.bincount(self.code[kept], minlength=self.leaves) > 0
        if (stays[self.code] != kept).any():
            raise ValueError("sums can be had of whole leaves only")
        return replace(self, code=(np.cumsum(stays) - 1)[self.code[kept]], f=self.f[kept])


def grain_of(design: Design, turned: Basis | None = None) -> Grain:
    """Return the grain of a design, whose `basis` may be known already."""
    turned = turned or basis(design)
    return grain(combined([factor.codes for factor in design.random]), np.hstack([*turned.z, turned.q]))


def grain(code: NDArray[np.int64], u: Floats) -> Grain:
    """Write what varies within leaves on as few columns as there are independent ones in any leaf.

    Gram and Schmidt's method, twice (Giraud et al. 2005, Numer Math 101, 87-100): in each leaf a column goes to the first
    place that is free there, if more than rounding is left of it.

    Parameters
    ----------
    code
        (n,) leaf of each cell, from 0.
    u
        (n, c) columns, of which some combination varies within leaves.
    """
    f: list[Floats] = []
    taken = np.zeros(int(code.max()) + 1 if len(code) else 0, np.int64)
    cells = np.sqrt(np.bincount(code))
    for column in u.T:
        left = column - means_of_leaves(column, code)[code]
        left -= means_of_leaves(left, code)[code]
        # a covariate may lie far from 0: what of it is rounding goes by its size, what varies by its spread
        rounding, norm = _DIGITS * np.abs(column).max(initial=0.0) * cells, np.linalg.norm(left)
        if norm <= np.linalg.norm(rounding):
            continue
        left /= norm
        for _ in range(2):
            left = left - means_of_leaves(left, code)[code]
            for other in f:
                left = left - other * np.bincount(code, other * left)[code]
        size = np.sqrt(np.bincount(code, left * left))
        fresh = size > np.maximum(_ROUNDING, rounding / norm)
        for place in np.unique(taken[fresh]):
            if place == len(f):
                f.append(np.zeros(len(code)))
            here = (fresh & (taken == place))[code]
            f[place][here] = left[here] / size[code[here]]
        taken += fresh
    return Grain(code, np.ascontiguousarray(np.stack(f, axis=1)) if f else np.empty((len(code), 0)))


def means_of_leaves(u: Floats, code: NDArray[np.int64]) -> Floats:
    """Mean over each leaf of (n,) values or of each of (n, c) columns."""
    size = np.bincount(code)
    if u.ndim == 1:
        return np.asarray(np.bincount(code, u) / size)
    return np.stack([np.bincount(code, column) for column in u.T], axis=1) / size[:, None]
