"""Count models with one random intercept: each group by itself, with exact gradient and Hessian."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.design.design import Design
from nestde.fit.compiled import spread
from nestde.fit.counts.columns import Columns, columns, group
from nestde.fit.counts.gene import Data, Ends, Starts, fit_some
from nestde.fit.counts.record import CountFits, CountModel, higher

# Above this v the likelihood may have several maxima; it is then looked for from other starts too, one so much farther.
_WIDE, _FARTHER = 4.0, 4.0


@dataclass(frozen=True)
class InterceptModel(CountModel):
    """The part of such a model that is free of the counts."""

    number: int

    def without(self, rows: Floats) -> Columns:
        """The model in which combinations of coefficients are 0."""
        return columns(self.design, self.cells, self.number, self.kept(rows), self.full)

    def search(
        self,
        which: Columns,
        data: Data,
        skip: NDArray[np.bool_],
        like: tuple[Columns, CountFits] | None,
        threads: int | None,
    ) -> Ends:
        """Search; where the variance is large from several starts."""
        ends = _search(which, data, skip, None if like is None else starts_from(which, *like), threads)
        wide = ends.variance > _WIDE
        if wide.any():
            farther = Starts(ends.coefficients, _FARTHER * ends.variance, ends.kappa, ends.level)
            for starts in (None, farther):
                ends = higher(ends, _search(which, data, ~wide, starts, threads))
        return ends

    def factors(self, ends: Any) -> tuple[Floats, ...]:
        """SD of the intercept."""
        return (np.sqrt(ends.variance)[:, None, None],)

    def modes(self, ends: Any) -> tuple[Floats, ...]:
        """Of the intercept."""
        return (ends.mode[:, :, None],)

    @property
    def thetas(self) -> int:
        """The variance."""
        return 1


def intercept_model(design: Design, family: str, number: int, offset: Floats) -> InterceptModel:
    """Build what is free of the counts; `number` is the family's in `laplace`."""
    cells = group(design.random[0].codes, offset)
    full = columns(design, cells, number, np.eye(design.x.shape[1]))
    return InterceptModel(design, family, cells, full, number)


def starts_from(which: Columns, other: Columns, fits: CountFits) -> Starts:
    """Where another model's fits ended."""
    ends = fits.ends
    return Starts(which.of(other, ends.coefficients), ends.variance, ends.kappa, ends.level)


def _search(
    which: Columns, data: Data, skip: NDArray[np.bool_], starts: Starts | None, threads: int | None
) -> Ends:
    """Search from some starts, or from what each gene's counts say."""
    genes, groups, r = len(data.begin) - 1, len(data.exposure), which.q.shape[1]

    def empty(*shape: int) -> Floats:
        return np.full((genes, *shape), np.nan)

    if starts is None:
        starts = Starts(empty(r), empty(), empty(), empty(groups))
    ends = Ends(
        empty(), empty(), np.zeros(genes, np.int64), empty(r), empty(r, r), empty(), empty(), empty(groups), empty(groups)
    )  # fmt: skip
    spread(fit_some, genes, threads, which.model, which.simple, data, skip, starts, ends)
    return ends
