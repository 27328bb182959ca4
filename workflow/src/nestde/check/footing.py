"""What the tests of one cell type stand on: its cells and samples by level, and the replicates of each test."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.check.found import Footing
from nestde.check.replicates import Replicates, lrt_size
from nestde.design.design import Design, RandomFactor
from nestde.fit.containment import containment
from nestde.study.config import Model

if TYPE_CHECKING:
    import pandas as pd


# Of a column's size, what a multiple of another within each group leaves below this share is rounding.
_ROUNDING = 1e-8


def cells_of(obs: "pd.DataFrame", model: Model) -> dict[str, Any]:
    """Count cells by sample, and by level of each tested factor and sample.

    Parameters
    ----------
    obs
        Cells that were tested: ``sample_id`` and covariates.

    Returns
    -------
    dict
        ``cells_per_sample``: sample -> cells; ``levels_of``: factor -> level, reference first -> sample -> cells. A factor
        that varies within samples has a sample in several of its levels.
    """
    from nestde.cells.roles import references, tested_in

    samples = obs["sample_id"].astype(str)
    of: dict[str, dict[str, dict[str, int]]] = {}
    for reference in references(obs, tested_in(model.compared), model.levels):
        labels = _labels(obs[reference.factor])
        of[reference.factor] = {
            level: _counts(samples[(labels == level).to_numpy()]) for level in reference.levels
        }
    return {"cells_per_sample": _counts(samples), "levels_of": of}


def footings(design: Design) -> list[Footing]:
    """What each test of a design stands on."""
    found = []
    for term in design.tests:
        replicates = replicates_of(design, term)
        size = (
            lrt_size(replicates.dimension, replicates.df, replicates.columns) if replicates.unit else np.nan
        )
        found.append(
            Footing(**asdict(replicates), term=term, lrt_size=None if np.isnan(size) else round(size, 5))
        )
    return found


def replicates_of(design: Design, term: str) -> Replicates:
    """Find the stratum in which a term is tested, from the design alone.

    It is that of the coarsest factor whose random slopes the term's columns are, each a multiple of one within every
    group; else of the coarsest within whose groups they are constant; else the cells.
    """
    columns = list(design.tests[term])
    coarsest = sorted(design.random, key=lambda factor: len(factor.levels))
    for slopes in (True, False):
        for factor in coarsest:
            effects = [i for i, name in enumerate(factor.effects) if (name != "(Intercept)") == slopes]
            along = [_multiples(design.x, factor, effect) for effect in effects]
            if not all(any(fits[column] for _, fits in along) for column in columns):
                continue
            multiples, fits = next(pair for pair in along if pair[1][columns[0]])
            between = multiples[:, fits]
            coarser = np.zeros((len(between), 0))
            for other in [] if slopes else coarsest[: coarsest.index(factor)]:
                if factor.nested_in(other):
                    first = np.unique(factor.codes, return_index=True)[1]
                    coarser = np.hstack([coarser, np.eye(len(other.levels))[other.codes[first]]])
            groups = len(factor.levels)
            return Replicates(
                factor.name,
                groups,
                groups - _rank(coarser),
                groups - _rank(np.hstack([coarser, between])),
                len(design.tested(term)),
            )
    df = int(containment(design)[columns].min())
    return Replicates(
        "",
        design.n,
        design.n - max((len(f.levels) for f in coarsest), default=0),
        df,
        len(design.tested(term)),
    )


def _multiples(x: Floats, factor: RandomFactor, effect: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Of each column of x its multiple of an effect in each group, (groups, p), and whether it is nothing but that, (p,)."""
    z, groups = factor.z[:, effect], len(factor.levels)
    square = np.bincount(factor.codes, z * z, groups)
    weight = np.where(square > 0, square, 1.0)
    multiples = np.stack([np.bincount(factor.codes, z * column, groups) / weight for column in x.T], axis=1)
    rest = np.abs(x - z[:, None] * multiples[factor.codes]).max(axis=0)
    return multiples, rest <= _ROUNDING * np.abs(x).max(axis=0)


def _rank(matrix: Floats) -> int:
    return int(np.linalg.matrix_rank(matrix)) if matrix.shape[1] else 0


def _labels(column: "pd.Series[Any]") -> "pd.Series[str]":
    from nestde.io.source import label

    return column.astype(object).map(label, na_action="ignore")


def _counts(samples: "pd.Series[str]") -> dict[str, int]:
    return {str(sample): int(number) for sample, number in samples.value_counts().sort_index().items()}
