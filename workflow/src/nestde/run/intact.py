"""Files of a run that are no longer whole: cut off by a disk, a copy, an accident. A run removes and remakes them.

nestde itself never leaves half a file, so these are rare; but each would stop every later run in the same place.
"""

import base64
import contextlib
import errno
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from nestde.errors import NestdeError


def records(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Files of which Snakemake has a record, there or not, each with its record.

    `folder` holds them under the file's name in base64, cut where it is long.
    """
    for record in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = "".join(part.removeprefix("@") for part in record.relative_to(folder).parts)
        with contextlib.suppress(ValueError):  # no record, as a file of NFS
            yield Path(os.fsdecode(base64.urlsafe_b64decode(name))), record


def made(metadata: Path) -> dict[Path, float]:
    """Files of nestde's rules that are there, with the time (seconds since 1970) at which their jobs ended.

    `metadata` is Snakemake's folder of records. Files of rules that a study has added may look as they like.
    """
    found = {}
    for path, record in records(metadata):
        try:
            told = json.loads(record.read_bytes())
            if path.is_file() and told["shellcmd"].startswith(("nestde ", "multiqc ")):
                found[path] = float(told["endtime"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # of a job that was killed: Snakemake makes its files again
    return found


def damaged(files: Mapping[Path, float]) -> Iterator[tuple[Path, str]]:
    """Find those of the files that cannot be read, and say why.

    Raises
    ------
    NestdeError
        If the system does not let one be read (no permission, locked, a fault of the disk): it may well be whole.
    """
    for path in sorted(files):
        if path.suffix not in _READERS:
            continue
        try:
            why = _READERS[path.suffix](path)
        except OSError as error:
            if error.errno not in (None, errno.EINVAL):
                raise NestdeError(
                    f"{path}: cannot be read ({error.strerror}). See to that, and run again."
                ) from error
            why = str(error)
        if why:
            yield path, why


def _h5ad(path: Path) -> str:
    """Open it: HDF5 knows how long it is to be."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return "" if "X" in file else "there is no X in it"
    except RuntimeError as error:
        return str(error)


def _npz(path: Path) -> str:
    """Compare the checksum of each array."""
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
            return f"{broken} is not what its checksum says" if broken else ""
    except (zipfile.BadZipFile, EOFError) as error:
        return str(error)


def _json(path: Path) -> str:
    try:
        text = path.read_bytes()
        json.loads(text)
    except ValueError as error:
        return str(error)
    return "" if text.endswith(b"\n") else "its last line is cut off"


def _tsv(path: Path) -> str:
    """Compare its last line with its first: what is cut off, or filled with zeros, ends in another way."""
    with path.open("rb") as file:
        first = file.readline()
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - max(1_000_000, len(first))))
        tail = file.read()
    if not tail.endswith(b"\n"):
        return "its last line is cut off"
    last = tail[:-1].rpartition(b"\n")[2]
    return "" if last.count(b"\t") == first.count(b"\t") and b"\0" not in tail else "its last line is no row"


def _parquet(path: Path) -> str:
    """Look at both ends, which are the same mark."""
    with path.open("rb") as file:
        first = file.read(4)
        file.seek(max(0, file.seek(0, os.SEEK_END) - 4))
        return "" if first == file.read(4) == b"PAR1" and file.tell() > 8 else "its end is cut off"


def _html(path: Path) -> str:
    return "" if path.read_bytes().rstrip().endswith(b"</html>") else "its end is cut off"


_READERS = {".h5ad": _h5ad, ".html": _html, ".json": _json, ".npz": _npz, ".parquet": _parquet, ".tsv": _tsv}
