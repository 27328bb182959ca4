"""The cells of one input file set against the sheet: which sample is each of, is it one, are they all there."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.check.labels import names_donors
from nestde.check.wording import are, both, count, nearest
from nestde.design.formula import Formula, parse, variables_of
from nestde.errors import Faults, NestdeError, a_few
from nestde.io.formats import read_cells
from nestde.io.obs import Cells, join_metadata, keep_cells
from nestde.io.source import label
from nestde.study.config import Config

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class CellsOfFile:
    """The cells of one file that are of samples of the sheet and that `input.keep` keeps.

    Attributes
    ----------
    row
        (n,) where each stands in the file.
    sample
        (n,) row of the sheet.
    cell_type
        (n,) categorical.
    frame
        (n rows) the columns asked for that are there, and those that are named like donors.
    known
        Names of all columns that there are.
    unnamed
        Cells without a sample, which are left out.
    """

    row: NDArray[np.int64]
    sample: NDArray[np.int64]
    cell_type: "pd.Series[Any]"
    frame: "pd.DataFrame"
    known: tuple[str, ...]
    unnamed: int


def named_covariates(config: Config, formula: Formula | None) -> list[str]:
    """Columns that the model and the pseudobulk formula read; a formula that cannot be read gives none."""
    names = list(formula.variables) if formula else []
    if config.pseudobulk.enabled and config.pseudobulk.formula:
        with contextlib.suppress(NestdeError):  # told in check_terms
            names += parse(config.pseudobulk.formula).variables
    for term in config.model.test:
        with contextlib.suppress(NestdeError):  # told where tests are checked
            names += variables_of(config.model.about(term))
    return list(dict.fromkeys([*names, *config.model.levels]))


def read_part(
    file: str,
    rows: NDArray[np.int64],
    sheet: "pd.DataFrame",
    wanted: list[str],
    config: Config,
    faults: Faults,
) -> CellsOfFile | None:
    """Read one file; note what does not fit the sheet. None if its cells cannot be told by sample and type.

    Parameters
    ----------
    rows
        Rows of the sheet whose data this file holds.
    wanted
        Covariates to read, if they are there.
    """
    import pandas as pd

    entry = config.input
    try:
        cells = read_cells(file, {*wanted, entry.sample_key, entry.cell_type_key, *entry.keep}, names_donors)
    except NestdeError as error:
        for sentence in error.faults:
            faults.add(sentence)
        return None
    if not len(cells.barcodes):
        faults.add(f"{file}: holds no cell.")
        return None
    named = _named(cells, rows, sheet, config, faults)
    if named is None:
        return None
    obs = cells.frame
    keys = pd.DataFrame({"sample_id": pd.Categorical(named), "barcode": cells.barcodes})
    _check_barcodes(file, keys, faults)
    known = list(cells.columns)
    mine = list(sheet["sample_id"].iloc[rows])
    try:
        if entry.cell_metadata is not None:
            before = set(obs)
            obs = join_metadata(obs, keys, Path(entry.cell_metadata), mine)
            known += [name for name in obs if name not in before]
        kept, _ = keep_cells(Path(file), obs, keys["sample_id"].notna().to_numpy(), entry.keep)
    except NestdeError as error:
        for sentence in error.faults:
            faults.add(sentence)
        return None
    if entry.cell_type_key not in obs:
        hint = nearest(entry.cell_type_key, known, "It has")
        faults.add(f"{file}: obs has no column {entry.cell_type_key} (input.cell_type_key). {hint}")
        return None
    if not set(config.cell_types) & set(map(label, obs[entry.cell_type_key].dropna().unique())):
        right = column_with(cells, set(config.cell_types), entry.cell_type_key)
        if right:
            faults.add(
                f"{file}: {entry.cell_type_key}, as input.cell_type_key, holds none of cell_types "
                f"({a_few(config.cell_types)}). They are in its column {right}: set input.cell_type_key to it."
            )
            return None
    _check_samples(file, keys["sample_id"][kept].cat.remove_unused_categories(), rows, sheet, config, faults)
    place = {name: row for row, name in zip(rows, mine, strict=True)}
    of_category = np.array([place.get(name, -1) for name in keys["sample_id"].cat.categories] + [-1])
    sample = of_category[keys["sample_id"].cat.codes]
    inside = np.flatnonzero(kept & (sample >= 0))
    obs = obs.take(inside)
    own = [name for name in obs if name in wanted or names_donors(name)]
    return CellsOfFile(
        inside.astype(np.int64),
        sample[inside],
        obs[entry.cell_type_key],
        obs[own],
        tuple(dict.fromkeys(known)),
        int(named.isna().sum()),
    )


def _named(
    cells: Cells, rows: NDArray[np.int64], sheet: "pd.DataFrame", config: Config, faults: Faults
) -> "pd.Series[Any] | None":
    """The sample that each cell says it is of: text. None if the column is not there or names no samples."""
    import pandas as pd

    key, file = config.input.sample_key, cells.path
    mine = list(sheet["sample_id"].iloc[rows])
    if key not in cells.frame:
        if len(rows) == 1:
            return pd.Series(pd.Categorical([mine[0]] * len(cells.barcodes)))
        faults.add(
            f"{file}: obs has no column {key} (input.sample_key), so its cells cannot be told by sample. "
            f"{nearest(key, cells.columns, 'It has')}"
        )
        return None
    named = cells.frame[key]
    if not isinstance(named.dtype, pd.CategoricalDtype):
        codes, values = pd.factorize(named)
        named = pd.Series(pd.Categorical.from_codes(codes, [label(value) for value in values]))
    labels = list(named.cat.categories)
    there = set(labels)
    one_each = len(labels) == len(named) > 1
    if there & set(sheet["sample_id"]) and not one_each:
        return named
    turned = _not_samples(mine, sheet, config)
    if turned and not one_each:
        faults.add(
            f"{config.samples}: sample_id holds values of {turned} ({a_few(mine)}), not samples. Write a row for "
            f"each sample; column {key} of {file} has {a_few(labels)}."
        )
        return None
    say = f"{file}: {key}, as input.sample_key,"
    right = column_with(cells, set(mine), key)
    if right:
        hint = f"The samples of {config.samples} are in its column {right}: set input.sample_key to it."
    else:
        hint = "Name the column that holds the samples in input.sample_key."
    if one_each:
        faults.add(
            f"{say} has another value in each of the {len(named):,} cells ({', '.join(labels[:3])}, …): it names cells, not "
            f"samples. {hint}"
        )
        return None
    for name in sheet.columns.drop(["sample_id", "counts"], errors="ignore"):
        if there <= {label(value) for value in sheet[name].dropna()}:
            faults.add(f"{say} holds values of {name} ({a_few(labels)}), not samples. {hint}")
            return None
    if there & set(config.cell_types):
        faults.add(f"{say} holds cell types ({a_few(labels)}), not samples. {hint}")
        return None
    if right:
        faults.add(f"{say} holds none of the samples of {config.samples} but {a_few(labels)}. {hint}")
        return None
    faults.add(
        f"{config.samples}: none of its {count(len(mine), 'sample')} is in {file}: {a_few(mine)}. Column {key} there "
        f"(input.sample_key) has {a_few(labels)}. The names must be the same."
    )
    return None


def column_with(cells: Cells, values: set[str], other_than: str) -> str:
    """The column of obs that holds some values, '' if there is none."""
    import pandas as pd

    frame = read_cells(cells.path, set(cells.columns) - {other_than}).frame
    for name in frame:
        if isinstance(frame[name].dtype, pd.CategoricalDtype) and values <= set(frame[name].cat.categories):
            return str(name)
    return ""


def _not_samples(values: list[str], sheet: "pd.DataFrame", config: Config) -> str:
    """What the names in sample_id are, if they are those of cell types or of another column; '' if not."""
    if set(values) <= set(config.cell_types):
        return config.input.cell_type_key
    for name in sheet.columns.drop(["sample_id", "counts"], errors="ignore"):
        if set(values) <= {label(value) for value in sheet[name].dropna()}:
            return str(name)
    return ""


def _check_samples(
    file: str,
    named: "pd.Series[Any]",
    rows: NDArray[np.int64],
    sheet: "pd.DataFrame",
    config: Config,
    faults: Faults,
) -> None:
    """Every sample of the sheet in the data, and the reverse; every cell of a sample."""
    mine = list(sheet["sample_id"].iloc[rows])
    everywhere = set(sheet["sample_id"])
    numbers = named.value_counts(sort=False)
    there = {str(name): int(number) for name, number in numbers.items() if number}
    absent = [name for name in mine if name not in there]
    strange = [name for name in there if name not in everywhere]
    if absent:
        near = nearest(absent[0], strange, "", cutoff=0.75) if strange else ""
        near = f" {near.removesuffix('?')} for {absent[0]}?" if near.startswith("Did") else ""
        faults.add(
            f"{config.samples}: {are(len(absent), 'sample')} not in {file}: {a_few(absent)}.{near} "
            "Correct the name, or drop the row."
        )
    if strange:
        cells = [f"{name} ({count(there[name], 'cell')})" for name in strange]
        faults.add(
            f"{file}: {are(len(strange), 'sample')} not in {config.samples}: {a_few(cells)}. Add a row for each, or "
            f"leave their cells out by input.keep ({config.input.sample_key})."
        )
    elsewhere = [name for name in there if name in everywhere and name not in mine]
    if elsewhere:
        faults.add(
            f"{file}: holds cells of {both(elsewhere[:5])}, which {config.samples} says {'is' if len(elsewhere) == 1 else 'are'} "
            "in another file. Leave them out of the one, or correct the column counts."
        )


def _check_barcodes(file: str, cells: "pd.DataFrame", faults: Faults) -> None:
    """Barcodes may repeat between samples, not within one."""
    import pandas as pd

    codes, _ = pd.factorize(cells["barcode"])
    sample = cells["sample_id"].cat
    key = codes.astype(np.int64) * (len(sample.categories) + 1) + sample.codes
    again = pd.Series(key).duplicated().to_numpy() & cells["sample_id"].notna().to_numpy()
    if again.any():
        twice = cells[again].drop_duplicates(["barcode", "sample_id"])
        names = [f"{row.barcode} ({row.sample_id})" for row in twice.itertuples()]
        faults.add(
            f"{file}: {count(len(names), 'barcode')} occur{'s' * (len(names) == 1)} more than once in one sample: {a_few(names)}. If they are the same "
            "cells twice, drop one copy; if they are of several runs, add the run to the barcode."
        )
