"""Every model family, a file each. A new one is a file here and a line in the list."""

import difflib

from nestde.errors import NestdeError
from nestde.fit.family import bernoulli, gaussian, hurdle, negative_binomial, poisson
from nestde.fit.family.family import Alike, Component, CrossReference, Family, Fitted, Scale, Statistics

__all__ = [
    "FAMILIES",
    "Alike",
    "Component",
    "CrossReference",
    "Family",
    "Fitted",
    "Scale",
    "Statistics",
    "family",
    "names",
]

FAMILIES: list[Family] = [
    gaussian.FAMILY,
    negative_binomial.FAMILY,
    poisson.FAMILY,
    bernoulli.FAMILY,
    hurdle.FAMILY,
]


def names() -> list[str]:
    """What `model.family` can be."""
    return [each.name for each in FAMILIES]


def family(name: str) -> Family:
    """Find a family by its name.

    Raises
    ------
    NestdeError
        There is none of that name.
    """
    for each in FAMILIES:
        if each.name == name:
            return each
    near = difflib.get_close_matches(name, names(), n=1)
    hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(names())}."
    raise NestdeError(f"family: {name} is no model family of nestde. {hint}")
