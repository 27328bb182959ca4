"""The study as the check sees it: the sheet, and per cell its sample, its cell type and the model's covariates."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.cells.depth import OFFERED
from nestde.cells.qc import MEASURED as MEASURED_BY_QC
from nestde.check.cells import CellsOfFile, named_covariates, read_part
from nestde.check.features import Features, read_features
from nestde.check.inputs import check_same, is_there
from nestde.design.formula import Formula, of_genes, variables_of
from nestde.errors import Faults
from nestde.io.obs import tidy
from nestde.study.config import Config
from nestde.study.samples import read_samples, source_paths

if TYPE_CHECKING:
    import pandas as pd

# What quality control and the matrix measure of each cell: a formula may use it.
MEASURED = (*MEASURED_BY_QC, "size_factor", *OFFERED)
BY_QC = "quality control"


@dataclass(frozen=True)
class Variable:
    """A covariate as the model will read it: the sheet's, where sheet and data both have it.

    Attributes
    ----------
    origin
        Path of the sheet or of the data, or that quality control will measure it.
    factor
        Whether it is a factor (text, true and false, numbers whose levels the configuration names), not a number.
    between
        Whether it is constant within each sample.
    values
        One per sample if `between`, else one per cell.
    in_data
        (n,) the data's own values, None if they have none.
    """

    name: str
    origin: str
    factor: bool
    between: bool
    values: "pd.Series[Any]"
    in_data: "pd.Series[Any] | None"


@dataclass(frozen=True, eq=False)
class Study:
    """What is known before any count is read.

    Attributes
    ----------
    config, formula
        What is asked.
    sheet
        One row per sample, sorted.
    paths
        Sample -> file.
    sample
        (n,) row of the sheet of each cell; the cells are sorted by it.
    file, row
        (n,) in which of the files of `paths` each cell is, and where there.
    cell_type
        (n,) categorical.
    variables
        Those covariates of formulas and tests that are there.
    known
        Names that a formula could use.
    unnamed
        Cells of no sample, which are left out.
    features
        Genes of each file; None if there is one file.
    donors
        Further columns of the data that are named like donors and constant within samples: one value per sample.
    """

    config: Config
    formula: Formula
    sheet: "pd.DataFrame"
    paths: dict[str, str]
    sample: NDArray[np.int64]
    file: NDArray[np.int64]
    row: NDArray[np.int64]
    cell_type: "pd.Categorical"
    variables: dict[str, Variable]
    known: tuple[str, ...]
    unnamed: int
    features: Features | None
    donors: dict[str, "pd.Series[Any]"]

    @property
    def samples(self) -> list[str]:
        """Names of the samples, in the order of the sheet."""
        return list(self.sheet["sample_id"])

    @property
    def data(self) -> str:
        """The data in a word: the file, if it is one."""
        return _data(self.paths)

    def cells_of(self, *cell_types: str) -> NDArray[np.int64]:
        """Rows of the cells of some cell types, sorted by sample."""
        return np.flatnonzero(
            np.isin(self.cell_type.codes, self.cell_type.categories.get_indexer(cell_types))
        )

    def variables_in(self, term: str) -> tuple[str, ...]:
        """Covariates that a fixed term, or one of what is tested, reads."""
        return variables_of(f"0 + {self.config.model.about(term)}")

    def frame(self, rows: NDArray[np.int64]) -> "pd.DataFrame":
        """Return the covariates of some cells, ``sample_id`` among them, as the model will read them."""
        import pandas as pd

        sample = self.sample[rows]
        columns: dict[str, Any] = {"sample_id": pd.Categorical.from_codes(sample, self.samples)}
        for name, variable in self.variables.items():
            if name != "sample_id":
                columns[name] = variable.values.array.take(sample if variable.between else rows)
        return pd.DataFrame(columns, index=pd.RangeIndex(len(rows)))


def read_study(config: Config, faults: Faults) -> Study | None:
    """Read sheet and cells; whatever is wrong with them is noted. None if too little is left to go on with."""
    formula, sheet, paths = None, None, {}
    with faults.noting("model."):
        formula = of_genes(config.model.formula)
    with faults.noting():
        sheet = read_samples(config.samples)
        paths = source_paths(config, sheet)
    files = list(dict.fromkeys(paths.values())) or [config.input.counts or ""]
    there = [file for file in files if file and is_there(file, paths, config, faults)]
    if sheet is None or not paths:
        return None
    wanted = named_covariates(config, formula)
    parts: list[CellsOfFile] = []
    for file in there:
        rows = np.flatnonzero([path == file for path in paths.values()])
        part = read_part(file, rows, sheet, wanted, config, faults)
        if part is not None:
            parts.append(part)
    if len(parts) == len(files):
        key = config.input.sample_key
        told_apart = [file for file, part in zip(files, parts, strict=True) if key in part.known]
        check_same(paths, told_apart, config.samples, key, faults)
    features = read_features(there, config, faults)
    # with cells of some files only, every other sentence would be about what is missing with the rest
    if formula is None or len(parts) < len(files):
        return None
    return _assemble(config, formula, sheet, paths, parts, features, wanted)


def _assemble(
    config: Config,
    formula: Formula,
    sheet: "pd.DataFrame",
    paths: dict[str, str],
    parts: Sequence[CellsOfFile],
    features: Features | None,
    wanted: Sequence[str],
) -> Study:
    """Put the files' cells together, sorted by sample, and take each covariate from sheet or data."""
    import pandas as pd

    sample = np.concatenate([part.sample for part in parts])
    order = np.argsort(sample, kind="stable")
    sample = sample[order]
    lengths = [len(part.sample) for part in parts]
    cell_type = pd.Categorical(
        _joined([tidy(part.cell_type.astype(object)) for part in parts], lengths)
    ).take(order)
    in_data = {
        name: pd.Series(_joined([part.frame.get(name) for part in parts], lengths).take(order))
        for name in dict.fromkeys([*wanted, *(name for part in parts for name in part.frame)])
        if any(name in part.frame for part in parts)
    }
    donors = {
        name: values
        for name, column in in_data.items()
        if name not in wanted and name not in sheet
        for between, values in [per_sample(column, sample, len(sheet))]
        if between
    }
    variables = {}
    for name in wanted:
        mine = in_data.get(name) if name not in OFFERED else None
        if name in sheet and name not in ("counts", *OFFERED):
            values = tidy(sheet[name])
            origin, between = config.samples, True
        elif mine is not None:
            origin = _data(paths)
            between, values = per_sample(mine, sample, len(sheet))
        elif name in MEASURED:
            # not known before the counts are read; any numbers that differ between cells stand in for them
            values = pd.Series(np.random.default_rng(MEASURED.index(name)).standard_normal(len(sample)))
            origin, between = BY_QC, False
        else:
            continue
        if isinstance(values.dtype, pd.CategoricalDtype) and "" in values.cat.categories:
            values = values.cat.remove_categories([""])
        number = pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
        factor = name in config.model.levels or not number
        variables[name] = Variable(name, origin, factor, between, values, mine)
    known = dict.fromkeys(sheet.columns.drop("counts", errors="ignore"))
    known |= dict.fromkeys(name for part in parts for name in part.known)
    return Study(
        config,
        formula,
        sheet,
        paths,
        sample,
        np.repeat(np.arange(len(parts)), lengths)[order],
        np.concatenate([part.row for part in parts])[order],
        cell_type,
        variables,
        tuple(known),
        sum(part.unnamed for part in parts),
        features,
        donors,
    )


def per_sample(
    values: "pd.Series[Any]", sample: NDArray[np.int64], samples: int
) -> tuple[bool, "pd.Series[Any]"]:
    """Whether a column is constant within samples; if so one value per sample, else the column.

    Parameters
    ----------
    values, sample
        (n,) sorted by sample.
    samples
        Number of samples; one without cells has no value.
    """
    import pandas as pd

    codes, _ = pd.factorize(values, use_na_sentinel=False)
    starts = np.flatnonzero(np.diff(sample, prepend=-1))
    if (np.minimum.reduceat(codes, starts) < np.maximum.reduceat(codes, starts)).any():
        return False, values
    place = np.full(samples, -1)
    place[sample[starts]] = starts
    taken = values.array.take(place, allow_fill=True) if (place < 0).any() else values.array.take(place)
    return True, pd.Series(taken)


def labels_of(values: "pd.Series[Any]") -> "pd.Categorical":
    """A column as a categorical of text."""
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype):
        return pd.Categorical(values)
    return pd.Categorical(tidy(values.astype(object)))


def _joined(columns: Sequence["pd.Series[Any] | None"], lengths: Sequence[int]) -> Any:
    """One array of the files' columns; where a file has none, the values are missing."""
    import pandas as pd

    there = [column for column in columns if column is not None]
    if all(pd.api.types.is_numeric_dtype(column.dtype) for column in there):
        filled = [
            np.full(length, np.nan) if column is None else column.to_numpy()
            for column, length in zip(columns, lengths, strict=True)
        ]
        return pd.Series(np.concatenate(filled)).array
    labels = [
        pd.Categorical([None] * length, categories=[])
        if column is None
        else column.array if isinstance(column.dtype, pd.CategoricalDtype) else pd.Categorical(column.astype(str))
        for column, length in zip(columns, lengths, strict=True)
    ]  # fmt: skip
    return pd.api.types.union_categoricals(
        [part.rename_categories(list(map(str, part.categories))) for part in labels]
    )


def _data(paths: dict[str, str]) -> str:
    files = sorted(set(paths.values()))
    return files[0] if len(files) == 1 else "the data"
