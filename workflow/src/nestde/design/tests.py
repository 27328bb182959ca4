"""What is tested of a formula: terms and named contrasts, on the columns of its matrix."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nestde.arrays import Floats
from nestde.design.compared import Compared, compare
from nestde.design.formula import Formula, parse
from nestde.design.named import is_named, named_contrast
from nestde.design.terms import Term, terms_of
from nestde.errors import Faults, a_few
from nestde.io.source import label

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Matrix:
    """What the fixed part of a formula gave: prepared columns of the data, (n, p) x, and the columns of each term."""

    prepared: "pd.DataFrame"
    x: Floats
    indices: Mapping[Term, Sequence[int]]


@dataclass(frozen=True)
class WhatIsTested:
    """What `Design.tests`, `Design.contrasts` and `Design.untested` are."""

    columns: dict[str, tuple[int, ...]]
    contrasts: dict[str, Compared]
    reasons: dict[str, str]


def random_test(formula: Formula, expression: str, faults: Faults) -> bool:
    """Note what is given as a test but is a random term, ``(1 | g)``; True if it is one."""
    if is_named(expression, formula) or not parse(f"~ {expression}").random:
        return False
    known = sorted({str(term) for term in terms_of(formula.fixed)} - {"1"})
    named = a_few(known, 12) or "none here"
    faults.add(f"test: {expression} is a random term; name a fixed term, such as {named}.")
    return True


def what_is_tested(
    formula: Formula,
    test: Sequence[str],
    of_terms: Matrix,
    levels: Mapping[str, Sequence[object]],
    faults: Faults,
) -> WhatIsTested:
    """Find the columns of everything that is to be tested; note what is neither a term of the formula nor a contrast."""
    known = {
        str(name): list(column.cat.categories)
        for name, column in of_terms.prepared.items()
        if column.dtype == "category"
    }
    known |= {name: [label(level) for level in order] for name, order in levels.items()}
    found = WhatIsTested({}, {}, {})
    for expression in test:
        with faults.noting("test: "):
            named = named_contrast(expression, formula, known)
            if named is None:
                columns = _columns(formula, expression, of_terms.indices, faults)
                _check_means(formula, of_terms.x, expression, columns, faults)
                found.columns[expression] = columns
                continue
            compared = compare(named, of_terms.prepared, of_terms.x, of_terms.indices)
            if isinstance(compared, str):
                found.reasons[expression] = compared
                continue
            found.contrasts[expression] = compared
            found.columns[expression] = tuple(c for term in named.terms for c in of_terms.indices[term])
    return found


def _columns(
    formula: Formula, expression: str, indices: Mapping[Term, Sequence[int]], faults: Faults
) -> tuple[int, ...]:
    """Columns of a tested expression, all of whose terms must be terms of the formula."""
    known = [str(term) for term in indices]
    if random_test(formula, expression, faults):
        return ()
    columns: list[int] = []
    for term in terms_of(f"0 + {expression}"):
        if term in indices:
            columns += indices[term]
            continue
        near = difflib.get_close_matches(str(term), known, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Its terms are {a_few(known, 12)}."
        faults.add(f'test: {term} is not a fixed term of "{formula.text}". {hint}')
    return tuple(columns)


def _check_means(
    formula: Formula, x: Floats, expression: str, columns: Sequence[int], faults: Faults
) -> None:
    """Without an intercept, a factor may take its place: to leave that factor out is to test no difference.

    It does if a constant is a combination of all columns, but not of those that are left.
    """
    if Term() in terms_of(formula.fixed):
        return

    def constant(columns: Floats) -> bool:
        weights = np.linalg.lstsq(columns, np.ones(len(x)), rcond=None)[0]
        return bool(np.abs(columns @ weights - 1).max() < 1e-6)

    if constant(x) and not constant(np.delete(x, list(columns), axis=1)):
        faults.add(
            f'formula: "{formula.text}" has no intercept: leaving out {expression} would test that its means are '
            f"zero, not that they are equal. Write {formula.with_intercept()}."
        )
