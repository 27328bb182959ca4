"""A tested term beside its interactions: its coefficient is the effect where the other variables are at reference or 0."""

from dataclasses import dataclass

import numpy as np

from nestde.arrays import Floats
from nestde.check.study import Study
from nestde.check.terms import fixed_terms
from nestde.design.design import Design
from nestde.design.formula import parse

# A number whose mean is nearer to 0 than this share of its standard deviation is centred.
CENTRED = 0.1


@dataclass(frozen=True)
class Condition:
    """Where a term is tested, as another variable of one of its interactions is there.

    Attributes
    ----------
    term
        The tested term.
    other
        What it interacts with, a factor or a number of the formula.
    level
        The reference level of a factor; None for a number, which is then 0.
    low, high
        The least and the largest value of the number.
    interactions
        Terms of the formula that have `term` and more, and are not tested with it.
    """

    term: str
    other: str
    level: str | None
    low: float
    high: float
    interactions: tuple[str, ...]

    def __str__(self) -> str:
        """``in sex F``, ``at age 0``."""
        return f"at {self.other} 0" if self.level is None else f"in {self.other} {self.level}"


def conditions(study: Study, design: Design, test: str) -> list[Condition]:
    """Where alone a test says something; nothing for a term whose interactions are tested with it.

    Numbers that are centred do not count: the effect at their mean is what is wanted. Nor do factors that are coded in
    another way than by treatment, C(x, …).
    """
    if test in design.contrasts:  # which says where
        return []
    terms = {factors: term for term, factors in fixed_terms(study.formula).items() if term != "1"}
    tested = set(fixed_terms(parse(f"~ 0 + {test}")).values())
    found = []
    for factors in (factors for factors in terms if factors in tested):
        larger = [other for other in terms if set(other) > set(factors) and other not in tested]
        interactions = tuple(terms[other] for other in larger)
        for name in dict.fromkeys(part for other in larger for part in other if part not in factors):
            if name in design.levels:
                if "," not in name:
                    level = design.levels[name][0]
                    found.append(Condition(terms[factors], name, level, 0.0, 0.0, interactions))
                continue
            values = _values(study, design, name)
            if values is not None and abs(values.mean()) > CENTRED * values.std():
                low, high = float(values.min()), float(values.max())
                found.append(Condition(terms[factors], name, None, low, high, interactions))
    return found


def _values(study: Study, design: Design, name: str) -> Floats | None:
    """Values of a number of the formula, None if they are not known."""
    if name in design.terms:
        return np.asarray(design.x[:, design.terms[name][0]])
    variable = study.variables.get(name)
    return None if variable is None or variable.factor else variable.values.to_numpy(float)
