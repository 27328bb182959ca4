"""Two samples are the least of each kind that a test compares: the one rule of the check, of each cell type's design and of `de`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.design.expressions import Node
from nestde.design.formula import Formula
from nestde.design.terms import terms_of, variables
from nestde.io.source import label

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Lone:
    """The only sample of a level, or of a combination of levels, without which a term cannot be estimated.

    Attributes
    ----------
    test
        The tested term.
    names, levels
        The covariates and what they are in that sample: ``("diagnosis",)``, ``("AD",)``.
    row
        A row of that sample.
    """

    test: str
    names: tuple[str, ...]
    levels: tuple[str, ...]
    row: int

    def __str__(self) -> str:
        """``diagnosis AD``, ``diagnosis AD with sex F``."""
        return " with ".join(f"{name} {level}" for name, level in zip(self.names, self.levels, strict=True))


def lone_samples(
    formula: Formula,
    tests: Collection[str],
    x: Floats,
    terms: Mapping[str, Sequence[int]],
    coded: Collection[str],
    frame: "pd.DataFrame",
    sample: NDArray[np.int64],
) -> list[Lone]:
    """Find samples that are alone of their kind in what is tested between samples.

    The kinds are the levels of a tested factor and, where it interacts with others, their combinations, however they are
    coded: as text, in ``C()``, as numbers of which there are two. A number with more values has no kinds, but a slope.

    Parameters
    ----------
    formula
        The model's.
    tests
        Tested expressions.
    x
        (n, p) fixed-effects matrix, of any rank.
    terms
        Fixed term as a formula writes it -> its columns of `x`.
    coded
        What is a factor among the factors of terms: ``diagnosis``, ``C(batch)``.
    frame
        (n rows) the covariates.
    sample
        (n,) sample of each row.
    """
    factors = _factors(formula.fixed)
    _, first, of_row = np.unique(sample, return_index=True, return_inverse=True)
    constant = (x == x[first][of_row]).all(axis=0)
    found: dict[tuple[int, tuple[str, ...]], Lone] = {}
    for test in tests:
        for term in _factors(f"0 + {test}").values():
            if term not in factors.values():
                continue
            kinds = term.union(*(other for other in factors.values() if other >= term))
            chosen = {name: part for name, part in factors.items() if part <= kinds and name in terms}
            columns = {
                column: part
                for name, part in chosen.items()
                for column in terms[name]
                if constant[column]
                and (set(map(str, part)) <= set(coded) or len(np.unique(x[first, column])) <= 2)
            }
            between = np.column_stack([np.ones(len(first)), x[first][:, list(columns)]])
            tested = [i for i, part in enumerate(columns.values(), start=1) if part and part <= term]
            for place in _needed(between, tested):
                row = int(first[place])
                names = _names(kinds, frame, of_row, first)
                levels = tuple(label(frame[name].iloc[row]) for name in names)
                found.setdefault((row, names), Lone(test, names, levels, row))
    return list(found.values())


def _factors(expression: str) -> dict[str, frozenset[Node]]:
    """Term as a formula writes it -> its factors."""
    return {str(term): frozenset(term.factors) for term in terms_of(expression)}


def _needed(between: Floats, tested: Sequence[int]) -> list[int]:
    """Rows that are like no other, without which the coefficient of a tested column cannot be estimated."""
    _, of_kind, number = np.unique(between, axis=0, return_inverse=True, return_counts=True)
    alone = np.flatnonzero(number[of_kind.ravel()] == 1)
    can = [column for column in tested if _estimable(between, column)]
    return [
        int(row)
        for row in alone
        if any(not _estimable(np.delete(between, row, axis=0), column) for column in can)
    ]


def _estimable(x: Floats, column: int) -> bool:
    """Whether a column is no combination of the others."""
    return bool(np.linalg.matrix_rank(x) > np.linalg.matrix_rank(np.delete(x, column, axis=1)))


def _names(
    kinds: Collection[Node], frame: "pd.DataFrame", of_row: NDArray[np.int64], first: NDArray[np.int64]
) -> tuple[str, ...]:
    """Covariates of some factors that are constant within samples, sorted."""
    import pandas as pd

    def between(values: "pd.Series[Any]") -> bool:
        codes, _ = pd.factorize(values)
        return bool((codes == codes[first][of_row]).all())

    names = sorted({name for factor in kinds for name in variables(factor)})
    return tuple(name for name in names if between(frame[name]))
