"""Files that are whole or absent: temporary name, then rename; names from data made safe for paths."""

import csv
import glob
import hashlib
import json
import os
import re
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nestde.errors import NestdeError

if TYPE_CHECKING:
    import pandas as pd


LONGEST = 60  # characters of a name in a path
BREAKS = re.compile(r"[\t\r\n]")
# Those who want to know of every file that is written: what to call before it is replaced, and where to note it.
_LISTENERS: list[tuple[Callable[[Path], None], list[Path]]] = []


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
        for before, _ in _LISTENERS:
            before(path)
        temporary.replace(path)
        for _, noted in _LISTENERS:
            noted.append(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def noting(before: Callable[[Path], None]) -> Iterator[list[Path]]:
    """Note the files that `atomic` writes while this lasts, and call `before` with each before it is replaced."""
    listener: tuple[Callable[[Path], None], list[Path]] = (before, [])
    _LISTENERS.append(listener)
    try:
        yield listener[1]
    finally:
        _LISTENERS.remove(listener)


def irregular(path: Path) -> str:
    """What stands at a path that is neither file nor folder, to read of which may take for ever: ``a pipe``; else ''."""
    if not path.exists() or path.is_file() or path.is_dir():
        return ""
    return "a pipe" if path.is_fifo() else "a socket" if path.is_socket() else "a device"


def slug(name: str) -> str:
    """Make a name from data safe in a path, as it is where no other name beside it makes the same.

    A name of ASCII letters, digits, ``_``, inner ``-`` and dots stays itself. Of any other, letters are written in ASCII
    (``é`` as ``e``, ``β`` as ``beta``) and the rest as ``_``: ``B cells`` is ``B_cells``. Where letters or digits are lost,
    the name is long, or it would look like another file of the same folder (``….de``, ``….genes``), the first 8 hex
    digits of its SHA-256 tell it apart.
    """
    harmless_now = re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*", name)
    written = "".join(map(_in_ascii, name))
    plain = name if harmless_now else _plain(written)
    whole = all(character.isascii() or not character.isalnum() for character in written)
    if plain and whole and len(plain) <= LONGEST and not plain.endswith((".de", ".genes")):
        return plain
    return _told_apart(name)


def slugs(names: Iterable[str]) -> dict[str, str]:
    """Name -> slug, for names that stand beside each other: those alone in theirs, on any disk, have it; others digits, too.

    Some disks (of macOS, of Windows) take ``T`` and ``t`` for one name.
    """
    found = {name: slug(name) for name in names}
    while True:
        alike: dict[str, list[str]] = {}
        for name, slugged in found.items():
            alike.setdefault(slugged.casefold(), []).append(name)
        crowded = {
            name: _told_apart(name) for several in alike.values() if len(several) > 1 for name in several
        }
        if all(found[name] == slugged for name, slugged in crowded.items()):
            return found
        found |= crowded


def _told_apart(name: str) -> str:
    """What is harmless in a name, and the first 8 hex digits of its SHA-256."""
    plain = _plain("".join(map(_in_ascii, name))).replace(".", "_")[:50]
    return f"{plain or 'x'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _plain(text: str) -> str:
    """Text with ``_`` for what is neither ASCII letter, digit, ``_``, ``-`` nor an inner dot."""
    return re.sub(r"\.{2,}", "_", re.sub(r"[^A-Za-z0-9_.-]+", "_", text)).strip("_.-")


def _in_ascii(character: str) -> str:
    """A letter without its accent, a Greek one by its name; any other character as it is."""
    if character.isascii():
        return character
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    greek = re.match(r"GREEK .*LETTER (?:FINAL )?(\w+)", unicodedata.name(character, ""))
    return plain if plain.isalnum() else greek[1].lower() if greek else character


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


def write_sheet(frame: "pd.DataFrame", path: str | Path) -> None:
    """Write a table for people to edit: names as they are, without quotes around them; a tab or line end as a space."""
    with atomic(path) as temporary:
        _in_lines(frame).to_csv(temporary, sep="\t", index=False, lineterminator="\n", quoting=csv.QUOTE_NONE)


def write_tsv(frame: "pd.DataFrame", path: str | Path, text: Iterable[str] = ()) -> None:
    """Write a table without its index, as pandas and R read it: shortest floats that read back the same, empty for missing.

    A tab or line end inside a name would break the table and is written as a space; a name with a quote (``"``) is quoted.
    In the columns named in `text`, ``.`` stands for an empty field, and one dot more for a field of dots: a column that is
    empty for a while would be taken for numbers there, and for text elsewhere. Text that is all numbers is left empty.
    """
    flat = _in_lines(frame)
    for column in text:
        if column in flat:
            values = flat[column].astype(object)
            values = values.where(values.notna(), "").map(str)
            if not _all_numbers(values):
                flat[column] = values.mask(values.str.fullmatch(r"\.*"), values + ".")
    with atomic(path) as temporary:
        flat.to_csv(temporary, sep="\t", index=False, lineterminator="\n")


def _in_lines(frame: "pd.DataFrame") -> "pd.DataFrame":
    """A copy without tabs and line ends in text and in names of columns."""
    flat = frame.rename(columns=lambda name: BREAKS.sub(" ", str(name)))
    for column in flat.select_dtypes(["object", "category", "string"]):
        odd = [value for value in flat[column].unique() if isinstance(value, str) and BREAKS.search(value)]
        if odd:
            spaced = {value: BREAKS.sub(" ", value) for value in odd}
            flat[column] = [
                spaced.get(value, value) if isinstance(value, str) else value for value in flat[column]
            ]
    return flat


def _all_numbers(values: "pd.Series[Any]") -> bool:
    """Whether all text of a column that has any is numbers, as a diagnosis coded 0 and 1."""
    import pandas as pd

    given = values[values != ""].drop_duplicates()
    return bool(len(given) and pd.to_numeric(given, errors="coerce").notna().all())


def write_parquet(frame: "pd.DataFrame", path: str | Path) -> None:
    """Write a table as Parquet: what `write_tsv` writes, typed; null for missing, and for text that is empty.

    The same table gives the same bytes by the same version of Arrow, whose name is in the file.
    """
    import pyarrow as pa
    from pyarrow import parquet

    def column(values: "pd.Series[Any]") -> Any:
        if values.dtype.kind in "biuf":
            return pa.array(values, from_pandas=True)
        given = values.astype(object)
        return pa.array(
            [
                str(value) if there else None
                for value, there in zip(given, given.notna() & (given != ""), strict=True)
            ],
            pa.string(),
        )

    flat = _in_lines(frame)
    table = pa.table({str(name): column(flat[name]) for name in flat})
    with atomic(path) as temporary:
        parquet.write_table(table, temporary, compression="zstd")


def read_tsv(
    path: str | Path, text: Iterable[str] = (), only: Callable[[str], bool] | None = None
) -> "pd.DataFrame":
    """Read a table that `write_tsv` wrote; the columns named in `text` stay text, whatever they hold.

    Of a wide table those columns can be read whose names are wanted (`only`). A gene named ``NA`` or ``1`` is a name: only the empty field is missing, and in a text column it is '', as is ``.``.
    """
    import pandas as pd

    columns = dict.fromkeys(text, str)
    frame = pd.read_csv(
        path,
        sep="\t",
        dtype=columns,
        usecols=only,
        keep_default_na=False,
        na_values=[""],
        float_precision="round_trip",
        low_memory=False,  # a column is of one type, however long it is
    )
    for column in columns:
        if column in frame:
            values = frame[column].fillna("")
            frame[column] = values.mask(values.str.fullmatch(r"\.+"), values.str[:-1])
    return frame
