"""Files of a run that are no longer whole: cut off by a disk, a copy, an accident. A run removes and remakes them.

nestde itself never leaves half a file, so these are rare; but each would stop every later run in the same place.
"""

import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

# Where steps put what other steps read; a person's own files lie elsewhere.
FOLDERS = ("cohort", "counts", "crosscheck", "de", "design", "fit", "ingest", "matrix", "pseudobulk", "qc")


def damaged(results: Path) -> Iterator[tuple[Path, str]]:
    """Find the files of a results folder that cannot be read, and say why."""
    files = [path for folder in FOLDERS for path in (results / folder).rglob("*") if path.is_file()]
    for path in sorted([*files, *results.glob("summary.tsv"), *results.glob("manifest.json")]):
        if path.suffix in _READERS and not path.name.startswith("."):
            why = _READERS[path.suffix](path)
            if why:
                yield path, why


def _h5ad(path: Path) -> str:
    """Open it: HDF5 knows how long it is to be."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return "" if "X" in file else "there is no X in it"
    except (OSError, RuntimeError) as error:
        return str(error)


def _npz(path: Path) -> str:
    """Compare the checksum of each array."""
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
            return f"{broken} is not what its checksum says" if broken else ""
    except (OSError, zipfile.BadZipFile, EOFError) as error:
        return str(error)


def _json(path: Path) -> str:
    try:
        text = path.read_bytes()
        json.loads(text)
    except (OSError, ValueError) as error:
        return str(error)
    return "" if text.endswith(b"\n") else "its last line is cut off"


def _tsv(path: Path) -> str:
    """Compare its last line with its first: what is cut off, or filled with zeros, ends in another way."""
    try:
        with path.open("rb") as file:
            first = file.readline()
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - max(1_000_000, len(first))))
            tail = file.read()
    except OSError as error:
        return str(error)
    if not tail.endswith(b"\n"):
        return "its last line is cut off"
    last = tail[:-1].rpartition(b"\n")[2]
    return "" if last.count(b"\t") == first.count(b"\t") and b"\0" not in tail else "its last line is no row"


_READERS = {".h5ad": _h5ad, ".json": _json, ".npz": _npz, ".tsv": _tsv}
