"""What the kernels read of the responses, and what they say of a fit: named tuples, which compile as they are."""

from typing import NamedTuple

import numpy as np

from nestde.arrays import Floats


class Responses(NamedTuple):
    """Cross-products of G responses with the effects and p coefficients of a model.

    Attributes
    ----------
    zy
        (G, effects) Z̃'y, as the kernels that read it order effects.
    qy
        (G, p) Q'y.
    yy
        (G,) y'y.
    """

    zy: Floats
    qy: Floats
    yy: Floats


class Criterion(NamedTuple):
    """Which likelihood is maximised.

    Attributes
    ----------
    freedom
        n for ML, n − p for REML.
    reml
        REML, else ML.
    """

    freedom: float
    reml: bool


class Solution(NamedTuple):
    """What is estimated at θ of each of G responses; NaN where there is no θ.

    Attributes
    ----------
    beta
        (G, p) coefficients of Q.
    covariance
        (G, p, p) (Q'V₀⁻¹Q)⁻¹.
    r2
        (G,) the penalised residual sum of squares, r².
    value
        (G,) deviance but for its constants.
    """

    beta: Floats
    covariance: Floats
    r2: Floats
    value: Floats


def unsolved(genes: int, p: int) -> Solution:
    """Room for the solutions of G responses."""
    return Solution(
        np.full((genes, p), np.nan),
        np.full((genes, p, p), np.nan),
        np.full(genes, np.nan),
        np.full(genes, np.nan),
    )
