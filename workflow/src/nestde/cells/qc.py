"""Quality control of one sample: metrics, bounds, doublets, and a ledger in which the totals add up.

Bounds follow Heumos et al. 2023 (Nat Rev Genet 24, 550; sc-best-practices.org): fixed ones, and 5 median absolute
deviations for counts and genes, 3 for the mitochondrial percentage. Doublets: Scrublet (Wolock, Lopez, Klein 2019,
Cell Syst 8, 281), as in scanpy.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.cells.concerns import spread
from nestde.cells.same import marks
from nestde.cells.sample import Sample
from nestde.cells.sexes import evidence, in_cells
from nestde.errors import NestdeError
from nestde.io.counts import writing
from nestde.study.config import QC

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_matrix

# What is measured of each cell; a formula may use it, under these names, where no column of the user's has them.
METRICS = (
    "total_counts",
    "n_genes",
    "pct_counts_mt",
    "pct_counts_ribo",
    "pct_counts_hb",
    "pct_counts_in_top_20_genes",
)
MEASURED = (*METRICS, "doublet_score")
ENOUGH_FOR_SCRUBLET = 500
FEWEST_FOR_SCRUBLET = 50


def control(sample: Sample, config: QC, seed: int, out: str | Path) -> tuple["pd.DataFrame", dict[str, Any]]:
    """Control one sample; write its kept cells, sorted by cell type.

    Parameters
    ----------
    sample
        Its cells as they came. Its counts are put in order in place.
    config
        Section ``qc`` of the configuration.
    seed
        Of Scrublet.
    out
        h5ad of the kept cells: X csr int32, obs of the input as it came, ``cells`` with ``sample_id, cell_type`` and
        `MEASURED`.

    Returns
    -------
    cells
        Every cell that came in: barcode, cell type, metrics, and which rules remove it.
    ledger
        See `ledger_of`; with what `sexes.evidence` tells, and ``cell_marks``, see `nestde.cells.same`.
    """
    genes, matrix = sample.genes, sample.counts
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    cells = sample.cells.assign(**metrics(matrix, genes, config), doublet_score=np.nan)
    removed = rules(cells, config)
    doublets: dict[str, Any] = {"run": False, "why": "QC is off"}
    if config.enabled:
        candidates = ~np.any(list(removed.values()), axis=0)
        scores, doublets = find_doublets(matrix, candidates, config, seed)
        cells["doublet_score"] = scores
        if doublets["run"]:
            removed["doublet"] = candidates & (scores >= doublets["threshold"])
    bad = np.any(list(removed.values()), axis=0)
    kept = np.flatnonzero(~bad)
    kept = kept[np.argsort(cells["cell_type"].cat.codes.to_numpy()[kept], kind="stable")]
    rows = matrix[kept]
    types = cells["cell_type"].cat
    told = {
        "sample": sample.name,
        "cell_types": types.categories.to_numpy(object),
        "came_of_type": np.bincount(types.codes[types.codes >= 0], minlength=len(types.categories)),
    } | ({} if sample.gene_ids is None else {"gene_ids": sample.gene_ids})
    with writing(
        out, "csr", np.diff(rows.indptr), sample.obs.iloc[kept], cells.iloc[kept], genes, told
    ) as filler:
        filler.put(0, rows)
    mt_genes = sum(gene.startswith(tuple(config.mt_prefix)) for gene in genes)
    ledger = ledger_of(sample.name, cells, removed, sample.came, sample.keep, doublets, mt_genes, config)
    ledger["cell_marks"] = marks(matrix, genes)
    ledger |= evidence(in_cells(rows, genes, sample.gene_ids))
    cells = cells.drop(columns="sample_id").rename_axis("barcode").reset_index()
    names = np.array(list(removed), object)
    cells["removed_by"] = [";".join(names[which]) for which in np.array(list(removed.values())).T]
    return cells, ledger


def metrics(counts: "csr_matrix", genes: NDArray[np.object_], config: QC) -> dict[str, Floats]:
    """`METRICS` of each cell, equal to those of ``scanpy.pp.calculate_qc_metrics``; 0 % where a cell is empty.

    They are three sums and a sort; scanpy would take longer to be imported, once per sample.
    """
    total = np.asarray(counts.sum(axis=1, dtype=np.int64)).ravel()
    of_total = 100.0 / np.maximum(total, 1)
    hb = re.compile(config.hb_pattern)
    groups = {
        "mt": [gene.startswith(tuple(config.mt_prefix)) for gene in genes],
        "ribo": [gene.startswith(tuple(config.ribo_prefix)) for gene in genes],
        "hb": [hb.search(gene) is not None for gene in genes],
    }
    found = {"total_counts": total, "n_genes": np.diff(counts.indptr).astype(np.int64)}
    for name, members in groups.items():
        found[f"pct_counts_{name}"] = (counts @ np.asarray(members, np.int64)) * of_total
    top = [np.partition(row, -20)[-20:].sum() if len(row) > 20 else row.sum() for row in _rows(counts)]
    found["pct_counts_in_top_20_genes"] = np.array(top, np.float64) * of_total
    return found


def _rows(counts: "csr_matrix") -> list[NDArray[np.int32]]:
    return np.split(counts.data, counts.indptr[1:-1]) if counts.shape[0] else []


def bounds(cells: "pd.DataFrame", config: QC) -> dict[str, tuple[float | None, float | None]]:
    """Lower and upper bound by rule: ``min_counts, …`` are fixed, ``mad_counts, …`` are of this sample.

    A MAD bound is median ± k · MAD, of log1p for counts and genes, upper side only and not below
    ``mad_pct_mt_floor`` for the mitochondrial percentage; where more than half of the cells have the same value the MAD is 0 and there is no such bound.
    """
    found: dict[str, tuple[float | None, float | None]] = {
        "min_counts": (config.min_counts, None),
        "max_counts": (None, config.max_counts),
        "min_genes": (config.min_genes, None),
        "max_genes": (None, config.max_genes),
        "max_pct_mt": (None, config.max_pct_mt),
    }
    for rule, (metric, logged) in MAD_RULES.items():
        k = getattr(config, rule)
        values = cells[metric].to_numpy(float)[cells["total_counts"] > 0]
        values = np.log1p(values) if logged else values
        if k is None or not len(values):
            continue
        middle = float(np.median(values))
        mad = float(np.median(np.abs(values - middle)))
        if mad == 0:
            continue
        if logged:
            found[rule] = (float(np.expm1(middle - k * mad)), float(np.expm1(middle + k * mad)))
        else:
            # among cells that all are fine, what is far from the median is fine too
            found[rule] = (None, max(middle + k * mad, config.mad_pct_mt_floor))
    return {rule: pair for rule, pair in found.items() if pair != (None, None)}


MAD_RULES = {
    "mad_counts": ("total_counts", True),
    "mad_genes": ("n_genes", True),
    "mad_pct_mt": ("pct_counts_mt", False),
}
METRIC_OF = {
    "min_counts": "total_counts",
    "max_counts": "total_counts",
    "min_genes": "n_genes",
    "max_genes": "n_genes",
    "max_pct_mt": "pct_counts_mt",
} | {rule: metric for rule, (metric, _) in MAD_RULES.items()}


def rules(cells: "pd.DataFrame", config: QC) -> dict[str, NDArray[np.bool_]]:
    """Which cells each rule removes. A cell without any count goes even where QC is off: it cannot be normalised."""
    removed = {"empty": cells["total_counts"].to_numpy() == 0}
    if config.enabled:
        for rule, (low, high) in bounds(cells, config).items():
            values = cells[METRIC_OF[rule]].to_numpy(float)
            removed[rule] = np.zeros(len(values), bool)
            if low is not None:
                removed[rule] |= values < low
            if high is not None:
                removed[rule] |= values > high
    return removed


def find_doublets(
    counts: "csr_matrix", candidates: NDArray[np.bool_], config: QC, seed: int
) -> tuple[Floats, dict[str, Any]]:
    """Scrublet on the cells that the other rules keep: a score per cell (NaN for the others), and what was done.

    The expected rate is that of 10x loading, 0.8 % per 1,000 cells, unless given. Cells whose score is at or above
    the threshold that Scrublet finds between its two modes are doublets; where it finds none, none are. Neighbours
    are exact at any size (by default scanpy approximates them from 2,731 cells on, with a library and a random search
    of its own): 30,000 cells take a minute.
    """
    scores = np.full(len(candidates), np.nan)
    n = int(candidates.sum())
    if config.doublets == "never":
        return scores, {"run": False, "why": "switched off"}
    fewest = ENOUGH_FOR_SCRUBLET if config.doublets == "auto" else FEWEST_FOR_SCRUBLET
    if n < fewest:
        return scores, {"run": False, "why": f"{n:,} cells; it needs {fewest:,}"}
    rate = config.doublet_rate if config.doublet_rate is not None else min(0.5, 0.008 * n / 1000)
    import warnings

    from nestde.cells.scrublet import scrublet

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scanpy's own libraries
        try:
            scores[candidates], threshold = scrublet(counts[candidates], rate, seed)
        except (ValueError, RuntimeError, ArithmeticError, ImportError) as error:
            return scores, {"run": False, "why": f"Scrublet failed: {' '.join(str(error).split())}"}
    if threshold is None:
        return scores, {"run": False, "why": "Scrublet found no threshold between singlets and doublets"}
    called = int((scores[candidates] >= threshold).sum())
    return scores, {"run": True, "expected_rate": rate, "threshold": threshold, "called": called}


def ledger_of(
    sample: str,
    cells: "pd.DataFrame",
    removed: dict[str, NDArray[np.bool_]],
    came: int,
    keep: dict[str, int],
    doublets: dict[str, Any],
    mt_genes: int,
    config: QC,
) -> dict[str, Any]:
    """What came of a sample's cells.

    Returns
    -------
    dict
        ``cells_in`` = sum of ``removed[*].first`` + ``cells_kept``. For each rule, in order: ``any``, cells that it
        would remove; ``only``, cells that it alone removes; ``first``, cells that no rule before it removes.
        ``keep:<column>`` are the rules of ``input.keep``. ``bounds``: low and high by rule. ``metrics``: quartiles
        before and after. ``mt_rules``, ``mt_genes``: whether a rule asks for mitochondrial genes, and how many there are;
        ``spread_of_totals`` see `concerns.spread`. ``cell_types``: cells in and kept. ``left_out``: '' or why the sample enters no test.
    """
    table = np.array(list(removed.values()))
    n_rules = table.sum(axis=0)
    earlier = np.cumsum(table, axis=0) - table
    lines: list[dict[str, Any]] = [
        {"rule": f"keep:{name}", "any": n, "only": n, "first": n} for name, n in keep.items()
    ]
    lines += [
        {
            "rule": rule,
            "any": int(bad.sum()),
            "only": int((bad & (n_rules == 1)).sum()),
            "first": int((bad & (before == 0)).sum()),
        }
        for (rule, bad), before in zip(removed.items(), earlier, strict=True)
    ]
    stays = n_rules == 0
    n_kept = int(stays.sum())
    if came != n_kept + sum(line["first"] for line in lines):
        raise NestdeError(f"{sample}: the ledger does not add up: {came:,} cells came, {n_kept:,} are kept.")
    few = n_kept < config.min_cells_per_sample
    types = cells["cell_type"].cat.categories
    return {
        "sample_id": sample,
        "enabled": config.enabled,
        "cells_in": came,
        "removed": lines,
        "cells_kept": n_kept,
        "left_out": f"{n_kept:,} cells after quality control; qc.min_cells_per_sample is {config.min_cells_per_sample:,}"
        if few
        else "",
        "bounds": {rule: list(pair) for rule, pair in bounds(cells, config).items()}
        if config.enabled
        else {},
        "doublets": doublets,
        "mt_rules": config.enabled and (config.max_pct_mt, config.mad_pct_mt) != (None, None),
        "mt_genes": mt_genes,
        "spread_of_totals": spread(cells["total_counts"].to_numpy(float)),
        "metrics": {"before": quartiles(cells), "after": quartiles(cells[stays])},
        "cell_types": {
            label: {
                "in": int((cells["cell_type"] == label).sum()),
                "kept": int((cells["cell_type"] == label)[stays].sum()),
            }
            for label in types
        },
        "without_cell_type": {
            "in": int(cells["cell_type"].isna().sum()),
            "kept": int(cells["cell_type"].isna()[stays].sum()),
        },
    }


def quartiles(cells: "pd.DataFrame") -> dict[str, list[float]]:
    """0, 25, 50, 75 and 100 % quantiles of each metric; empty without cells."""
    if cells.empty:
        return {}
    return {
        name: np.quantile(cells[name].to_numpy(float), [0, 0.25, 0.5, 0.75, 1]).tolist() for name in METRICS
    }
