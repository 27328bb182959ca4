"""What a run was made of and what it made: `results/manifest.json`.

Equal runs give equal bytes, so the manifest holds nothing that belongs to one run alone: no date, no host,
no absolute path, and not how the work was cut (cores, chunks).
"""

import hashlib
import json
import math
import os
import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from nestde import __version__
from nestde.errors import Faults, NestdeError, a_few
from nestde.io.layout import MANIFEST
from nestde.processor import arithmetic
from nestde.provenance.digests import digest, made_by, read_as

# Whatever computes a number that ends in a result, and what orders the steps and draws the page.
AROUND = ("multiqc", "snakemake")
PACKAGES = (
    "anndata",
    "formulaic",
    "h5py",
    "llvmlite",
    "numba",
    "numpy",
    "pandas",
    "pydeseq2",
    "scanpy",
    "scikit-image",
    "scikit-learn",
    "scipy",
    "statsmodels",
    "zarr",
)
COMMAND = "nestde run"
FORMAT = 1
# Of the columns of the result tables: raised where one goes, or means something else; a new one leaves it.
SCHEMA_VERSION = 1


def manifest(
    configuration: dict[str, Any], inputs: Iterable[str], results: Iterable[str | Path], out: str | Path
) -> dict[str, Any]:
    """Describe a finished run.

    Parameters
    ----------
    configuration
        The configuration as resolved, every key present.
    inputs
        Files or folders (10x mtx, zarr) that were read, as configured: relative to the working directory.
    results
        Files that were made.
    out
        Where the manifest will stand; paths of results are told relative to its folder, as is `root`, the
        folder that inputs are relative to.

    Raises
    ------
    NestdeError
        With every input and result that is not there, or is not what a job read or wrote.
    """
    folder = Path(out).parent
    inputs, files = sorted(set(inputs)), sorted({Path(path) for path in results})
    faults = Faults()
    for path in [*map(Path, inputs), *files]:
        if not path.exists():
            faults.add(f"{path}: is not there, so it cannot be listed in {out}.")
    faults.raise_if_any()
    read = {path: digest(path) for path in inputs}
    for given, content in read.items():
        if read_as(given) not in ("", content):
            faults.add(
                f"{given}: was changed after it was read. Run again: what was made of it is made again of what it is now."
            )
    described = {path: describe(path) for path in files}
    records = {path: made_by(path) for path in files}
    for path, record in records.items():
        if record and record.sha256 != described[path]["sha256"]:
            faults.add(changed_by_hand(path, folder))
    faults.raise_if_any()
    return {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "command": COMMAND,
        "configuration": {key: value for key, value in configuration.items() if key != "chunks"},
        "seed": configuration["seed"],
        "software": versions(),
        "arithmetic": sorted({record.arithmetic for record in records.values() if record} or {arithmetic()}),
        "root": os.path.relpath(Path.cwd(), folder.resolve()),
        "inputs": read,
        "results": {os.path.relpath(path, folder): told for path, told in described.items()},
    }


def changed_by_hand(path: Path, folder: Path) -> str:
    """Say of a result that it is no longer what its job wrote."""
    return (
        f"{path}: was changed after the run that made it. Move it out of {folder}/, or remove it: "
        "`nestde run` then makes it again."
    )


def read_manifest(path: str | Path) -> dict[str, Any]:
    """Read a manifest; a folder stands for the ``manifest.json`` in it.

    Raises
    ------
    NestdeError
        If it cannot be read, or is not a manifest of this format.
    """
    path = Path(path)
    path = path / MANIFEST if path.is_dir() else path
    if not path.exists():
        raise NestdeError(
            f"{path}: there is no such file. Give the results folder, or the manifest.json, of a run."
        )
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise NestdeError(f"{path}: is damaged, or no JSON ({error}). Give the manifest of a run.") from error
    kinds = {"configuration": dict, "software": dict, "root": str, "inputs": dict, "results": dict}
    whole = isinstance(content, dict) and content.get("format") == FORMAT
    whole = whole and all(isinstance(content.get(key), kind) for key, kind in kinds.items())
    if not whole:
        raise NestdeError(
            f"{path}: is no manifest of nestde (format {FORMAT}). Give results/manifest.json of a run."
        )
    cut = [name for name, told in content["results"].items() if not _is_entry(told)]
    if cut:
        raise NestdeError(
            f"{path}: is not a whole manifest: what it says of {a_few(cut)} is cut short or changed."
            " Give results/manifest.json of a run as it was written."
        )
    return dict(content)


def _is_entry(told: Any) -> bool:
    """Tell whether this is what `describe` says of a result."""
    if not isinstance(told, dict) or not isinstance(told.get("sha256"), str):
        return False
    if "columns" not in told:
        return True
    rows, columns = told.get("rows"), told["columns"]
    return isinstance(rows, int) and isinstance(columns, dict) and all(map(_is_column, columns.values()))


def _is_column(told: Any) -> bool:
    """Tell whether this is what `describe_column` says of a column."""
    if not isinstance(told, dict) or "sha256" not in told:
        return False
    summary = told.get("summary")
    return summary is None or (
        isinstance(summary, dict) and {"n", "min", "max", "sum", "weighted"} <= summary.keys()
    )


def versions() -> dict[str, str]:
    """Versions of Python and of every package that computes or stands around it, as installed; nothing is imported for it."""
    found = {"nestde": __version__, "python": platform.python_version()}
    for package in sorted((*PACKAGES, *AROUND)):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def made_with(*around: str) -> str:
    """Versions of all that computes, and of what is named of the others, in a line: a parameter of rules."""
    return ", ".join(
        f"{name} {number}" for name, number in versions().items() if name not in AROUND or name in around
    )


def describe(path: str | Path) -> dict[str, Any]:
    """Digest of a result and, for a table, of each of its columns."""
    described: dict[str, Any] = {"sha256": digest(path)}
    if Path(path).suffix == ".tsv":
        columns = read_columns(path)
        described["rows"] = max(map(len, columns.values()), default=0)
        described["columns"] = {name: describe_column(fields) for name, fields in columns.items()}
    return described


def read_columns(path: str | Path) -> dict[str, list[str]]:
    """Read a table's columns as the text that stands in the file: to compare bytes, not what they parse to.

    A row is cut or filled up to the length of the header, and of columns of one name the last is taken: see
    `misshapen`.
    """
    header, *rows = _read_fields(path)
    if rows and all(len(row) == len(header) for row in rows):
        return dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))
    return {name: [row[i] if i < len(row) else "" for row in rows] for i, name in enumerate(header)}


def misshapen(path: str | Path) -> list[str]:
    """Say what `read_columns` passes over: names of columns that are there twice, rows not as long as the header."""
    header, *rows = _read_fields(path)
    sayings = [
        f"column {name} is there {number} times" for name, number in Counter(header).items() if number > 1
    ]
    odd = [(line, len(row)) for line, row in enumerate(rows, start=2) if len(row) != len(header)]
    if odd:
        more = f", and {len(odd) - 1:,} more like it" if len(odd) > 1 else ""
        sayings.append(f"line {odd[0][0]:,} has {odd[0][1]:,} fields, not {len(header):,}{more}")
    return sayings


def _read_fields(path: str | Path) -> list[list[str]]:
    """Read the lines of a table, the header first, split into fields; one empty line at least."""
    lines = Path(path).read_text(encoding="utf-8", errors="replace").split("\n")
    if lines[-1] == "":
        lines.pop()
    return [line.split("\t") for line in lines] or [[]]


def numbers(fields: Sequence[str]) -> list[float] | None:
    """Parse a column's fields, NaN where empty; None if any is text or the column is empty throughout."""
    try:
        values = list(map(float, fields if all(fields) else (field or "nan" for field in fields)))
    except ValueError:
        return None
    return values if any(fields) else None


def describe_column(fields: Sequence[str]) -> dict[str, Any]:
    """Digest a column and, if it is numeric, summarise it, so that a changed one can be told from the manifest alone.

    The summary is the number of finite values, the least, the largest, the sum, and the sum weighted by row
    number over the number of rows (two values that change places change it). Sums are correctly rounded,
    whatever the machine (`math.fsum`).
    """
    described: dict[str, Any] = {"sha256": hashlib.sha256("\n".join(fields).encode()).hexdigest()[:16]}
    values = numbers(fields)
    if values is None:
        return described
    every = np.array(values)
    rows = np.flatnonzero(np.isfinite(every))
    finite: list[float] = every[rows].tolist()
    if finite:
        described["summary"] = {
            "n": len(finite),
            "min": min(finite),
            "max": max(finite),
            "sum": math.fsum(finite),
            "weighted": math.fsum(((rows + 1) * every[rows]).tolist()) / len(values),
        }
    return described


def parse_configuration(settings: str) -> dict[str, Any]:
    """Return the whole configuration as plain data: from JSON, as a rule passes it, or from a YAML file."""
    from nestde.study.config import sections

    return dict(json.loads(sections(settings).text()))
