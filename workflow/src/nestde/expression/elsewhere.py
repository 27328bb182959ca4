"""Samples whose profiles lie with those of another batch than the sheet says: two names exchanged, or a sample put in the wrong row.

Only where a covariate tells all other samples apart is that said: where batches hardly differ, a sample lies with any of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.errors import a_few

if TYPE_CHECKING:
    import pandas as pd

FEWEST, FEWEST_OF_LEVEL = 10, 3  # samples
MOST = 0.1  # share of the samples that may lie elsewhere, where the others are told apart
AS_NEAR = 0.5  # of the mean of the others' margins, at least, is that of a sample that lies elsewhere
CLEAR = 3.0  # standard deviations of these margins that their mean is above 0


@dataclass(frozen=True)
class Elsewhere:
    """A sample, the level that the sheet gives it, and the level whose samples its profile lies with."""

    sample: str
    level: str
    other: str


def title_and_text(
    profiles: Mapping[str, Mapping[str, Any]], sheet: "pd.DataFrame", compared: Sequence[str]
) -> tuple[str, str]:
    """What is to be told; '' and '' if nothing is.

    Parameters
    ----------
    profiles
        Cell type -> ``samples`` and their ``distances``, of `pseudobulk_de.explore`.
    sheet
        The sample sheet as checked.
    compared
        Columns that are tested: their levels may lie as they like.
    """
    samples, distance = together(profiles)
    rows = sheet.set_index("sample_id").reindex(samples)
    told = []
    for name in sheet.columns:
        if name in ("sample_id", "counts", *compared) or rows[name].isna().any():
            continue
        for found in elsewhere(samples, distance, list(rows[name].astype(str))):
            told.append(f"{found.sample} with {name} {found.other} ({found.level} in the sheet)")
    if not told:
        return "", ""
    return (
        "Samples lie with others than the sheet says",
        f"By their profiles over all cell types: {a_few(told)}, as near as the other samples lie to their own kind. Was a name "
        "exchanged, or a row of the sheet?",
    )


def together(profiles: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], Floats]:
    """Samples of all cell types, and their distances: means over cell types, each relative to its median."""
    samples = sorted({sample for about in profiles.values() for sample in about["samples"]})
    place = {sample: i for i, sample in enumerate(samples)}
    total, number = np.zeros((2, len(samples), len(samples)))
    for about in profiles.values():
        distance, at = np.array(about["distances"], float), [place[sample] for sample in about["samples"]]
        middle = np.median(distance[np.triu_indices(len(at), 1)]) if len(at) > 1 else 0.0
        if middle > 0:
            total[np.ix_(at, at)] += distance / middle
            number[np.ix_(at, at)] += 1
    return samples, np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0)


def elsewhere(samples: Sequence[str], distance: Floats, labels: Sequence[str]) -> list[Elsewhere]:
    """Samples that lie with another level's, where all others lie with their own.

    Parameters
    ----------
    samples, labels
        (n) names, and a level of each.
    distance
        (n, n), NaN of pairs that are in no cell type together.
    """
    levels, code = np.unique(np.array(labels, object), return_inverse=True)
    if len(samples) < FEWEST or len(levels) < 2 or np.bincount(code).min() < FEWEST_OF_LEVEL:
        return []
    mean = _to_levels(distance, code, len(levels))
    if np.isnan(mean).any():
        return []
    rows = np.arange(len(samples))
    others = mean.copy()
    others[rows, code] = np.inf
    nearest = others.argmin(axis=1)
    margin = (others[rows, nearest] - mean[rows, code]) / mean[rows, code]
    away = margin < 0
    if not away.any() or away.sum() > max(1, MOST * len(samples)):
        return []
    own = margin[~away]
    if own.mean() < CLEAR * own.std(ddof=1):
        return []
    away &= -margin >= AS_NEAR * own.mean()
    each = zip(samples, levels[code], levels[nearest], away, strict=True)
    return [Elsewhere(sample, str(level), str(other)) for sample, level, other, is_away in each if is_away]


def _to_levels(distance: Floats, code: NDArray[np.int64], levels: int) -> Floats:
    """(n, levels) mean distance of each sample to the others of each level."""
    apart = distance.copy()
    np.fill_diagonal(apart, np.nan)
    known = np.where(np.isnan(apart), 0.0, 1.0)
    one = np.eye(levels)[code]
    total, number = np.nan_to_num(apart) @ one, known @ one
    return np.asarray(np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0))
