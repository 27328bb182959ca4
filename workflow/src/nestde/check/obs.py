"""The cells of one input file without their counts: barcodes, and the few columns that are asked for."""

import gzip
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.cells.ingest import tidy
from nestde.errors import NestdeError, a_few
from nestde.io.formats import open_source
from nestde.io.formats.anndata_store import read_frame
from nestde.io.source import reading, text

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Cells:
    """What a file says of its n cells.

    Attributes
    ----------
    path
        The file or folder.
    barcodes
        (n,) names of the cells.
    columns
        Names of all columns of obs; "/" in a name is read as "_".
    frame
        (n rows) the columns asked for that are there: numbers, booleans or categoricals of text.
    """

    path: Path
    barcodes: NDArray[np.object_]
    columns: tuple[str, ...]
    frame: "pd.DataFrame"


def read_cells(
    path: str | Path, wanted: Collection[str], also: Callable[[str], bool] = lambda name: False
) -> Cells:
    """Read the cells of an h5ad, zarr, 10x HDF5 or 10x mtx folder; no count is touched.

    Parameters
    ----------
    wanted, also
        Columns to read: these, and those whose name fits.

    Raises
    ------
    NestdeError
        There is nothing there, or nothing that can be read.
    """
    path = Path(path)

    def asked(name: str) -> bool:
        return name in wanted or also(name)

    with reading(path):
        if path.is_dir() and any((path / name).exists() for name in (".zgroup", ".zattrs", "zarr.json")):
            import zarr

            return _anndata(path, zarr.open_group(str(path), mode="r"), asked)
        if path.is_dir() or path.name.endswith(("matrix.mtx", "matrix.mtx.gz")):
            return _without_columns(path, _mtx_barcodes(path))
        import h5py

        if not h5py.is_hdf5(path):
            open_source(path)  # says what it is instead
        with h5py.File(path, "r") as root:
            if "obs" in root:
                return _anndata(path, root, asked)
            found = [
                part["barcodes"][:] for part in root.values() if hasattr(part, "keys") and "barcodes" in part
            ]
            if not found:
                raise NestdeError(f"{path}: has no obs and no barcodes; it is neither AnnData nor of 10x.")
            return _without_columns(path, list(dict.fromkeys(text(name) for part in found for name in part)))


def _anndata(path: Path, root: Any, asked: Callable[[str], bool]) -> Cells:
    import pandas as pd
    from anndata.io import read_elem

    stored = root["obs"]
    if str(getattr(stored, "attrs", {}).get("encoding-version", "")) != "0.2.0":
        whole = read_frame(root, "obs")
        whole.columns = [_plain(name) for name in whole.columns]
        taken = {name: tidy(whole[name]).array for name in whole.columns if asked(name)}
        barcodes = np.array([text(name) for name in whole.index], dtype=object)
        return Cells(
            path, barcodes, tuple(whole.columns), pd.DataFrame(taken, index=pd.RangeIndex(len(whole)))
        )
    barcodes = np.asarray(read_elem(stored[stored.attrs["_index"]]), dtype=object)
    names = {_plain(name): str(name) for name in stored.attrs["column-order"]}
    taken = {
        plain: tidy(pd.Series(read_elem(stored[name]), name=plain)).array
        for plain, name in names.items()
        if asked(plain)
    }
    return Cells(path, barcodes, tuple(names), pd.DataFrame(taken, index=pd.RangeIndex(len(barcodes))))


def _plain(name: object) -> str:
    return str(name).replace("/", "_")


def _without_columns(path: Path, barcodes: list[str]) -> Cells:
    import pandas as pd

    return Cells(path, np.array(barcodes, dtype=object), (), pd.DataFrame(index=pd.RangeIndex(len(barcodes))))


def _mtx_barcodes(path: Path) -> list[str]:
    """Barcodes of a 10x folder, or of the run whose matrix.mtx is named; a prefix is shared by its files."""
    folder = path if path.is_dir() else path.parent
    prefix = "" if path.is_dir() else path.name.removesuffix(".gz").removesuffix("matrix.mtx")
    found = sorted(
        file for file in folder.iterdir()
        if file.name.startswith(prefix) and file.name.endswith(("barcodes.tsv", "barcodes.tsv.gz"))
    )  # fmt: skip
    if len(found) != 1:
        what = "no barcodes.tsv" if not found else f"several ({a_few(file.name for file in found)})"
        raise NestdeError(f"{path}: is a folder with {what}. Give a 10x folder of one sample, or a file.")
    raw = found[0].read_bytes()
    lines = text(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).splitlines()
    return [line.split("\t")[0] for line in lines if line.strip()]
