"""10x Genomics: HDF5 of Cell Ranger 2 and of 3 and later, and mtx folders of both, gzipped or not."""

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nestde.errors import NestdeError, a_few
from nestde.io.formats.anndata_store import csr_rows
from nestde.io.source import Source, reading, text, unique_genes

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

HINT = "Set input.gene_key to gene_ids, or mend the list of features."


def is_tenx_h5(path: Path) -> bool:
    """Whether an HDF5 file is of 10x: `matrix` (v3) or a group per genome (v2), with barcodes."""
    import h5py

    with reading(path), h5py.File(path, "r") as root:
        return "obs" not in root and any("barcodes" in part for part in _groups(root).values())


def _groups(root: Any) -> dict[str, Any]:
    return {name: root[name] for name in root if hasattr(root[name], "keys")}


def open_h5(path: Path, layer: str, gene_key: str | None) -> Source:
    """Open a 10x HDF5 file. Only features of type Gene Expression are genes.

    A v2 file of several genomes is read as Cell Ranger 3 writes one: the genes of all of them, named
    ``genome_gene``, for the cells of any of them.
    """
    import h5py

    with reading(path):
        root = h5py.File(path, "r")
        parts = {name: part for name, part in _groups(root).items() if "barcodes" in part}
        opened = {}
        for name, part in _matrices(parts).items():
            var = _var_of(part)
            opened[name] = _select_genes(_from_part(path, part, var), var, gene_key)
        return _side_by_side(path, opened) if len(opened) > 1 else next(iter(opened.values()))


def genes_of_h5(path: Path, gene_key: str | None) -> "NDArray[np.object_]":
    """Names of the genes of a 10x HDF5 file, as `open_h5` names them."""
    import h5py

    with reading(path), h5py.File(path, "r") as root:
        parts = {name: part for name, part in _groups(root).items() if "barcodes" in part}
        genes = {name: _genes(path, _var_of(part), gene_key)[1] for name, part in _matrices(parts).items()}
    return _of_genomes(genes) if len(genes) > 1 else next(iter(genes.values()))


def _matrices(parts: dict[str, Any]) -> dict[str, Any]:
    """The one matrix of Cell Ranger 3 and later, or those of 2, by genome."""
    return {"matrix": parts["matrix"]} if "matrix" in parts else parts


def _var_of(part: Any) -> "pd.DataFrame":
    if "features" not in part:
        return _var(part["genes"][:], part["gene_names"][:], None)
    features = part["features"]
    types = features["feature_type"][:] if "feature_type" in features else None
    return _var(features["id"][:], features["name"][:], types)


def _from_part(path: Path, part: Any, var: "pd.DataFrame") -> Source:
    import pandas as pd

    m, n = (int(size) for size in part["shape"][:])
    barcodes = [text(barcode) for barcode in part["barcodes"][:]]
    if (n, m) != (len(barcodes), len(var)):
        raise NestdeError(
            f"{path}: its matrix is {m:,} × {n:,}, but there are {len(var):,} features and {len(barcodes):,} barcodes."
        )
    row_nnz, rows = csr_rows(path, part, (n, m))
    return Source(path, pd.DataFrame(index=barcodes), var.index.to_numpy(object), row_nnz, rows)


def _var(ids: Any, symbols: Any, types: Any) -> "pd.DataFrame":
    """Features as scanpy names their columns; a symbol that occurs more than once is written SYMBOL_ID."""
    import pandas as pd

    var = pd.DataFrame(
        {"gene_ids": [text(value) for value in ids], "gene_symbols": [text(v) for v in symbols]}
    )
    var["feature_types"] = "Gene Expression" if types is None else [text(value) for value in types]
    twice = var["gene_symbols"].duplicated(keep=False) & (var["feature_types"] == "Gene Expression")
    var.index = pd.Index(
        var["gene_symbols"].where(~twice, var["gene_symbols"] + "_" + var["gene_ids"]), dtype=object
    )
    return var


def _genes(
    path: Path, var: "pd.DataFrame", gene_key: str | None
) -> tuple["NDArray[np.intp]", "NDArray[np.object_]"]:
    """Which features are genes, and their names."""
    if gene_key is not None and gene_key not in var:
        raise NestdeError(f"{path}: input.gene_key is {gene_key}; 10x data have {a_few(var.columns)}.")
    is_gene = np.flatnonzero(var["feature_types"] == "Gene Expression")
    if not len(is_gene):
        raise NestdeError(f"{path}: no feature is of type Gene Expression; is it antibody or guide data?")
    names = var.index if gene_key is None else var[gene_key]
    return is_gene, unique_genes(path, np.asarray(names, object)[is_gene], HINT)


def _select_genes(source: Source, var: "pd.DataFrame", gene_key: str | None) -> Source:
    """Name the genes, and leave out features that are none (antibodies, guides)."""
    is_gene, genes = _genes(source.path, var, gene_key)
    if len(is_gene) == len(var):
        return Source(source.path, source.obs, genes, source.row_nnz, source.rows)

    def rows(start: int, stop: int) -> Any:
        return source.rows(start, stop)[:, is_gene]

    counted = [np.diff(rows(*edge).indptr) for edge in _steps(len(source.obs))]
    row_nnz = np.concatenate(counted) if counted else source.row_nnz
    return Source(source.path, source.obs, genes, row_nnz.astype(np.int64), rows)


def _steps(n: int, step: int = 5_000) -> list[tuple[int, int]]:
    return [(start, min(n, start + step)) for start in range(0, n, step)]


def _side_by_side(path: Path, opened: dict[str, Source]) -> Source:
    """Genes of several genomes beside each other, for the cells that any of them has."""
    import pandas as pd
    from scipy.sparse import csr_matrix, hstack, vstack

    barcodes = list(dict.fromkeys(barcode for source in opened.values() for barcode in source.obs.index))
    genes = _of_genomes({genome: source.genes for genome, source in opened.items()})
    parts = []
    for source in opened.values():
        counts = source.rows(0, len(source.obs))
        place = pd.Index(source.obs.index).get_indexer(pd.Index(barcodes))
        empty = csr_matrix((1, counts.shape[1]), dtype=counts.dtype)
        # the row behind the last is empty: it is that of a cell that this genome does not have
        parts.append(vstack([counts, empty], format="csr")[np.where(place < 0, counts.shape[0], place)])
    return _in_memory(path, barcodes, genes, hstack(parts, format="csr"))


def _of_genomes(genes: dict[str, "NDArray[np.object_]"]) -> "NDArray[np.object_]":
    return np.array([f"{genome}_{gene}" for genome, names in genes.items() for gene in names], object)


def _in_memory(path: Path, barcodes: list[str], genes: Any, whole: Any) -> Source:
    import pandas as pd

    return Source(
        path,
        pd.DataFrame(index=barcodes),
        genes,
        np.diff(whole.indptr).astype(np.int64),
        lambda start, stop: whole[start:stop],
    )


def open_mtx(matrix: Path, layer: str, gene_key: str | None) -> Source:
    """Open a 10x folder by the path of its matrix.mtx; the other files may carry the same prefix."""
    from scipy.io import mmread
    from scipy.sparse import csr_matrix

    prefix = matrix.name.removesuffix(".gz").removesuffix("matrix.mtx")
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
    source = _in_memory(matrix.parent, barcodes, var.index.to_numpy(object), counts)
    return _select_genes(source, var, gene_key)


def genes_of_mtx(matrix: Path, gene_key: str | None) -> "NDArray[np.object_]":
    """Names of the genes of a 10x folder, as `open_mtx` names them."""
    prefix = matrix.name.removesuffix(".gz").removesuffix("matrix.mtx")
    return _genes(matrix.parent, _var_beside(matrix, prefix), gene_key)[1]


def _var_beside(matrix: Path, prefix: str) -> "pd.DataFrame":
    features = _table(matrix, prefix, ["features.tsv", "genes.tsv"])
    types = [row[2] for row in features] if all(len(row) > 2 for row in features) and features else None
    return _var([row[0] for row in features], [row[min(1, len(row) - 1)] for row in features], types)


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
