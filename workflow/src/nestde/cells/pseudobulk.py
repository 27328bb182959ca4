"""Sums per sample of one cell type, with counts per million: the profiles that bulk methods test."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.cells.covariates import covariates, measurements, of_data
from nestde.cells.parts import counted, gene_names, parts_of, roster_of_parts, sums
from nestde.cells.roster import Comparison, Fewest
from nestde.errors import NestdeError
from nestde.io.counts import OURS, as_named, storable
from nestde.io.files import atomic
from nestde.size_factors import PER, Counted, Scaled, size_factor
from nestde.study.config import Pseudobulk

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd


def profiles(
    paths: Sequence[str | Path],
    cell_type: str,
    sheet: "pd.DataFrame",
    *,
    absent_genes: str,
    compared: Comparison,
    config: Pseudobulk,
    size_factors: str,
    min_cells_per_sample: int,
) -> "ad.AnnData":
    """Sum the counts of one cell type in each sample.

    Parameters
    ----------
    paths
        What `qc.control` wrote, one for each sample.
    sheet
        The checked sample sheet.
    absent_genes
        What it says of a gene that it is not among the features of a sample: ``not_measured`` or ``zero`` counts.
    compared
        What is compared: a sample needs another of its level.
    config
        Section ``pseudobulk`` of the configuration.
    size_factors
        ``genes.size_factors`` of the configuration.

    Returns
    -------
    anndata.AnnData
        samples × genes: X sums (int64), layer ``cpm`` (counts per million of the profile's effective total, which takes
        out how many cells and how deep). obs: sample_id, and covariates of the cells that are constant within every sample; for those
        of the sheet see `read`. Layer ``measured`` (0 or 1): whether the gene was measured in the sample. ``obsm["nestde"]``: n_cells, total_counts,
        size_factor (of the sample, the sum of its cells'), and ``left_out``: '' or why the profile is not to be tested. uns:
        ``size_factors``: name, and words where it was not done so.
    """
    import anndata as ad
    import pandas as pd

    parts = parts_of(paths, cell_type)
    names, places, measured = gene_names(parts)
    if absent_genes == "zero":
        measured = np.ones_like(measured)
    counts = sums(parts, places, len(names))
    depths = counts.sum(axis=1)
    roster = roster_of_parts(
        parts,
        sheet,
        compared,
        Fewest("pseudobulk.min_cells", config.min_cells),
        Fewest("qc.min_cells_per_sample", min_cells_per_sample),
    )
    left_out = [
        roster.left_out.get(part.sample, "") or too_shallow(int(depth), config.min_counts)
        for part, depth in zip(parts, depths, strict=True)
    ]
    scaled, effective = scale_profiles(
        counted(parts, places, len(names)), counts, np.array(left_out) == "", size_factors
    )
    cells = covariates(of_data(parts), measurements(parts, scaled.of_cells), sheet[["sample_id"]])
    obs = of_samples(cells, [part.sample for part in parts])
    ours = pd.DataFrame({"n_cells": [part.n for part in parts], "total_counts": depths}, index=obs.index)
    ours["size_factor"] = effective / PER
    ours["left_out"] = left_out
    var = pd.DataFrame(index=pd.Index(names, dtype=object))
    found = ad.AnnData(counts, obs=obs, var=var, obsm={OURS: ours}, layers={"cpm": cpm(counts, effective)})
    found.layers["measured"] = measured.astype(np.uint8)
    found.uns["cell_type"] = cell_type
    found.uns["size_factors"] = {"name": size_factors, "words": scaled.words}
    return found


def scale_profiles(
    cells: Counted, counts: NDArray[np.int64], tested: NDArray[np.bool_], size_factors: str
) -> tuple[Scaled, Floats]:
    """Scale the (S, m) profiles that are `tested` together, as their cells are; others by their totals.

    Returns
    -------
    scaled
        Size factors of the cells.
    effective
        (S,) effective totals: a profile's size factor is the sum of its cells'.
    """
    library = size_factor("library").scale(cells).of_cells
    of_cells, words = library.copy(), ""
    if tested.any():
        mine = tested[cells.sample]
        together = Counted(
            cells.total[mine],
            (np.cumsum(tested) - 1)[cells.sample[mine]],
            int(tested.sum()),
            lambda: counts[tested],
        )
        scaled = size_factor(size_factors).scale(together)
        of_cells[mine], words = scaled.of_cells, scaled.words
    of, own = (np.bincount(cells.sample, values, cells.samples) for values in (of_cells, library))
    # sums of no cell at all are whole numbers, whatever their weights were
    return Scaled(of_cells, words), cells.depth * np.divide(of, own, out=np.ones(len(of)), where=own > 0)


def cpm(sums: NDArray[np.int64], effective: Floats) -> Floats:
    """Counts per million of each row's effective total; zeros where a row has none."""
    return sums * (1e6 / np.maximum(effective, 1))[:, None]


def of_samples(cells: "pd.DataFrame", samples: Sequence[str]) -> "pd.DataFrame":
    """One row per sample: the columns of the cells that have one value in every sample."""
    groups = cells.groupby("sample_id", observed=True)
    constant = [
        name
        for name in cells.columns
        if name != "sample_id" and (groups[name].nunique(dropna=False) <= 1).all()
    ]
    first = groups[constant].first() if constant else cells.iloc[:0][[]]
    return _labelled(first, samples)


def with_sheet(obs: "pd.DataFrame", sheet: "pd.DataFrame") -> "pd.DataFrame":
    """Covariates of samples: the columns of the sheet, and those of `of_samples` whose names it has not."""
    own = sheet.set_index("sample_id").drop(columns="counts")
    both = own.join(obs[[name for name in obs if name != "sample_id" and name not in own]])
    return _labelled(both, list(obs.index))


def _labelled(table: "pd.DataFrame", samples: Sequence[str]) -> "pd.DataFrame":
    """Rows of some samples, ``sample_id`` first; what is no number is categorical."""
    import pandas as pd

    columns: dict[str, Any] = {"sample_id": np.array(samples, object)}
    for name, column in table.reindex(list(samples)).items():
        number = column.dtype.kind in "iufb"
        columns[str(name)] = column.to_numpy() if number else pd.Categorical(column.astype(object).to_numpy())
    return pd.DataFrame(columns, index=pd.Index(list(samples), dtype=object))


def too_shallow(depth: int, least: int) -> str:
    """Say that a profile has too few counts to be tested, '' if it has enough."""
    return "" if depth >= least else f"{depth:,} counts; pseudobulk.min_counts is {least:,}"


def table(found: "ad.AnnData") -> "pd.DataFrame":
    """Genes × samples: ``gene``, then ``counts_<sample>`` of all samples, then ``cpm_<sample>``; empty where not measured."""
    import pandas as pd

    frame = pd.DataFrame({"gene": found.var_names})
    parts = {"counts": found.X, "cpm": found.layers["cpm"]}
    absent = found.layers["measured"] == 0
    columns = {
        f"{name}_{sample}": pd.Series(values[row]).astype("object").mask(absent[row], "")
        if absent[row].any()
        else values[row]
        for name, values in parts.items()
        for row, sample in enumerate(found.obs_names)
    }
    return pd.concat([frame, pd.DataFrame(columns)], axis=1)


def write(found: "ad.AnnData", path: str | Path) -> None:
    """Write profiles as h5ad."""
    with atomic(path) as temporary:
        stored = found.copy()
        stored.obs = storable(found.obs)
        stored.write_h5ad(temporary)


def read(path: str | Path, sheet: "pd.DataFrame") -> "ad.AnnData":
    """Read profiles, their covariates with those of the checked sample sheet."""
    import anndata as ad

    try:
        found = ad.read_h5ad(path)
    except (OSError, KeyError, ValueError) as error:
        raise NestdeError(f"{path}: cannot be read ({error}). Remove it; the workflow remakes it.") from error
    found.obs = with_sheet(as_named(found.obs), sheet)
    return found
