"""Every way to a p-value, a file each. A new one is a file here and a line in the list."""

import difflib
from collections.abc import Callable

from nestde.errors import NestdeError
from nestde.fit.methods import lrt, means, moderated
from nestde.fit.methods.f_tests import CONTAINMENT, KENWARD_ROGER, SATTERTHWAITE
from nestde.fit.methods.method import Fitted, Method, Tested

__all__ = ["AUTO", "METHODS", "Fitted", "Method", "Tested", "method", "names"]

# In the order of the tables' columns.
METHODS: list[Method] = [
    moderated.METHOD,
    lrt.METHOD,
    SATTERTHWAITE,
    KENWARD_ROGER,
    CONTAINMENT,
    means.METHOD,
]


# What `auto` takes: the first of these that a cell type has.
AUTO = "auto"
PREFERRED = (moderated.METHOD, means.METHOD, SATTERTHWAITE)


def names() -> list[str]:
    """What `inference.p_value` can be."""
    return [AUTO, *(each.name for each in METHODS)]


def method(name: str, there: Callable[[str], bool] = lambda name: True) -> Method:
    """Find a method by its name; for `auto` the first of those preferred that is there.

    Raises
    ------
    NestdeError
        There is none of that name.
    """
    if name == AUTO:
        return next((each for each in PREFERRED if there(each.name)), PREFERRED[0])
    for each in METHODS:
        if each.name == name:
            return each
    near = difflib.get_close_matches(name, names(), n=1)
    hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(names())}."
    raise NestdeError(f"p_value: {name} is no p-value of nestde. {hint}")
