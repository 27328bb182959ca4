"""Leave one sample out: which findings hang on a single one.

Every sample (or donor, where donors are what is compared) is left out in turn and the effect is estimated again. What is
judged is the effect and not its p-value, which any smaller study loses: a finding hangs on a sample without which
its effect changes its sign, or loses half of its size.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.design.contrasts import Contrast
from nestde.design.design import Design, RandomFactor
from nestde.fit.containment import unit_of
from nestde.fit.family import Statistics

# Of an effect, the share that is to be left without any one sample.
HALF = 0.5
# Of more samples than this only those are left out that could make half of an effect of such a t.
_MANY, _LEAST_T = 100, 2.5


@dataclass(frozen=True)
class LeftOut:
    """What becomes of G effects without each of U samples.

    Attributes
    ----------
    unit
        Name of the grouping factor of what is left out.
    names
        (U,) of the samples.
    coef
        (G, U) effect without each; NaN where the model cannot be estimated without it.
    without
        (G,) the smallest that the effect becomes, in the direction that it has.
    sample
        (G,) without which sample that is.
    hangs
        (G,) ``sign`` where the effect changes its sign, ``half`` where it loses half, else ''.
    """

    unit: str
    names: tuple[str, ...]
    coef: Floats
    without: Floats
    sample: NDArray[np.object_]
    hangs: NDArray[np.object_]


def leave_out(
    design: Design,
    statistics: Statistics,
    contrast: Contrast,
    threads: int | None = None,
) -> LeftOut | str:
    """Estimate effects without each sample.

    Parameters
    ----------
    design
        Of n cells.
    statistics
        Of G genes in these cells: the findings.
    contrast
        Of one row.
    threads
        As for `Statistics.fitted`.

    Returns
    -------
    LeftOut or str
        Or why samples cannot be left out.
    """
    columns = np.flatnonzero(contrast.rows[0]).tolist()
    unit = unit_of(design, columns)
    if unit is None:
        return f"{contrast.term} varies between the cells of a sample, of which no one matters"
    weighty = _weighty(design, unit, contrast.rows[0])
    if not len(weighty):
        return f"of {len(unit.levels)} groups of {unit.name} no single one can make half of a finding"
    by = statistics.family.estimates
    whole, _ = statistics.fitted(design, threads).effect(by, contrast.rows[0])
    coef = np.full((len(whole), len(unit.levels)), np.nan)
    for place in weighty:
        stays = unit.codes != place
        fewer = of_rows(design, stays)
        if np.linalg.matrix_rank(fewer.x) == fewer.x.shape[1] and all(
            len(f.levels) > 1 for f in fewer.random
        ):
            left = statistics.of_cells(stays).fitted(fewer, threads)
            coef[:, place], _ = left.effect(by, contrast.rows[0])
    share = coef / whole[:, None]
    known = np.isfinite(share)
    least = np.where(known, share, np.inf).argmin(axis=1)
    found = np.take_along_axis(share, least[:, None], axis=1)[:, 0]
    named = np.array(unit.levels, object)[least]
    return LeftOut(
        unit=unit.name,
        names=unit.levels,
        coef=coef,
        without=np.take_along_axis(coef, least[:, None], axis=1)[:, 0],
        sample=np.where(known.any(axis=1), named, ""),
        hangs=np.where(found < 0, "sign", np.where(found < HALF, "half", "")).astype(object),
    )


def _weighty(design: Design, unit: RandomFactor, row: Floats) -> NDArray[np.int64]:
    """Groups that could make half of a finding, where there are many; else all.

    With weights w of the groups' means in an effect, one that makes half of it is off by effect / 2w, which by itself makes the
    residuals so large that t is at most 2w √(groups − p) / |w|: 2, where all weigh the same. They do where groups vary; where
    they do not their cells do, so that both are looked at.
    """
    groups, p = len(unit.levels), design.x.shape[1]
    if groups <= _MANY:
        return np.arange(groups)
    cells = np.bincount(unit.codes)[:, None]
    x = np.stack([np.bincount(unit.codes, column, groups) for column in design.x.T], axis=1)
    w = np.abs(row @ np.linalg.pinv(np.stack([x / cells, x / np.sqrt(cells)])))
    most = 2.0 * w * np.sqrt(groups - p) / np.linalg.norm(w, axis=1, keepdims=True)
    return np.flatnonzero(most.max(axis=0) > _LEAST_T)


def of_rows(design: Design, stays: NDArray[np.bool_]) -> Design:
    """The design of some rows: groups that are empty are gone, columns are what they were."""
    random = []
    for factor in design.random:
        used, codes = np.unique(factor.codes[stays], return_inverse=True)
        levels = tuple(factor.levels[i] for i in used)
        random.append(replace(factor, levels=levels, codes=codes.astype(np.int32), z=factor.z[stays]))
    return replace(design, x=design.x[stays], random=tuple(random))
