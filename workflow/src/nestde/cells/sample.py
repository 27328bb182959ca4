"""One sample's cells as they come, before quality control."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nestde.io.counts import Counts

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class Sample:
    """Cells of a sample, from its own file or from one of several samples.

    Attributes
    ----------
    name
        Of the sample.
    obs
        (n rows) columns of the input as they came.
    cells
        (n rows) ``sample_id, cell_type``.
    genes, gene_ids
        (m,) names, and ids where names are symbols and the data have ids too.
    counts
        (n, m) int32.
    came
        Cells in the input, those that ``input.keep`` removed among them.
    keep
        Cells removed by each column of ``input.keep``.
    """

    name: str
    obs: "pd.DataFrame"
    cells: "pd.DataFrame"
    genes: NDArray[np.object_]
    gene_ids: NDArray[np.object_] | None
    counts: "csr_matrix"
    came: int
    keep: dict[str, int]


def sample_of(path: str | Path, sample: str) -> Sample:
    """Read one sample of what `ingest` wrote."""
    with Counts(path) as counts:
        uns = counts.uns()
        at = list(uns["samples"]).index(sample)
        start, stop = int(uns["starts"][at]), int(uns["starts"][at + 1])
        return Sample(
            name=sample,
            obs=counts.obs().iloc[start:stop],
            cells=counts.cells().iloc[start:stop],
            genes=counts.genes(),
            gene_ids=uns.get("gene_ids"),
            counts=counts.slice(start, stop),
            came=int(uns["came"][at]),
            keep={name: int(of[at]) for name, of in uns.get("keep", {}).items()},
        )
