"""Relabelled studies: what is tested is given to other samples than its own, in every way that the design allows.

Whatever is tested between donors can be dealt out anew among them, within pairs and blocks; no gene can differ between
groups that were made by chance. Three things keep that honest (found by going wrong first): relabellings that share much
with the true labels carry their signal, relabellings that make the same groups under other names are one, and the
columns that are not tested stay with their samples.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats, Integers
from nestde.design.design import Design, RandomFactor
from nestde.design.expressions import quoted
from nestde.design.within import constant_within
from nestde.fit.containment import unit_of

# So many are all looked at; of more, some are drawn.
ENUMERATED = 1000
# Share of the variance of the relabelled columns that the true ones may explain: a correlation of 0.5.
LIKENESS = 0.25
# With fewer relabellings than this a block is given up, the one of fewest levels first.
_FEWEST = 5


@dataclass(frozen=True)
class Relabellings:
    """Ways to deal out what is tested among the units that have it.

    Attributes
    ----------
    unit
        The grouping factor whose groups are relabelled: samples, or the donors of several samples.
    blocks
        Names of the factors within whose levels labels are exchanged; none if that is anywhere.
    order
        (R, U) for each relabelling, of which unit each unit gets the label; the true labels are not among them.
    possible
        How many there are, the true labels and those too like them included.
    like
        (R', U) relabellings that share too much with the true labels to show what chance does.
    drawn
        (R,) which of `order` are, with `like`, a draw from all relabellings, or all of them.
    """

    unit: str
    blocks: tuple[str, ...]
    order: Integers
    possible: int
    like: Integers
    drawn: NDArray[np.bool_]


def relabellings(design: Design, term: str, number: int, seed: int) -> Relabellings | str:
    """Deal out the columns of a tested term anew.

    Parameters
    ----------
    design
        With `term` among its tests.
    term
        Of `design.tests`. The labels of a named contrast are exchanged among the samples that it compares; others, as those
        of a third level, keep theirs.
    number
        How many are made, at most.
    seed
        Of the draw.

    Returns
    -------
    Relabellings or str
        Or why there are none.
    """
    columns = list(design.tests[term])
    unit = unit_of(design, columns)
    if unit is None:
        return f"{term} varies between the cells of a sample: there are no labels of samples to exchange"
    first = np.unique(unit.codes, return_index=True)[1]
    labels, kind = np.unique(design.x[first][:, columns], axis=0, return_inverse=True)
    kind = kind.reshape(-1)
    # a factor's groups are what is tested, whatever their names; of a contrast if they are two
    partition = len(labels) == len(columns) + 1
    factors = _blocks(design, unit, columns, first)
    if term in design.contrasts:
        compared = design.contrasts[term].rows[:, columns]
        takes_part = (labels[kind][:, None] == compared[None]).all(axis=2).any(axis=1)
        partition = len(np.unique(kind[takes_part])) == 2
        if takes_part.any() and not takes_part.all():
            others = np.where(takes_part, 0, 1 + np.arange(len(first)))
            factors.append(("", True, others))
        # at another place of what it is conditional on, the columns mean something else
        where = {quoted(name) for point in design.contrasts[term].points for name, _ in point}
        factors = [(name, needed or name in where, codes) for name, needed, codes in factors]
    while True:
        block = _crossed([codes for _, _, codes in factors], len(first))
        possible = _possible(kind, block, partition)
        spare = [i for i, (_, needed, _) in enumerate(factors) if not needed]
        if possible >= _FEWEST or not spare:
            break
        del factors[min(spare, key=lambda i: len(np.unique(factors[i][2])))]
    names = tuple(name for name, _, _ in factors if name)
    ways = _all(kind, block) if possible <= ENUMERATED else _some(kind, block, 4 * number, seed)
    true = _name(kind, partition)
    seen, order, like = {true}, list[Integers](), list[Integers]()
    for way in ways:
        name = _name(kind[way], partition)
        if name not in seen:
            near = _likeness(labels[kind], labels[kind[way]], block) > LIKENESS + 1e-9
            (like if near else order).append(way)
        seen.add(name)
    # of so many that are drawn, these are like the true labels
    several = np.random.default_rng([seed, 1])
    total = len(order) + len(like)
    alike = int(several.hypergeometric(len(like), len(order), number)) if total > number else len(like)
    like = [like[i] for i in sorted(several.permutation(len(like))[:alike])]
    if len(order) > number:
        chosen = np.random.default_rng(seed).permutation(len(order))[:number]
        order = [order[i] for i in sorted(chosen)]
    drawn = np.zeros(len(order), bool)
    drawn[several.permutation(len(order))[: number - alike]] = True
    if not order:
        within = f" within {' and '.join(names)}" if names else ""
        return f"the {len(first)} groups of {unit.name} can be relabelled{within} in no way that differs enough from the true one"
    stacked = np.array(like, np.int64).reshape(-1, len(first))
    return Relabellings(unit.name, names, np.array(order, np.int64), possible, stacked, drawn)


def relabelled(design: Design, term: str, unit: str, order: Integers) -> Design:
    """The design in which each unit has the tested columns of another one.

    Parameters
    ----------
    order
        (U,) of which unit each gets the label.
    """
    (factor,) = (factor for factor in design.random if factor.name == unit)
    first = np.unique(factor.codes, return_index=True)[1]
    columns = list(design.tests[term])
    x = design.x.copy()
    x[:, columns] = design.x[first][order][:, columns][factor.codes]
    return replace(design, x=x)


def _blocks(
    design: Design, unit: RandomFactor, columns: list[int], first: Integers
) -> list[tuple[str, bool, Integers]]:
    """Factors within whose levels the tested columns vary between units: name, whether it is a random one, level of each unit."""
    found: list[tuple[str, bool, Integers]] = []
    for factor in design.random:
        if factor is not unit and unit.nested_in(factor):
            found.append((factor.name, True, factor.codes[first].astype(np.int64)))
    for name, own in design.terms.items():
        coded = design.x[first][:, list(own)]
        is_factor = name in design.levels and constant_within(design.x[:, list(own)], unit).all()
        if is_factor and not set(own) & set(columns):
            found.append((name, False, np.unique(coded, axis=0, return_inverse=True)[1].reshape(-1)))
    tested = design.x[first][:, columns]
    return [(name, needed, codes) for name, needed, codes in found if _varies(tested, codes)]


def _varies(values: Floats, codes: Integers) -> bool:
    return any(np.ptp(values[codes == code], axis=0).any() for code in np.unique(codes))


def _crossed(factors: list[Integers], units: int) -> Integers:
    """Number of the block of each unit: units that agree in all factors."""
    if not factors:
        return np.zeros(units, np.int64)
    return np.unique(np.stack(factors), axis=1, return_inverse=True)[1].reshape(-1)


def _possible(kind: Integers, block: Integers, partition: bool) -> int:
    """Number of different ways; ways that differ in the names of two groups of one size count once where that is sure."""
    total = 1
    for code in np.unique(block):
        numbers = np.bincount(kind[block == code])
        total *= math.factorial(int(numbers.sum())) // math.prod(math.factorial(int(n)) for n in numbers)
    mixed = [kind[block == code] for code in np.unique(block) if len(set(kind[block == code])) > 1]
    both = np.unique(np.concatenate(mixed)) if mixed else kind
    mirror = partition and len(both) == 2 and all(
        np.sum(part == both[0]) == np.sum(part == both[1]) for part in mixed
    )  # fmt: skip
    return total // 2 if mirror else total


def _all(kind: Integers, block: Integers) -> Iterator[Integers]:
    """Every way to deal out the kinds within blocks, as the unit whose kind each unit gets."""
    codes = np.unique(block)
    for parts in itertools.product(*(list(_arrangements(kind[block == code])) for code in codes)):
        way = np.empty(len(kind), np.int64)
        for code, part in zip(codes, parts, strict=True):
            members = np.flatnonzero(block == code)
            way[members] = members[list(part)]
        yield way


def _arrangements(kind: Integers) -> Iterator[tuple[int, ...]]:
    """Different arrangements of a few kinds, as positions of members of that kind."""
    queues = {int(k): np.flatnonzero(kind == k).tolist() for k in np.unique(kind)}

    def place(left: dict[int, int], so_far: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if len(so_far) == len(kind):
            yield so_far
        for k, number in left.items():
            if number:
                yield from place({**left, k: number - 1}, (*so_far, queues[k][number - 1]))

    yield from place({k: len(members) for k, members in queues.items()}, ())


def _some(kind: Integers, block: Integers, number: int, seed: int) -> Iterator[Integers]:
    """Draw ways at random, with repetitions."""
    generator = np.random.default_rng(seed)
    groups = [np.flatnonzero(block == code) for code in np.unique(block)]
    for _ in range(number):
        way = np.empty(len(kind), np.int64)
        for members in groups:
            way[members] = generator.permutation(members)
        yield way


def _name(kind: Integers, partition: bool) -> tuple[int, ...]:
    """What tells a way from another: the kind of each unit, or its group, numbered as met."""
    if not partition:
        return tuple(kind.tolist())
    met: dict[int, int] = {}
    return tuple(met.setdefault(k, len(met)) for k in kind.tolist())


def _likeness(true: Floats, other: Floats, block: Integers) -> float:
    """Share of the variance within blocks of the relabelled columns that the true ones explain: r² of one column."""
    centred = [columns.astype(float) for columns in (true, other)]
    for columns in centred:
        for code in np.unique(block):
            columns[block == code] -= columns[block == code].mean(axis=0)
    explained = centred[0] @ np.linalg.lstsq(centred[0], centred[1], rcond=None)[0]
    total = float(np.sum(centred[1] ** 2))
    return float(np.sum(explained**2)) / total if total > 0 else 1.0
