"""Linear mixed models of log-normalised counts."""

from typing import TYPE_CHECKING

import numpy as np

from nestde.arrays import Floats
from nestde.fit.family.family import Scale
from nestde.fit.family.linear import LinearFamily
from nestde.fit.family.mixedlm import mixedlm

if TYPE_CHECKING:
    from nestde.fit.crossproducts import Values


def _values(size_factor: Floats) -> "Values":
    from nestde.fit.family.log1p import LogCounts

    return LogCounts(size_factor)


FAMILY = LinearFamily(
    name="gaussian",
    label="linear mixed model",
    sentence="linear mixed models of log(1 + counts per 10,000) of each cell",
    values=_values,
    scale=Scale(
        response="ln(1 + counts per 10,000)",
        noise="ε",
        spread="ε ~ N(0, σ²)",
        effect="the model's coefficient on the scale it was fitted on, the natural logarithm of 1 + counts per 10,000",
        short="natural log scale",
    ),
    oracles="lme4, nlme, lmerTest, pbkrtest",
    reference=mixedlm(lambda counts, size_factor: np.log1p(counts / size_factor)),
)
