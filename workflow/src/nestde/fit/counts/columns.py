"""What a count model is, free of the counts: columns turned so that some are constant in groups, and points for cells."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.design.design import Design
from nestde.fit.counts.cells import Cells, pairs_of, products_of
from nestde.fit.counts.laplace import NEGATIVE_BINOMIAL, POISSON, Model
from nestde.fit.counts.nodes import compress

# Of a column's mean square, what varies within groups below this share is rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Grouped:
    """Cells in the order of their groups.

    Attributes
    ----------
    order
        (n,) cells, group after group.
    group
        (n,) of each in that order.
    begin
        (S + 1,) where groups begin.
    offset
        (n,) in that order.
    """

    order: NDArray[np.int64]
    group: NDArray[np.int64]
    begin: NDArray[np.int64]
    offset: Floats

    def means(self, x: Floats) -> Floats:
        """Mean over each group, (S, …), of (n, …) in this order."""
        return np.asarray(np.add.reduceat(x, self.begin[:-1], axis=0) / np.diff(self.begin)[:, None])

    @cached_property
    def exposure(self) -> Floats:
        """(S,) sum of e^offset over each group."""
        return np.asarray(np.add.reduceat(np.exp(self.offset), self.begin[:-1]))


def group(codes: NDArray[np.int32], offset: Floats) -> Grouped:
    """Sort cells by their groups."""
    order = np.argsort(codes, kind="stable")
    begin = np.cumsum([0, *np.bincount(codes)])
    return Grouped(order, codes[order].astype(np.int64), begin, np.ascontiguousarray(offset[order], float))


@dataclass(frozen=True)
class Columns:
    """The fitted columns of a model: r combinations of those of the design, those that are constant in groups first.

    Attributes
    ----------
    model
        For the kernels.
    q
        (n, r) the columns, group after group.
    back
        (p, r) from their coefficients to those of the design.
    """

    model: Model
    q: Floats
    back: Floats

    @property
    def covariates(self) -> Floats:
        """(n, c) those that are not constant in groups."""
        return self.q[:, self.model.z.shape[1] :]

    @property
    def simple(self) -> Model:
        """The model of the Poisson family where this one is NB, else this one."""
        return self.model._replace(family=POISSON) if self.model.family == NEGATIVE_BINOMIAL else self.model

    def of(self, other: "Columns", coefficients: Floats) -> Floats:
        """(G, r) coefficients that are nearest to the other's: the same model, if its columns are all among these."""
        turn = np.linalg.solve(self.q.T @ self.q, self.q.T @ other.q)
        return np.stack([np.sum(coefficients * row, axis=1) for row in turn], axis=1)


def columns(
    design: Design, cells: Grouped, family: int, kept: Floats, like: Columns | None = None
) -> Columns:
    """Turn the columns of a design.

    Parameters
    ----------
    design
        Of n cells.
    cells
        The same, in groups.
    family
        A family of `laplace`.
    kept
        (p, r) columns of the model, as combinations of those of the design; of full rank.
    like
        Of the same design: its points serve, if what varies within groups is the same.
    """
    x = design.x[cells.order] @ kept
    q, upper = np.linalg.qr(x)
    q, upper = q * np.sqrt(len(q)), upper / np.sqrt(len(q))
    within = q - cells.means(q)[cells.group]
    share, turn = np.linalg.eigh(within.T @ within / len(q))
    a = int(np.sum(share <= _ROUNDING))
    shared = like is not None and len(turn) - a == len(like.model.reach) and _spans(q, like.covariates)
    if like is not None and shared:
        every, nodes, served = like.model.cells, like.model.nodes, like.model.served
        covariates = like.covariates
    else:
        covariates = _covariates(x, q, cells, len(turn) - a)
        every = Cells(cells.begin, cells.offset, np.ones(len(q)), products_of(covariates))
        nodes, served = compress(every)
    turn = np.hstack([turn[:, :a], q.T @ covariates / len(q)])
    z = np.ascontiguousarray(cells.means(q @ turn[:, :a]))
    reach = np.abs(covariates).max(axis=0)
    model = Model(family, z, every, nodes, served, pairs_of(len(reach)), reach)
    return Columns(model, q @ turn, kept @ np.linalg.solve(upper, turn))


def _covariates(x: Floats, q: Floats, cells: Grouped, c: int) -> Floats:
    """(n, c) columns that vary within groups, of mean square 1, out of those of a model; `q` is an orthogonal basis of them.

    They have mean 0 if the model has a constant. Of what is constant in groups they take nothing else, so that they serve
    a model without it, too.
    """
    if not c:
        return np.empty((len(x), 0))
    centred = x - x.mean(axis=0)
    within = (x - cells.means(x)[cells.group]) / np.sqrt(np.maximum(np.mean(centred**2, axis=0), 1e-300))
    chosen = np.sort(scipy.linalg.qr(within, mode="r", pivoting=True)[1][:c])
    constant = _spans(q, np.ones((len(q), 1)))
    return np.asarray(np.linalg.qr((centred if constant else x)[:, chosen])[0] * np.sqrt(len(q)))


def _spans(q: Floats, columns: Floats) -> bool:
    """Whether columns of mean square 1 are combinations of orthogonal ones."""
    left = columns - q @ (q.T @ columns / len(q))
    return bool((np.mean(left**2, axis=0) <= _ROUNDING).all())
