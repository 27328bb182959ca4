"""Logarithms of upper tail probabilities, finite and accurate where the probability itself is below 1e-308."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from nestde.arrays import Floats

# Below this the special functions lose digits on their way to underflow.
_TINY = 1e-250


def log_chi2_sf(x: ArrayLike, df: ArrayLike) -> Floats:
    """Log of P(χ² > x): (…) and (…), broadcast; NaN in gives NaN out.

    Far out, Q(a, z) = zᵃ⁻¹ e⁻ᶻ / Γ(a) · K with Legendre's continued fraction K (DLMF 8.9.2).
    """
    z, a = np.broadcast_arrays(0.5 * np.asarray(x, float), 0.5 * np.asarray(df, float))
    tail = special.gammaincc(a, np.maximum(z, 0.0))
    far = tail < _TINY
    out = np.array(np.log(np.where(far, 1.0, tail)))
    if far.any():
        a, z = a[far], z[far]
        fraction = _fraction(lambda i: z + 2 * i + 1 - a, lambda i: i * (a - i), z)
        out[far] = a * np.log(z) - z - special.gammaln(a) - np.log(fraction)
    return out


def log_f_sf(x: ArrayLike, df: ArrayLike, df_residual: ArrayLike) -> Floats:
    """Log of P(F > x), with `df` and `df_residual` degrees of freedom, broadcast; NaN in gives NaN out.

    P = I_w(a, b), w = df_residual / (df_residual + df x); far out by its continued fraction (DLMF 8.17.22).
    """
    f, b, a = np.broadcast_arrays(
        np.maximum(np.asarray(x, float), 0.0),
        0.5 * np.asarray(df, float),
        0.5 * np.asarray(df_residual, float),
    )
    w = a / (a + b * f)
    tail = special.betainc(a, b, w)
    far = tail < _TINY
    out = np.array(np.log(np.where(far, 1.0, tail)))
    if far.any():
        a, b, w, f = a[far], b[far], w[far], f[far]

        def numerator(i: int) -> Floats:
            half = i // 2
            top: Floats = -(a + half) * (a + b + half) if i % 2 else half * (b - half)
            found: Floats = top * w / ((a + i - 1) * (a + i))
            return found

        log_w, log_rest = -np.log1p(b * f / a), -np.log1p(a / (b * f))
        fraction = _fraction(lambda i: np.ones_like(w), numerator, np.ones_like(w))
        out[far] = a * log_w + b * log_rest - np.log(a) - special.betaln(a, b) - np.log(fraction)
    return out


def _fraction(
    denominator: Callable[[int], Floats], numerator: Callable[[int], Floats], like: Floats
) -> Floats:
    """b₀ + a₁/(b₁ + a₂/(b₂ + …)) by Lentz's method."""
    value = denominator(0) + np.zeros_like(like)
    c, d = value.copy(), np.zeros_like(value)
    running = np.ones(like.shape, bool)  # each element stops by itself, whatever its neighbours do
    for i in range(1, 2000):
        d = 1.0 / (denominator(i) + numerator(i) * d)
        c = denominator(i) + numerator(i) / c
        value = np.where(running, value * c * d, value)
        running &= np.abs(c * d - 1.0) >= 1e-15
        if not running.any():
            break
    return value
