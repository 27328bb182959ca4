"""The cells of one cell type in each sample's counts, and the genes of all of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.cells.roster import Comparison, Entry, Fewest, Roster, call, levels_of_samples
from nestde.errors import a_few
from nestde.io.counts import Counts
from nestde.io.source import BLOCK, block_edges
from nestde.size_factors import Counted

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class Part:
    """Cells of one cell type in the counts of one sample: rows ``start … stop - 1``.

    `n_kept` cells of any type were kept by quality control, and of this type `came` were in the data. `gene_ids`, where
    genes are named by symbols and the data have ids too.
    """

    path: Path
    sample: str
    start: int
    stop: int
    n_kept: int
    came: int
    obs: "pd.DataFrame"
    cells: "pd.DataFrame"
    genes: NDArray[np.object_]
    gene_ids: NDArray[np.object_] | None

    @property
    def n(self) -> int:
        """Number of cells."""
        return self.stop - self.start

    def blocks(self) -> Iterator[tuple[int, "csr_matrix"]]:
        """First cell (from 0) and counts of consecutive blocks."""
        with Counts(self.path) as counts:
            for first, last in block_edges(counts.nnz()[self.start : self.stop], BLOCK // 4):
                yield first, counts.slice(self.start + first, self.start + last)


def parts_of(paths: Sequence[str | Path], cell_type: str) -> list[Part]:
    """Cells of a cell type in what `qc.control` wrote for each sample, sorted by sample."""
    parts: list[Part] = []
    for path in paths:
        with Counts(path) as counts:
            obs, cells, uns = counts.obs(), counts.cells(), counts.uns()
            genes, ids = counts.genes(), uns.get("gene_ids")
            if parts:  # names once for all samples: of 500 samples they would be a gigabyte
                genes, ids = _one(parts[-1].genes, genes), _one(parts[-1].gene_ids, ids)
            came = dict(zip(uns["cell_types"], uns["came_of_type"], strict=True))
            rows = np.flatnonzero((cells["cell_type"] == cell_type).to_numpy())
            start, stop = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 0)
            mine = slice(start, stop)
            parts.append(
                Part(
                    Path(path),
                    str(uns["sample"]),
                    start,
                    stop,
                    len(obs),
                    int(came.get(cell_type, 0)),
                    obs.iloc[mine],
                    cells.iloc[mine],
                    genes,
                    ids,
                )
            )
    return sorted(parts, key=lambda part: part.sample)


def _one(known: "NDArray[np.object_] | None", again: Any) -> Any:
    """The array that is known already, if the other is equal to it."""
    return known if known is not None and np.array_equal(known, again) else again


def roster_of_parts(
    parts: Sequence[Part], sheet: "pd.DataFrame", compared: Comparison, of_type: Fewest, in_all: Fewest
) -> Roster:
    """Say of each sample of a cell type whether it is tested, or why it left."""
    factors, levels = levels_of_samples({part.sample: part.obs for part in parts}, sheet, compared)
    entries = [Entry(part.sample, part.n, part.came, part.n_kept, levels[part.sample]) for part in parts]
    return call(entries, factors, of_type=of_type, in_all=in_all, counted="after quality control")


def gene_names(
    parts: Sequence[Part],
) -> tuple[NDArray[np.object_], list[NDArray[np.int32]], NDArray[np.bool_]]:
    """Union of the genes of all samples, in the order in which they are first met.

    Returns
    -------
    genes
        (m,) names.
    places
        For each part, where its genes stand among them.
    measured
        (parts, m) whether a gene is among the features of a sample's data.
    """
    import pandas as pd

    first = parts[0].genes
    if all(part.genes is first or np.array_equal(part.genes, first) for part in parts):
        same = np.arange(len(first), dtype=np.int32)
        return first, [same] * len(parts), np.ones((len(parts), len(first)), bool)
    genes = pd.unique(np.concatenate([part.genes for part in parts]))
    index = pd.Index(genes)
    places = [index.get_indexer(pd.Index(part.genes)).astype(np.int32) for part in parts]
    measured = np.zeros((len(parts), len(genes)), bool)
    for row, place in zip(measured, places, strict=True):
        row[place] = True
    return genes, places, measured


def not_measured(measured: NDArray[np.bool_], samples: Sequence[str]) -> list[str]:
    """For each gene, how many and which of the samples did not measure it; '' where all did."""
    words = [""] * measured.shape[1]
    whole = measured.all(axis=0)
    patterns, which = np.unique(measured[:, ~whole], axis=1, return_inverse=True)
    told = []
    for there in patterns.T:
        absent = a_few(sample for sample, present in zip(samples, there, strict=True) if not present)
        told.append(f"not measured in {(~there).sum():,} of {len(samples):,} samples: {absent}")
    for gene, pattern in zip(np.flatnonzero(~whole), which.ravel(), strict=True):
        words[gene] = told[pattern]
    return words


def total(part: Part, place: NDArray[np.int32], m: int) -> NDArray[np.int64]:
    """Counts of each of m genes over the cells of a part."""
    sums = np.zeros(m, np.int64)
    for _, block in part.blocks():
        sums[place] += np.asarray(block.sum(axis=0, dtype=np.int64)).ravel()
    return sums


def sums(parts: Sequence[Part], places: Sequence[NDArray[np.int32]], m: int) -> NDArray[np.int64]:
    """(parts, m) counts of each gene over the cells of each part."""
    return np.stack([total(part, place, m) for part, place in zip(parts, places, strict=True)])


def counted(parts: Sequence[Part], places: Sequence[NDArray[np.int32]], m: int) -> Counted:
    """What size factors of the cells of some parts are made of; `places` of their genes among m."""
    return Counted(
        total=np.concatenate([part.cells["total_counts"].to_numpy(float) for part in parts]),
        sample=np.repeat(np.arange(len(parts)), [part.n for part in parts]),
        samples=len(parts),
        read=lambda: sums(parts, places, m),
    )
