"""Sums over leaves of responses that a mixed model makes, drawn from their own law: no cell is drawn.

Within a leaf a response is Xβ + Zb = m + Fw, and residuals. As F's columns are orthonormal and of mean 0, with n cells

    Σy = nm + σ√n z₀    ΣyF = w + σz    Σy² = (Σy)²/n + |ΣyF|² + σ²χ²

z standard normal and χ² with n − 1 − rank F degrees of freedom, all independent (Cochran's theorem). So a draw costs a few
numbers a leaf, however many cells there are, and is exact for every structure of random effects.
"""

from collections.abc import Sequence

import numpy as np

from nestde.arrays import Floats
from nestde.fit.crossproducts import Sums, collect
from nestde.fit.genes import FitModel, fit
from nestde.fit.record import Fits

# Numbers that are drawn at a time.
_AT_A_TIME = 2_000_000


def draw(
    model: FitModel,
    factors: Sequence[Floats],
    coef: Floats,
    sigma: Floats,
    random: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Draw G responses, each from its own parameters.

    Parameters
    ----------
    model
        Of n cells in L leaves, with w columns that vary within them.
    factors
        For each random factor (G, k, k) Λ, or (G, groups, k, k): the covariance of its effects is σ²ΛΛ', in each group its own.
    coef
        (G, p) of the columns of X.
    sigma
        (G,) residual SD.

    Returns
    -------
    sums
        (G, L, 1 + w) of y and of y times each column of F.
    squares
        (G, L) of y².
    """
    leaf = model.leaf
    genes, (leaves, within, _) = len(sigma), leaf.within.shape
    sums, squares = np.empty((genes, leaves, 1 + within)), np.empty((genes, leaves))
    block = max(1, _AT_A_TIME // (leaves * leaf.mean.shape[1]))
    for first in range(0, genes, block):
        some = slice(first, first + block)
        parts = [part[some] for part in factors]
        sums[some], squares[some] = _draw(model, parts, coef[some], sigma[some], random)
    return sums, squares


def _draw(
    model: FitModel, factors: Sequence[Floats], coef: Floats, sigma: Floats, random: np.random.Generator
) -> tuple[Floats, Floats]:
    leaf, turned = model.leaf, model.basis
    # what multiplies the columns of U in each leaf, (G, L, c)
    effects = []
    for factor, part, turn, group in zip(model.design.random, factors, turned.turn, leaf.groups, strict=True):
        z = random.normal(size=(len(sigma), len(factor.levels), len(turn)))
        each = part if part.ndim == 4 else part[:, None]
        b = sigma[:, None, None] * np.einsum(
            "gnj,gnij->gni", z, np.broadcast_to(each, (*z.shape, z.shape[2]))
        )
        effects.append((b @ turn.T)[:, group])
    fixed = coef @ turned.r.T
    effects.append(np.broadcast_to(fixed[:, None], (len(sigma), len(leaf.mean), fixed.shape[1])))
    u = np.concatenate(effects, axis=2)
    mean = np.einsum("glc,lc->gl", u, leaf.mean)
    within = np.einsum("glc,lwc->glw", u, leaf.within)
    return with_residuals(model, mean, within, np.broadcast_to(sigma[:, None], mean.shape), random)


def with_residuals(
    model: FitModel, mean: Floats, within: Floats, sd: Floats, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """What `draw` returns, of responses m + Fw and residuals.

    Parameters
    ----------
    mean, within
        (G, L) m and (G, L, w) w of each leaf.
    sd
        (G, L) residual SD in each leaf.
    """
    grain = model.leaf.grain
    cells = np.bincount(grain.code)
    varies = np.zeros((len(cells), grain.f.shape[1]), bool)
    for j, f in enumerate(grain.f.T):
        varies[:, j] = np.bincount(grain.code, f * f) > 0.5
    noise = random.normal(size=(*mean.shape, 1 + varies.shape[1])) * sd[:, :, None]
    total = cells * mean + np.sqrt(cells) * noise[:, :, 0]
    along = np.where(varies, within + noise[:, :, 1:], 0.0)
    left = cells - 1 - varies.sum(axis=1)
    rest = np.where(left > 0, random.chisquare(np.maximum(left, 1), mean.shape), 0.0)
    squares = total**2 / cells + np.sum(along**2, axis=2) + sd**2 * rest
    return np.concatenate([total[:, :, None], along], axis=2), squares


def sums_of(model: FitModel, drawn: tuple[Floats, Floats]) -> Sums:
    """Cross-products of what `draw` gave."""
    return collect(model.design, model.leaf, *drawn)


def bootstrap(
    model: FitModel,
    factors: Sequence[Floats],
    sigma: float,
    draws: int,
    seed: int,
    *,
    reml: bool = True,
    threads: int | None = None,
) -> Fits:
    """Parametric bootstrap: fits of responses that are drawn from a model (lme4's ``bootMer``).

    Parameters
    ----------
    model
        From `prepare`.
    factors
        For each random factor its (1, k, k) Λ, as `Fits.factors` has it of a fit.
    sigma
        Residual SD.
    draws
        How many responses. What their fixed effects are does not change the laws of variances: they are 0.
    seed
        Equal seeds give equal draws.
    reml, threads
        As for `fit.genes.fit`; the result does not depend on `threads`.
    """
    every = [np.repeat(part, draws, axis=0) for part in factors]
    p = model.design.x.shape[1]
    random = np.random.default_rng(seed)
    drawn = draw(model, every, np.zeros((draws, p)), np.full(draws, sigma), random)
    return fit(model, sums_of(model, drawn), np.eye(p), reml, threads=threads)
