"""What Satterthwaite's degrees of freedom need of a REML fit, by differences: for designs too large for `moments`.

`moments` solves with the random effects that are connected, directly or through others, all at once: thousands of
students and instructors. Differences need only the evaluations that the fit itself is made of, two for each θ.
"""

from typing import NamedTuple

import numpy as np

from nestde.arrays import Floats
from nestde.design.design import Design
from nestde.fit.clusters import connected
from nestde.fit.evaluate import Layout, deviance, gradient, space

# Connected random effects that `moments` can take: about a second for a response.
LARGEST = 600
# Step in units of θ's scale, and relative to a large θ.
_STEP = 1e-4


class Derivatives(NamedTuple):
    """Of one response at its REML estimates, in the basis Q; p coefficients, T thetas.

    Attributes
    ----------
    phi
        (p, p) (Q'V₀⁻¹Q)⁻¹, the coefficients' covariance in units of σ².
    inner
        (1 + T, p, p) of each θ minus the derivative of Q'V₀⁻¹Q; before them, of V₀, that itself.
    hessian
        (T + 1, T + 1) of the REML deviance in (θ, σ/σ̂).
    """

    phi: Floats
    inner: Floats
    hessian: Floats


def connected_effects(design: Design) -> int:
    """Random effects of the largest set of groups that share rows, directly or through others; padded as `Strata` are."""
    return sum(
        len(factor.effects) * int(np.bincount(stratum).max())
        for factor, stratum in zip(design.random, connected(design.random), strict=True)
    )


def why_not_kenward_roger(design: Design) -> str:
    """Why a design has no test by Kenward and Roger; empty if it has."""
    size = connected_effects(design)
    if size <= LARGEST:
        return ""
    return (
        f"Kenward and Roger's test works with all random effects that share cells at once: {size:,} here, more than {LARGEST}; "
        "Satterthwaite's does not"
    )


def derivatives(
    layout: Layout, theta: Floats, zy: Floats, qy: Floats, yy: float, freedom: float
) -> Derivatives:
    """Differentiate the REML deviance and the coefficients' covariance at θ, (T,), on the fitted basis."""
    size, p, work = len(theta), len(qy), space(layout)

    def evaluate(at: Floats, of_data: float) -> tuple[Floats, Floats]:
        """Gradient, of which the part that depends on y is taken `of_data` times, and Φ."""
        _, r2 = deviance(at, layout, zy, qy, yy, freedom, True, work)
        slope, beta, phi = np.empty(size), np.empty(p), np.empty((p, p))
        gradient(layout, r2, of_data * freedom, True, work, beta, phi, slope)
        return slope, phi

    here, phi = evaluate(theta, 1.0)
    hessian, inner = np.empty((size + 1, size + 1)), np.empty((1 + size, p, p))
    inner[0] = np.linalg.inv(phi)
    for t in range(size):
        step = _STEP * max(layout.scale[t], abs(theta[t]))
        (above, phi_above), (below, phi_below) = (
            evaluate(theta + sign * step * np.eye(size)[t], 1.0) for sign in (1.0, -1.0)
        )
        hessian[t, :size] = (above - below) / (2.0 * step)
        inner[1 + t] = (np.linalg.inv(phi_below) - np.linalg.inv(phi_above)) / (2.0 * step)
    # the profiled deviance knows σ; with σ as a parameter beside θ, by Schur complement
    mixed = 2.0 * (evaluate(theta, 0.0)[0] - here)
    profiled = 0.5 * (hessian[:size, :size] + hessian[:size, :size].T)
    hessian[:size, :size] = profiled + np.outer(mixed, mixed) / (4.0 * freedom)
    hessian[size, :size] = hessian[:size, size] = mixed
    hessian[size, size] = 4.0 * freedom
    return Derivatives(phi, inner, hessian)
