"""Count data as they come, cells × genes, a file for each format. A new one is a file here and a line in the list."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from nestde.errors import NestdeError, a_few
from nestde.io.files import irregular
from nestde.io.formats import h5ad, tenx_h5, tenx_mtx, zarr_folder
from nestde.io.formats.format import HDF5, Files, Format, first_bytes
from nestde.io.obs import Cells
from nestde.io.source import Source, reading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FORMATS", "Files", "Format", "files_at", "open_source", "read_cells", "read_genes", "sniff"]

# What is of several is taken for the first.
FORMATS: list[Format] = [
    h5ad.FORMAT,
    tenx_h5.FORMAT,
    tenx_mtx.FORMAT,
    zarr_folder.FORMAT,
]


def sniff(path: str | Path) -> Format:
    """Find the format of count data by what they are, not by what their name says.

    Raises
    ------
    NestdeError
        If there is nothing there, or nothing that nestde reads, or it is broken.
    """
    path = Path(path)
    try:
        if irregular(path):
            raise NestdeError(f"{path}: is no file but {irregular(path)}. Save the counts as a file.")
        for each in FORMATS:
            if each.matches(path):
                return each
        if path.is_dir():
            raise NestdeError(
                f"{path}: is a folder with no matrix.mtx and no zarr group. Give a 10x folder of one sample, or a file."
            )
        first = first_bytes(path)
    except OSError as error:
        raise NestdeError(f"{path}: cannot be read ({error.strerror}). Check the path.") from error
    *others, last = (each.name for each in FORMATS)
    raise NestdeError(f"{path}: {_what_it_is(path, first)}. nestde reads {', '.join(others)} and {last}.")


def open_source(path: str | Path, *, layer: str = "X", gene_key: str | None = None) -> Source:
    """Open count data.

    Parameters
    ----------
    path
        An h5ad or 10x HDF5 file; a zarr folder; a 10x folder with matrix.mtx, barcodes and features (or
        genes), gzipped or not, or the path of its matrix.mtx.
    layer
        Where an h5ad or zarr holds raw counts: ``X``, ``raw``, or the name of a layer.
    gene_key
        Column of var to take as gene names; None takes the index of var. 10x data have the columns
        ``gene_ids`` and ``gene_symbols`` and take the symbols.

    Raises
    ------
    NestdeError
        If there is nothing there, or nothing that nestde reads, or it is broken.
    """
    return sniff(path).open(Path(path), layer, gene_key)


def read_genes(path: str | Path, *, layer: str = "X", gene_key: str | None = None) -> "NDArray[np.object_]":
    """Names of the genes of count data, as `open_source` names them; no count is read.

    Raises
    ------
    NestdeError
        If there is nothing that can be read, or the names do not tell genes apart.
    """
    return sniff(path).genes(Path(path), layer, gene_key)


def read_cells(
    path: str | Path, wanted: Collection[str], also: Callable[[str], bool] = lambda name: False
) -> Cells:
    """Read the cells of count data; no count is read.

    Parameters
    ----------
    wanted, also
        Columns to read: these, and those whose name fits.

    Raises
    ------
    NestdeError
        There is nothing there, or nothing that can be read.
    """
    with reading(path):
        return sniff(path).read_obs(Path(path), lambda name: name in wanted or also(name))


def files_at(path: str | Path) -> Files:
    """Files that a path of counts stands for, by names alone; the path itself, if it is no folder that is there."""
    path = Path(path)
    for each in FORMATS:
        found = each.files(path)
        if found is not None:
            return found
    return Files(sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path], [])


def _what_it_is(path: Path, first: bytes) -> str:
    if not first:
        return "is empty"
    if first == HDF5:
        import h5py

        with reading(path), h5py.File(path, "r") as root:
            return f"is HDF5 of another kind; its parts: {a_few(sorted(root), 8) or 'none'}"
    if first.startswith(b"\x1f\x8b"):
        return "is gzipped and no HDF5 file (an .rds, or a compressed h5ad: unzip it first)"
    if first.startswith(b"PK\x03\x04"):
        return "is a zip archive"
    return "is no HDF5 file, whatever its name says"
