"""In which order the groups of crossed factors are eliminated: those that share rows with the fewest others first.

Eliminating a group (a student) leaves all that it shared rows with (instructors, a department) connected to each
other. Minimum degree goes on while that is sparse; then what is left is dense, and is treated as such: the groups
of one factor that are still unconnected as one batch, and the rest as one last block. Nested factors, and crossings
within sites that share nothing, need no rule of their own: their groups are those of low degree.
"""

import heapq
import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Connected to this share of the groups that are left, the group of least degree ends what is sparse: a dense
# kernel does about ten times as much in the same time.
_DENSE = 0.25


@dataclass(frozen=True)
class OrderNode:
    """Groups that are eliminated together.

    Attributes
    ----------
    members
        Sets of groups; those of different members are not connected, those of one member all are.
    below
        Groups that are eliminated later, to which some member is connected.
    """

    members: tuple[tuple[int, ...], ...]
    below: tuple[int, ...]


def eliminate(levels: list[int], groups: NDArray[np.int64]) -> list[OrderNode]:
    """Order the groups of all factors, numbered one factor after the other.

    Parameters
    ----------
    levels
        Number of groups of each factor.
    groups
        (factors, leaves) group of each leaf in each factor.
    """
    offset = np.cumsum([0, *levels])
    factor = np.repeat(np.arange(len(levels)), levels)
    connected = _graph(groups + offset[:-1, None], int(offset[-1]))
    nodes, rest = _sparse(connected, factor)
    if rest:
        nodes += _dense(connected, rest, factor)
    return nodes


def _graph(groups: NDArray[np.int64], count: int) -> list[set[int]]:
    """For each group those that it shares a leaf with."""
    connected: list[set[int]] = [set() for _ in range(count)]
    for one, other in itertools.combinations(groups, 2):
        for a, b in np.unique(np.stack([one, other], axis=1), axis=0).tolist():
            connected[a].add(b)
            connected[b].add(a)
    return connected


def _sparse(connected: list[set[int]], factor: NDArray[np.int64]) -> tuple[list[OrderNode], list[int]]:
    """Eliminate while it is sparse; the nodes, and the groups that are left. `connected` is then of what is left."""
    heap = [(len(others), group) for group, others in enumerate(connected)]
    heapq.heapify(heap)
    open_ = set(range(len(connected)))
    # members of the same factors with the same connections make one node, in the place of the last
    batches: dict[tuple[frozenset[int], tuple[int, ...]], list[tuple[int, ...]]] = {}
    while heap:
        degree, group = heapq.heappop(heap)
        if group not in open_ or degree != len(connected[group]):
            continue
        if degree >= _DENSE * len(open_) and len(open_) > 1:
            break
        others = connected[group]
        # those with the same connections follow at no further cost
        alike = [
            other
            for other in sorted(others)
            if len(connected[other]) == degree and connected[other] - {group} == others - {other}
        ]
        member = tuple(sorted((group, *alike)))
        below = others.difference(alike)
        open_.difference_update(member)
        for other in below:
            connected[other] |= below
            connected[other].difference_update(member, (other,))
            heapq.heappush(heap, (len(connected[other]), other))
        key = frozenset(below), tuple(factor[list(member)].tolist())
        batches[key] = [*batches.pop(key, []), member]
    nodes = [OrderNode(tuple(members), tuple(sorted(below))) for (below, _), members in batches.items()]
    return nodes, sorted(open_)


def _dense(connected: list[set[int]], rest: list[int], factor: NDArray[np.int64]) -> list[OrderNode]:
    """The largest factor whose groups are not connected to each other, and one block of all others."""
    left = {f: [group for group in rest if factor[group] == f] for f in np.unique(factor[rest]).tolist()}
    alone = [members for members in left.values() if not any(connected[m] & set(members) for m in members)]
    batch = max(alone, key=len, default=[])
    others = tuple(group for group in rest if group not in set(batch))
    nodes = [OrderNode(tuple((member,) for member in batch), others)] if batch else []
    return [*nodes, OrderNode((others,), ())] if others else nodes
