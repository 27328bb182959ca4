"""Kenward and Roger's adjusted covariance of coefficients, and the F whose moments match that of a contrast.

Kenward & Roger (1997, Biometrics 53); Halekoh & Højsgaard (2014, J Stat Softw 59(9)).

    symbol                                                 array
    L                                                      contrast (rows, p) for Q's coefficients
    W, covariance of the variances by I_E⁻¹                weights (1 + R, 1 + R)
    Φ, P, Q                                                phi, inner (−P), outer of `Moments`
"""

import math

import numpy as np

from nestde.arrays import Floats
from nestde.fit.compiled import compiled
from nestde.fit.moments import Moments, product, sandwich, solve
from nestde.fit.satterthwaite import flat_inverse

# Below this many degrees of freedom F's tail is so heavy that no effect is found, however large: in 200 × 25 simulated genes
# with an effect, 3 v 3 samples of 10 to 200 cells, Kenward and Roger's df were below 1 in 3 %, of which none had p < 0.05;
# with containment's df 96 % had, and 3 % of those without an effect.
FEWEST = 1.0


@compiled()
def unit_free_inverse(matrix: Floats) -> Floats:
    """The same after scaling to a unit diagonal, so that the components' units do not matter."""
    size = np.ones(len(matrix))
    for i in range(len(matrix)):
        if matrix[i, i] > 0.0:
            size[i] = math.sqrt(matrix[i, i])
    scaled = matrix.copy()
    for i in range(len(matrix)):
        for j in range(len(matrix)):
            scaled[i, j] /= size[i] * size[j]
    out = flat_inverse(scaled)
    for i in range(len(matrix)):
        for j in range(len(matrix)):
            out[i, j] /= size[i] * size[j]
    return out


@compiled()
def adjusted_covariance(found: Moments, weights: Floats) -> Floats:
    """Kenward & Roger's covariance of the coefficients, in units of σ²: Φ + 2Φ {ΣΣ W_ij (Q_ij − P_iΦP_j)} Φ.

    Their section 2; R_ij = 0, and `inner` is −P, whose sign is gone in the product of two.
    """
    phi, inner, outer = found.phi, found.inner, found.outer
    directions, p = len(inner), len(phi)
    bias = np.zeros_like(phi)
    for r in range(directions):
        left = product(inner[r], phi)
        for s in range(directions):
            both = product(left, inner[s])
            for i in range(p):
                for j in range(p):
                    bias[i, j] += weights[r, s] * (outer[r, s, i, j] - both[i, j])
    out = sandwich(phi, bias)
    for i in range(p):
        for j in range(p):
            out[i, j] = phi[i, j] + 2.0 * out[i, j]
    return out


@compiled()
def kenward_roger_df(contrast: Floats, phi: Floats, inner: Floats, weights: Floats) -> tuple[float, float]:
    """Scale λ of F and denominator df m by matching moments (Kenward & Roger, section 3.2).

    ℓ rows L, Θ = L'(LΦL')⁻¹L; names are theirs, `expectation` is E*, `variance` V* and `ratio` ρ:

        A₁ = ΣΣ W_ij tr(ΘΦP_iΦ) tr(ΘΦP_jΦ)    A₂ = ΣΣ W_ij tr(ΘΦP_iΦΘΦP_jΦ)    B = (A₁ + 6A₂) / 2ℓ
        g = ((ℓ + 1)A₁ − (ℓ + 4)A₂) / ((ℓ + 2)A₂)    c₁, c₂, c₃ = (g, ℓ − g, ℓ + 2 − g) / (3ℓ + 2(1 − g))
        E* = (1 − A₂/ℓ)⁻¹    V* = (2/ℓ) (1 + c₁B) / ((1 − c₂B)² (1 − c₃B))    ρ = V* / 2E*²
        m = 4 + (ℓ + 2) / (ℓρ − 1)    λ = m / (E*(m − 2)); of one row m = 2/A₂ and λ = 1
    """
    directions, rows = len(inner), len(contrast)
    covariance, turned = sandwich(contrast, phi), product(contrast, phi)
    # Θ Φ P Φ acts on the contrast's rows only: in their coordinates it is (LΦL')⁻¹ LΦPΦL'
    parts = np.empty((directions, rows, rows))
    traces = np.zeros(directions)
    for r in range(directions):
        part = sandwich(turned, inner[r])
        solve(covariance.copy(), part)
        for i in range(rows):
            traces[r] += part[i, i]
            for j in range(rows):
                parts[r, i, j] = part[i, j]
    a1, a2 = 0.0, 0.0
    for r in range(directions):
        for s in range(directions):
            a1 += weights[r, s] * traces[r] * traces[s]
            for i in range(rows):
                for j in range(rows):
                    a2 += weights[r, s] * parts[r, i, j] * parts[s, j, i]
    if rows == 1:
        return 1.0, 2.0 / a2
    b = (a1 + 6.0 * a2) / (2.0 * rows)
    g = ((rows + 1.0) * a1 - (rows + 4.0) * a2) / ((rows + 2.0) * a2)
    below = 3.0 * rows + 2.0 * (1.0 - g)
    c1, c2, c3 = g / below, (rows - g) / below, (rows + 2.0 - g) / below
    expectation = 1.0 / (1.0 - a2 / rows)
    variance = 2.0 / rows * (1.0 + c1 * b) / ((1.0 - c2 * b) ** 2 * (1.0 - c3 * b))
    ratio = variance / (2.0 * expectation**2)
    df = 4.0 + (rows + 2.0) / (rows * ratio - 1.0)
    # near 2 as pbkrtest does; below `FEWEST` another df takes its place, see `inference.f_tests`
    if abs(df - 2.0) < 1e-2 or df < FEWEST:
        return 1.0, df
    return df / (expectation * (df - 2.0)), df
