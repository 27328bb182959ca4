"""The deviance computed the long way: the normal density of y with its n × n covariance."""

import numpy as np
import pandas as pd

FORMULAS = [
    "~ x + (x | a)",
    "~ x + w + (x | a/b)",
    "~ x + (x || a/b)",
    "~ x + (1 | a) + (1 | c)",
    "~ x + (1 | a/b) + (x | c) + (1 | d)",
    "~ w + (1 + x + w | a) + (0 + x | b)",
    "~ w + (1 | a)",
]


def frame_of(n=200, seed=0):
    """A table with nested factors b in a in d, a crossed one c, and covariates x and w."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": rng.integers(0, 8, n), "b": rng.integers(0, 3, n), "c": rng.integers(0, 5, n)})
    frame["d"] = frame["a"] // 3
    frame = frame.astype(str)
    return frame.assign(x=rng.normal(3, 1, n), w=rng.normal(0, 1, n))


def response_of(frame, seed=1):
    """A response with effects of a and slopes in x."""
    rng = np.random.default_rng(seed)
    effects = rng.normal(0, 1, (2, 8))[:, frame["a"].astype(int)]
    return effects[0] + frame["x"].to_numpy() * (0.5 + effects[1]) + rng.normal(0, 1, len(frame))


def loglik(x, effects, factors, y, reml, sigma=None):
    """Log-likelihood at relative covariance factors, σ profiled out unless given.

    `effects` are pairs (codes, z) and `factors` their Λ.
    """
    n, p = x.shape
    v = np.eye(n)
    for (codes, z), lam in zip(effects, factors, strict=True):
        scaled = z @ lam
        v += np.equal.outer(codes, codes) * (scaled @ scaled.T)
    solved = np.linalg.solve(v, np.column_stack([x, y]))
    information = x.T @ solved[:, :p]
    beta = np.linalg.solve(information, x.T @ solved[:, p])
    residual = y - x @ beta
    square = residual @ np.linalg.solve(v, residual)
    freedom = n - p if reml else n
    variance = square / freedom if sigma is None else sigma**2
    out = freedom * np.log(2 * np.pi * variance) + np.linalg.slogdet(v)[1] + square / variance
    if reml:
        out += np.linalg.slogdet(information)[1]
    return -out / 2, beta, np.sqrt(variance)


def of_design(design, factors, y, reml):
    """`loglik` of a design at Λ of each factor."""
    return loglik(design.x, [(f.codes, f.z) for f in design.random], factors, y, reml)
