"""Cells that are in the data under two samples' names: one library given twice, or a merge that went wrong.

A few marks of each sample's cells stand in its ledger: sums of counts times a number that each gene's name gives, the least
of them. Two cells with the same mark have the same counts of the same genes, which two cells that were counted never have.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from nestde.errors import a_few

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

MARKS = 64  # of a sample: of libraries that share a tenth of their cells, about six are the same
CELLS = 2_000  # at a time
FEWEST_GENES = 30  # of a cell, whose counts no other has


def marks(counts: "csr_matrix", genes: Iterable[object]) -> list[str]:
    """The least of the marks of cells (rows, without explicit zeros), in hex."""
    digests = b"".join(hashlib.blake2b(str(gene).encode(), digest_size=8).digest() for gene in genes)
    of_gene = np.frombuffer(digests, "<u8")
    rows = np.flatnonzero(np.diff(counts.indptr) >= FEWEST_GENES)
    least = np.empty(0, np.uint64)
    for start in range(0, len(rows), CELLS):
        chosen = counts[rows[start : start + CELLS]]
        terms = chosen.data.astype(np.uint64) * of_gene[chosen.indices]
        # sums modulo 2^64; np.add.reduceat, as each row has entries
        found = np.add.reduceat(terms, chosen.indptr[:-1])
        least = np.unique(np.concatenate([least, found]))[:MARKS]
    return [f"{mark:016x}" for mark in least]


def same_cells(ledgers: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Title and text on samples that share cells; '' and '' if none do."""
    of = {ledger["sample_id"]: frozenset(ledger.get("cell_marks", ())) for ledger in ledgers}
    at: dict[str, list[str]] = {}
    for sample, mine in of.items():
        for mark in mine:
            at.setdefault(mark, []).append(sample)
    pairs = dict.fromkeys(
        pair for samples in at.values() if len(samples) > 1 for pair in combinations(samples, 2)
    )
    told = []
    for one, other in sorted(pairs):
        # the least marks of both together are a draw from all cells of both
        drawn = sorted(of[one] | of[other])[:MARKS]
        both = len(of[one] & of[other] & set(drawn))
        if both:
            told.append(f"{one} and {other} (of {len(drawn)} cells drawn from both, {both})")
    if not told:
        return "", ""
    return (
        "Samples share cells",
        f"Cells with the very same counts are in two samples: {a_few(told, 5)}. No two cells that were counted are so alike: one "
        "library has two names, or cells were copied in merging. Correct the sheet or the data: cells that are there twice count twice.",
    )
