"""AnnData on disk, whatever holds its parts: anndata 0.5 to today; X, raw or a layer; CSR, CSC or dense."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.errors import NestdeError, a_few
from nestde.io.obs import AskedColumns, Cells, plain, tidy
from nestde.io.source import (
    BLOCK,
    Source,
    block_edges,
    check_indices,
    check_numbers,
    check_pointers,
    text,
    told_apart,
    unique_genes,
)

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_matrix

Rows = Callable[[int, int], "csr_matrix"]


def open_root(path: Path, root: Any, layer: str, gene_key: str | None) -> Source:
    """Open what is in a file or folder of AnnData. See `open_source`."""
    _check_parts(path, root)
    matrix = _matrix(path, root, layer)
    var = _var(root, layer)
    genes, obs = _named(path, var, gene_key), read_frame(root, "obs")
    obs.index = [text(barcode) for barcode in obs.index]
    shape = _shape(matrix)
    if shape != (len(obs), len(genes)):
        raise NestdeError(
            f"{path}: {layer} is {shape[0]:,} × {shape[1]:,}, but there are {len(obs):,} cells and {len(genes):,} genes."
        )
    row_nnz, rows, scans = _reader(path, matrix, shape)
    ids = None if gene_key is None else np.array([text(name) for name in var.index], object)
    return Source(path, obs, genes, row_nnz, rows, scans, ids, var, tuple(_layers(root)))


def _check_parts(path: Path, root: Any) -> None:
    if "obs" not in root or "var" not in root:
        raise NestdeError(
            f"{path}: has no obs and var, so it is no AnnData. Its parts: {a_few(sorted(root), 8)}."
        )


def genes_of_root(path: Path, root: Any, layer: str, gene_key: str | None) -> NDArray[np.object_]:
    """Names of the genes, as `open_root` names them."""
    if layer != "X":
        _matrix(path, root, layer)
    return _named(path, _var(root, layer), gene_key)


def _var(root: Any, layer: str) -> "pd.DataFrame":
    return read_frame(root, "var" if layer != "raw" else "raw/var" if "raw" in root else "raw.var")


def _named(path: Path, var: "pd.DataFrame", gene_key: str | None) -> NDArray[np.object_]:
    """Names of the genes: the index, or a column of symbols told apart by it."""
    if gene_key is not None and gene_key not in var:
        raise NestdeError(
            f"{path}: var has no column {gene_key} (input.gene_key); it has {a_few(var.columns, 12) or 'none'}."
        )
    hint = "Set input.gene_key to a column of var that tells genes apart, or make the names unique."
    return unique_genes(path, var.index if gene_key is None else told_apart(var[gene_key], var.index), hint)


def _matrix(path: Path, root: Any, layer: str) -> Any:
    if layer == "X" and "X" in root:
        return root["X"]
    if layer == "raw":
        if "raw" in root and "X" in root["raw"]:
            return root["raw/X"]
        if "raw.X" in root:  # anndata < 0.7
            return root["raw.X"]
    if "layers" in root and layer in root["layers"]:
        return root["layers"][layer]
    raise NestdeError(
        f"{path}: holds no layer {layer} (input.layer). It holds {a_few(_layers(root), 12) or 'no counts'}."
    )


def _layers(root: Any) -> list[str]:
    known = ["X"] if "X" in root else []
    known += ["raw"] if "raw" in root or "raw.X" in root else []
    return known + (sorted(root["layers"]) if "layers" in root else [])


def read_frame(root: Any, key: str) -> "pd.DataFrame":
    """Read obs or var of any version of anndata, columns in the order of the file."""
    import pandas as pd

    stored = root[key]
    if hasattr(stored, "keys"):
        from anndata.io import read_elem

        return read_elem(stored)
    # anndata < 0.7: one table, categories apart in uns
    table = stored[:]
    uns = root.get("uns", {})
    index, *columns = table.dtype.names
    frame = pd.DataFrame(index=[text(name) for name in table[index]])
    for name in columns:
        values = table[name]
        if values.dtype.kind in "SO":
            values = np.array([text(value) for value in values], dtype=object)
        if f"{name}_categories" in uns:
            categories = np.atleast_1d(uns[f"{name}_categories"][()])
            values = pd.Categorical.from_codes(values, [text(label) for label in categories])
        frame[name] = values
    return frame


def cells_of_root(path: Path, root: Any, asked: AskedColumns) -> Cells:
    """Barcodes, and the columns of obs that are asked for."""
    import pandas as pd
    from anndata.io import read_elem

    if "obs" not in root:
        _check_parts(path, root)
    stored = root["obs"]
    if str(getattr(stored, "attrs", {}).get("encoding-version", "")) != "0.2.0":
        whole = read_frame(root, "obs")
        whole.columns = [plain(name) for name in whole.columns]
        taken = {name: tidy(whole[name]).array for name in whole.columns if asked(name)}
        barcodes = np.array([text(name) for name in whole.index], dtype=object)
        return Cells(
            path, barcodes, tuple(whole.columns), pd.DataFrame(taken, index=pd.RangeIndex(len(whole)))
        )
    barcodes = np.asarray(read_elem(stored[stored.attrs["_index"]]), dtype=object)
    names = {plain(name): str(name) for name in stored.attrs["column-order"]}
    taken = {
        name: tidy(pd.Series(read_elem(stored[given]), name=name)).array
        for name, given in names.items()
        if asked(name)
    }
    return Cells(path, barcodes, tuple(names), pd.DataFrame(taken, index=pd.RangeIndex(len(barcodes))))


def _format(matrix: Any) -> str:
    """``csr``, ``csc`` or ``dense``."""
    if not hasattr(matrix, "keys"):
        return "dense"
    return text(matrix.attrs.get("encoding-type", matrix.attrs.get("h5sparse_format")))[:3]


def _shape(matrix: Any) -> tuple[int, int]:
    if not hasattr(matrix, "keys"):
        shape = matrix.shape
    else:
        shape = matrix.attrs["shape"] if "shape" in matrix.attrs else matrix.attrs["h5sparse_shape"]
    n, m = (int(size) for size in shape)
    return n, m


def _reader(path: Path, matrix: Any, shape: tuple[int, int]) -> tuple[NDArray[np.int64], Rows, bool]:
    """Stored values per cell, how to read cells, and whether each reading scans the whole matrix."""
    match _format(matrix):
        case "dense":
            check_numbers(path, matrix.dtype)
            return dense_rows(matrix, shape)
        case "csr":
            return *csr_rows(path, matrix, shape), False
        case "csc":
            return *_csc_rows(path, matrix, shape), True
        case other:
            raise NestdeError(f"{path}: its counts are stored as {other}, which nestde does not know.")


def dense_rows(matrix: Any, shape: tuple[int, int]) -> tuple[NDArray[np.int64], Rows, bool]:
    """Rows of an array, made sparse a slab at a time."""
    from scipy.sparse import csr_matrix, vstack

    step = max(1, BLOCK // max(1, shape[1]))

    def rows(start: int, stop: int) -> csr_matrix:
        edges = [(first, min(first + step, stop)) for first in range(start, stop, step)]
        slabs = [csr_matrix(matrix[first:last]) for first, last in edges]
        return csr_matrix(vstack(slabs, format="csr")) if slabs else csr_matrix((0, shape[1]))

    nnz = [np.count_nonzero(matrix[start : start + step], axis=1) for start in range(0, shape[0], step)]
    return np.concatenate([np.zeros(0, np.int64), *nnz]).astype(np.int64), rows, False


def csr_rows(path: Path, matrix: Any, shape: tuple[int, int]) -> tuple[NDArray[np.int64], Rows]:
    """Rows of a cell-major sparse matrix on disk: parts ``data, indices, indptr``."""
    from scipy.sparse import csr_matrix

    check_numbers(path, matrix["data"].dtype)
    indptr = np.asarray(matrix["indptr"][:], np.int64)
    check_pointers(path, indptr, (matrix["data"].shape[0], matrix["indices"].shape[0]), shape[0])

    def rows(start: int, stop: int) -> csr_matrix:
        first, last = indptr[start], indptr[stop]
        indices = matrix["indices"][first:last]
        check_indices(path, indices, shape[1])
        parts = (
            matrix["data"][first:last],
            indices.astype(np.int32, copy=False),
            indptr[start : stop + 1] - first,
        )
        return csr_matrix(parts, shape=(stop - start, shape[1]))

    return np.diff(indptr), rows


def _csc_rows(path: Path, matrix: Any, shape: tuple[int, int]) -> tuple[NDArray[np.int64], Rows]:
    """Cells of a gene-major sparse matrix on disk: genes are read in blocks, entries of the cells kept."""
    from scipy.sparse import csc_matrix, csr_matrix, hstack

    check_numbers(path, matrix["data"].dtype)
    indptr = np.asarray(matrix["indptr"][:], np.int64)
    check_pointers(path, indptr, (matrix["data"].shape[0], matrix["indices"].shape[0]), shape[1])
    edges = list(block_edges(np.diff(indptr), BLOCK // 4))
    row_nnz = np.zeros(shape[0], np.int64)
    for start, stop in edges:
        indices = matrix["indices"][indptr[start] : indptr[stop]]
        check_indices(path, indices, shape[0])
        row_nnz += np.bincount(indices, minlength=shape[0])

    def rows(first: int, last: int) -> csr_matrix:
        parts = []
        for start, stop in edges:
            here = slice(indptr[start], indptr[stop])
            arrays = (matrix["data"][here], matrix["indices"][here], indptr[start : stop + 1] - indptr[start])
            parts.append(csc_matrix(arrays, shape=(shape[0], stop - start))[first:last])
        # stacked as csc, where scipy keeps repeated entries apart, as `row_nnz` counts them
        return csr_matrix(hstack(parts, format="csc").tocsr() if parts else (last - first, shape[1]))

    return row_nnz, rows
