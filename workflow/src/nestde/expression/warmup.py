"""Compile what the fits call once, before they start side by side.

Numba compiles a kernel at its first call and keeps it on disk. Chunks that start together on a machine that is new
to nestde would each spend the same half minute; one job that fits made-up cells spends it for all of them, while
the counts are still being read.
"""

import re

import numpy as np
import pandas as pd
import scipy.sparse

from nestde.design.design import build_design
from nestde.design.formula import parse
from nestde.expression.celltype import fit_table, moderate
from nestde.fit.moderated import LEAST_GENES
from nestde.fit.statistics import of_counts

# A single random effect has kernels of its own; any other model takes the general ones.
SINGLE = "~ x + (1 | a)"
BETWEEN = "~ x + d + (1 | a)"
GENERAL = "~ x + (x | a / b)"


def compile_kernels(formula: str) -> str:
    """Fit made-up cells with a model of the same kind as `formula`; return the model that was fitted.

    Raises
    ------
    NestdeError
        The formula cannot be parsed.
    """
    random = parse(formula).random
    single = len(random) == 1 and re.fullmatch(r"1|0\s*\+\s*[\w.]+", random[0].effects)
    alike = SINGLE if single else GENERAL
    cells = np.arange(48)
    obs = pd.DataFrame({"x": np.sin(cells), "a": cells % 4, "b": cells % 12}).astype({"a": str, "b": str})
    design = build_design(alike, obs, test=["x"])
    counts = scipy.sparse.csc_matrix((cells[:, None] * [7, 11] % 5).astype(np.int32))
    statistics = of_counts(design, counts, np.ones(len(cells)), ["one", "other"], threads=1)
    fit_table(design, statistics, ["x"], threads=1)
    # the moderated test has the same kernels for every model, with and without arms, and wants many genes
    plain = build_design(BETWEEN, obs.assign(d=obs["a"].isin(["0", "1"]).map(str)), test=["x", "d"])
    many = scipy.sparse.csc_matrix(
        np.random.default_rng(1).poisson(1.0, (len(cells), LEAST_GENES)).astype(np.int32)
    )
    names = [str(gene) for gene in range(LEAST_GENES)]
    moderate(plain, of_counts(plain, many, np.ones(len(cells)), names, threads=1), ["x", "d"], threads=1)
    return alike
