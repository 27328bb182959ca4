"""What is to be tested of a table of cells, and the levels of its factors, as far as nobody said them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nestde.cells.roles import Reference, references, tested_in
from nestde.design.formula import Formula
from nestde.design.named import NamedContrast, named_contrast
from nestde.design.tests import random_test
from nestde.errors import Faults
from nestde.io.source import label

if TYPE_CHECKING:
    import pandas as pd


def levels_to_test(
    obs: "pd.DataFrame",
    formula: Formula,
    tests: Sequence[str],
    levels: Mapping[str, Sequence[object]],
    faults: Faults,
) -> tuple[list[str], dict[str, list[str]], list[Reference]]:
    """Read the tests; note those that are none.

    Parameters
    ----------
    obs
        One row per cell.
    formula
        The model's.
    tests
        Terms and named contrasts.
    levels
        Factor -> its levels as given, reference first.

    Returns
    -------
    tests
        Those that can be read.
    levels
        As given; and those that a guess turned round, or that a contrast calls by their name alone.
    references
        Of the factors that are compared.
    """
    fixed = []
    given = {name: [label(level) for level in order] for name, order in levels.items()}
    known = references(obs, tested_in([formula.fixed]), given)
    orders = {reference.factor: list(reference.levels) for reference in known}
    contrasts: dict[str, NamedContrast] = {}
    for test in tests:
        with faults.noting("test: "):
            named = named_contrast(test, formula, orders)
            if named is not None:
                contrasts[test] = named
            if named is not None or not random_test(formula, test, faults):
                fixed.append(test)
    about = tested_in(contrasts[test].about if test in contrasts else test for test in fixed)
    found = references(obs, about, given)
    compared = {name for one in contrasts.values() for point in one.weights for name, _ in point}
    turned = {reference.factor for reference in found if reference.turned}
    chosen = {name: order for name, order in orders.items() if name in compared | turned}
    return fixed, chosen | given, found
