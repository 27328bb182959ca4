"""What a way to size factors is, what it may know of the counts, and what it gives."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats

# Counts to which a cell is scaled: a size factor is in units of so many counts.
PER = 10_000


@dataclass(frozen=True)
class Counted:
    """The cells of one cell type that are scaled together.

    Attributes
    ----------
    total
        (n,) total counts of each cell.
    sample
        (n,) sample of each cell, from 0 in the order of the samples' names.
    samples
        Number S of samples.
    read
        Reads what `profiles` is.
    """

    total: Floats
    sample: NDArray[np.int64]
    samples: int
    read: Callable[[], NDArray[np.int64]]

    @cached_property
    def profiles(self) -> NDArray[np.int64]:
        """(S, m) counts of every gene over the cells of each sample, tested or not; to read them is a pass over the counts."""
        return self.read()

    @property
    def depth(self) -> Floats:
        """(S,) total counts of each sample."""
        return np.asarray(np.bincount(self.sample, self.total, self.samples), float)


@dataclass(frozen=True)
class Scaled:
    """Size factors of n cells.

    Attributes
    ----------
    of_cells
        (n,) what the counts of each cell are divided by, positive; in units of `PER` counts.
    words
        Where it was not done as the method says, what was done and why; else ''.
    """

    of_cells: Floats
    words: str = ""


@dataclass(frozen=True)
class SizeFactor:
    """A way to size factors.

    Attributes
    ----------
    name
        Of `genes.size_factors`.
    label
        For tables and axes.
    sentence
        What the counts of a cell are divided by.
    scale
        From the cells to their size factors. They must not depend on the order of cells within a sample, nor of genes.
    """

    name: str
    label: str
    sentence: str
    scale: Callable[[Counted], Scaled]
