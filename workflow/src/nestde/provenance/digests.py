"""What stood in a file when a job wrote or read it: digests that outlive the job, in `.snakemake/nestde`.

A file that still has size, times and inode of then is taken for the same (a program can put back the time of the last change, not
`ctime`, that of the last change of anything); of any other the content decides. So what was only touched or copied is
the same, and what was edited is not, whatever date it was given.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from nestde.errors import Faults
from nestde.io.files import noting, sha256, write_json
from nestde.processor import arithmetic

SNAKEMAKE = Path(".snakemake")
RESULTS = SNAKEMAKE / "nestde/results"
INPUTS = SNAKEMAKE / "nestde/inputs"
SMALL = 1_000_000  # bytes that are read sooner than what was noted of them is looked up


@dataclass(frozen=True)
class Record:
    """What is known of a file or folder.

    Parameters
    ----------
    path
        As the job was told it.
    sha256
        Digest of its content.
    seen
        Digest of the sizes, times and inodes of its files.
    token
        Of an input: what stands for it among the parameters of rules.
    arithmetic
        Of a result: the arithmetic of the job that made it, see `nestde.processor`.
    """

    path: str
    sha256: str
    seen: str
    token: str = ""
    arithmetic: str = ""


def digest(path: str | Path) -> str:
    """SHA-256 of a file; of a folder, that of its files' relative names and digests, sorted by name."""
    path = Path(path)
    if not path.is_dir():
        return sha256(path)
    whole = hashlib.sha256()
    for name, file in _files(path):
        whole.update(f"{name}\0{sha256(file)}\n".encode())
    return whole.hexdigest()


@contextmanager
def recording() -> Iterator[None]:
    """Record what is written while this lasts, if it is in a folder in which Snakemake is at work.

    Before a file is replaced its record is dropped, so that no kill leaves a new file with the digest of the old.
    """
    if not SNAKEMAKE.is_dir():
        yield
        return
    with noting(lambda path: _place(RESULTS, path).unlink(missing_ok=True)) as made:
        yield
    for path in dict.fromkeys(made):
        if path.is_file() and SNAKEMAKE not in path.parents:
            _keep(Record(str(path), sha256(path), _seen(path), arithmetic=arithmetic()), RESULTS)


def made_by(path: str | Path) -> Record | None:
    """Return what the job that made a result has noted of it."""
    return _read(path, RESULTS)


def is_changed(path: str | Path) -> bool:
    """Tell whether a result is no longer what its job wrote; of one without a record it is not known."""
    record = made_by(path)
    if record is None or record.seen == _seen(path):
        return False
    if digest(path) != record.sha256:
        return True
    _keep(Record(**asdict(record) | {"seen": _seen(path)}), RESULTS)
    return False


@contextmanager
def reading(paths: Iterable[str | Path]) -> Iterator[None]:
    """Record inputs that a job reads while this lasts.

    Raises
    ------
    NestdeError
        If one was changed meanwhile.
    """
    if not SNAKEMAKE.is_dir():
        yield
        return
    before = {Path(path): _seen(path) for path in paths}
    yield
    faults = Faults()
    for path, seen in before.items():
        content, token = digest(path), stamp(path)
        if _seen(path) != seen:
            faults.add(f"{path}: was changed while it was read. Run again once it stays as it is.")
        _keep(Record(str(path), content, seen, token), INPUTS)
    faults.raise_if_any()


def read_as(path: str | Path) -> str:
    """Digest of an input when the last job read it; '' where none has told."""
    record = _read(path, INPUTS)
    return record.sha256 if record else ""


def stamp(path: str | Path) -> str:
    """What changes with the content of an input, and with nothing else once a job has read it.

    Until then its size and time (s) stand for a large one, which is not read for it.
    """
    path = Path(path)
    if not path.exists():
        return ""
    if sum(file.stat().st_size for _, file in _files(path)) <= SMALL:
        return digest(path)[:16]
    record, seen = _read(path, INPUTS), _seen(path)
    if record is None:
        return _by_size_and_time(path)
    if record.seen == seen:
        return record.token
    content = digest(path)
    if content == record.sha256:
        _keep(Record(record.path, content, seen, record.token), INPUTS)
        return record.token
    return content[:16]


def _files(path: Path) -> list[tuple[str, Path]]:
    """Files of a folder with their names in it, sorted; a file alone."""
    if not path.is_dir():
        return [("", path)]
    return sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*") if file.is_file())


def _seen(path: str | Path) -> str:
    told = []
    for name, file in _files(Path(path)):
        stat = file.stat()
        told.append(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ctime_ns}\0{stat.st_ino}")
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def _by_size_and_time(path: Path) -> str:
    told = [f"{name}\0{file.stat().st_size}\0{int(file.stat().st_mtime)}" for name, file in _files(path)]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def _place(folder: Path, path: str | Path) -> Path:
    return folder / f"{hashlib.sha256(str(Path(path)).encode()).hexdigest()[:24]}.json"


def _read(path: str | Path, folder: Path) -> Record | None:
    try:
        return Record(**json.loads(_place(folder, path).read_bytes()))
    except (OSError, ValueError, TypeError):  # none, or one that is cut off
        return None


def _keep(record: Record, folder: Path) -> None:
    with suppress(FileNotFoundError):  # another job that read the same input notes the same
        write_json(asdict(record), _place(folder, record.path))
