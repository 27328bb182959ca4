"""AnnData in a zarr folder, format 2 or 3."""

from pathlib import Path
from typing import TYPE_CHECKING

from nestde.io.formats.anndata_store import cells_of_root, genes_of_root, open_root
from nestde.io.formats.format import Files, Format
from nestde.io.obs import AskedColumns, Cells
from nestde.io.source import Source, reading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MARKS = (".zgroup", ".zattrs", "zarr.json")


def matches(path: Path) -> bool:
    """Whether it is a folder with a mark of zarr."""
    return path.is_dir() and any((path / name).exists() for name in MARKS)


def open_zarr(path: Path, layer: str, gene_key: str | None) -> Source:
    """Open a folder."""
    import zarr

    with reading(path):
        return open_root(path, zarr.open_group(str(path), mode="r"), layer, gene_key)


def genes_of_zarr(path: Path, layer: str, gene_key: str | None) -> "NDArray[np.object_]":
    """Names of the genes."""
    import zarr

    with reading(path):
        return genes_of_root(path, zarr.open_group(str(path), mode="r"), layer, gene_key)


def read_obs(path: Path, asked: AskedColumns) -> Cells:
    """Barcodes, and the columns asked for."""
    import zarr

    with reading(path):
        return cells_of_root(path, zarr.open_group(str(path), mode="r"), asked)


def files(path: Path) -> Files | None:
    """Every file of the folder: each part is several."""
    return Files(sorted(file for file in path.rglob("*") if file.is_file()), []) if matches(path) else None


FORMAT = Format("zarr", matches, open_zarr, genes_of_zarr, read_obs, files)
