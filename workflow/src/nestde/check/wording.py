"""Small words: lists, plurals, nearest names."""

import difflib
from collections.abc import Iterable

from nestde.check.found import TermTest, Warned
from nestde.check.replicates import ICC
from nestde.design.formula import Formula, variables_of
from nestde.errors import a_few
from nestde.words import are as are
from nestde.words import both as both
from nestde.words import count as count
from nestde.words import several as several


def nearest(name: str, known: Iterable[object], otherwise: str, cutoff: float = 0.6) -> str:
    """Ask whether a name near to `name` was meant; where there is none, say what there is."""
    names = sorted({str(item) for item in known})
    folded = {item.casefold(): item for item in reversed(names)}
    near = difflib.get_close_matches(name.casefold(), folded, n=2, cutoff=cutoff)
    if near:
        return f"Did you mean {' or '.join(folded[item] for item in near)}?"
    return f"{otherwise} {a_few(names, 8)}." if names else f"{otherwise} none."


def number(value: float) -> str:
    """A number as people write it: 70, 7.25, 1,200,000, 1e20."""
    if float(value).is_integer() and abs(value) < 2**53:
        return f"{value:,.0f}"
    return f"{value:.4g}".replace("e+", "e")


def several_groups(name: str) -> str:
    """The groups of a factor: ``sample_id`` is spoken of as samples."""
    return "samples" if name == "sample_id" else f"groups of {name}"


def one_group(name: str) -> str:
    """One of `several_groups`."""
    return "sample" if name == "sample_id" else f"group of {name}"


def containment_of_slopes(formula: Formula, tests: Iterable[str]) -> list[Warned]:
    """Warn of each test whose containment degrees of freedom are too many: a random slope is in it."""
    found = []
    for test in tests:
        slopes = formula.slopes_in(test)
        if slopes:
            groups = [term.group for term in formula.random if set(slopes) & set(variables_of(term.effects))]
            found.append(
                Warned(
                    "containment_of_slopes",
                    f"Containment counts cells for {test}",
                    f"inference.p_value is containment, and {both(slopes)} has a random slope: it differs between "
                    f"{several_groups(groups[0])}, but as {both(slopes)} varies within them, containment takes its degrees of "
                    f"freedom from the rows. The p-values of {test} are too small. Write kenward_roger or satterthwaite.",
                )
            )
    return found


def stands_on(term: str, unit: str, groups: int, df: int, cells: int) -> str:
    """Say between what a term is tested, how many there are, and what is left of them."""
    if not unit:
        return f"{term} varies within all groups and is tested against the scatter of {cells:,} cells: {df:,} degrees of freedom."
    taken = groups - df
    return (
        f"{term} is tested between {groups} {several_groups(unit)}, not between {cells:,} cells: {taken} of "
        f"them {'are' if taken > 1 else 'is'} taken up by coefficients and coarser groups; {df} degrees of freedom are left."
    )


def per_unit(test: TermTest) -> str:
    """`` per unit of age`` after the smallest effect of a number; nothing for a factor."""
    return f" per unit of {test.per_unit}" if test.per_unit else ""


def cost(test: TermTest) -> str:
    """What a test's replication costs: the true size of its LRT and the smallest effect it sees."""
    effect = test.effect_at(ICC)
    sees = (
        f" The smallest effect that it finds with a power of 80\u00a0% (t test at 0.05) is {effect:.2g} standard deviations "
        f"between {several_groups(test.unit)}{per_unit(test)} (at an intraclass correlation of {ICC:g})."
        if effect is not None
        else ""
    )
    here = test.lrt_size_by_icc.get(f"{ICC:g}")
    at_icc = f" ({100 * here:.1f}\u00a0% at an intraclass correlation of {ICC:g})" if here is not None else ""
    largest = "?" if test.lrt_size is None else f"{100 * test.lrt_size:.1f}"
    return (
        f"At a nominal 0.05 the χ² likelihood ratio test is wrong in up to {largest}\u00a0% of genes without any "
        f"difference{at_icc}, not in 5\u00a0%.{sees}"
    )
