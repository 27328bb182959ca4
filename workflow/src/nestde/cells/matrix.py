"""One cell type over all samples: gene-major raw counts on disk, built by gene blocks; the ledger of its genes."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.cells.covariates import covariates, measurements, of_data
from nestde.cells.parts import Part, counted, gene_names, not_measured, parts_of, roster_of_parts
from nestde.cells.roster import Comparison, Fewest
from nestde.io.counts import Counts, writing
from nestde.io.source import BLOCK, block_edges, label
from nestde.size_factors import size_factor
from nestde.study.config import Genes

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csc_matrix


def blocks_of_genes(path: str | Path) -> Iterator[tuple["csc_matrix", NDArray[np.object_]]]:
    """All genes of a matrix, some at a time: csc (cells × genes) of raw counts, and their names."""
    with Counts(path) as counts:
        names = counts.genes()
        for start, stop in [*block_edges(counts.nnz(), BLOCK // 2)] or [(0, 0)]:
            yield counts.slice(start, stop), names[start:stop]


def keep_genes(path: str | Path, genes: Sequence[str], out: str | Path) -> None:
    """Write a matrix of some genes of another one, in the order given."""
    with Counts(path) as counts:
        place = {gene: i for i, gene in enumerate(counts.genes())}
        nnz = counts.nnz()[[place[gene] for gene in genes]]
        # the cells are those of the whole matrix
        empty = counts.obs()
        with writing(out, "csc", nnz, empty, empty, np.array(genes, object), counts.uns()) as filler:
            for i, gene in enumerate(genes):
                filler.put(i, counts.slice(place[gene], place[gene] + 1))


def build_matrix(
    paths: Sequence[str | Path],
    cell_type: str,
    sheet: "pd.DataFrame",
    *,
    absent_genes: str,
    genes: Genes,
    compared: Comparison,
    min_cells: int,
    min_cells_per_sample: int,
    out: str | Path,
    cells_out: str | Path,
) -> "pd.DataFrame":
    """Write the gene-major matrix of one cell type, and what is known of its cells; return the ledger of its genes.

    Passes over the samples' counts: one that sums them up for size factors, where these ask for it, one that counts, one
    for each block of genes that writes, so that memory is bounded by the block.

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
    min_cells, min_cells_per_sample
        Fewest cells of a sample, of this type and kept ones of any type.
    out
        h5ad: X csc int32 (cells × tested genes).
    cells_out
        h5ad without genes, of the same cells: obs see `of_data`, ``cells`` see `measurements`, uns see `read_uns`.

    Returns
    -------
    pandas.DataFrame
        ``gene, [gene_id,] status, reason, n_cells, n_samples, mean_<level>, detected_<level>`` for every gene: cells and samples
        that have it, and by level of the tested factors the mean of counts per 10,000 and the share of cells, of
        those samples that measured it (empty if none did).
    """
    every = parts_of(paths, cell_type)
    roster = roster_of_parts(
        every,
        sheet,
        compared,
        Fewest("model.min_cells", min_cells),
        Fewest("qc.min_cells_per_sample", min_cells_per_sample),
    )
    parts = [part for part in every if part.sample in roster.tested]
    names, places, measured = gene_names(parts or every)
    scaled = size_factor(genes.size_factors).scale(counted(parts or every, places, len(names)))
    n = sum(part.n for part in parts)
    data, cells = of_data(parts or every).iloc[:n], measurements(parts or every, scaled.of_cells).iloc[:n]
    cells = cells.set_axis(data.index)
    everywhere = measured.all(axis=0)
    if absent_genes == "zero":
        measured = np.ones_like(measured)
    per_cell = cells["size_factor"].to_numpy(float)
    ledger = survey(
        parts,
        places[: len(parts)],
        per_cell,
        names,
        tested_levels(covariates(data, cells, sheet), compared),
        measured,
    )
    absent = not_measured(measured[: len(parts)], [part.sample for part in parts])
    ledger["rule"], ledger["reason"] = judge(ledger, n, len(parts), absent, genes)
    if not parts:
        ledger["rule"], ledger["reason"] = "no samples", roster.untestable()
    ledger["status"] = np.where(ledger["rule"] == "", "", "not_testable")
    if any(part.gene_ids is not None for part in every):
        ledger.insert(1, "gene_id", _ids(parts or every, places, len(names)))
    tested = (ledger["rule"] == "").to_numpy()
    nnz = ledger["n_cells"].to_numpy()
    uns = {
        "cell_type": cell_type,
        "roster": json.dumps(roster.content()),
        "size_factors": {"name": genes.size_factors, "words": scaled.words if parts else ""},
        "genes": {
            "in_any_sample": len(names),
            "in_every_sample": int(everywhere.sum()),
            "absent_genes": absent_genes,
            "tested": int(tested.sum()),
            "removed": ledger.loc[~tested, "rule"].value_counts().sort_index().to_dict(),
        },
    }
    with writing(cells_out, "csc", nnz[:0], data, cells, names[:0], uns):
        pass
    with writing(
        out, "csc", nnz[tested], data[[]], cells[[]], names[tested], {"cell_type": cell_type}
    ) as filler:
        new_place = np.where(tested, np.cumsum(tested) - 1, -1)
        chosen = [new_place[place] for place in places[: len(parts)]]
        for start, stop in block_edges(nnz[tested], 4 * BLOCK):
            filler.put(start, transpose(parts, chosen, start, stop, nnz[tested][start:stop]))
    first = ["gene", "status", "reason"]
    return ledger[[*first, *ledger.columns.drop([*first, "rule"])]]


def _ids(parts: Sequence[Part], places: Sequence[NDArray[np.int32]], m: int) -> NDArray[np.object_]:
    """(m,) ids of genes, by the first sample that has one."""
    ids = np.full(m, "", object)
    for part, place in zip(reversed(parts), reversed(places), strict=False):
        if part.gene_ids is not None:
            ids[place] = part.gene_ids
    return ids


def tested_levels(obs: "pd.DataFrame", compared: Comparison) -> dict[str, NDArray[np.bool_]]:
    """Cells of each level of the factors that are compared, by the level's name; of one that two factors have, by both."""
    found: list[tuple[str, str, NDArray[np.bool_]]] = []
    for name in compared.factors(obs):
        labels = obs[name].astype(object).map(label, na_action="ignore")
        for level in map(str, compared.levels.get(name, sorted(set(labels.dropna())))):
            found.append((name, level, (labels == level).to_numpy()))
    times = Counter(level for _, level, _ in found)
    return {level if times[level] == 1 else f"{name}_{level}": mask for name, level, mask in found}


def survey(
    parts: Sequence[Part],
    places: Sequence[NDArray[np.int32]],
    size_factor: Floats,
    names: NDArray[np.object_],
    levels: dict[str, NDArray[np.bool_]],
    measured: NDArray[np.bool_],
) -> "pd.DataFrame":
    """First pass: per gene, the cells and samples that have it, and by level its mean and share of cells.

    `measured` (parts, m): the cells of samples that did not measure a gene are not among its cells.
    """
    import pandas as pd

    m = len(names)
    n_cells, n_samples = np.zeros(m, np.int64), np.zeros(m, np.int64)
    sums = {level: np.zeros(m) for level in levels}
    detected = {level: np.zeros(m, np.int64) for level in levels}
    of_cells = {level: np.zeros(m, np.int64) for level in levels}
    per_count = 1 / size_factor
    row = 0
    for part, place, there in zip(parts, places, measured, strict=False):
        for level, mask in levels.items():
            of_cells[level] += there * int(mask[row : row + part.n].sum())
        in_part = np.zeros(len(place), np.int64)
        for _, block in part.blocks():
            here = slice(row, row + block.shape[0])
            row = here.stop
            present = block.copy()
            present.data = np.ones(len(block.data), np.int8)
            in_part += np.bincount(block.indices, minlength=len(place))
            for level, mask in levels.items():
                if mask[here].any():
                    sums[level][place] += block.T @ (mask[here] * per_count[here])
                    detected[level][place] += present.T @ mask[here].astype(np.int64)
        n_cells[place] += in_part
        n_samples[place] += in_part > 0
    table = {"gene": names, "n_cells": n_cells, "n_samples": n_samples}
    for level in levels:
        n = np.where(of_cells[level] > 0, of_cells[level], 1)
        unknown = (of_cells[level] == 0) & ~measured.all(axis=0)
        table[f"mean_{level}"] = np.where(unknown, np.nan, sums[level] / n)
        table[f"detected_{level}"] = np.where(unknown, np.nan, detected[level] / n)
    return pd.DataFrame(table)


def judge(
    ledger: "pd.DataFrame", n_cells: int, n_samples: int, absent: Sequence[str], rules: Genes
) -> tuple[NDArray[np.object_], list[str]]:
    """For each gene, the first rule that keeps it from being tested ('' for none), and that in words.

    `absent` has those of `not_measured`.
    """
    fewest = rules.min_cells_share * n_cells
    cells, samples = ledger["n_cells"].to_numpy(), ledger["n_samples"].to_numpy()
    rule = np.select(
        [
            np.array([why != "" for why in absent], bool),
            cells == 0,
            cells < fewest,
            samples < rules.min_samples,
        ],
        ["absent", "no counts", "min_cells_share", "min_samples"],
        default="",
    ).astype(object)
    words: dict[str, Callable[[int], str]] = {
        "": lambda i: "",
        "absent": lambda i: absent[i],
        "no counts": lambda i: "no counts",
        "min_cells_share": lambda i: (
            f"in {cells[i]:,} of {n_cells:,} cells; {int(np.ceil(fewest)):,} are needed"
        ),
        "min_samples": lambda i: (
            f"in {samples[i]:,} of {n_samples:,} samples; {rules.min_samples:,} are needed"
        ),
    }
    return rule, [words[name](i) for i, name in enumerate(rule)]


def transpose(
    parts: Sequence[Part], places: Sequence[NDArray[np.int64]], start: int, stop: int, nnz: NDArray[np.int64]
) -> "csc_matrix":
    """Second pass: genes ``start … stop - 1`` of all parts, gene-major; `nnz` is their number of values.

    `places` gives for each part where its genes go, -1 for nowhere. Values are put where they belong at once,
    part after part, so that rows are sorted within each gene.
    """
    from scipy.sparse import csc_matrix

    indptr = np.concatenate([[0], np.cumsum(nnz)])
    data, indices = np.empty(indptr[-1], np.int32), np.empty(indptr[-1], np.int32)
    free = indptr[:-1].copy()
    row = 0
    for part, place in zip(parts, places, strict=True):
        chosen = np.flatnonzero((place >= start) & (place < stop))
        for _, block in part.blocks():
            slab = block.tocsc()[:, chosen]
            genes, sizes = place[chosen] - start, np.diff(slab.indptr)
            target = np.repeat(free[genes] - slab.indptr[:-1], sizes) + np.arange(len(slab.data))
            data[target], indices[target] = slab.data, slab.indices + row
            free[genes] += sizes
            row += block.shape[0]
    return csc_matrix((data, indices, indptr), shape=(row, stop - start))
