"""What linear mixed models keep of the counts: sums over the leaves of a design.

The sums belong to the cells, their groups and the columns that vary within a group, not to the other columns of the
formula: a test of another covariate of the samples, of relabelled samples or of fewer samples starts from them and
never from the counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.design.design import Design
from nestde.errors import NestdeError
from nestde.fit.basis import basis
from nestde.fit.crossproducts import Sums, Values, collect, leaves, leaves_as, sums_of_counts
from nestde.fit.genes import FitModel, grouped

if TYPE_CHECKING:
    from nestde.fit.family.linear import LinearFamily, LinearFitted


STORED = ("code", "f", "sums", "squares")


@dataclass(frozen=True)
class LeafSums:
    """Sufficient statistics of G genes for linear mixed models of n cells in L leaves; y is what the family makes of a count.

    Attributes
    ----------
    family
        Whose they are.
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

    family: "LinearFamily"
    genes: NDArray[np.object_]
    code: NDArray[np.int64]
    f: Floats
    sums: Floats
    squares: Floats

    @property
    def mean(self) -> Floats:
        """(G,) mean of y over all cells."""
        return np.asarray(np.sum(self.sums[:, :, 0], axis=1) / max(len(self.code), 1))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What is stored of them."""
        return {name: getattr(self, name) for name in STORED}

    def fitted(
        self, design: Design, threads: int | None = None, learnt: dict[str, Any] | None = None
    ) -> "LinearFitted":
        """Fits of a design of these cells."""
        from nestde.fit.family.linear import LinearFitted

        return LinearFitted(design, self, threads, learnt)

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

    def of(self, chosen: NDArray[Any] | slice) -> Self:
        """Those of some genes."""
        return replace(self, genes=self.genes[chosen], sums=self.sums[chosen], squares=self.squares[chosen])

    def of_cells(self, kept: NDArray[np.bool_]) -> Self:
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

    def above(self, others: Sequence[Self]) -> Self:
        """With those of other genes of the same cells below."""
        parts = [self, *others]
        return replace(
            self,
            genes=np.concatenate([part.genes for part in parts]),
            sums=np.concatenate([part.sums for part in parts]),
            squares=np.concatenate([part.squares for part in parts]),
        )


def sum_up(
    family: "LinearFamily",
    design: Design,
    counts: scipy.sparse.csc_array,
    values: Values,
    genes: Sequence[str] | NDArray[np.object_],
    threads: int | None = None,
) -> LeafSums:
    """Sum up what `values` makes of the counts of each gene; see `Family.sum_up`."""
    leaf = leaves(design, basis(design))
    sums, squares = sums_of_counts(leaf, counts, values, threads)
    return LeafSums(family, np.asarray(genes, object), leaf.code, leaf.f, sums, squares)
