"""How deep the cells of each sample were counted, and how far the arms of a comparison lie apart in that."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nestde.arrays import Floats
from nestde.size_factors import PER

if TYPE_CHECKING:
    import pandas as pd

# Names that begin so are nestde's own: a formula that uses one means what was measured, whatever columns there are.
RESERVED = "nestde."
LOG_TOTAL_COUNTS = f"{RESERVED}log_total_counts"
LOG_DETECTED_GENES = f"{RESERVED}log_detected_genes"
LOG_SIZE_FACTOR = f"{RESERVED}log_size_factor"
OFFERED = (LOG_TOTAL_COUNTS, LOG_DETECTED_GENES, LOG_SIZE_FACTOR)
# What covariates are called that say how much was counted of a cell.
DEPTH = re.compile(
    r"(^|[^a-z])(n_?)?(counts?|umis?|reads|genes|features?)($|[^a-z])|depth|librar|saturation|size_?factor|detect|ncount|nfeature|cngeneson|"
    r"numi|ngenes?|^cdr",
    re.IGNORECASE,
)
# … and what shares of it are.
SHARE = re.compile(r"pct|percent|frac|_mt$|mito|ribo", re.IGNORECASE)


@dataclass(frozen=True)
class Depth:
    """The cells of one sample.

    Attributes
    ----------
    counts, genes
        Median of the cells' total counts, and of the genes detected in them.
    factor
        What their counts are divided by, over what they would be divided by after their totals alone.
    """

    counts: float
    genes: float
    factor: float


def offered(total_counts: Floats, n_genes: Floats, size_factor: Floats) -> dict[str, Floats]:
    """`OFFERED`: natural logarithms, (n,) of cells that all have counts."""
    return {
        LOG_TOTAL_COUNTS: np.log(total_counts),
        LOG_DETECTED_GENES: np.log(n_genes),
        LOG_SIZE_FACTOR: np.log(size_factor),
    }


def depths(cells: "pd.DataFrame", sample: "pd.Series[Any]") -> dict[str, dict[str, float]]:
    """`Depth` of each sample, ready for JSON.

    Parameters
    ----------
    cells
        (n rows) ``total_counts, n_genes, size_factor``.
    sample
        (n,) of the same cells.
    """
    names = sample.astype(str).to_numpy()
    found = {}
    for name in sorted(set(names)):
        mine = cells[names == name]
        total = mine["total_counts"].to_numpy(float)
        depth = Depth(
            counts=float(np.median(total)),
            genes=float(np.median(mine["n_genes"])),
            factor=float(mine["size_factor"].sum() * PER / total.sum()),
        )
        found[name] = asdict(depth)
    return found


def ratios(values: Mapping[str, float], levels: Mapping[str, Iterable[str]]) -> dict[str, float]:
    """Level -> geometric mean of its samples' values over that of the first level that has any.

    >>> ratios({"a": 1.0, "b": 4.0, "c": 4.0}, {"Control": ["a", "b"], "AD": ["c"], "none": []})
    {'Control': 1.0, 'AD': 2.0}
    """
    means = {}
    for level, samples in levels.items():
        logs = [np.log(values[name]) for name in samples if values.get(name, 0) > 0]
        if logs:
            means[level] = float(np.mean(logs))
    first = next(iter(means.values()), 0.0)
    return {level: round(float(np.exp(mean - first)), 9) for level, mean in means.items()}


def span(of_levels: Mapping[str, float]) -> float:
    """How many times the least the largest ratio is; 1 where there is nothing to compare."""
    return max(of_levels.values()) / min(of_levels.values()) if of_levels else 1.0


def says_depth(names: Iterable[str]) -> bool:
    """Whether one of some covariates is named like what tells of the depth of cells."""
    return any(DEPTH.search(name) and not SHARE.search(name) for name in names)
