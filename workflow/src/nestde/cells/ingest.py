"""One input file, read once: cells of the sheet's samples, sorted by sample, their counts checked to be raw."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.cells.concerns import EQUAL, FEWEST, spread
from nestde.errors import Faults, NestdeError, a_few
from nestde.io.counts import LARGEST, writing
from nestde.io.formats import Source, open_source, reading
from nestde.io.source import label
from nestde.study.config import Input
from nestde.words import count

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_matrix

FIRST = 200  # cells that `peek` looks at


def ingest(path: str | Path, samples: Sequence[str], config: Input, out: str | Path) -> dict[str, Any]:
    """Write the cells of `samples` in one file as csr, int32, sorted by sample and then as they came.

    Parameters
    ----------
    path
        The input.
    samples
        The samples of the sheet that this file holds, sorted.
    config
        Section ``input`` of the configuration.
    out
        h5ad with what `cells_of` returns of each cell; ``uns`` has ``samples`` (names), ``starts`` (first row of each,
        and the end) and ``came``, ``keep`` and ``kept``: cells of each sample in the file, removed by each column of
        ``input.keep``, left; ``others``: cells of samples that are not in the sheet.

    Returns
    -------
    dict
        The same ``uns``.

    Raises
    ------
    NestdeError
        With every fault of the cells (`cells_of`), else with those of the counts.
    """
    source = open_source(path, layer=config.layer, gene_key=config.gene_key)
    obs, cells = cells_of(source, samples, config)
    codes = cells["sample_id"].cat.codes.to_numpy()
    kept, removed = keep_cells(source.path, obs, codes >= 0, config.keep)
    rows = np.flatnonzero(kept)
    order = rows[np.argsort(codes[rows], kind="stable")]
    number = {"came": codes[codes >= 0], "kept": codes[rows]}
    uns: dict[str, Any] = {
        name: np.bincount(of, minlength=len(samples)).astype(np.int64) for name, of in number.items()
    }
    empty = [sample for sample, n in zip(samples, uns["kept"], strict=True) if not n]
    if empty:
        raise NestdeError(
            f"{path}: input.keep leaves no cell of {a_few(empty)}. Keep more, or drop the samples."
        )
    uns["starts"] = np.concatenate([[0], np.cumsum(uns["kept"])]).astype(np.int64)
    uns["samples"] = np.array(samples, object)
    uns["others"] = int((codes < 0).sum())
    uns["keep"] = {
        name: np.bincount(codes[at], minlength=len(samples)).astype(np.int64) for name, at in removed.items()
    }
    # where each cell goes; a block's cells of one sample stay together, so few and large writes do
    place = np.full(len(obs), -1, np.int64)
    place[order] = np.arange(len(order))
    check = RawCounts(source)
    with writing(
        out, "csr", source.row_nnz[order], obs.iloc[order], cells.iloc[order], source.genes, uns
    ) as filler:
        for start, block in source.blocks():
            targets = place[start : start + block.shape[0]]
            here = np.flatnonzero(targets >= 0)
            here = here[np.argsort(targets[here], kind="stable")]
            counts = check.whole(block[here], start + here)
            if check.faulty:
                continue  # the rest is read to say how many values are at fault
            runs = np.flatnonzero(np.diff(targets[here]) != 1) + 1
            for run in np.split(np.arange(len(here)), runs):
                if len(run):
                    filler.put(int(targets[here[run[0]]]), counts[run[0] : run[-1] + 1])
        check.raise_if_any()
    return uns


def peek(path: str | Path, config: Input) -> str:
    """Open a file and look at its first cells, so that what is no raw counts is said before anything is queued.

    Files that can only be read as a whole (gene-major, text) are left to `ingest`.

    Returns
    -------
    str
        What is doubtful: '' or that the totals of the cells are equal.

    Raises
    ------
    NestdeError
        If it cannot be opened, gene names repeat, or the first cells hold other than counts.
    """
    if not Path(path).is_file() or Path(path).name.endswith((".mtx", ".mtx.gz")):
        return ""
    source = open_source(path, layer=config.layer, gene_key=config.gene_key)
    if source.scans:
        return ""
    first = np.arange(min(len(source.obs), FIRST))
    check = RawCounts(source)
    with reading(path):
        block = source.rows(0, len(first))
        check.whole(block, first)
    check.raise_if_any(f" in its first {len(first):,} cells")
    totals = np.asarray(block.sum(axis=1, dtype=np.float64)).ravel()
    if len(totals) < FEWEST or (found := spread(totals)) is None or found >= EQUAL:
        return ""
    return (
        f"{path}: the first {len(totals):,} cells have equal totals, or nearly so ({np.median(totals):,.0f}). Counts that were "
        "made are not; these look normalised and rounded. DE needs raw counts; is there a raw layer (input.layer)?"
    )


def cells_of(source: Source, samples: Sequence[str], config: Input) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """One row per cell of the file, twice: its columns, and what nestde takes it for. The index are barcodes.

    Returns
    -------
    obs
        The columns of the file, tidied, and those of ``input.cell_metadata``.
    cells
        ``sample_id, cell_type``, categorical. Cells of samples that are not in the sheet have no ``sample_id``.

    Raises
    ------
    NestdeError
        A sample of the sheet that is not in the file; the column of samples or of cell types missing; barcodes
        that repeat within a sample; faults of the table of cell metadata.
    """
    import pandas as pd

    faults = Faults()
    path, key = source.path, config.sample_key
    obs = pd.DataFrame(
        {str(name).replace("/", "_"): tidy(source.obs[name]) for name in source.obs.columns},
        index=pd.Index(source.obs.index, dtype=object),
    )
    if key in obs:
        named = obs[key].astype(object).map(label, na_action="ignore")
        missing = sorted(set(samples) - set(named.dropna()))
        if missing:
            known = a_few(sorted(set(named.dropna())), 8)
            faults.add(
                f"{path}: {a_few(missing)} of the sample sheet is not among the samples of the data. Column {key} "
                f"of obs (input.sample_key) has {known or 'no value'}."
            )
    elif len(samples) == 1:
        named = pd.Series(samples[0], index=obs.index, dtype=object)
    else:
        faults.add(
            f"{path}: holds {len(samples)} samples of the sheet, but obs has no column {key} (input.sample_key); it has "
            f"{a_few(obs.columns, 12) or 'none'}."
        )
        named = pd.Series(samples[0], index=obs.index, dtype=object)
    cells = pd.DataFrame({"sample_id": pd.Categorical(named, categories=list(samples))}, index=obs.index)
    faults.raise_if_any()
    keys = cells.assign(barcode=cells.index)
    twice = keys[keys["sample_id"].notna() & keys.duplicated(keep=False)]
    if len(twice):
        faults.add(
            f"{path}: {len(twice):,} cells share a barcode with another cell of their sample: "
            f"{a_few(twice['barcode'].unique())} in {a_few(twice['sample_id'].astype(str).unique())}. If they are "
            "the same cells twice, drop one copy; if several runs, add the run to the barcode."
        )
    if config.cell_metadata is not None:
        faults.raise_if_any()
        obs = join_metadata(obs, keys, Path(config.cell_metadata), samples)
    if config.cell_type_key not in obs:
        faults.add(
            f"{path}: there is no column {config.cell_type_key} (input.cell_type_key) in obs or input.cell_metadata; "
            f"there are {a_few(obs.columns, 12) or 'none'}."
        )
    faults.raise_if_any()
    cell_type = obs[config.cell_type_key].astype(object).map(label, na_action="ignore")
    cells["cell_type"] = pd.Categorical(cell_type)
    return obs, cells


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
    names = [name.replace("/", "_") for name in lines.header]
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


class RawCounts:
    """Checks block by block that counts are whole and not negative, and remembers all that are not."""

    def __init__(self, source: Source):
        self.source = source
        self.faulty: dict[str, tuple[int, str]] = {}

    def whole(self, block: "csr_matrix", rows: NDArray[np.int64]) -> "csr_matrix":
        """Return a block as int32, its values as they were if they are at fault."""
        data = block.data
        finite = np.isfinite(data)
        if data.dtype.kind == "f":
            self._note("non-finite", block, rows, ~finite)
            self._note("non-integer", block, rows, finite & (data != np.floor(data)))
        self._note("negative", block, rows, finite & (data < 0))
        self._note("too large", block, rows, finite & (data > LARGEST))
        if not self.faulty:
            block.data = data.astype(np.int32)
        return block

    def _note(self, what: str, block: "csr_matrix", rows: NDArray[np.int64], bad: NDArray[np.bool_]) -> None:
        if not bad.any():
            return
        number, first = self.faulty.get(what, (0, ""))
        if not first:
            at = int(np.flatnonzero(bad)[0])
            cell = self.source.obs.index[rows[np.searchsorted(block.indptr, at, side="right") - 1]]
            first = f"{block.data[at]} at cell {cell}, gene {self.source.genes[block.indices[at]]}"
        self.faulty[what] = (number + int(bad.sum()), first)

    def raise_if_any(self, where: str = "") -> None:
        """Raise what was noted, a sentence for each kind; `where` it was looked for, if not everywhere."""
        hint = "DE needs raw counts; is there a raw layer (input.layer)?"
        if self.faulty:
            raise NestdeError(
                f"{self.source.path}: holds {count(number, f'{what} value')}{where} (first: {first}). {hint}"
                for what, (number, first) in self.faulty.items()
            )
