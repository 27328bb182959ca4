"""AnnData in HDF5: h5ad."""

from pathlib import Path
from typing import TYPE_CHECKING

from nestde.io.formats.anndata_store import cells_of_root, genes_of_root, open_root
from nestde.io.formats.format import Format, is_hdf5
from nestde.io.obs import AskedColumns, Cells
from nestde.io.source import Source, reading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def matches(path: Path) -> bool:
    """Whether it is HDF5 with obs, or with the var that an AnnData has too."""
    import h5py

    if not is_hdf5(path):
        return False
    with reading(path), h5py.File(path, "r") as root:
        return "obs" in root or "var" in root


def open_h5ad(path: Path, layer: str, gene_key: str | None) -> Source:
    """Open a file; it stays open for as long as its rows are read."""
    import h5py

    with reading(path):
        return open_root(path, h5py.File(path, "r"), layer, gene_key)


def genes_of_h5ad(path: Path, layer: str, gene_key: str | None) -> "NDArray[np.object_]":
    """Names of the genes."""
    import h5py

    with reading(path), h5py.File(path, "r") as root:
        return genes_of_root(path, root, layer, gene_key)


def read_obs(path: Path, asked: AskedColumns) -> Cells:
    """Barcodes, and the columns asked for."""
    import h5py

    with reading(path), h5py.File(path, "r") as root:
        return cells_of_root(path, root, asked)


FORMAT = Format("h5ad", matches, open_h5ad, genes_of_h5ad, read_obs)
