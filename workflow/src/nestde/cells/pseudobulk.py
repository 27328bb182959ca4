"""Sums per sample of one cell type, with counts per million: the profiles that bulk methods test."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.cells.matrix import Part, covariates, gene_names, parts_of, roster_of_parts
from nestde.cells.roster import Fewest
from nestde.errors import NestdeError
from nestde.io.counts import OURS, as_named, storable
from nestde.io.files import atomic
from nestde.study.config import Model, Pseudobulk

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd


def profiles(
    paths: Sequence[str | Path],
    cell_type: str,
    sheet: "pd.DataFrame",
    *,
    absent_genes: str,
    model: Model,
    config: Pseudobulk,
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
    model
        Section ``model`` of the configuration: what is tested.
    config
        Section ``pseudobulk`` of the configuration.

    Returns
    -------
    anndata.AnnData
        samples × genes: X sums (int64), layer ``cpm`` (counts per million of the profile, which takes out how many
        cells and how deep). obs: sample_id, covariates of the sheet, and those of the cells that are constant within
        every sample. Layer ``measured`` (0 or 1): whether the gene was measured in the sample. ``obsm["nestde"]``: n_cells, total_counts, and ``left_out``: '' or why the profile is not to be
        tested.
    """
    import anndata as ad
    import pandas as pd

    parts = parts_of(paths, cell_type)
    names, places, measured = gene_names(parts)
    if absent_genes == "zero":
        measured = np.ones_like(measured)
    sums = np.stack([total(part, place, len(names)) for part, place in zip(parts, places, strict=True)])
    cells = covariates(parts, sheet)
    obs = of_samples(cells, [part.sample for part in parts], sheet)
    depths = sums.sum(axis=1)
    ours = pd.DataFrame({"n_cells": [part.n for part in parts], "total_counts": depths}, index=obs.index)
    roster = roster_of_parts(
        parts,
        sheet,
        model,
        Fewest("pseudobulk.min_cells", config.min_cells),
        Fewest("qc.min_cells_per_sample", min_cells_per_sample),
    )
    ours["left_out"] = [
        roster.left_out.get(part.sample, "") or too_shallow(int(depth), config.min_counts)
        for part, depth in zip(parts, depths, strict=True)
    ]
    var = pd.DataFrame(index=pd.Index(names, dtype=object))
    found = ad.AnnData(sums, obs=obs, var=var, obsm={OURS: ours}, layers={"cpm": cpm(sums)})
    found.layers["measured"] = measured.astype(np.uint8)
    found.uns["cell_type"] = cell_type
    found.uns["varying"] = np.array(sorted(set(cells.columns) - set(obs.columns)), dtype=object)
    return found


def total(part: Part, place: NDArray[np.int32], m: int) -> NDArray[np.int64]:
    """Counts of each of m genes over the cells of a part."""
    sums = np.zeros(m, np.int64)
    for _, block in part.blocks():
        sums[place] += np.asarray(block.sum(axis=0, dtype=np.int64)).ravel()
    return sums


def cpm(sums: NDArray[np.int64]) -> Floats:
    """Counts per million of each row; zeros where a row has none."""
    return sums * (1e6 / np.maximum(sums.sum(axis=1, keepdims=True), 1))


def of_samples(cells: "pd.DataFrame", samples: Sequence[str], sheet: "pd.DataFrame") -> "pd.DataFrame":
    """One row per sample: the sheet's columns, and those of the cells that have one value in every sample."""
    import pandas as pd

    groups = cells.groupby("sample_id", observed=True)
    own = list(sheet.columns.drop("counts"))
    constant = [
        name
        for name in cells.columns
        if name not in ("sample_id", *own) and (groups[name].nunique(dropna=False) <= 1).all()
    ]
    of_sheet = sheet.set_index("sample_id", drop=False)[own].reindex(list(samples))
    first = groups[constant].first().reindex(list(samples)) if constant else of_sheet[[]]
    columns: dict[str, Any] = {}
    for name, column in (*of_sheet.items(), *first.items()):
        values = column.to_numpy() if column.dtype.kind in "iufb" else column.astype(object).to_numpy()
        columns[name] = values if column.dtype.kind in "iufb" else pd.Categorical(values)
    columns["sample_id"] = np.array(list(samples), object)
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


def read(path: str | Path) -> "ad.AnnData":
    """Read profiles."""
    import anndata as ad

    try:
        found = ad.read_h5ad(path)
    except (OSError, KeyError, ValueError) as error:
        raise NestdeError(f"{path}: cannot be read ({error}). Remove it; the workflow remakes it.") from error
    found.obs = as_named(found.obs)
    return found
