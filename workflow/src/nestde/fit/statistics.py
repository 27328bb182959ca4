"""What is kept of the counts: sums over the leaves of a design, of which every fit, test and calibration is made.

The sums belong to the cells, their groups and the columns that vary within a group, not to the other columns of the
formula: a test of another covariate of the samples, of relabelled samples or of fewer samples starts from them and
never from the counts.
"""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.design.design import Design
from nestde.design.testable import NotTestable
from nestde.errors import NestdeError
from nestde.fit.basis import basis
from nestde.fit.crossproducts import Sums, collect, leaves, leaves_as, sums_of_counts
from nestde.fit.genes import FitModel, grouped
from nestde.io.files import atomic


@dataclass(frozen=True)
class Statistics:
    """Sufficient statistics of G genes for mixed models of n cells in L leaves; y = log(1 + count / size factor).

    Attributes
    ----------
    genes
        (G,) names.
    code
        (n,) leaf of each cell: cells of one leaf agree in all grouping factors.
    f
        (n, w) what varies within leaves, orthonormal columns of mean 0 in each leaf.
    sums
        (G, L, 1 + w) sums of y and of y times each column of `f` over the cells of each leaf.
    squares
        (G, L) sums of y² over the cells of each leaf.
    """

    genes: NDArray[np.object_]
    code: NDArray[np.int64]
    f: Floats
    sums: Floats
    squares: Floats

    @property
    def mean(self) -> Floats:
        """(G,) mean of y over all cells."""
        return np.asarray(np.sum(self.sums[:, :, 0], axis=1) / max(len(self.code), 1))

    def save(self, path: str | Path) -> None:
        """Write to an .npz file, whole or not at all; equal statistics give equal bytes."""
        names = np.frombuffer(json.dumps([str(gene) for gene in self.genes]).encode(), np.uint8)
        with atomic(path) as temporary, temporary.open("wb") as handle:
            np.savez_compressed(
                handle, genes=names, code=self.code, f=self.f, sums=self.sums, squares=self.squares
            )

    def model_of(self, design: Design) -> tuple[FitModel, Sums]:
        """What `fit.genes` fits of a design of these cells.

        Raises
        ------
        NestdeError
            The design groups the cells in another way, or varies within groups by what the sums do not hold; or it
            has no random effects.
        """
        grouped(design)
        turned = basis(design)
        leaf = leaves_as(design, turned, self.code, self.f)
        if leaf is None:
            raise NestdeError(
                f'"{design.formula.text}" has random effects, or covariates of single cells, that the statistics do not '
                "hold. Run `nestde run` again: it makes them from the counts."
            )
        return FitModel(design, turned, leaf), collect(design, leaf, self.sums, self.squares)

    def of(self, chosen: NDArray[Any] | slice) -> "Statistics":
        """Those of some genes."""
        return replace(self, genes=self.genes[chosen], sums=self.sums[chosen], squares=self.squares[chosen])

    def of_cells(self, kept: NDArray[np.bool_]) -> "Statistics":
        """Those of some leaves, given as the (n,) cells that stay: all of a leaf or none.

        Raises
        ------
        ValueError
            A leaf would lose a part of its cells.
        """
        stays = np.bincount(self.code[kept], minlength=self.sums.shape[1]) > 0
        if (stays[self.code] != kept).any():
            raise ValueError("sums can be had of whole leaves only")
        return replace(
            self,
            code=(np.cumsum(stays) - 1)[self.code[kept]],
            f=self.f[kept],
            sums=np.ascontiguousarray(self.sums[:, stays]),
            squares=np.ascontiguousarray(self.squares[:, stays]),
        )


def of_counts(
    design: Design | NotTestable,
    counts: scipy.sparse.csc_array,
    size_factor: Floats,
    genes: Sequence[str] | NDArray[np.object_],
    threads: int | None = None,
) -> Statistics:
    """Sum up log(1 + count / size factor) of each gene, in one pass over the non-zeros.

    Parameters
    ----------
    design
        Of n cells: its groups, and what of its columns varies within them. Where there is none, for a reason, the
        statistics are of no cell.
    counts
        (n, G) raw counts, compressed by column.
    size_factor
        (n,) of each cell, positive.
    genes
        (G,) names.
    threads
        None: one per processor. The result does not depend on it.
    """
    if isinstance(design, NotTestable):
        none = np.zeros((len(genes), 0))
        return Statistics(
            np.asarray(genes, object), np.zeros(0, np.int64), np.zeros((0, 0)), none[:, :, None], none
        )
    leaf = leaves(design, basis(design))
    sums, squares = sums_of_counts(leaf, counts, size_factor, threads)
    return Statistics(np.asarray(genes, object), leaf.code, leaf.f, sums, squares)


def together(parts: Sequence[Statistics]) -> Statistics:
    """Chunks of genes of the same cells below each other."""
    return replace(
        parts[0],
        genes=np.concatenate([part.genes for part in parts]),
        sums=np.concatenate([part.sums for part in parts]),
        squares=np.concatenate([part.squares for part in parts]),
    )


def load(path: str | Path) -> Statistics:
    """Read what `Statistics.save` wrote.

    Raises
    ------
    NestdeError
        The file is not there or holds no statistics.
    """
    try:
        with Path(path).open("rb") as handle, np.load(handle, allow_pickle=False) as stored:
            genes = np.array(json.loads(stored["genes"].tobytes()), object)
            return Statistics(genes, *(stored[name] for name in ("code", "f", "sums", "squares")))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise NestdeError(
            f"{path}: no statistics that nestde can read ({error}). Run `nestde run` again: it makes them again."
        ) from error
