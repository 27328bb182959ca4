"""One input file, read once: cells of the sheet's samples, sorted by sample, their counts checked to be raw."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.cells.concerns import EQUAL, FEWEST, spread
from nestde.cells.sample import Sample
from nestde.errors import Faults, NestdeError, a_few
from nestde.io.counts import writing
from nestde.io.files import slugs
from nestde.io.formats import open_source, sniff
from nestde.io.obs import join_metadata, keep_cells, plain, tidy
from nestde.io.raw_counts import RawCounts
from nestde.io.source import Source, label, reading
from nestde.study.config import Input

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_matrix

FIRST = 200  # cells that `peek` looks at


def ingest(
    path: str | Path, samples: Sequence[str], config: Input, out: str | Path, among: Collection[str] = ()
) -> dict[str, Any]:
    """Write the cells of `samples` in one file as csr, int32, sorted by sample and then as they came.

    Parameters
    ----------
    path
        The input.
    samples
        The samples of the sheet that this file holds, sorted.
    config
        Section ``input`` of the configuration.
    out
        h5ad with what `cells_of` returns of each cell; ``uns`` has ``samples`` (names), ``slugs``, ``starts`` (first row of each,
        and the end) and ``came``, ``keep`` and ``kept``: cells of each sample in the file, removed by each column of
        ``input.keep``, left; ``others``: cells of samples that are not in the sheet; ``gene_ids`` where names are symbols and the file has ids.
    among
        All samples of the sheet, whose slugs are told apart; if none are given, these are all.

    Returns
    -------
    dict
        The same ``uns``.

    Raises
    ------
    NestdeError
        With every fault of the cells (`cells_of`), else with those of the counts.
    """
    taken = _take(path, samples, config)
    source, order, uns = taken.source, taken.order, taken.uns
    uns["starts"] = np.concatenate([[0], np.cumsum(uns["kept"])]).astype(np.int64)
    uns["samples"] = np.array(samples, object)
    names = slugs([*samples, *among])
    uns["slugs"] = np.array([names[sample] for sample in samples], object)
    with writing(out, "csr", source.row_nnz[order], taken.obs, taken.cells, source.genes, uns) as filler:
        taken.read(filler.put)
    return uns


def ingest_one(path: str | Path, sample: str, config: Input) -> Sample:
    """Read the cells of a file that holds one sample: what `ingest` would write, and `sample_of` read again.

    Raises
    ------
    NestdeError
        As `ingest`.
    """
    from scipy.sparse import csr_matrix

    taken = _take(path, [sample], config)
    indptr = np.concatenate([[0], np.cumsum(taken.source.row_nnz[taken.order])]).astype(np.int64)
    data, indices = np.empty(indptr[-1], np.int32), np.empty(indptr[-1], np.int32)

    def put(start: int, block: "csr_matrix") -> None:
        here = slice(indptr[start], indptr[start + block.shape[0]])
        data[here], indices[here] = block.data, block.indices

    taken.read(put)
    genes = taken.source.genes
    return Sample(
        name=sample,
        obs=taken.obs,
        cells=taken.cells,
        genes=genes,
        gene_ids=taken.source.gene_ids,
        counts=csr_matrix((data, indices, indptr), shape=(len(taken.order), len(genes))),
        came=int(taken.uns["came"][0]),
        keep={name: int(of[0]) for name, of in taken.uns["keep"].items()},
    )


@dataclass(frozen=True)
class _Taken:
    """A file that is open, and the cells that are taken from it.

    Attributes
    ----------
    source
        The file.
    order
        (n,) rows that are taken, sorted by sample and then as they came.
    obs, cells
        (n rows) what `cells_of` returns of them.
    uns
        What `ingest` tells of them.
    """

    source: Source
    order: NDArray[np.int64]
    obs: "pd.DataFrame"
    cells: "pd.DataFrame"
    uns: dict[str, Any]

    def read(self, put: Callable[[int, "csr_matrix"], None]) -> None:
        """Read their counts; `put` is given blocks, each with the place of its first cell among those that are taken.

        Raises
        ------
        NestdeError
            With every fault of the counts.
        """
        source = self.source
        # where each cell goes; a block's cells of one sample stay together, so few and large writes do
        place = np.full(len(source.obs), -1, np.int64)
        place[self.order] = np.arange(len(self.order))
        check = RawCounts(str(source.path), source.obs.index, source.genes)
        for start, block in source.blocks():
            targets = place[start : start + block.shape[0]]
            here = np.flatnonzero(targets >= 0)
            here = here[np.argsort(targets[here], kind="stable")]
            counts = check.whole(block[here], start + here)
            if check.faulty:
                continue  # the rest is read to say how many values are at fault
            runs = np.flatnonzero(np.diff(targets[here]) != 1) + 1
            for run in np.split(np.arange(len(here)), runs):
                if len(run):
                    put(int(targets[here[run[0]]]), counts[run[0] : run[-1] + 1])
        check.raise_if_any()


def _take(path: str | Path, samples: Sequence[str], config: Input) -> _Taken:
    """Open a file and choose its cells; ``uns`` without what concerns several samples."""
    source = open_source(path, layer=config.layer, gene_key=config.gene_key)
    obs, cells = cells_of(source, samples, config)
    codes = cells["sample_id"].cat.codes.to_numpy()
    kept, removed = keep_cells(source.path, obs, codes >= 0, config.keep)
    rows = np.flatnonzero(kept)
    order = rows[np.argsort(codes[rows], kind="stable")]
    number = {"came": codes[codes >= 0], "kept": codes[rows]}
    uns: dict[str, Any] = {
        name: np.bincount(of, minlength=len(samples)).astype(np.int64) for name, of in number.items()
    }
    empty = [sample for sample, n in zip(samples, uns["kept"], strict=True) if not n]
    if empty:
        raise NestdeError(
            f"{path}: input.keep leaves no cell of {a_few(empty)}. Keep more, or drop the samples."
        )
    uns["others"] = int((codes < 0).sum())
    if source.gene_ids is not None:
        uns["gene_ids"] = source.gene_ids
    uns["keep"] = {
        name: np.bincount(codes[at], minlength=len(samples)).astype(np.int64) for name, at in removed.items()
    }
    return _Taken(source, order, obs.iloc[order], cells.iloc[order], uns)


def peek(path: str | Path, config: Input) -> str:
    """Open a file and look at its first cells, so that what is no raw counts is said before anything is queued.

    Files that can only be read as a whole (gene-major, text) are left to `ingest`.

    Returns
    -------
    str
        What is doubtful: '' or that the totals of the cells are equal.

    Raises
    ------
    NestdeError
        If it cannot be opened, gene names repeat, or the first cells hold other than counts.
    """
    if sniff(path).whole:
        return ""
    source = open_source(path, layer=config.layer, gene_key=config.gene_key)
    if source.scans:
        return ""
    first = np.arange(min(len(source.obs), FIRST))
    check = RawCounts(str(source.path), source.obs.index, source.genes)
    with reading(path):
        block = source.rows(0, len(first))
        check.whole(block, first)
    check.raise_if_any(f" in its first {len(first):,} cells")
    totals = np.asarray(block.sum(axis=1, dtype=np.float64)).ravel()
    if len(totals) < FEWEST or (found := spread(totals)) is None or found >= EQUAL:
        return ""
    return (
        f"{path}: the first {len(totals):,} cells have equal totals, or nearly so ({np.median(totals):,.0f}). Counts that were "
        "made are not; these look normalised and rounded. DE needs raw counts; is there a raw layer (input.layer)?"
    )


def cells_of(source: Source, samples: Sequence[str], config: Input) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """One row per cell of the file, twice: its columns, and what nestde takes it for. The index are barcodes.

    Returns
    -------
    obs
        The columns of the file, tidied, and those of ``input.cell_metadata``.
    cells
        ``sample_id, cell_type``, categorical. Cells of samples that are not in the sheet have no ``sample_id``.

    Raises
    ------
    NestdeError
        A sample of the sheet that is not in the file; the column of samples or of cell types missing; barcodes
        that repeat within a sample; faults of the table of cell metadata.
    """
    import pandas as pd

    faults = Faults()
    path, key = source.path, config.sample_key
    obs = pd.DataFrame(
        {plain(name): tidy(source.obs[name]) for name in source.obs.columns},
        index=pd.Index(source.obs.index, dtype=object),
    )
    if key in obs:
        named = obs[key].astype(object).map(label, na_action="ignore")
        missing = sorted(set(samples) - set(named.dropna()))
        if missing:
            known = a_few(sorted(set(named.dropna())), 8)
            faults.add(
                f"{path}: {a_few(missing)} of the sample sheet is not among the samples of the data. Column {key} "
                f"of obs (input.sample_key) has {known or 'no value'}."
            )
    elif len(samples) == 1:
        named = pd.Series(samples[0], index=obs.index, dtype=object)
    else:
        faults.add(
            f"{path}: holds {len(samples)} samples of the sheet, but obs has no column {key} (input.sample_key); it has "
            f"{a_few(obs.columns, 12) or 'none'}."
        )
        named = pd.Series(samples[0], index=obs.index, dtype=object)
    cells = pd.DataFrame({"sample_id": pd.Categorical(named, categories=list(samples))}, index=obs.index)
    faults.raise_if_any()
    keys = cells.assign(barcode=cells.index)
    twice = keys[keys["sample_id"].notna() & keys.duplicated(keep=False)]
    if len(twice):
        faults.add(
            f"{path}: {len(twice):,} cells share a barcode with another cell of their sample: "
            f"{a_few(twice['barcode'].unique())} in {a_few(twice['sample_id'].astype(str).unique())}. If they are "
            "the same cells twice, drop one copy; if several runs, add the run to the barcode."
        )
    if config.cell_metadata is not None:
        faults.raise_if_any()
        obs = join_metadata(obs, keys, Path(config.cell_metadata), samples)
    if config.cell_type_key not in obs:
        faults.add(
            f"{path}: there is no column {config.cell_type_key} (input.cell_type_key) in obs or input.cell_metadata; "
            f"there are {a_few(obs.columns, 12) or 'none'}."
        )
    faults.raise_if_any()
    cell_type = obs[config.cell_type_key].astype(object).map(label, na_action="ignore")
    cells["cell_type"] = pd.Categorical(cell_type)
    return obs, cells
