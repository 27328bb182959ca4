"""Named contrasts: what is tested besides terms, such as ``AD - Control`` or ``(AD + MCI)/2 - Control | sex = F``.

Arithmetic is limma's (``makeContrasts``): levels of factors are added, subtracted, multiplied and divided by numbers. The bar
is that of emmeans: what stands right of it says where, as an interaction is in the formula. Nothing of the data is read here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from nestde.design.expressions import parse, quoted
from nestde.design.formula import Formula
from nestde.design.reading import Point, Reader, Weights
from nestde.design.terms import Term, terms_of
from nestde.errors import NestdeError
from nestde.words import both

_FEW = 3  # levels that an example names


@dataclass(frozen=True)
class NamedContrast:
    """A difference between means of the model, by name.

    Attributes
    ----------
    text
        As it was written.
    level, against
        What is compared with what, positive = higher in `level`: where single levels are, their labels; `text` and ''
        where it is no difference of two things.
    weights
        Point -> its weight, none of them 0; they add up to 0.
    terms
        Fixed terms of the formula that it is about.
    """

    text: str
    level: str
    against: str
    weights: Mapping[Point, Fraction]
    terms: tuple[Term, ...]

    @property
    def about(self) -> str:
        """Its terms, as a formula adds them."""
        return " + ".join(map(str, self.terms))

    @property
    def of_levels(self) -> dict[tuple[str, str], float]:
        """(Factor, level) -> weight, where each point is one level; empty where there are conditions."""
        if any(len(point) != 1 for point in self.weights):
            return {}
        return {point[0]: float(weight) for point, weight in self.weights.items()}


def is_named(test: str, formula: Formula) -> bool:
    """Whether a test is meant as a contrast: it is no sum of terms of the formula, and has a minus, a bar or a level in brackets."""
    try:
        names = {node.value for node in parse(test).walk() if node.kind == "name"}
        found = set(terms_of(f"0 + {test}"))
        if found and found <= set(terms_of(formula.fixed)) and names <= set(formula.variables):
            return False
    except NestdeError:
        pass
    plain = re.sub(r"`[^`]*`|\"[^\"]*\"|'[^']*'|\[(?:`[^`]*`|[^\]`])*\]", lambda found: found[0][0], test)
    if re.search(r"[\w.]\s*\(", re.sub(r"[-+*/|(]\s*\(", "", plain)):
        return False  # a call: a term with arithmetic in it
    return "-" in plain or "[" in plain or re.search(r"\|[^=]*=", plain) is not None


def named_contrast(test: str, formula: Formula, levels: Mapping[str, Sequence[str]]) -> NamedContrast | None:
    """Read a contrast; None if the test is meant as a term (see `is_named`).

    Parameters
    ----------
    test
        The text.
    formula
        The model's.
    levels
        Factor -> its levels, as far as they are known: a level that stands without its factor is one of these.

    Raises
    ------
    NestdeError
        It cannot be read, is of levels that are none, or of several factors; or is no difference that the formula has.
    """
    if not is_named(test, formula):
        return None
    variables = sorted({name for term in terms_of(formula.fixed) for name in term.variables})
    known = {name: tuple(map(str, levels[name])) for name in variables if name in levels}
    reader = Reader(test, variables, known)
    found = {point: weight for point, weight in reader.whole().items() if weight}
    if sum(found.values()):
        raise NestdeError(
            f"{test}: its weights add up to {_number(sum(found.values()))}, so it is no difference but holds a mean. They add up "
            f"to 0 in a contrast, as in {_difference(found)}."
        )
    if not found:
        raise NestdeError(f"{test}: compares nothing: its levels cancel each other.")
    return NamedContrast(test, *reader.sides, found, _terms(test, formula, found, known))


def _difference(found: Weights) -> str:
    """An example with these levels."""
    labels = [quoted(point[0][1]) for point in found if point]
    return f"{labels[0]} - {labels[1] if len(labels) > 1 else 'Control'}" if labels else "AD - Control"


def _terms(
    test: str, formula: Formula, weights: Weights, levels: Mapping[str, Sequence[str]]
) -> tuple[Term, ...]:
    """Terms in which the points do not cancel each other; each has to know where it is looked at."""
    about = []
    for term in terms_of(formula.fixed):
        net: Weights = {}
        for point, weight in weights.items():
            part = tuple(pair for pair in point if pair[0] in term.variables)
            net[part] = net.get(part, Fraction(0)) + weight
        left = [part for part, weight in net.items() if weight]
        missing = sorted({name for part in left for name in set(term.variables) - {one for one, _ in part}})
        if missing:
            raise NestdeError(
                f"{test}: with {term} in the formula it differs by {both(missing)}. Say where, as in {_placed(test, missing, levels)}."
            )
        if left:
            about.append(term)
    if not about:
        raise NestdeError(
            f'{test}: nothing in the fixed part of "{formula.text}" differs between its levels.'
        )
    return tuple(about)


def _placed(test: str, missing: Sequence[str], levels: Mapping[str, Sequence[str]]) -> str:
    """How a contrast says where; and how it is averaged over the levels of a factor."""
    inner = test if "|" not in test else "…"
    first = [f"{quoted(name)}={quoted(levels[name][0]) if levels.get(name) else '…'}" for name in missing]
    example = f"{inner} | {', '.join(first)}"
    every = levels.get(missing[0], ())
    if len(missing) > 1 or not 2 <= len(every) <= _FEW:
        return example
    parts = [f"({inner} | {quoted(missing[0])}={quoted(level)})/{len(every)}" for level in every]
    return f"{example}, or average, as in {' + '.join(parts)}"


def _number(value: Fraction | int) -> str:
    return f"{float(value):.6g}"
