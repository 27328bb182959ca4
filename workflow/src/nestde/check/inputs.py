"""The files of counts: are they there, can they be read, and is each of them another."""

import hashlib
from collections.abc import Callable, Collection, Hashable, Sequence
from pathlib import Path

from nestde.check.wording import both, nearest
from nestde.errors import Faults, a_few, shortened
from nestde.io.files import irregular, sha256
from nestde.io.formats import files_at
from nestde.study.config import Config

HEAD = 1_000_000  # bytes that are compared before whole files are


def is_there(file: str, paths: dict[str, str], config: Config, faults: Faults) -> bool:
    """Whether an input is a file or a folder; if not, that is noted, with the names that are near in its folder.

    Parameters
    ----------
    paths
        Sample -> file or folder.
    """
    where = "input.counts"
    if config.input.counts is None:
        of = a_few([sample for sample, named in paths.items() if named == file])
        where = f"{config.samples}: counts of {of}"
    path = Path(file)
    try:
        if path.exists():
            odd = _odd(path)
            if odd:
                faults.add(f"{where}: {odd}")
            return not odd
        beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else None
    except (OSError, ValueError) as error:  # a name that is too long, a folder that may not be read
        said = getattr(error, "strerror", None) or str(error)
        faults.add(f"{where}: {shortened(file)} cannot be looked up ({said}). Check the path.")
        return False
    if path.is_symlink():
        hint = f"It is a link to {path.readlink()}, which is not there. Correct the link, or name the file itself."
    elif beside is not None:
        hint = nearest(path.name, beside, f"{path.parent} holds")
    else:
        hint = f"There is no folder {path.parent} either; paths are relative to the working directory."
    faults.add(f"{where}: there is no file {file}. {hint}")
    return False


def _odd(path: Path) -> str:
    """Say of a file or of what is in a folder that it cannot be read as often as is needed, or not named to Snakemake."""
    for part in (path, *(path.iterdir() if path.is_dir() else ())):
        if irregular(part):
            return f"{part} is no file but {irregular(part)}. Save it as a file, or take it away."
        if part is not path and set(part.name) & set("{}"):
            return f"{part} has a brace in its name, which Snakemake takes for a wildcard. Rename it."
    return ""


def check_same(
    paths: dict[str, str], told_apart: Collection[str], sheet: str, sample_key: str, faults: Faults
) -> None:
    """Note samples whose files are the same.

    A path that several samples share is none of these: its cells are told apart by `sample_key`, or it is refused.

    Parameters
    ----------
    paths
        Sample -> file or folder.
    told_apart
        Files that have the column `sample_key`.
    sheet
        Path of the sample sheet.
    """
    for group in same(list(dict.fromkeys(paths.values()))):
        samples = [sample for sample, path in paths.items() if path in group]
        names = a_few(group) if len(group) > 2 else both(group)
        one = len({_identity(path) for path in group}) == 1
        what = "are one file under several names" if one else "are copies of each other, byte by byte"
        if not one and set(group) <= set(told_apart):
            continue  # each is set against the samples that it should hold
        advice = (
            "Write its path in the same way in each row"
            if set(group) <= set(told_apart)
            else f"Each would be tested as a sample of its own. Correct the column counts; if the file holds several samples, write "
            f"its path in the same way in each row, and name the column of obs that tells them apart in input.sample_key (now "
            f"{sample_key})"
        )
        faults.add(f"{sheet}: counts of {a_few(samples)}: {names} {what}. {advice}.")


def same(paths: Sequence[str]) -> list[list[str]]:
    """Return groups of paths that lead to the same counts, in the order given.

    Sizes are compared first, then beginnings, and only files that are alike in both are read as a whole.
    """
    groups = [
        [path for path in paths if sum(_sizes(path))]
    ]  # an empty file is refused where its counts are read
    for step in (_sizes, _heads, _digests):
        groups = [alike for group in groups for alike in _split(group, step)]
    return groups


def _split(group: list[str], step: Callable[[str], Hashable]) -> list[list[str]]:
    """Split by what a step says of each file, and leave out those that are alone; what is one file need not be asked."""
    identities = {path: _identity(path) for path in group}
    different = {identity: path for path, identity in identities.items()}
    told = {identity: step(path) if len(different) > 1 else None for identity, path in different.items()}
    apart: dict[Hashable, list[str]] = {}
    for path in group:
        apart.setdefault(told[identities[path]], []).append(path)
    return [alike for alike in apart.values() if len(alike) > 1]


def _counts(path: str) -> list[Path]:
    """Files with the counts themselves: of a 10x folder, its matrix."""
    return [file for file in files_at(path).counts if file.is_file()]


def _identity(path: str) -> frozenset[tuple[int, int]]:
    return frozenset((file.stat().st_dev, file.stat().st_ino) for file in _counts(path))


def _sizes(path: str) -> tuple[int, ...]:
    return tuple(file.stat().st_size for file in _counts(path))


def _heads(path: str) -> Hashable:
    return tuple(hashlib.sha256(_beginning(file)).digest() for file in _counts(path))


def _beginning(file: Path) -> bytes:
    with file.open("rb") as handle:
        return handle.read(HEAD)


def _digests(path: str) -> Hashable:
    return tuple(sha256(file) for file in _counts(path))
