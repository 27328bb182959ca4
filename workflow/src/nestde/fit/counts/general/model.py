"""Count models with nested and crossed factors and slopes, as those of one intercept are to others."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.design.design import Design
from nestde.fit.compiled import spread
from nestde.fit.counts.gene import Data
from nestde.fit.counts.general.gene import GeneralEnds, GeneralStarts, fit_some_general
from nestde.fit.counts.general.strata import Frame, GeneralColumns, columns, frame
from nestde.fit.counts.record import CountFits, CountModel, higher
from nestde.fit.status import DECREASE


@dataclass(frozen=True)
class GeneralModel(CountModel):
    """The part of such a model that is free of the counts."""

    frame: Frame

    def without(self, rows: Floats) -> GeneralColumns:
        """The model in which combinations of coefficients are 0."""
        return columns(self.design, self.frame, self.kept(rows))

    def search(
        self,
        which: GeneralColumns,
        data: Data,
        skip: NDArray[np.bool_],
        like: tuple[GeneralColumns, CountFits] | None,
        threads: int | None,
    ) -> GeneralEnds:
        """Search; from other fits, and afresh where that did not end at a maximum."""
        ends = self._search(which, data, skip, like, threads)
        lost = ~skip & ~(ends.promise <= DECREASE)
        return (
            higher(ends, self._search(which, data, ~lost, None, threads))
            if like is not None and lost.any()
            else ends
        )

    def _search(
        self,
        which: GeneralColumns,
        data: Data,
        skip: NDArray[np.bool_],
        like: tuple[GeneralColumns, CountFits] | None,
        threads: int | None,
    ) -> GeneralEnds:
        genes, r, effects = len(data.begin) - 1, which.q.shape[1], len(which.model.slot)

        def empty(*shape: int) -> Floats:
            return np.full((genes, *shape), np.nan)

        if like is None:
            starts = GeneralStarts(empty(r), empty(self.thetas), empty(), empty(effects))
        else:
            other, ends = like[0], like[1].ends
            starts = GeneralStarts(which.of(other, ends.coefficients), ends.theta, ends.kappa, ends.modes)
        ends = GeneralEnds(
            empty(), empty(), np.zeros(genes, np.int64), empty(r), empty(r, r), empty(self.thetas), empty(), empty(effects)
        )  # fmt: skip
        spread(fit_some_general, genes, threads, which.model, which.points, data, skip, starts, ends)
        return ends

    def factors(self, ends: Any) -> tuple[Floats, ...]:
        """From the thetas of the fitted basis to the scale of the formula; NaN where there is no fit."""
        known = np.isfinite(ends.theta).all(axis=1)
        out = []
        for part in self.frame.basis.factors(np.where(known[:, None], ends.theta, 0.0)):
            part[~known] = np.nan
            out.append(part)
        return tuple(out)

    def modes(self, ends: Any) -> tuple[Floats, ...]:
        """Λû of each level, on the scale of the formula."""
        fitted = [np.zeros((len(ends.theta), len(turn), len(turn))) for turn in self.frame.basis.turn]
        for t, (f, row, column) in enumerate(self.frame.basis.theta):
            fitted[f][:, row, column] = ends.theta[:, t]
        out = []
        for f, (factor, turn) in enumerate(zip(self.design.random, self.frame.basis.turn, strict=True)):
            u = ends.modes[:, self.frame.level[f]].reshape(len(ends.modes), len(factor.levels), -1)
            b = np.sum(fitted[f][:, None] * u[:, :, None, :], axis=3)
            back = np.linalg.inv(turn)
            out.append(np.stack([np.sum(b * row, axis=2) for row in back], axis=2))
        return tuple(out)

    @property
    def thetas(self) -> int:
        """Elements of the Λ that may differ from 0."""
        return len(self.frame.basis.theta)


def general_model(design: Design, family: str, number: int, offset: Floats) -> GeneralModel:
    """Build what is free of the counts; `number` is the family's in `laplace`."""
    found = frame(design, number, offset)
    full = columns(design, found, np.eye(design.x.shape[1]))
    return GeneralModel(design, family, found.cells, full, found)
