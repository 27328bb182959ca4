"""The sample sheet: one row per sample, read and checked, every fault at once."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from nestde.errors import Faults, NestdeError, a_few
from nestde.io.files import read_tsv
from nestde.io.formats import files_at
from nestde.io.tsv import read_lines
from nestde.study.config import Config
from nestde.study.schema import schema, schema_faults

SMALL = 32_000_000  # bytes of input
EXACT = 2**53  # whole numbers below it are told apart by floats


def read_samples(path: str | Path) -> pd.DataFrame:
    """Read a sample sheet (TSV) whose rows are samples.

    Text columns that hold only numbers become numeric; ``sample_id`` stays text, so that a sample
    named ``007`` keeps its name, and so does a column with whole numbers that a float cannot tell apart.
    Only the empty field and ``NA`` are missing.

    Returns
    -------
    pandas.DataFrame
        One row per sample, sorted by ``sample_id``, which is the first column.

    Raises
    ------
    NestdeError
        With every fault: no such file, not a TSV (see `read_lines`), no ``sample_id``, no name, rows that repeat a
        sample (with the columns in which they differ), columns that repeat.
    """
    path = Path(path)
    lines = read_lines(
        path,
        "sample_id",
        "sample",
        "the sample sheet",
        "Check `samples` in the configuration; paths are relative to the folder of the study, which -d names.",
    )
    header = list(lines.header)
    frame = pd.DataFrame(lines.fields(), columns=header, dtype=object)
    faults = Faults()
    frame = frame.mask(frame.isin(["", "NA"]))
    if frame.empty:
        raise NestdeError(f"{path}: has no sample. Add a row for each.")
    rules = schema("samples")
    for (number, _), record in zip(lines.rows, frame.to_dict("records"), strict=True):
        named = {key: value for key, value in record.items() if isinstance(value, str)}
        for sentence in schema_faults(named, rules, f"{path}: row {number}"):
            faults.add(sentence)
    _check_repeats(frame, path, faults)
    faults.raise_if_any()
    for column in frame.columns.difference(["sample_id", "counts"]):
        frame[column] = _numeric_if_all_are(frame[column])
    first = ["sample_id", *(name for name in header if name != "sample_id")]
    return frame[first].sort_values("sample_id", kind="stable", ignore_index=True)


def read_checked(path: str | Path) -> pd.DataFrame:
    """Read the sheet that the check wrote: as `read_samples`, with the column ``counts`` filled in."""
    return read_tsv(path, text=["sample_id", "counts"])


def covariates_of(sheet: pd.DataFrame) -> list[str]:
    """Columns of a sheet that a formula can name, beside ``sample_id``."""
    return [str(name) for name in sheet if name not in ("sample_id", "counts")]


def digest(sheet: pd.DataFrame) -> str:
    """What changes with the values of a sheet, and not with the order of its columns or rows."""
    rows = sheet.sort_values("sample_id").astype(object).map(repr)
    told = {name: list(rows[name]) for name in sorted(rows)}
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def _check_repeats(frame: pd.DataFrame, path: Path, faults: Faults) -> None:
    repeated = frame[frame["sample_id"].duplicated(keep=False) & frame["sample_id"].notna()]
    if repeated.empty:
        return
    covariates = frame.columns.difference(["sample_id"], sort=False)
    plain: list[str] = []
    differing: dict[str, list[str]] = {}
    for sample, rows in repeated.groupby("sample_id", sort=True):
        columns = [column for column in covariates if rows[column].nunique(dropna=False) > 1]
        if not columns:
            plain.append(f"{sample} ({len(rows)} times)")
        for column in columns:
            values = ", ".join(sorted(str(value) for value in rows[column].unique()))
            differing.setdefault(column, []).append(f"{sample} ({values})")
    if plain:
        number = "1 sample has" if len(plain) == 1 else f"{len(plain)} samples have"
        faults.add(f"{path}: {number} more than one row: {a_few(plain)}. Keep one row each.")
    for column, samples in differing.items():
        number = f"{len(samples)} sample has" if len(samples) == 1 else f"{len(samples)} samples have"
        faults.add(
            f"{path}: {number} more than one {column}: {a_few(samples)}. A sample belongs to one {column}."
        )


def _numeric_if_all_are(column: "pd.Series[Any]") -> "pd.Series[Any]":
    try:
        numbers = pd.to_numeric(column)
    except ValueError:
        return column
    whole = column.dropna().str.fullmatch(r"[+-]?[0-9]+")
    # labels, then: as floats, two that differ in the last digits would become one
    exact = numbers.dtype.kind in "iu" or not (whole & (numbers[whole.index].abs() >= EXACT)).any()
    return numbers if exact else column


def source_paths(config: Config, sheet: pd.DataFrame) -> dict[str, str]:
    """Return the file that holds each sample: the shared one, or the one its row names.

    Raises
    ------
    NestdeError
        If both the configuration and the sheet name data, neither does, or a sample's row does not; if a path is one
        that Snakemake cannot be given.
    """
    paths = _paths(config, sheet)
    named = {config.samples: "samples", config.input.cell_metadata: "input.cell_metadata"}
    named |= dict.fromkeys(
        paths.values(), "input.counts" if config.input.counts else f"{config.samples}: counts"
    )
    faults = Faults()
    for path, where in named.items():
        if path and set(path) & set("{}"):
            faults.add(
                f"{where}: {path} has a brace in it, which Snakemake takes for a wildcard. Rename the file or its folder."
            )
    faults.raise_if_any()
    return paths


def _paths(config: Config, sheet: pd.DataFrame) -> dict[str, str]:
    shared = config.input.counts
    if shared is not None and "counts" in sheet:
        raise NestdeError(
            f"{config.samples}: has a column counts, but input.counts of the configuration names {shared} for all "
            "samples. Remove the one or set the other to null."
        )
    if shared is not None:
        return dict.fromkeys(sheet["sample_id"], shared)
    if "counts" not in sheet:
        raise NestdeError(
            f"{config.samples}: has no column counts and input.counts of the configuration is null. Name one file "
            "for all samples there, or a path per sample here."
        )
    without = sheet.loc[sheet["counts"].isna(), "sample_id"]
    if len(without):
        raise NestdeError(
            f"{config.samples}: no path in the column counts for {a_few(without)}. Write it in, or drop the row."
        )
    return dict(zip(sheet["sample_id"], sheet["counts"].astype(str), strict=True))


def files_of(path: str | Path) -> list[Path]:
    """List what a path of counts stands for: the files of a folder (10x, zarr), a 10x matrix and those beside it."""
    found = files_at(path)
    return [*found.counts, *found.beside]


def inputs_of(path: str) -> list[str]:
    """Files of a path of counts as rules name them; a folder of very many (zarr) stands for itself."""
    files = files_of(path)
    return [str(file) for file in files] if 0 < len(files) <= 100 else [path]


def is_small(paths: Iterable[str]) -> bool:
    """Whether all inputs together are so small that to start a job for each sample would take longer than its work."""
    return size_of(paths) <= SMALL


def size_of(paths: Iterable[str]) -> int:
    """Bytes of all their files that are there."""
    files = {file for path in paths for file in files_of(path)}
    return sum(file.stat().st_size for file in files if file.is_file())
