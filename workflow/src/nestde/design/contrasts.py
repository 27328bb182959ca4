"""What is tested of a term: its coefficients one by one, level against level, and all together."""

from dataclasses import dataclass

import numpy as np

from nestde.arrays import Floats
from nestde.design.design import Design
from nestde.design.terms import terms_of


@dataclass(frozen=True)
class Contrast:
    """Linear combinations of the coefficients.

    Attributes
    ----------
    term
        Tested term or named contrast, as in `Design.tests`.
    level, against
        For a factor the two levels that are compared (positive = higher in `level`), else the coefficient's
        name and ''; both '' for all columns of the term together.
    rows
        (rows, p) for the columns of X.
    """

    term: str
    level: str
    against: str
    rows: Floats


def contrasts(design: Design, term: str) -> list[Contrast]:
    """One-row contrasts of what is tested: every level of a factor against each before it, else each column; a named one itself.

    Parameters
    ----------
    design
        With `term` among its tests.
    term
        Of `design.tests`. The levels of a factor are compared when it is coded by treatment or without an
        intercept; where it takes part in an interaction, that is at the zero or reference of the others.
    """
    if term in design.contrasts:
        compared = design.contrasts[term]
        return [Contrast(term, compared.level, compared.against, design.tested(term))]
    unit = np.eye(len(design.coef_names))
    columns = design.tests[term]
    name = ":".join(str(found) for found in terms_of(f"0 + {term}"))
    levels = design.levels.get(name, ())
    of_level = {
        level: unit[j] for j in columns for level in levels if design.coef_names[j] == f"{name}[{level}]"
    }
    if len(of_level) == len(columns) and len(levels) - len(columns) in (0, 1):
        rows = [of_level.get(level, np.zeros(len(unit))) for level in levels]
        return [
            Contrast(term, levels[i], levels[j], (rows[i] - rows[j])[None])
            for j in range(len(levels))
            for i in range(j + 1, len(levels))
        ]
    return [Contrast(term, design.coef_names[j], "", unit[[j]]) for j in columns]


def joint(design: Design, term: str) -> Contrast:
    """All that is tested of a term at once, for its F test."""
    return Contrast(term, "", "", design.tested(term))
