"""What `nestde plan` saw quality control leave, kept for `nestde check`, which reads no count, for as long as it holds.

It stands beside the study and is no result: no step of the workflow reads it, and a run does not depend on it.
"""

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nestde import __version__
from nestde.check.study import Study
from nestde.errors import NestdeError
from nestde.io.files import read_json, write_json
from nestde.study.samples import files_of

PATH = Path(".nestde/seen.json")
COUNTED = "after quality control, as nestde plan saw it"


@dataclass(frozen=True)
class Seen:
    """Cells that quality control leaves, doublets apart: cell type -> sample -> of that type; sample -> of any."""

    of_type: Mapping[str, Mapping[str, int]]
    in_all: Mapping[str, int]

    def left(self, study: Study, cell_type: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(samples,) cells of a type, and of any, by row of the sheet."""
        of = self.of_type[cell_type], self.in_all
        mine, every = (np.array([number.get(name, 0) for name in study.samples], np.int64) for number in of)
        return mine, every


def remember(study: Study, seen: Seen) -> None:
    """Keep what was seen of a study; where nothing can be written, it is forgotten."""
    with contextlib.suppress(OSError):
        write_json({"of": _of(study), **asdict(seen)}, PATH)


def recall(study: Study) -> Seen | None:
    """What was seen of the same samples, cells and rules; None where any is another now, or nothing was."""
    if not PATH.is_file():
        return None
    with contextlib.suppress(NestdeError, KeyError, TypeError):
        kept = read_json(PATH)
        if kept["of"] == _of(study):
            return Seen(kept["of_type"], kept["in_all"])
    return None


def _of(study: Study) -> str:
    """A digest that changes with all that what was seen depends on: rules, names of samples, files by size and time."""
    config = study.config
    files = {file for path in [*study.paths.values(), *_metadata(study)] for file in files_of(path)}
    told = [__version__, config.text("cell_types", "input", "qc"), *study.samples]
    for file in sorted(files):
        with contextlib.suppress(OSError):
            told.append(f"{file}\0{file.stat().st_size}\0{file.stat().st_mtime_ns}")
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def _metadata(study: Study) -> list[str]:
    table = study.config.input.cell_metadata
    return [table] if table else []
