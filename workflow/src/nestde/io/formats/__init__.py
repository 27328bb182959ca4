"""Count data as they come, cells × genes: h5ad, zarr, 10x HDF5, 10x mtx folders; opened, read in blocks."""

from pathlib import Path
from typing import TYPE_CHECKING

from nestde.errors import NestdeError
from nestde.io.files import irregular
from nestde.io.source import Source, reading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Source", "open_source", "read_genes", "reading"]

ZARR = (".zgroup", ".zattrs", "zarr.json")  # a zarr folder has one of them


def open_source(path: str | Path, *, layer: str = "X", gene_key: str | None = None) -> Source:
    """Open count data by what they are, not by what their name says.

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
    path = Path(path)
    try:
        if path.is_dir():
            return _open_folder(path, layer, gene_key)
        if path.name.endswith(("matrix.mtx", "matrix.mtx.gz")) and path.is_file():
            return _open_mtx(path, layer, gene_key)
        if irregular(path):
            raise NestdeError(f"{path}: is no file but {irregular(path)}. Save the counts as a file.")
        with path.open("rb") as handle:
            first = handle.read(8)
    except OSError as error:
        raise NestdeError(f"{path}: cannot be read ({error.strerror}). Check the path.") from error
    if first != b"\x89HDF\r\n\x1a\n":
        raise NestdeError(
            f"{path}: {_what_it_is(first)}. nestde reads h5ad, 10x h5, 10x mtx folders and zarr."
        )
    from nestde.io.formats import anndata_store, tenx

    if tenx.is_tenx_h5(path):
        return tenx.open_h5(path, _only_x(path, layer), gene_key)
    return anndata_store.open_h5ad(path, layer, gene_key)


def read_genes(path: str | Path, *, layer: str = "X", gene_key: str | None = None) -> "NDArray[np.object_]":
    """Names of the genes of count data, as `open_source` names them; no count is read.

    Raises
    ------
    NestdeError
        If there is nothing that can be read, or the names do not tell genes apart.
    """
    from nestde.io.formats import anndata_store, tenx

    path = Path(path)
    if path.is_dir() and any((path / name).exists() for name in ZARR):
        return anndata_store.genes_of_zarr(path, layer, gene_key)
    if path.is_dir() or path.name.endswith(("matrix.mtx", "matrix.mtx.gz")):
        return tenx.genes_of_mtx(_matrix_of(path) if path.is_dir() else path, gene_key)
    if tenx.is_tenx_h5(path):
        return tenx.genes_of_h5(path, gene_key)
    return anndata_store.genes_of_h5ad(path, layer, gene_key)


def _open_folder(path: Path, layer: str, gene_key: str | None) -> Source:
    if any((path / name).exists() for name in ZARR):
        from nestde.io.formats import anndata_store

        return anndata_store.open_zarr(path, layer, gene_key)
    return _open_mtx(_matrix_of(path), layer, gene_key)


def _matrix_of(path: Path) -> Path:
    """The matrix.mtx of a 10x folder."""
    found = sorted(file for file in path.iterdir() if file.name.endswith(("matrix.mtx", "matrix.mtx.gz")))
    if len(found) != 1:
        what = "no matrix.mtx" if not found else f"{len(found)} matrices ({', '.join(f.name for f in found)})"
        raise NestdeError(f"{path}: is a folder with {what}. Give a 10x folder of one sample, or a file.")
    return found[0]


def _open_mtx(matrix: Path, layer: str, gene_key: str | None) -> Source:
    from nestde.io.formats import tenx

    return tenx.open_mtx(matrix, _only_x(matrix, layer), gene_key)


def _only_x(path: Path, layer: str) -> str:
    if layer != "X":
        raise NestdeError(f"{path}: is 10x data and has no layer {layer}. Set input.layer to X.")
    return layer


def _what_it_is(first: bytes) -> str:
    if not first:
        return "is empty"
    if first.startswith(b"\x1f\x8b"):
        return "is gzipped and no HDF5 file (an .rds, or a compressed h5ad: unzip it first)"
    if first.startswith(b"PK\x03\x04"):
        return "is a zip archive"
    return "is no HDF5 file, whatever its name says"
