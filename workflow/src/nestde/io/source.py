"""What every format is opened as: genes, cells, and rows of counts on demand; and the checks all share."""

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.errors import NestdeError, a_few
from nestde.words import count, verb

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_matrix

# Non-zeros that are in memory at a time: 12 bytes each as read, as much again while they are converted.
BLOCK = 16_000_000


@dataclass(frozen=True)
class Source:
    """Counts of n cells × m genes in a file.

    Attributes
    ----------
    path
        The file or folder.
    obs
        One row per cell; its index holds the barcodes, as text.
    genes
        (m,) names, each once.
    row_nnz
        (n,) stored values per cell.
    rows
        ``rows(start, stop)`` reads those cells: csr, of whatever number type the file holds.
    scans
        True where any call of `rows` reads the whole file (gene-major data): ask for large blocks.
    gene_ids
        (m,) ids of the genes, where their names are symbols and the file has both; else None.
    var
        One row per gene, what else the file says of them; None if that is nothing.
    layers
        Where counts could be: ``X``, ``raw``, names of layers.
    """

    path: Path
    obs: "pd.DataFrame"
    genes: NDArray[np.object_]
    row_nnz: NDArray[np.int64]
    rows: Callable[[int, int], "csr_matrix"]
    scans: bool = False
    gene_ids: NDArray[np.object_] | None = None
    var: "pd.DataFrame | None" = None
    layers: tuple[str, ...] = ("X",)

    def blocks(self, most: int = BLOCK) -> Iterator[tuple[int, "csr_matrix"]]:
        """First row and counts of consecutive blocks of cells with at most `most` stored values each."""
        for start, stop in block_edges(self.row_nnz, most * 4 if self.scans else most):
            with reading(self.path):
                block = self.rows(start, stop)
            yield start, block


def block_edges(nnz: NDArray[np.int64], most: int) -> Iterator[tuple[int, int]]:
    """Cut consecutive rows (or columns) into blocks of at most `most` values, and at least one row."""
    ends = np.cumsum(nnz)
    start = 0
    while start < len(nnz):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + most, side="right")))
        yield start, stop
        start = stop


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Turn whatever a reader says of a broken file into a sentence that names the file."""
    try:
        yield
    except NestdeError:
        raise
    except (OSError, EOFError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        raise _broken(path, error) from error
    except (RuntimeError, AssertionError, zlib.error, MemoryError) as error:
        raise _broken(path, error) from error


def _broken(path: str | Path, error: BaseException) -> NestdeError:
    said = " ".join(str(error).split())[:200] or type(error).__name__
    return NestdeError(
        f"{path}: cannot be read: {said}. It is truncated or corrupt, or not written the way its format asks. "
        "Copy it again, or write it anew with a current anndata."
    )


def unique_genes(path: str | Path, names: Any, hint: str) -> NDArray[np.object_]:
    """Gene names as text, each once.

    Raises
    ------
    NestdeError
        If names are missing or repeat.
    """
    import pandas as pd

    genes = np.array([text(name) for name in names], dtype=object)
    # a gene may be called nan or None: only what is missing, or empty, is no name
    empty = int((pd.isna(np.asarray(names, object)) | (genes == "")).sum())
    if empty:
        raise NestdeError(f"{path}: {count(empty, 'gene')} {verb(empty, 'have')} no name. {hint}")
    values, counts = np.unique(genes.astype(str), return_counts=True)
    if (counts > 1).any():
        twice = values[counts > 1]
        raise NestdeError(
            f"{path}: {count(len(twice), 'gene name')} {verb(len(twice), 'occur')} more than once: {a_few(twice)}. {hint}"
        )
    return genes


def told_apart(symbols: Any, ids: Any) -> NDArray[np.object_]:
    """Symbols as names: one that several genes have is written SYMBOL_ID, and a gene without one has its id."""
    import pandas as pd

    symbols, ids = (
        pd.Series(np.asarray(symbols, object)),
        pd.Series([text(value) for value in ids], dtype=object),
    )
    missing = symbols.isna() | symbols.isin(["", "nan", "NaN", "NA"])
    names = symbols.where(~missing, ids).map(text)
    twice = names.duplicated(keep=False) & (names != ids)
    return np.asarray(names.where(~twice, names + "_" + ids), object)


def text(value: object) -> str:
    """A name as text; bytes are UTF-8, and what is not UTF-8 is Latin-1 (which every byte is)."""
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value.decode("latin-1")
    return str(value)


def label(value: object) -> str:
    """Text of a label of a factor; 3.0 and 3 are one, whatever made the column float."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return text(value)


def check_numbers(path: str | Path, dtype: Any) -> None:
    """Refuse counts that are not stored as numbers."""
    if np.dtype(dtype).kind not in "iufb":
        raise NestdeError(f"{path}: its counts are no numbers but {dtype}. Write them as whole numbers.")


def check_pointers(path: str | Path, indptr: NDArray[np.int64], stored: tuple[int, int], major: int) -> None:
    """Refuse a compressed matrix whose row pointers do not fit its values: (data, indices) lengths."""
    fits = (
        len(indptr) == major + 1
        and stored[0] == stored[1] == indptr[-1]
        and indptr[0] == 0
        and bool((np.diff(indptr) >= 0).all())
    )
    if not fits:
        raise NestdeError(
            f"{path}: its sparse matrix is broken: {len(indptr):,} pointers for {major:,} rows, "
            f"{stored[0]:,} values, {stored[1]:,} indices. Copy it again, or write it anew."
        )


def check_indices(path: str | Path, indices: NDArray[Any], minor: int) -> None:
    """Refuse indices outside the matrix: sparse libraries would read beyond their memory."""
    if len(indices) and (indices.min() < 0 or indices.max() >= minor):
        raise NestdeError(
            f"{path}: its sparse matrix is broken: indices from {indices.min():,} to {indices.max():,}, but it "
            f"has {minor:,} columns. Copy it again, or write it anew."
        )
