"""10x folders: matrix.mtx, barcodes and features (or genes), gzipped or not, with a common prefix or none."""

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

from nestde.errors import NestdeError
from nestde.io.formats.format import Files, Format
from nestde.io.formats.tenx import genes_among, in_memory, only_x, select_genes, var_of_features
from nestde.io.obs import AskedColumns, Cells, without_columns
from nestde.io.source import Source, reading, text

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

MATRIX = ("matrix.mtx", "matrix.mtx.gz")


def matches(path: Path) -> bool:
    """Whether it is a matrix.mtx, or a folder that has one."""
    if path.is_dir():
        return any(file.name.endswith(MATRIX) for file in path.iterdir())
    return path.name.endswith(MATRIX) and path.is_file()


def _matrix_of(path: Path) -> tuple[Path, str]:
    """The matrix.mtx, and the prefix that the files beside it share."""
    found = [path]
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.name.endswith(MATRIX))
        if len(found) != 1:
            what = f"{len(found)} matrices ({', '.join(file.name for file in found)})"
            raise NestdeError(f"{path}: is a folder with {what}. Give a 10x folder of one sample, or a file.")
    return found[0], found[0].name.removesuffix(".gz").removesuffix("matrix.mtx")


def open_mtx(path: Path, layer: str, gene_key: str | None) -> Source:
    """Open a 10x folder, or the path of its matrix.mtx; the other files may carry the same prefix."""
    from scipy.io import mmread
    from scipy.sparse import csr_matrix

    matrix, prefix = _matrix_of(path)
    only_x(matrix, layer)
    barcodes = [row[0] for row in _table(matrix, prefix, ["barcodes.tsv"])]
    var = _var_beside(matrix, prefix)
    with reading(matrix):
        whole = mmread(matrix)
        if whole.shape != (len(var), len(barcodes)):
            raise NestdeError(
                f"{matrix}: is {whole.shape[0]:,} × {whole.shape[1]:,}, but beside it are {len(var):,} features and "
                f"{len(barcodes):,} barcodes. The three files belong to different runs, or one is truncated."
            )
        counts = csr_matrix(whole.T)
    source = in_memory(matrix.parent, barcodes, var.index.to_numpy(object), counts)
    return select_genes(source, var, gene_key)


def genes_of_mtx(path: Path, layer: str, gene_key: str | None) -> "NDArray[np.object_]":
    """Names of the genes of a 10x folder, as `open_mtx` names them."""
    matrix, prefix = _matrix_of(path)
    return genes_among(matrix.parent, _var_beside(matrix, prefix), gene_key)[1]


def _var_beside(matrix: Path, prefix: str) -> "pd.DataFrame":
    features = _table(matrix, prefix, ["features.tsv", "genes.tsv"])
    types = [row[2] for row in features] if all(len(row) > 2 for row in features) and features else None
    return var_of_features(
        [row[0] for row in features], [row[min(1, len(row) - 1)] for row in features], types
    )


def _table(matrix: Path, prefix: str, names: list[str]) -> list[list[str]]:
    """Rows of the first of the files that is there, gzipped or not."""
    for name in names:
        for path in (matrix.with_name(f"{prefix}{name}.gz"), matrix.with_name(f"{prefix}{name}")):
            if path.is_file():
                with reading(path):
                    raw = path.read_bytes()
                    lines = text(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).splitlines()
                return [line.split("\t") for line in lines if line.strip()]
    raise NestdeError(f"{matrix.parent}: has no {prefix}{' or '.join(names)} (or .gz) beside {matrix.name}.")


def read_obs(path: Path, asked: AskedColumns) -> Cells:
    """Read the barcodes: there are no columns."""
    matrix, prefix = _matrix_of(path)
    return without_columns(path, [row[0] for row in _table(matrix, prefix, ["barcodes.tsv"])])


def files(path: Path) -> Files | None:
    """All files of a folder, or the matrix.mtx and those of its run beside it."""
    if path.is_dir():
        every = sorted(file for file in path.rglob("*") if file.is_file())
        matrices = [file for file in every if file.name.endswith(MATRIX)]
        return Files(matrices, [file for file in every if file not in matrices]) if matrices else None
    if not path.name.endswith(MATRIX):
        return None
    prefix = path.name.removesuffix(".gz").removesuffix("matrix.mtx")
    names = [f"{prefix}{name}.tsv{gz}" for name in ("barcodes", "features", "genes") for gz in ("", ".gz")]
    return Files([path], [path.with_name(name) for name in names if path.with_name(name).is_file()])


FORMAT = Format("10x mtx folders", matches, open_mtx, genes_of_mtx, read_obs, files, whole=True)
