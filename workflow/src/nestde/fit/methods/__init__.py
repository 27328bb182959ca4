"""Every way to a p-value, a file each. A new one is a file here and a line in the list."""

import difflib
from collections.abc import Callable, Mapping

from nestde.errors import NestdeError
from nestde.fit.methods import counted, hurdle, lrt, means, moderated
from nestde.fit.methods.f_tests import CONTAINMENT, KENWARD_ROGER, SATTERTHWAITE
from nestde.fit.methods.method import Method, Tested

__all__ = [
    "AUTO",
    "METHODS",
    "Method",
    "Tested",
    "again",
    "instead",
    "method",
    "names",
    "of_engine",
    "of_table",
]

# In the order of the tables' columns.
METHODS: list[Method] = [
    moderated.METHOD,
    lrt.METHOD,
    SATTERTHWAITE,
    KENWARD_ROGER,
    CONTAINMENT,
    means.METHOD,
    counted.MODERATED,
    counted.LRT,
    counted.LRT_F,
    counted.LRT_BARTLETT,
    *hurdle.METHODS,
]


# What `auto` takes: the first of these that a cell type has.
AUTO = "auto"
PREFERRED = ("moderated", "means", "satterthwaite", "lrt_f")


def names() -> list[str]:
    """What `inference.p_value` can be; which of them a model has depends on its family too."""
    return [AUTO, *dict.fromkeys(each.name for each in METHODS)]


def of_engine(engine: str) -> list[Method]:
    """Those of the fits of an engine, in the order of the tables' columns."""
    return [each for each in METHODS if engine in each.engines]


def of_table(engine: str, headline: Method | None = None) -> list[Method]:
    """Those that a table has: of what is on request only the headline."""
    return [each for each in of_engine(engine) if not each.on_request or each is headline]


def method(name: str, engine: str, there: Callable[[str], bool] = lambda name: True) -> Method:
    """Find a method of an engine by its name; for `auto` the first of those preferred that is there.

    Raises
    ------
    NestdeError
        There is none of that name.
    """
    own = {each.name: each for each in of_engine(engine)}
    if name == AUTO:
        preferred = [known for known in PREFERRED if known in own]
        return own[next(filter(there, preferred), (preferred or list(own))[0])]
    if name in own:
        return own[name]
    near = difflib.get_close_matches(name, [AUTO, *own], n=1)
    hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join([AUTO, *own])}."
    whose = "this model family" if name in names() else "nestde"
    raise NestdeError(f"p_value: {name} is no p-value of {whose}. {hint}")


def again(headline: str, engine: str) -> str:
    """Name of the p-value that is computed anew for each relabelling: the headline, or ``auto`` where that takes too long."""
    return AUTO if method(headline, engine).on_request else headline


def instead(taken: str, engine: str, reasons: Mapping[str, str]) -> str:
    """Say why `auto` took one method and not those that it prefers; '' if it took the first, or nothing is known of why.

    `reasons` has for each method that a cell type lacks why it does.
    """
    if taken not in PREFERRED:
        return ""
    labels = {each.name: each.label for each in of_engine(engine)}
    lacking = [name for name in PREFERRED[: PREFERRED.index(taken)] if name in reasons]
    why = "; ".join(f"there is no {labels[name]} p-value: {reasons[name]}" for name in lacking)
    return f"the headline is by {labels[taken]}, as {why}" if why else ""
