"""What is warned of columns of the data: named as what is measured, or marks of doublets that nothing reads."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nestde.cells.depth import OFFERED, RESERVED
from nestde.check.found import Warned
from nestde.check.wording import count
from nestde.errors import NestdeError, a_few
from nestde.io.formats import read_cells

if TYPE_CHECKING:
    import pandas as pd

    from nestde.check.faults import Answer
    from nestde.check.study import Study

DOUBLETS = re.compile(r"doublet|multiplet|scrublet|scdblfinder|df\.classification", re.IGNORECASE)


def of_the_users(study: "Study", answer: "Answer") -> Iterator[Warned]:
    """Covariates of the formula that quality control measures too, under the same name."""
    from nestde.check.study import BY_QC, MEASURED

    for name, variable in study.variables.items():
        if name in OFFERED and name in study.known:
            yield Warned(
                "column_not_read",
                f"A column {name} is not read",
                f"The formula reads {name} as it is measured of each cell: names that begin with {RESERVED} are nestde's own. Rename "
                "your column if it is meant.",
            )
        if name in MEASURED and variable.origin != BY_QC:
            yield Warned(
                "column_named_as_measured",
                f"{name} is the column of {variable.origin}",
                f"The formula reads {name} of {variable.origin}, not what quality control measures under this name of each cell "
                "(and shows in the report). Rename the column if what is measured is meant.",
            )


def unused_doublets(study: "Study", answer: "Answer") -> Iterator[Warned]:
    """Columns of obs that tell doublets from others, which input.keep does not name."""
    likely = [
        name
        for name in study.known
        if DOUBLETS.search(name) and name not in study.sheet and name not in study.config.input.keep
    ]
    for name in likely:
        numbers: dict[str, int] = {}
        for path in dict.fromkeys(study.paths.values()):
            try:
                frame = read_cells(path, {name}).frame
            except NestdeError:
                continue
            if name in frame and not _is_score(frame[name]):
                for value, number in frame[name].astype(str).value_counts().items():
                    numbers[str(value)] = numbers.get(str(value), 0) + int(number)
        if len(numbers) > 1:
            values = a_few(f"{value} ({count(number, 'cell')})" for value, number in sorted(numbers.items()))
            yield Warned(
                "doublets_kept",
                f"Doublets that {name} marks are kept",
                f"The data have a column {name}: {values}. Nothing reads it. To leave doublets out, name the values of the cells to "
                f"keep, as in input.keep: {{{name}: [{_single(numbers)}]}}.",
            )


def _is_score(column: "pd.Series[object]") -> bool:
    return bool(column.dtype.kind == "f" and column.nunique() > 2)


def _single(numbers: dict[str, int]) -> str:
    """The value that most cells have: they are singlets."""
    return max(sorted(numbers), key=lambda value: numbers[value])
