"""Tables that people wrote: tabs and line ends separate and nothing else does; whatever could be read in two ways is refused."""

import re
from dataclasses import dataclass
from pathlib import Path

from nestde.errors import Faults, NestdeError, a_few
from nestde.io.files import irregular

# A quote, or a blank where a field begins or ends.
AROUND = re.compile(r'"|(?:^|\t)[^\S\t\n]|[^\S\t\n](?:\t|$)', re.MULTILINE)


@dataclass(frozen=True)
class Lines:
    """The lines of a table that hold something.

    Attributes
    ----------
    header
        Names of the columns.
    rows
        Number of the line in the file, from 1, and its fields, joined by tabs as in the file.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[int, str], ...]

    def fields(self) -> list[list[str]]:
        """Return the fields of each row."""
        return [row.split("\t") for _, row in self.rows]


def read_lines(path: Path, key: str, row: str, what: str, advice: str) -> Lines:
    r"""Read a table (TSV, UTF-8) whose rows all have as many fields as its header.

    Lines end at ``\n``, ``\r\n`` or ``\r``, not at other characters that Unicode calls a line end. Quotes do not
    quote: none hides a tab or a line end. A pair of quotes around a whole field, as spreadsheets and R write it, is
    left out; where a field begins or ends with a quote in another way, its writer may have meant more than one field.
    Blanks around fields are left out.

    Parameters
    ----------
    key
        A column that it must have.
    row, what, advice
        For the sentences: what a row is, the table in words, and what to look at if it cannot be read.

    Raises
    ------
    NestdeError
        With every fault: no regular file, no UTF-8 text, no column `key`, columns without a name or with the name of
        another, rows of another length than the header, odd quotes.
    """
    lines = _lines(path, what, advice)
    if not lines:
        raise NestdeError(f"{path}: is empty. It needs a header with {key} and a row per {row}.")
    faults = Faults()
    (_, first), *rows = lines
    header = first.split("\t")
    _check_header(path, header, key, faults)
    wrong = [(number, row.count("\t") + 1) for number, row in rows if row.count("\t") + 1 != len(header)]
    if len(wrong) == 1:
        number, fields = wrong[0]
        faults.add(f"{path}: row {number} has {fields} fields, but the header has {len(header)}.")
    elif wrong:
        named = a_few(f"{number} ({fields})" for number, fields in wrong)
        faults.add(f"{path}: {len(wrong):,} rows have another number of fields than the header, which has {len(header)}: "
                   f"rows {named}.")  # fmt: skip
    odd = [
        f"row {number}, {header[i] if i < len(header) else f'field {i + 1}'}: {field[:40]}"
        for number, row in rows
        if '"' in row
        for i, field in enumerate(row.split("\t"))
        if _odd(field)
    ]
    if odd:
        faults.add(
            f'{path}: {len(odd):,} field{"s have" if len(odd) > 1 else " has"} a quote (") that does not surround it as a '
            f"whole, so it is not known where the field ends: {a_few(odd)}. Take the quote out."
        )
    faults.raise_if_any()
    return Lines(tuple(header), tuple(rows))


def _lines(path: Path, what: str, advice: str) -> list[tuple[int, str]]:
    """Lines that are not blank, with their numbers; fields without the blanks and quotes around them."""
    try:
        if irregular(path):
            raise NestdeError(f"{path}: {what} is no file but {irregular(path)}. Save it as a file.")
        text = path.read_text(encoding="utf-8-sig")  # makes \r\n and \r to \n
    except OSError as error:
        raise NestdeError(f"{path}: {what} cannot be read ({error.strerror}). {advice}") from error
    except UnicodeDecodeError as error:
        raise NestdeError(
            f"{path}: is not UTF-8 text (byte {error.start}). Save it as a UTF-8 TSV."
        ) from error
    except ValueError as error:  # a NUL in the path
        raise NestdeError(f"{str(path)!r}: {what} cannot be read ({error}). {advice}") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise NestdeError(
            f"{path}: row {line} holds characters of code 0: it is no text, or not in UTF-8. Save it as a UTF-8 TSV."
        )
    lines = text.split("\n")
    if AROUND.search(text):  # a table of a million cells seldom has any
        lines = ["\t".join(map(_plain, line.split("\t"))) for line in lines]
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip("\t")]


def _plain(field: str) -> str:
    """A field without the blanks around it and the pair of quotes around it, if there are no others."""
    field = field.strip()
    if len(field) > 1 and field[0] == field[-1] == '"' and '"' not in field[1:-1]:
        return field[1:-1].strip()
    return field


def _odd(field: str) -> bool:
    """Whether a field, a pair of quotes around it left out, still begins or ends with one."""
    return field.startswith('"') or field.endswith('"')


def _check_header(path: Path, header: list[str], key: str, faults: Faults) -> None:
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        faults.add(f"{path}: the column {a_few(twice)} is there more than once. Keep one of each.")
    if key not in header:
        hint = " Separate columns by tabs." if len(header) == 1 else ""
        faults.add(f"{path}: has no column {key}; its columns are {a_few(header, 12)}.{hint}")
    unnamed = [str(i) for i, name in enumerate(header, start=1) if not name]
    if unnamed:
        several = len(unnamed) > 1
        faults.add(
            f"{path}: column{'s' * several} {a_few(unnamed)} {'have' if several else 'has'} no name in the header (row 1). "
            "Name every column, or take out those that are empty."
        )
    odd = [name for name in header if _odd(name)]
    if odd:
        faults.add(
            f'{path}: the header has a quote (") that does not surround a name as a whole: {a_few(odd)}. Take it out.'
        )
