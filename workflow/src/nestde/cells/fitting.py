"""Quality control that fits the data: what each rule would remove of them, and other bounds where the defaults fit others."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.cells.concerns import APART, RULES
from nestde.cells.qc import ENOUGH_FOR_SCRUBLET, METRIC_OF, bounds, metrics
from nestde.cells.sexes import in_cells
from nestde.study.config import QC

if TYPE_CHECKING:
    import pandas as pd

    from nestde.io.source import Source

MOST_VALUES = 300_000_000  # counts that are read at most: of larger data, blocks spread over the file
BLOCK_OF_CELLS = 2_000
TOO_MANY = 0.1  # share of all cells above which a rule is for other data
TOO_MANY_BY_MAD = 0.25
OF_MEDIAN = 10  # a cell with less than a tenth of the median is hardly one
FULL_LENGTH = 100_000  # median counts of a cell that no droplet gives


def measure(source: "Source", qc: QC) -> "pd.DataFrame":
    """Metrics of cells as quality control measures them, and `sexes.in_cells`, by row of the file.

    Of large data, of some cells of all parts.
    """
    import pandas as pd

    parts, rows = [], []
    for start, stop in _edges(source):
        block = source.rows(start, stop).tocsr()
        block.sum_duplicates()
        block.eliminate_zeros()
        block.data = np.nan_to_num(block.data).astype(np.int64)
        sexes = {
            side: of for side, of in in_cells(block, source.genes, source.gene_ids).items() if of is not None
        }
        parts.append(pd.DataFrame(metrics(block, source.genes, qc) | sexes))
        rows.append(np.arange(start, stop))
    if not parts:
        return pd.DataFrame(metrics(source.rows(0, 0).tocsr(), source.genes, qc))
    return pd.concat(parts).set_axis(np.concatenate(rows))


def _edges(source: "Source") -> Iterator[tuple[int, int]]:
    n = len(source.obs)
    step = n if source.scans else BLOCK_OF_CELLS
    every = max(1, math.ceil(int(source.row_nnz.sum()) / MOST_VALUES)) if not source.scans else 1
    for i, start in enumerate(range(0, n, max(step, 1))):
        if i % every == 0:
            yield start, min(n, start + step)


def removed_by(cells: "pd.DataFrame", samples: NDArray[np.object_], qc: QC) -> "pd.DataFrame":
    """Which cells each rule would remove, rule by rule in columns; doublets, which take long to find, are none of them."""
    import pandas as pd

    found = pd.DataFrame({"empty": cells["total_counts"] == 0}, index=cells.index)
    if not qc.enabled:
        return found
    for sample in dict.fromkeys(samples):
        mine = samples == sample
        for rule, (low, high) in bounds(cells[mine], qc).items():
            values = cells.loc[mine, METRIC_OF[rule]].to_numpy(float)
            bad = np.zeros(len(values), bool)
            if low is not None:
                bad |= values < low
            if high is not None:
                bad |= values > high
            if rule not in found:
                found[rule] = False
            found.loc[mine, rule] = bad
    return found


@dataclass(frozen=True)
class Change:
    """A key of section ``qc`` that is set for these data, and why."""

    key: str
    value: Any
    why: str


def fitting(
    cells: "pd.DataFrame",
    samples: NDArray[np.object_],
    levels: NDArray[np.object_],
    genes: Sequence[str],
    qc: QC,
    min_cells: int,
) -> list[Change]:
    """Bounds that fit the data, where those of `qc` would remove too many of their cells or do nothing.

    Parameters
    ----------
    cells
        What `measure` gave.
    samples, levels
        (n,) the sample of each cell, and what is compared.
    genes
        All names.
    min_cells
        ``model.min_cells``, below which no sample is tested.
    """
    changes: list[Change] = []
    for key, metric, what in (
        ("min_counts", "total_counts", "counts"),
        ("min_genes", "n_genes", "genes"),
    ):
        least = getattr(qc, key)
        values = cells[metric].to_numpy(float)
        share = float((values < least).mean()) if least is not None and len(values) else 0.0
        if share > TOO_MANY:
            middle = float(np.median(values))
            panel = f" of {len(genes):,}" if key == "min_genes" or len(genes) < 3000 else ""
            changes.append(
                Change(
                    key,
                    _round_down(middle / OF_MEDIAN),
                    f"{least:,g} would remove {100 * share:.0f} % of cells, whose median is {middle:,.0f} {what}"
                    f"{f'{panel} genes' if key == 'min_counts' and panel else panel}",
                )
            )
    if not any(str(gene).startswith(tuple(qc.mt_prefix)) for gene in genes):
        none = f"no gene begins with {' or '.join(qc.mt_prefix)}"
        changes += [
            Change(key, None, none) for key in ("max_pct_mt", "mad_pct_mt") if getattr(qc, key) is not None
        ]
    removed = removed_by(cells, samples, changed(qc, changes))
    for rule in ("mad_counts", "mad_genes", "mad_pct_mt"):
        if rule in removed and removed[rule].mean() > TOO_MANY_BY_MAD:
            why = f"{getattr(qc, rule):g} would remove {100 * removed[rule].mean():.0f} % of cells"
            changes.append(Change(rule, None, why))
    kept = ~removed_by(cells, samples, changed(qc, changes)).any(axis=1).to_numpy()
    names, of_cell = np.unique(samples, return_inverse=True)
    left = np.bincount(of_cell[kept], minlength=len(names))
    changes += _doublets(
        changed(qc, changes), left, float(np.median(cells["total_counts"])) if len(cells) else 0.0
    )
    poor = left < qc.min_cells_per_sample
    if poor.mean() > TOO_MANY or _lost(poor, names, samples, levels):
        fewest = f"{int(poor.sum())} of {len(names)} samples have fewer than {qc.min_cells_per_sample} cells"
        changes.append(
            Change("min_cells_per_sample", min_cells, f"{fewest}; model.min_cells is asked of each type")
        )
    return changes


def _doublets(qc: QC, left: NDArray[np.int64], depth: float) -> list[Change]:
    """Doublets are looked for in all samples or in none."""
    if not qc.enabled or qc.doublets != "auto":
        return []
    if depth > FULL_LENGTH:
        return [Change("doublets", "never", f"a median of {depth:,.0f} counts a cell is of no droplets")]
    enough = left >= ENOUGH_FOR_SCRUBLET
    if enough.all() or not enough.any():
        return []
    value = "always" if 2 * enough.sum() >= len(enough) and left.min() >= 100 else "never"
    return [
        Change(
            "doublets",
            value,
            f"auto would look for them in {int(enough.sum())} of {len(enough)} samples, those of {ENOUGH_FOR_SCRUBLET} cells, only",
        )
    ]


def _lost(
    poor: NDArray[np.bool_],
    names: NDArray[np.object_],
    samples: NDArray[np.object_],
    levels: NDArray[np.object_],
) -> bool:
    """Whether a level is left with fewer than two samples that had more."""
    _, first = np.unique(samples, return_index=True)
    of = levels[first]
    return any((of == level).sum() >= 2 > (~poor[of == level]).sum() for level in dict.fromkeys(of))


def changed(qc: QC, changes: Sequence[Change]) -> QC:
    """Section ``qc`` with the changes."""
    return replace(qc, **{change.key: change.value for change in changes})


def _round_down(value: float) -> int | None:
    """One significant digit: 47 is 40; None below 1."""
    if value < 1:
        return None
    size = 10 ** int(math.log10(value))
    return int(value // size * size)


def forecast(
    cells: "pd.DataFrame", samples: NDArray[np.object_], levels: NDArray[np.object_], qc: QC
) -> list[str]:
    """Lines of a table: what each rule would remove, in all, by what is compared, and where most.

    Parameters
    ----------
    cells
        What `measure` gave.
    samples, levels
        (n,) of each cell; empty text where there is no level.
    """
    removed = removed_by(cells, samples, qc)
    anyhow = removed.any(axis=1)
    order = [level for level in dict.fromkeys(sorted(levels)) if level != ""]
    if not len(cells):
        return []
    lines = [
        f"Quality control would remove {anyhow.sum():,} of {len(cells):,} cells ({100 * anyhow.mean():.1f} %), doublets apart."
    ]
    rows = [(RULES.get(rule, rule), removed[rule]) for rule in removed if removed[rule].any()]
    if not rows:
        return lines
    table = [["rule", "cells", *(f"% of {level}" for level in order), "most in"]]
    for what, bad in [*rows, ("any of them", anyhow)]:
        of_sample = {sample: bad[samples == sample].mean() for sample in dict.fromkeys(samples)}
        worst = max(of_sample, key=lambda sample: of_sample[sample])
        shares = [f"{100 * bad[levels == level].mean():.1f}" for level in order]
        table.append([what, f"{bad.sum():,}", *shares, f"{worst} ({100 * of_sample[worst]:.0f} %)"])
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines += [
        "  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in table
    ]
    shares_of = {level: anyhow[levels == level].mean() for level in order}
    if shares_of and max(shares_of.values()) - min(shares_of.values()) >= APART:
        lines.append(
            "  Unequal shares are removed of what is compared: what is left may differ for that reason."
        )
    return lines
