"""Satterthwaite's degrees of freedom, of the variance of a contrast as a function of θ and σ.

Kuznetsova, Brockhoff, Christensen (2017, J Stat Softw 82(13)), in (θ, σ) as lmerTest does.

    symbol                                                 array
    L                                                      contrast (rows, p) for Q's coefficients
    A, twice the inverse Hessian of d in (θ, σ)            curvature (T + 1, T + 1), the inverse
    Φ, P of Kenward & Roger                                phi, inner of `Moments`
"""

import numpy as np

from nestde.arrays import Floats
from nestde.fit.compiled import compiled
from nestde.fit.moments import Moments, product, sandwich

# Eigenvalues of the Hessian below this share of the largest carry no information (lmerTest drops them too).
FLAT = 1e-10


@compiled()
def hessian_of(found: Moments, forms: Floats) -> Floats:
    """Hessian of the REML deviance in (θ, σ/σ̂), by the chain rule; exact at zeros of θ too."""
    gradient, hessian, slope = found.gradient, found.hessian, found.slope
    components, thetas = slope.shape
    out = np.zeros((thetas + 1, thetas + 1))
    for t in range(thetas):
        for u in range(thetas):
            for r in range(components):
                out[t, u] += gradient[1 + r] * forms[r, t, u]
                for s in range(components):
                    out[t, u] += slope[r, t] * hessian[1 + r, 1 + s] * slope[s, u]
        for r in range(components):
            out[t, thetas] += 2.0 * slope[r, t] * (hessian[1 + r, 0] + gradient[1 + r])
        out[thetas, t] = out[t, thetas]
    out[thetas, thetas] = 4.0 * hessian[0, 0] + 2.0 * gradient[0]
    return out


@compiled()
def flat_inverse(matrix: Floats) -> Floats:
    """Inverse of a symmetric matrix over its directions of positive curvature only."""
    values, vectors = np.linalg.eigh(matrix)
    out = np.zeros_like(matrix)
    for k in range(len(values)):
        if values[k] > FLAT * values[-1]:
            for i in range(len(values)):
                for j in range(len(values)):
                    out[i, j] += vectors[i, k] * vectors[j, k] / values[k]
    return out


@compiled()
def satterthwaite_df(contrast: Floats, phi: Floats, inner: Floats, slope: Floats, curvature: Floats) -> float:
    """Denominator df: of each eigenvector of the contrast's covariance, then of all together.

    One row: 2v² / g'Ag, v its variance, g the gradient of v, A twice the inverse Hessian of the deviance,
    both in (θ, σ). Several: df = 2E / (E − rows), E = Σ ν / (ν − 2), or 2 if some ν is not above 2.
    """
    rows = len(contrast)
    components, thetas = slope.shape
    values, vectors = np.linalg.eigh(sandwich(contrast, phi))
    turned = product(product(vectors.T.copy(), contrast), phi)
    gradient = np.zeros((rows, thetas + 1))
    for r in range(components):
        along = sandwich(turned, inner[1 + r])
        for k in range(rows):
            for t in range(thetas):
                gradient[k, t] += slope[r, t] * along[k, k]
    low, high, mean, total = np.inf, 0.0, 0.0, 0.0
    for k in range(rows):
        gradient[k, thetas] = 2.0 * values[k]
        below = 0.0
        for t in range(thetas + 1):
            for u in range(thetas + 1):
                below += gradient[k, t] * curvature[t, u] * gradient[k, u]
        df = values[k] * values[k] / below
        low, high, mean = min(low, df), max(high, df), mean + df / rows
        if df > 2.0:
            total += df / (df - 2.0)
    if high - low < 1e-8:
        return mean
    if low <= 2.0:
        return 2.0
    return 2.0 * total / (total - rows)
