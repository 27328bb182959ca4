"""What is kept of the counts: a few numbers per gene and sample, of which every fit, test and calibration is made."""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.errors import NestdeError
from nestde.fit.family.family import Statistics
from nestde.io.files import atomic

if TYPE_CHECKING:
    import scipy.sparse

    from nestde.design.design import Design
    from nestde.fit.family import Family, Fitted
    from nestde.fit.grain import Grain


Some = TypeVar("Some", bound=Statistics)


@dataclass(frozen=True)
class Untested:
    """What stands for the statistics of G genes of which there is no design."""

    family: "Family"
    genes: NDArray[np.object_]

    @property
    def mean(self) -> Floats:
        """Nothing is known of it."""
        return np.full(len(self.genes), np.nan)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Nothing."""
        return {}

    def of(self, chosen: NDArray[Any] | slice) -> Self:
        """Those of some genes."""
        return replace(self, genes=self.genes[chosen])

    def of_cells(self, kept: NDArray[np.bool_]) -> Self:
        """The same: they are of no cell."""
        del kept
        return self

    def above(self, others: Sequence[Self]) -> Self:
        """With other genes below."""
        return replace(self, genes=np.concatenate([part.genes for part in (self, *others)]))

    def fitted(
        self, design: "Design", threads: int | None = None, learnt: dict[str, Any] | None = None
    ) -> "Fitted":
        """There are no fits."""
        del threads, learnt
        raise NestdeError(
            f'"{design.formula.text}": the statistics were made when there was nothing to test. Run `nestde run` again.'
        )


def sum_up(
    family: "Family",
    grain: "Grain | None",
    counts: "scipy.sparse.csc_array",
    size_factor: Floats,
    genes: Sequence[str] | NDArray[np.object_],
    threads: int | None = None,
) -> Statistics:
    """Sum up the counts of each gene as its family does (see `Family.sum_up`); nothing if no design could be fitted to them."""
    if grain is None:
        return Untested(family, np.asarray(genes, object))
    return family.sum_up(grain, counts, size_factor, genes, threads)


def together(parts: Sequence[Some]) -> Some:
    """Chunks of genes of the same cells below each other."""
    return parts[0].above(parts[1:])


def save(statistics: Statistics, path: str | Path) -> None:
    """Write to an .npz file, whole or not at all; equal statistics give equal bytes."""
    stored: dict[str, Any] = dict(statistics.arrays())
    stored["family"] = np.frombuffer(statistics.family.name.encode(), np.uint8)
    stored["genes"] = np.frombuffer(json.dumps([str(gene) for gene in statistics.genes]).encode(), np.uint8)
    with atomic(path) as temporary, temporary.open("wb") as handle:
        np.savez_compressed(handle, **stored)


def load(path: str | Path) -> Statistics:
    """Read what `save` wrote.

    Raises
    ------
    NestdeError
        The file is not there or holds no statistics.
    """
    from nestde.fit.family import family, names

    try:
        with Path(path).open("rb") as handle, np.load(handle, allow_pickle=False) as stored:
            arrays = dict(stored)
        genes = np.array(json.loads(arrays.pop("genes").tobytes()), object)
        name = arrays.pop("family").tobytes().decode()
        if name not in names():
            raise ValueError(f"they are of a family {name}, of which this nestde knows nothing")
        return family(name).restore(genes, arrays) if arrays else Untested(family(name), genes)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise NestdeError(
            f"{path}: no statistics that nestde can read ({error}). Run `nestde run` again: it makes them again."
        ) from error
