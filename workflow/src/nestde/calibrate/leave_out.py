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
from nestde.design.design import Design
from nestde.fit.containment import unit_of
from nestde.fit.family import Statistics

# Of an effect, the share that is to be left without any one sample.
HALF = 0.5


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
    by = statistics.family.estimates
    whole, _ = statistics.fitted(design, threads).effect(by, contrast.rows[0])
    coef = np.full((len(whole), len(unit.levels)), np.nan)
    for place in range(len(unit.levels)):
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


def of_rows(design: Design, stays: NDArray[np.bool_]) -> Design:
    """The design of some rows: groups that are empty are gone, columns are what they were."""
    random = []
    for factor in design.random:
        used, codes = np.unique(factor.codes[stays], return_inverse=True)
        levels = tuple(factor.levels[i] for i in used)
        random.append(replace(factor, levels=levels, codes=codes.astype(np.int32), z=factor.z[stays]))
    return replace(design, x=design.x[stays], random=tuple(random))
