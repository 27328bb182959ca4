"""10x HDF5, of Cell Ranger 2 and of 3 and later."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nestde.errors import NestdeError
from nestde.io.formats.anndata_store import csr_rows
from nestde.io.formats.format import Format, is_hdf5
from nestde.io.formats.tenx import genes_among, in_memory, only_x, select_genes, var_of_features
from nestde.io.obs import AskedColumns, Cells, without_columns
from nestde.io.source import Source, reading, text

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


def matches(path: Path) -> bool:
    """Whether it is HDF5 of 10x: `matrix` (v3) or a group per genome (v2), with barcodes."""
    import h5py

    if not is_hdf5(path):
        return False
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

    only_x(path, layer)
    with reading(path):
        root = h5py.File(path, "r")
        parts = {name: part for name, part in _groups(root).items() if "barcodes" in part}
        opened = {}
        for name, part in _matrices(parts).items():
            var = _var_of(part)
            opened[name] = select_genes(_from_part(path, part, var), var, gene_key)
        return _side_by_side(path, opened) if len(opened) > 1 else next(iter(opened.values()))


def genes_of_h5(path: Path, layer: str, gene_key: str | None) -> "NDArray[np.object_]":
    """Names of the genes of a 10x HDF5 file, as `open_h5` names them."""
    import h5py

    with reading(path), h5py.File(path, "r") as root:
        parts = {name: part for name, part in _groups(root).items() if "barcodes" in part}
        genes = {
            name: genes_among(path, _var_of(part), gene_key)[1] for name, part in _matrices(parts).items()
        }
    return _of_genomes(genes) if len(genes) > 1 else next(iter(genes.values()))


def _matrices(parts: dict[str, Any]) -> dict[str, Any]:
    """The one matrix of Cell Ranger 3 and later, or those of 2, by genome."""
    return {"matrix": parts["matrix"]} if "matrix" in parts else parts


def _var_of(part: Any) -> "pd.DataFrame":
    if "features" not in part:
        return var_of_features(part["genes"][:], part["gene_names"][:], None)
    features = part["features"]
    types = features["feature_type"][:] if "feature_type" in features else None
    return var_of_features(features["id"][:], features["name"][:], types)


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
    return in_memory(path, barcodes, genes, hstack(parts, format="csr"))


def _of_genomes(genes: dict[str, "NDArray[np.object_]"]) -> "NDArray[np.object_]":
    return np.array([f"{genome}_{gene}" for genome, names in genes.items() for gene in names], object)


def read_obs(path: Path, asked: AskedColumns) -> Cells:
    """Read the barcodes: there are no columns."""
    import h5py

    with reading(path), h5py.File(path, "r") as root:
        found = [part["barcodes"][:] for part in _groups(root).values() if "barcodes" in part]
    return without_columns(path, list(dict.fromkeys(text(name) for part in found for name in part)))


FORMAT = Format("10x h5", matches, open_h5, genes_of_h5, read_obs)
