"""Compile what the fits call once, before they start side by side.

Numba compiles a kernel at its first call and keeps it on disk. Chunks that start together on a machine that is new
to nestde would each spend the same half minute; one job that fits made-up cells spends it for all of them, while
the counts are still being read.
"""

from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
from numpy.typing import NDArray

from nestde.design.design import Design, build_design
from nestde.design.formula import parse
from nestde.expression.celltype import fit_table, moderate
from nestde.fit.family import Family, Statistics
from nestde.fit.grain import grain_of

CELLS = np.arange(48)


def compile_kernels(formula: str, family: Family) -> str:
    """Fit made-up cells with a model of the same kind as `formula`; return the model that was fitted.

    Raises
    ------
    NestdeError
        The formula cannot be parsed.
    """
    alike = family.alike(parse(formula))
    obs = pd.DataFrame({"x": np.sin(CELLS), "a": CELLS % 4, "b": CELLS % 12}).astype({"a": str, "b": str})
    obs["d"] = obs["a"].isin(["0", "1"]).map(str)
    design = build_design(alike.fitted, obs, test=["x"])
    fit_table(design, _statistics(family, design, CELLS[:, None] * [7, 11] % 5), ["x"], threads=1)
    plain = build_design(alike.moderated, obs, test=["x", "d"])
    many = np.random.default_rng(1).poisson(1.0, (len(CELLS), alike.genes))
    moderate(plain, _statistics(family, plain, many), ["x", "d"], threads=1)
    return alike.fitted


def _statistics(family: Family, design: Design, counts: NDArray[Any]) -> Statistics:
    sparse = scipy.sparse.csc_matrix(counts.astype(np.int32))
    names = [str(gene) for gene in range(sparse.shape[1])]
    return family.sum_up(grain_of(design), sparse, np.ones(len(CELLS)), names, threads=1)
