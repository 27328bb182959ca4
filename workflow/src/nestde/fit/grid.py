"""Relative covariances of the random effects at which a posterior is summed: a grid that serves all genes.

An axis is a variance, as a multiple ψ of the residual variance, or a correlation. Variances are 0 and values that grow
by a constant factor, from where the data of a group can hardly tell ψ from 0 to where groups are all but fixed effects.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestde.fit.genes import Model

Floats = NDArray[np.float64]

# Smallest ψ in units of 1/(mean Z'Z of a group), and largest ψ, by the number of variances: one, or several.
_SMALLEST, _LARGEST = 0.02, (30.0, 10.0)
# Steps in log ψ: the most, and in units of a likelihood's width √(2 / groups). Finer ones move log10 p by less than 0.02.
_STEP, _WIDTH = 0.28, 1.0
# Values of each variance by the number of variances, and of a correlation.
_VALUES = {2: 15, 3: 10, 4: 6}
_CORRELATIONS = (-0.8, -0.4, 0.0, 0.4, 0.8)


@dataclass(frozen=True)
class Arms:
    """Groups of a random intercept by what is tested, each with a variance of its own.

    Attributes
    ----------
    names
        Of the arms.
    arm
        (groups,) index into `names`.
    """

    names: tuple[str, ...]
    arm: NDArray[np.int64]


@dataclass(frozen=True)
class Grid:
    """K points of D axes.

    Attributes
    ----------
    axes
        (D,) what each is: ``sample_id``, ``sample_id [AD]``, ``sample_id (Intercept)``, ``sample_id corr``.
    values
        (K, D) ψ, or the correlation.
    flat
        (K,) weights, of sum 1, that are even in log(1 + nψ), n the mean Z'Z of a group.
    factors
        For each random factor (K, arms, k, k) Λ on the fitted basis; one arm unless variances are by arm.
    arms
        Names of the arms; none if variances are the same in all.
    intercepts
        Whether every random effect is an intercept, so that its share of the variance makes sense.
    """

    axes: list[str]
    values: Floats
    flat: Floats
    factors: tuple[Floats, ...]
    arms: tuple[str, ...]
    intercepts: bool

    def shares(self) -> Floats:
        """Share of the variance that each axis is, (K, D); with arms its share in that arm; (K, 0) beside slopes."""
        if not self.intercepts:
            return np.empty((len(self.values), 0))
        beside = self.values if self.arms else self.values.sum(axis=1, keepdims=True)
        return self.values / (1.0 + beside)


def infeasible(model: Model) -> str:
    """Say why there is no grid for a model's random effects; '' if there is one."""
    blocks = [factor.blocks.count(block) for factor in model.design.random for block in set(factor.blocks)]
    if max(blocks) > 2 or (max(blocks) == 2 and len(blocks) > 1):
        return "its correlated random effects are more than a grid of variances and correlations can hold"
    if len(blocks) > max(_VALUES):
        return f"its random effects have {len(blocks)} variances; a grid holds up to {max(_VALUES)}"
    return ""


def build(model: Model, arms: Arms | None = None) -> Grid:
    """Lay out the grid of a model, see `infeasible`; with an own variance in each arm of its only random effect, if any."""
    random = model.design.random
    axes, sizes, groups = _variances(model, arms)
    values = [_values(size, n, len(axes)) for size, n in zip(sizes, groups, strict=True)]
    even = [np.gradient(np.log1p(size * np.array(psi))) for size, psi in zip(sizes, values, strict=True)]
    correlated = any(factor.blocks == (0, 0) for factor in random)
    points, flat = [], []
    for place in np.ndindex(*(len(psi) for psi in values)):
        psi = [values[d][i] for d, i in enumerate(place)]
        correlations = _CORRELATIONS if correlated and all(psi) else (0.0,)
        points += [(*psi, rho) for rho in correlations]
        flat += [math.prod(even[d][i] for d, i in enumerate(place)) / len(correlations)] * len(correlations)
    chosen, weights = np.array(points), np.array(flat)
    return Grid(
        axes=[*axes, f"{random[0].name} corr"] if correlated else axes,
        values=chosen if correlated else chosen[:, :-1],
        flat=weights / weights.sum(),
        factors=_factors(model, chosen, 1 if arms is None else len(arms.names)),
        arms=() if arms is None else arms.names,
        intercepts=all(factor.effects == ("(Intercept)",) for factor in random),
    )


def _variances(model: Model, arms: Arms | None) -> tuple[list[str], list[float], list[int]]:
    """Name of each variance, and of the groups that have it mean Z'Z and number."""
    axes, sizes, groups = list[str](), list[float](), list[int]()
    for f, factor in enumerate(model.design.random):
        each = np.einsum("gii->ig", model.leaf.of_factor(model.design, f)[0])
        for effect, size in zip(factor.effects, each, strict=True):
            name = factor.name if factor.effects == ("(Intercept)",) else f"{factor.name} {effect}"
            if arms is None:
                parts = {name: size}
            else:
                parts = {f"{name} [{arm}]": size[arms.arm == a] for a, arm in enumerate(arms.names)}
            axes += parts
            sizes += [float(part.mean()) for part in parts.values()]
            groups += [len(part) for part in parts.values()]
    return axes, sizes, groups


def _values(size: float, groups: int, variances: int) -> tuple[float, ...]:
    """0 and the values of one ψ."""
    low, high = _SMALLEST / size, _LARGEST[min(variances, 2) - 1]
    if variances > 1:
        number = _VALUES[variances] - 1
    else:
        number = 1 + math.ceil(math.log(high / low) / min(_STEP, _WIDTH * math.sqrt(2.0 / groups)))
    return (0.0, *np.geomspace(low, high, number).tolist())


def _factors(model: Model, values: Floats, arms: int) -> tuple[Floats, ...]:
    """Λ of each factor at each point; the last column of `values` is the correlation."""
    out, at = [], 0
    for factor in model.design.random:
        k = len(factor.effects)
        sd = np.sqrt(values[:, at : at + k * arms]).reshape(-1, k, arms).swapaxes(1, 2)
        lam = np.einsum("kai,ij->kaij", sd, np.eye(k))
        if factor.blocks == (0, 0):
            rho = values[:, None, -1]
            lam[:, :, 1, 0] = rho * sd[:, :, 1]
            lam[:, :, 1, 1] = np.sqrt(1.0 - rho**2) * sd[:, :, 1]
        out.append(lam)
        at += k * arms
    return tuple(out)
