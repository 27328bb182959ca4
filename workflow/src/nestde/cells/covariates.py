"""What is known of the cells of one cell type: covariates as a formula names them, what was measured of them, and whose they are."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nestde.arrays import Floats
from nestde.cells.depth import offered
from nestde.cells.parts import Part
from nestde.cells.qc import MEASURED
from nestde.cells.roster import Roster, roster_of
from nestde.io.counts import Counts
from nestde.io.obs import tidy
from nestde.study.samples import covariates_of

if TYPE_CHECKING:
    import pandas as pd


def of_data(parts: Sequence[Part]) -> "pd.DataFrame":
    """Cells of all parts below each other, with the columns that they have in the data, and ``sample_id``."""
    import pandas as pd

    whole = pd.concat([part.obs for part in parts], ignore_index=True)
    # where samples have different labels, or only some have the column, pandas gives up the type
    columns = {name: tidy(column) if column.dtype == object else column for name, column in whole.items()}
    names = np.repeat([part.sample for part in parts], [part.n for part in parts])
    columns["sample_id"] = pd.Series(pd.Categorical(names, sorted({part.sample for part in parts})))
    barcodes = np.concatenate([part.cells.index.to_numpy(object) for part in parts])
    index = pd.Index([f"{name}:{code}" for name, code in zip(names, barcodes, strict=True)], dtype=object)
    return pd.DataFrame(columns).set_axis(index)


def measurements(parts: Sequence[Part], size_factor: Floats) -> "pd.DataFrame":
    """What was measured of the cells of all parts, below each other: `MEASURED` and ``size_factor``."""
    import pandas as pd

    measured = pd.concat([part.cells[list(MEASURED)] for part in parts], ignore_index=True)
    return measured.assign(size_factor=size_factor)


def covariates(data: "pd.DataFrame", measured: "pd.DataFrame", sheet: "pd.DataFrame") -> "pd.DataFrame":
    """All that a formula can name of some cells.

    `data` (n rows) see `of_data`, `measured` (n rows) see `measurements`. The columns of the sheet win over those of the data, and both over what is
    measured (`MEASURED` of `qc`, and ``size_factor``), which is there where no column of the user's has the name; `OFFERED` of `depth` win over all.
    """
    import pandas as pd

    columns: dict[str, Any] = {name: measured[name].to_numpy() for name in measured} | dict(data.items())
    place = pd.Index(sheet["sample_id"].astype(str)).get_indexer(pd.Index(data["sample_id"].astype(str)))
    for name in covariates_of(sheet):
        column = sheet[name].take(place).set_axis(data.index)
        columns[name] = column if column.dtype.kind in "iufb" else pd.Categorical(column)
    own = offered(*(measured[name].to_numpy(float) for name in ("total_counts", "n_genes", "size_factor")))
    return pd.DataFrame(columns | own, index=data.index)


def read_obs(path: str | Path, sheet: "pd.DataFrame") -> "pd.DataFrame":
    """Return the covariates of a cell type's cells, as a formula sees them (see `covariates`)."""
    with Counts(path) as counts:
        return covariates(counts.obs(), counts.cells(), sheet)


def read_measured(path: str | Path) -> "pd.DataFrame":
    """Return what was measured of a cell type's cells (see `measurements`)."""
    with Counts(path) as counts:
        return counts.cells()


def read_uns(path: str | Path) -> dict[str, Any]:
    """What else is told of a cell type: ``roster`` (JSON, see `read_roster`), ``genes`` (how many were removed by what), ``size_factors``."""
    with Counts(path) as counts:
        return counts.uns()


def read_roster(path: str | Path) -> Roster:
    """Return the samples of a cell type, those that left and why among them."""
    return roster_of(json.loads(str(read_uns(path)["roster"])))
