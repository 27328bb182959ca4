"""Cells without their counts: barcodes and columns of obs, joined with other tables, and which of them are wanted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.errors import Faults, NestdeError, a_few
from nestde.io.source import label

if TYPE_CHECKING:
    import pandas as pd

# Whether a column is asked for, by its name.
AskedColumns = Callable[[str], bool]


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
        Names of all columns of obs, `plain`.
    frame
        (n rows) the columns asked for that are there: numbers, booleans or categoricals of text.
    """

    path: Path
    barcodes: NDArray[np.object_]
    columns: tuple[str, ...]
    frame: "pd.DataFrame"


def without_columns(path: Path, barcodes: Sequence[str]) -> Cells:
    """Cells of a format that has nothing but their barcodes."""
    import pandas as pd

    return Cells(path, np.array(barcodes, dtype=object), (), pd.DataFrame(index=pd.RangeIndex(len(barcodes))))


def plain(name: object) -> str:
    """Name of a column of obs as nestde has it: HDF5 takes "/" for a folder."""
    return str(name).replace("/", "_")


def tidy(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return a column as numbers, booleans or a categorical of text: what can be written and modelled."""
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        labels = [label(value) for value in column.cat.categories]
        if len(set(labels)) == len(labels):
            return column.cat.rename_categories(labels).cat.remove_unused_categories()
    elif pd.api.types.is_bool_dtype(column.dtype) and not column.hasnans:
        return column.astype(bool)
    elif pd.api.types.is_any_real_numeric_dtype(column.dtype):
        return column if isinstance(column.dtype, np.dtype) else column.astype(float)
    labels = column.astype(object).map(label, na_action="ignore")
    return pd.Series(pd.Categorical(labels), index=column.index)


def join_metadata(
    obs: "pd.DataFrame", cells: "pd.DataFrame", path: Path, samples: Sequence[str]
) -> "pd.DataFrame":
    """Add the columns of a table ``barcode, [sample_id], …`` to those of the cells; it wins over columns of obs.

    Parameters
    ----------
    obs
        (n rows) columns so far.
    cells
        (n rows) ``sample_id, barcode``, to join by.

    Raises
    ------
    NestdeError
        No such table, no column barcode, rows that repeat or cannot be told apart, no row that fits a cell.
    """
    import pandas as pd

    table = read_metadata(path)
    keys = ["sample_id", "barcode"] if "sample_id" in table else ["barcode"]
    if "sample_id" in table:
        table = table[table["sample_id"].isin(samples)]
    elif cells.loc[cells["sample_id"].notna(), "barcode"].duplicated().any():
        raise NestdeError(
            f"{path}: has no column sample_id, but barcodes repeat across samples. Add it, as in the sample sheet."
        )
    twice = table.loc[table.duplicated(keys), keys].drop_duplicates()
    if len(twice):
        repeated = [" ".join(map(str, row)) for row in twice.itertuples(index=False)]
        raise NestdeError(f"{path}: has more than one row for {a_few(repeated)}. Keep one row for each cell.")
    table = table.set_index(keys)
    named = (
        pd.MultiIndex.from_frame(cells[keys].astype(object)) if len(keys) == 2 else pd.Index(cells["barcode"])
    )
    place = table.index.get_indexer(named)
    if (place < 0).all():
        wanted, there = (
            cells["barcode"].iloc[:2].tolist(),
            table.index.get_level_values("barcode")[:2].tolist(),
        )
        raise NestdeError(
            f"{path}: no row fits a cell of {a_few(samples)}. The data have barcodes such as {a_few(wanted) or 'none'}, "
            f"the table {a_few(there) or 'none for them'}."
        )
    joined = {name: tidy(table[name].take(place).where(place >= 0)) for name in table.columns}
    columns = dict(obs.items()) | {name: column.set_axis(obs.index) for name, column in joined.items()}
    return pd.DataFrame(columns, index=obs.index)


def read_metadata(path: Path) -> "pd.DataFrame":
    """Read the TSV of cell metadata; barcode and sample_id are text, a column of numbers is numeric.

    Raises
    ------
    NestdeError
        With all that is wrong with it (see `tsv.read_lines`).
    """
    try:
        found = path.stat()
    except (OSError, ValueError):  # told by who reads it
        return _table(path, None)
    return _table(path, (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns))


@lru_cache(maxsize=1)
def _table(path: Path, version: tuple[int, ...] | None) -> "pd.DataFrame":
    """Read it once for all the files whose cells it describes; not to be changed by who is given it."""
    import csv
    import io

    import pandas as pd

    from nestde.io.tsv import read_lines

    lines = read_lines(path, "barcode", "cell", "the table of cell metadata", "See input.cell_metadata.")
    names = [plain(name) for name in lines.header]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise NestdeError(
            f'{path}: more than one column is {a_few(twice)} once "/" is read as "_". Rename one.'
        )
    return pd.read_csv(
        io.StringIO("\n".join(row for _, row in lines.rows)),
        sep="\t",
        names=names,
        index_col=False,
        dtype={"barcode": str, "sample_id": str},
        keep_default_na=False,
        na_values=["", "NA"],
        low_memory=False,
        quoting=csv.QUOTE_NONE,
    )


def keep_cells(
    path: Path, obs: "pd.DataFrame", inside: NDArray[np.bool_], keep: Mapping[str, Sequence[Any]]
) -> tuple[NDArray[np.bool_], dict[str, NDArray[np.int64]]]:
    """Which of the cells `inside` have the values of ``input.keep``, and the rows that each column removes, in turn.

    Raises
    ------
    NestdeError
        A column that is not there; values that no cell has.
    """
    faults = Faults()
    kept = inside
    removed = {}
    for name, values in keep.items():
        if name not in obs:
            faults.add(f"{path}: input.keep names {name}, which is no column of obs or input.cell_metadata.")
            continue
        wanted = {label(value) for value in values}
        labels = obs[name].astype(object).map(label, na_action="ignore")
        absent = sorted(wanted - set(labels.dropna()))
        if absent and len(absent) == len(wanted):
            faults.add(
                f"{path}: no cell has {name} {a_few(absent)} (input.keep); there are {a_few(sorted(set(labels.dropna())))}."
            )
        fits = labels.isin(wanted).to_numpy()
        removed[name] = np.flatnonzero(kept & ~fits)
        kept = kept & fits
    faults.raise_if_any()
    return kept, removed
