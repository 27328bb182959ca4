"""What of a model varies between the cells of a sample: all that sums over cells need to know of its formula.

Terms of samples (diagnosis, sex, batch) are constant in a sample, whatever they are. So the sums that a formula needs are named by
its columns of single cells alone: ``~ age + diagnosis * pct_counts_mt + (1 | donor/sample_id)`` needs those of ``pct_counts_mt``
over samples, and so does every other formula with that one.
"""

import itertools
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.design.columns import grouping, materialise, prepare
from nestde.design.expressions import quoted
from nestde.design.formula import parse
from nestde.design.terms import Term, variables

if TYPE_CHECKING:
    import pandas as pd

SAMPLE = "sample_id"


@dataclass(frozen=True)
class Cellwise:
    """The parts of a formula that vary within samples.

    Attributes
    ----------
    terms
        Products of transforms of columns of single cells, with all products of fewer of these; sorted.
    groups
        Columns of single cells by which random effects group; sorted.
    levels
        Of such columns, where the configuration names them.
    of_samples
        Columns of samples that `terms` read, as ``I(age * pct_counts_mt)`` does; sorted.
    """

    terms: tuple[str, ...]
    groups: tuple[str, ...]
    levels: dict[str, tuple[str, ...]]
    of_samples: tuple[str, ...]

    @classmethod
    def of(cls, formula: str, levels: Mapping[str, Sequence[object]], of_samples: Collection[str]) -> Self:
        """Those of a formula, where the columns `of_samples` are known to be constant in samples."""
        parsed, constant = parse(formula), {SAMPLE, *of_samples}
        terms: dict[str, None] = {}
        for term in parsed.terms():
            own = sorted((factor for factor in term.factors if variables(factor) - constant), key=str)
            for number in range(1, len(own) + 1):
                terms |= {str(Term(some)): None for some in itertools.combinations(own, number)}
        read = {name for term in terms for name in parse(f"~ {term}").variables}
        groups = {name for term in parsed.random for name in term.factors} - constant
        return cls(
            tuple(sorted(terms)),
            tuple(sorted(groups)),
            {name: tuple(map(str, levels[name])) for name in sorted((read | groups) & set(levels))},
            tuple(sorted(read & constant)),
        )

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what `text` gave."""
        told = json.loads(text)
        levels = {name: tuple(order) for name, order in told.pop("levels").items()}
        return cls(**{name: tuple(value) for name, value in told.items()}, levels=levels)

    def text(self) -> str:
        """All of it as JSON: equal parts give equal text."""
        return json.dumps(asdict(self), sort_keys=True)

    def of_cells(self, frame: "pd.DataFrame") -> tuple[NDArray[np.int64], Floats]:
        """Leaves of n cells, and columns of which some combination varies within them.

        A leaf is a set of cells of one sample that agree in all that groups them.

        Parameters
        ----------
        frame
            Covariates of the cells, ``sample_id`` among them.

        Returns
        -------
        code
            (n,) leaf of each cell, from 0.
        u
            (n, c) columns.

        Raises
        ------
        NestdeError
            As `build_design`: no formula with these parts has a design on these cells.
        """
        asked = parse(f"~ {' + '.join(self.terms) or '1'} + (1 | {SAMPLE})")
        levels = {name: self.levels[name] for name in asked.variables if name in self.levels}
        prepared, _ = prepare(asked, frame, levels)
        matrix, _, _ = materialise(asked.fixed, prepared)
        grouped = parse("~ 1" + "".join(f" + (1 | {quoted(name)})" for name in (SAMPLE, *self.groups)))
        by, _ = prepare(grouped, frame, {})
        return combined([grouping(by[name]).codes for name in by]), matrix.to_numpy(float)


def combined(factors: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """(n,) numbers, from 0, of the combinations of some groupings of n rows, sorted by the first of them."""
    code, *others = (np.asarray(codes, np.int64) for codes in factors)
    for other in [np.zeros_like(code), *others]:
        code = np.unique(code * (other.max(initial=0) + 1) + other, return_inverse=True)[1].reshape(-1)
    return code
