"""The counts that steps hand on: standard h5ad files, written as they stream, read slice by slice."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from nestde.errors import NestdeError
from nestde.io.files import atomic

if TYPE_CHECKING:
    import h5py
    import pandas as pd
    from scipy.sparse import csc_matrix, csr_matrix

LARGEST = np.iinfo(np.int32).max
OURS = "nestde"
# Names of columns that HDF5 or anndata take for something else.
UNSTORABLE = ("_index", ".", "..", "dtype")


@contextmanager
def writing(
    path: str | Path,
    major: str,
    nnz: NDArray[np.int64],
    obs: "pd.DataFrame",
    cells: "pd.DataFrame",
    genes: NDArray[np.object_],
    uns: dict[str, Any],
) -> Iterator["Filler"]:
    """Write an h5ad whose X is int32 and sparse, with a known number of values per row (or column).

    Parameters
    ----------
    major
        ``csr`` (rows are cells) or ``csc`` (columns are genes).
    nnz
        Values per cell, or per gene.
    obs
        One row per cell: columns that are the user's to name, in data or sheet.
    cells
        One row per cell, of the same index: what nestde itself knows of it (sample, cell type, library size, metrics).
        It is kept apart, in ``obsm/nestde``, so that no column of the user's can take its place.
    genes
        Names.
    uns
        Strings, numbers, arrays or mappings of them.

    Yields
    ------
    Filler
        To be given the values, in any order of blocks. The file appears when the block ends without error.
    """
    import h5py
    from anndata.io import write_elem

    indptr = np.concatenate([[0], np.cumsum(nnz)]).astype(np.int64)
    with atomic(path) as temporary, h5py.File(temporary, "w") as root:
        root.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        x = root.create_group("X")
        x.attrs.update({"encoding-type": f"{major}_matrix", "encoding-version": "0.1.0"})
        x.attrs["shape"] = np.array([len(obs), len(genes)], np.int64)
        # scipy wants pointers and indices of one type
        fits = indptr[-1] <= LARGEST
        x.create_dataset("indptr", data=indptr.astype(np.int32) if fits else indptr)
        x.create_dataset("data", shape=(indptr[-1],), dtype=np.int32)
        x.create_dataset("indices", shape=(indptr[-1],), dtype=np.int32)
        write_elem(root, "var", _frame_of_names(genes))
        for name in ("layers", "obsp", "varm", "varp"):
            write_elem(root, name, {})
        yield Filler(x, indptr)
        write_elem(root, "obs", storable(obs))
        write_elem(root, "obsm", {OURS: cells})
        write_elem(root, "uns", uns)


def _frame_of_names(names: Any) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(index=pd.Index(np.asarray(names, object), dtype=object))


def storable(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Rename the columns that anndata cannot write to an h5ad (`UNSTORABLE`, or with a ``/``), percent-encoded."""
    return frame.set_axis([_encoded(str(name)) for name in frame.columns], axis=1)


def _encoded(name: str) -> str:
    if name in UNSTORABLE or not name:
        return "".join(f"%{ord(letter):02X}" for letter in name) or "%"
    return re.sub("[%/\0]", lambda found: f"%{ord(found[0]):02X}", name)


def as_named(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Give the columns that `storable` renamed their names back."""
    return frame.set_axis(["" if name == "%" else unquote(str(name)) for name in frame.columns], axis=1)


class Filler:
    """Puts blocks of values where they belong in the file."""

    def __init__(self, x: "h5py.Group", indptr: NDArray[np.int64]):
        self.x, self.indptr = x, indptr

    def put(self, start: int, block: Any) -> None:
        """Write a csr block at row `start` (or a csc block at column `start`); its sizes must be those announced."""
        first, last = self.indptr[start], self.indptr[start + len(block.indptr) - 1]
        self.x["data"][first:last] = block.data
        self.x["indices"][first:last] = block.indices


class Counts:
    """An h5ad that `writing` made; open for as long as it is used in a ``with``."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def __enter__(self) -> "Counts":
        import h5py

        try:
            self.root = h5py.File(self.path, "r")
            self.x = self.root["X"]
            n, m = self.x.attrs["shape"]
            self.shape = int(n), int(m)
        except (OSError, KeyError) as error:
            raise NestdeError(
                f"{self.path}: cannot be read ({error}). Remove it; the workflow remakes it."
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        self.root.close()

    def obs(self) -> "pd.DataFrame":
        """One row per cell: the user's columns."""
        return as_named(self._element("obs"))

    def cells(self) -> "pd.DataFrame":
        """One row per cell: what nestde knows of it."""
        return self._element(f"obsm/{OURS}")

    def uns(self) -> dict[str, Any]:
        """What the step that made the file had to say beside the counts."""
        found: dict[str, Any] = self._element("uns")
        return found

    def genes(self) -> NDArray[np.object_]:
        """Names, (m,)."""
        found: NDArray[np.object_] = self._element("var").index.to_numpy(object)
        return found

    def _element(self, key: str) -> Any:
        from anndata.io import read_elem

        return read_elem(self.root[key])

    def nnz(self) -> NDArray[np.int64]:
        """Values per cell of a csr file, per gene of a csc file."""
        found: NDArray[np.int64] = np.diff(self.x["indptr"][:]).astype(np.int64)
        return found

    def slice(self, start: int, stop: int) -> "csr_matrix | csc_matrix":
        """Cells ``start … stop - 1`` of a csr file; genes of a csc file. Only they are read from disk."""
        from scipy.sparse import csc_matrix, csr_matrix

        indptr = self.x["indptr"][start : stop + 1].astype(np.int64)
        arrays = (
            self.x["data"][indptr[0] : indptr[-1]],
            self.x["indices"][indptr[0] : indptr[-1]],
            indptr - indptr[0],
        )
        if self.x.attrs["encoding-type"] == "csr_matrix":
            return csr_matrix(arrays, shape=(stop - start, self.shape[1]))
        return csc_matrix(arrays, shape=(self.shape[0], stop - start))
