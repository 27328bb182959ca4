"""Made-up counts of cells in samples, for tests of count models."""

import numpy as np
import pandas as pd
import scipy.sparse

from nestde.design.design import build_design

FORMULA = "~ depth + case + (1 | sample)"


def cells_of(sizes=(40, 25, 60, 33, 52, 18), seed=1):
    """A row per cell: sample, case (every other sample), depth (of the cell), offset."""
    random = np.random.default_rng(seed)
    sample = np.repeat(np.arange(len(sizes)), sizes)
    n = len(sample)
    return pd.DataFrame(
        {
            "sample": [f"S{s:02d}" for s in sample],
            "case": (sample % 2).astype(float),
            "depth": random.normal(0.7, 0.1, n),
            "offset": random.normal(0, 0.4, n),
        }
    )


def counts_of(frame, means, seed=2, sd=0.3, theta=2.0, effect=0.5):
    """(n, genes) negative binomial counts."""
    random = np.random.default_rng(seed)
    code = pd.factorize(frame["sample"])[0]
    columns = []
    for mean in means:
        level = random.normal(0, sd, code.max() + 1)[code] + effect * frame["case"]
        mu = np.exp(frame["offset"] + np.log(mean) + level + frame["depth"] - 0.7)
        columns.append(random.poisson(mu * random.gamma(theta, 1 / theta, len(frame))))
    return scipy.sparse.csc_array(np.array(columns).T)


def design_of(frame, formula=FORMULA, test=()):
    return build_design(formula, frame, test=list(test))
