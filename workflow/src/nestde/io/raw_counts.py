"""Counts are whole numbers from 0 up: what is not is told of, wherever they come from."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.errors import NestdeError
from nestde.io.counts import LARGEST
from nestde.words import count

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


class RawCounts:
    """Checks block by block that counts are whole and not negative, and remembers all that are not.

    Parameters
    ----------
    name
        Of what holds the counts, which sentences begin with.
    barcodes, genes
        (n,) and (m,) names of all cells and genes.
    """

    def __init__(self, name: str, barcodes: Any, genes: Any):
        self.name, self.barcodes, self.genes = name, barcodes, genes
        self.faulty: dict[str, tuple[int, str]] = {}

    def whole(self, block: "csr_matrix", rows: NDArray[np.int64]) -> "csr_matrix":
        """Return a block as int32, its values as they were if they are at fault."""
        data = block.data
        finite = np.isfinite(data)
        if data.dtype.kind == "f":
            self._note("non-finite", block, rows, ~finite)
            self._note("non-integer", block, rows, finite & (data != np.floor(data)))
        self._note("negative", block, rows, finite & (data < 0))
        self._note("too large", block, rows, finite & (data > LARGEST))
        if not self.faulty:
            block.data = data.astype(np.int32)
        return block

    def _note(self, what: str, block: "csr_matrix", rows: NDArray[np.int64], bad: NDArray[np.bool_]) -> None:
        if not bad.any():
            return
        number, first = self.faulty.get(what, (0, ""))
        if not first:
            at = int(np.flatnonzero(bad)[0])
            cell = self.barcodes[rows[np.searchsorted(block.indptr, at, side="right") - 1]]
            first = f"{block.data[at]} at cell {cell}, gene {self.genes[block.indices[at]]}"
        self.faulty[what] = (number + int(bad.sum()), first)

    def raise_if_any(self, where: str = "", hint: str = "is there a raw layer (input.layer)?") -> None:
        """Raise what was noted, a sentence for each kind; `where` it was looked for, if not everywhere."""
        if self.faulty:
            raise NestdeError(
                f"{self.name}: holds {count(number, f'{what} value')}{where} (first: {first}). DE needs raw counts; {hint}"
                for what, (number, first) in self.faulty.items()
            )
