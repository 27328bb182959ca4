"""What a format of count data is: how to know it, open it, and read of it what is no count."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nestde.io.obs import AskedColumns, Cells
from nestde.io.source import Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HDF5 = b"\x89HDF\r\n\x1a\n"


class Files(NamedTuple):
    """Files that a path stands for: those that hold the counts, and those that tell what is counted in what."""

    counts: Sequence[Path]
    beside: Sequence[Path]


def by_itself(path: Path) -> Files | None:
    """Files of a format whose data are one file: its name says nothing."""
    return None


@dataclass(frozen=True)
class Format:
    """A format of count data, cells × genes.

    Attributes
    ----------
    name
        As in "nestde reads …".
    matches
        Whether something is of this format, by what it is and not by what its name says; the path is a folder or a file
        that can be read.
    open
        From path, layer (``X``, ``raw`` or a name) and the column of gene names (None: the usual one) to the counts.
    genes
        From the same to the names of the genes, as `open` names them; reads no count.
    read_obs
        From path, and what is asked for, to the cells; reads no count.
    files
        The files that a path stands for, by names alone: it may not be there. None if it is not of this format, or is
        one file by itself.
    whole
        Whether no cell can be read without all the others.
    """

    name: str
    matches: Callable[[Path], bool]
    open: Callable[[Path, str, str | None], Source]
    genes: Callable[[Path, str, str | None], "NDArray[np.object_]"]
    read_obs: Callable[[Path, AskedColumns], Cells]
    files: Callable[[Path], Files | None] = by_itself
    whole: bool = False


def first_bytes(path: Path) -> bytes:
    """The first 8 bytes of a file."""
    with path.open("rb") as handle:
        return handle.read(8)


def is_hdf5(path: Path) -> bool:
    """Whether a path is a file that begins as HDF5 does."""
    return path.is_file() and first_bytes(path) == HDF5
