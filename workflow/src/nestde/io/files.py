"""Files that are whole or absent: temporary name, then rename; names from data made safe for paths."""

import csv
import glob
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nestde.errors import NestdeError

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, remove it on failure.

    The temporary name keeps the suffix, so that writers that look at it are content. What stood at
    `path` before stays untouched unless all went well.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # what a killed writer of this file left behind
    for stale in path.parent.glob(f".{glob.escape(path.stem)}.{'?' * 8}{glob.escape(path.suffix)}"):
        stale.unlink(missing_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; results are for the group, as the umask says
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def irregular(path: Path) -> str:
    """What stands at a path that is neither file nor folder, to read of which may take for ever: ``a pipe``; else ''."""
    if not path.exists() or path.is_file() or path.is_dir():
        return ""
    return "a pipe" if path.is_fifo() else "a socket" if path.is_socket() else "a device"


def slug(name: str) -> str:
    """Make a name from data safe in a path: same name, same slug; different names, different slugs.

    A name of ASCII letters, digits, ``_``, inner ``-`` and dots stays itself; any other gets its harmless characters
    and the first 8 hex digits of its SHA-256. So does one that begins with ``-``, which would look like an option,
    and one that ends in ``.de`` or ``.genes``, which would look like another file of the same folder.
    """
    harmless_now = re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*", name) and len(name) <= 60
    if harmless_now and not name.endswith((".de", ".genes")):
        return name
    harmless = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_-")[:50]
    return f"{harmless or 'x'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def of_slug(slugged: str, names: Iterable[str]) -> str:
    """Return the name whose slug this is."""
    for name in names:
        if slug(name) == slugged:
            return name
    raise NestdeError(f"{slugged}: is none of {', '.join(names)}.")


def sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_text(text: str, path: str | Path) -> None:
    """Write text, UTF-8 with Unix line ends, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(content: Any, path: str | Path) -> None:
    """Write JSON with sorted keys, so that equal content gives equal bytes; NaN is refused."""
    write_text(
        json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n", path
    )


def read_json(path: str | Path) -> Any:
    """Read a JSON file that a step of the workflow wrote."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NestdeError(
            f"{path}: cannot be read as JSON ({error}). Remove it; the workflow remakes it."
        ) from error


def write_tsv(frame: "pd.DataFrame", path: str | Path) -> None:
    """Write a table without its index: shortest floats that read back the same, empty for missing.

    A tab or line end inside a name would break the table and is written as a space.
    """
    flat = frame.copy()
    for column in flat.select_dtypes(["object", "category", "string"]):
        flat[column] = [
            re.sub(r"[\t\r\n]", " ", value) if isinstance(value, str) else value for value in flat[column]
        ]
    with atomic(path) as temporary:
        flat.to_csv(temporary, sep="\t", index=False, lineterminator="\n", quoting=csv.QUOTE_NONE)


def read_tsv(path: str | Path, text: Iterable[str] = ()) -> "pd.DataFrame":
    """Read a table that `write_tsv` wrote; the columns named in `text` stay text, whatever they hold.

    A gene named ``NA`` or ``1`` is a name: only the empty field is missing, and in a text column it is ''.
    """
    import pandas as pd

    columns = dict.fromkeys(text, str)
    frame = pd.read_csv(
        path,
        sep="\t",
        dtype=columns,
        keep_default_na=False,
        na_values=[""],
        quoting=csv.QUOTE_NONE,
        float_precision="round_trip",
        low_memory=False,  # a column is of one type, however long it is
    )
    present = [column for column in columns if column in frame]
    frame[present] = frame[present].fillna("")
    return frame
