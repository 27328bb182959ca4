"""How deep the cells of each sample are counted, before anything is queued: the totals of some cells, read where that is quick."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.check.study import Study
from nestde.errors import NestdeError
from nestde.io.formats import open_source, sniff
from nestde.io.source import reading

CELLS = 40  # of each sample and cell type that are looked at
MOST = 3_000  # in all, but for one of each
NEAR = 20  # rows that are rather read than skipped
RUN = 500  # rows that are read at a time


def median_totals(study: Study) -> dict[str, dict[str, float]]:
    """Cell type -> sample -> median of the total counts of some of its cells.

    Samples whose files can only be read as a whole (gene-major, text), or not at all, are not there: what cannot be read
    is told where counts are checked.
    """
    groups = [
        (cell_type, sample, rows[study.sample[rows] == sample])
        for cell_type in study.config.cell_types
        for rows in [study.cells_of(cell_type)]
        for sample in np.unique(study.sample[rows])
    ]
    few = max(1, min(CELLS, MOST // max(1, len(groups))))
    chosen = [rows[np.unique(np.linspace(0, len(rows) - 1, few).astype(int))] for _, _, rows in groups]
    every = np.unique(np.concatenate(chosen)) if chosen else np.zeros(0, np.int64)
    totals = np.full(len(study.sample), np.nan)
    totals[every] = _totals(study, every)
    found: dict[str, dict[str, float]] = {}
    for (cell_type, sample, _), rows in zip(groups, chosen, strict=True):
        seen = totals[rows]
        if np.isfinite(seen).all() and np.median(seen) > 0:
            found.setdefault(cell_type, {})[study.samples[sample]] = float(np.median(seen))
    return found


def _totals(study: Study, rows: NDArray[np.int64]) -> Floats:
    """Total counts of some cells; NaN where they cannot be read quickly."""
    entry = study.config.input
    totals = np.full(len(rows), np.nan)
    files = list(dict.fromkeys(study.paths.values()))
    for number, file in enumerate(files):
        mine = np.flatnonzero(study.file[rows] == number)
        if not len(mine):
            continue
        try:
            if sniff(file).whole:
                continue
            source = open_source(file, layer=entry.layer, gene_key=entry.gene_key)
            if source.scans:
                continue
            places = study.row[rows[mine]]
            order = np.argsort(places)
            with reading(file):
                for run in _runs(places[order]):
                    first = int(places[order[run[0]]])
                    block = source.rows(first, int(places[order[run[-1]]]) + 1)
                    sums = np.asarray(block.sum(axis=1, dtype=np.float64)).ravel()
                    totals[mine[order[run]]] = sums[places[order[run]] - first]
        except NestdeError:
            continue
    return totals


def _runs(places: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Cut sorted rows where many are to be skipped, or enough were read."""
    start = 0
    for at in range(1, len(places) + 1):
        if at == len(places) or places[at] - places[at - 1] > NEAR or places[at] - places[start] >= RUN:
            yield np.arange(start, at)
            start = at
