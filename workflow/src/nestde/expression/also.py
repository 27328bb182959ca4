"""A second model family beside the headline's: its own table, of the same genes and cells."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import scipy.sparse
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.design.design import Design
from nestde.design.testable import NotTestable
from nestde.expression.celltype import fit_table, moderate
from nestde.expression.tables import adjust, combine
from nestde.fit.family import Family
from nestde.fit.grain import grain_of
from nestde.fit.methods import AUTO
from nestde.fit.statistics import sum_up, together
from nestde.study.config import Model


def also_table(
    cell_type: str,
    design: Design | NotTestable,
    family: Family,
    genes: pd.DataFrame,
    blocks: Iterable[tuple[scipy.sparse.csc_array, NDArray[np.object_]]],
    size_factor: Floats,
    model: Model,
    threads: int | None = None,
) -> pd.DataFrame:
    """Fit a family and lay the results out as those of the headline's are, by its own best p-value.

    Parameters
    ----------
    cell_type
        Its name.
    design
        Of n cells, or why there is none.
    family
        Which one.
    genes
        The ledger, see `tables.combine`.
    blocks
        (n, some) counts of its tested genes, and their names.
    size_factor
        (n,) of each cell.
    model
        Of the configuration: what is tested.
    threads
        Results do not depend on it.
    """
    if not isinstance(design, NotTestable) and (reason := family.why_not(design)):
        design = NotTestable(reason)
    grain = None if isinstance(design, NotTestable) else grain_of(design)
    statistics = together(
        [sum_up(family, grain, *(counts, size_factor, names), threads) for counts, names in blocks]
    )
    moderation = moderate(design, statistics, model.test, threads)
    table = combine(
        cell_type,
        genes,
        [fit_table(design, statistics, model.test, AUTO, threads)],
        model.test,
        AUTO,
        family,
        moderation.table,
        model.weights_of_levels(),
    )
    # over other cell types, rates are of the headline alone
    return adjust({cell_type: table})[cell_type].drop(columns="padj_global")
