"""Relative covariances of the random effects at which a posterior is summed: a grid that serves all genes.

An axis is a variance, as a multiple ψ of the residual variance, or a correlation. Variances are 0 and values that grow
by a constant factor, from where the data of a group can hardly tell ψ from 0 to where groups are all but fixed effects.
"""

import itertools
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
    arm
        (groups,) of the first factor, which of its Λ each group has.
    intercepts
        Whether every random effect is an intercept, so that its share of the variance makes sense.
    """

    axes: tuple[str, ...]
    values: Floats
    flat: Floats
    factors: tuple[Floats, ...]
    arm: NDArray[np.int64]

    intercepts: bool

    @property
    def arms(self) -> int:
        """Number of arms."""
        return int(self.factors[0].shape[1])

    def shares(self) -> Floats:
        """Share of the variance that each axis is, (K, D); with arms its share in that arm; (K, 0) beside slopes."""
        if not self.intercepts:
            return np.empty((len(self.values), 0))
        beside = self.values if self.arms > 1 else self.values.sum(axis=1, keepdims=True)
        return self.values / (1.0 + beside)


def infeasible(model: Model, arms: int = 1) -> str:
    """Say why there is no grid for a model's random effects; '' if there is one."""
    blocks = [factor.blocks.count(block) for factor in model.design.random for block in set(factor.blocks)]
    if max(blocks) > 2 or (max(blocks) == 2 and len(blocks) > 1):
        return (
            "it has more correlated random effects than a grid of their variances and correlations can hold"
        )
    if len(blocks) * arms > max(_VALUES):
        return f"it has {len(blocks) * arms} variances of random effects; a grid holds up to {max(_VALUES)}"
    return ""


def build(model: Model, arm: NDArray[np.int64] | None = None, names: tuple[str, ...] = ()) -> Grid:
    """Lay out the grid.

    Parameters
    ----------
    model
        From `prepare`, see `infeasible`.
    arm
        (groups,) of the only random factor, whose only effect has an own variance in each arm; None: one for all.
    names
        Of the arms.
    """
    random = model.design.random
    effects = [(f, i) for f, factor in enumerate(random) for i in range(len(factor.effects))]
    arms = len(names) if arm is not None else 1
    own = np.zeros(len(random[0].levels), np.int64) if arm is None else arm
    sizes, groups = [], []
    for f, i in effects:
        each = model.leaf.of_factor(model.design, f)[0][:, i, i]
        for a in range(arms):
            within = each[own == a] if arm is not None else each
            sizes.append(float(within.mean()))
            groups.append(len(within))
    variances = [_values(size, n, len(sizes)) for size, n in zip(sizes, groups, strict=True)]
    correlated = any(factor.blocks == (0, 0) for factor in random)
    axes = [_name(random[f].name, random[f].effects, i) for f, i in effects for _ in range(arms)]
    if arm is not None:
        axes = [f"{axis} [{name}]" for axis, name in zip(axes, names, strict=True)]
    correlation = _CORRELATIONS if correlated else (0.0,)
    points = [
        (*psi, rho) for *psi, rho in itertools.product(*variances, correlation) if all(psi) or rho == 0.0
    ]
    values = np.array(points)
    weights = [
        dict(zip(psi, _even(psi, size), strict=True)) for psi, size in zip(variances, sizes, strict=True)
    ]
    flat = np.array(
        [math.prod(weight[v] for weight, v in zip(weights, point, strict=False)) for point in points]
    )
    of_pair = {point[:-1]: 0 for point in points}
    for point in points:
        of_pair[point[:-1]] += 1
    flat /= np.array([of_pair[point[:-1]] for point in points])
    return Grid(
        axes=(*axes, f"{random[0].name} corr") if correlated else tuple(axes),
        values=values if correlated else values[:, :-1],
        flat=flat / flat.sum(),
        factors=tuple(_factors(model, values, arms)),
        arm=own,
        intercepts=all(factor.effects == ("(Intercept)",) for factor in random),
    )


def _name(factor: str, effects: tuple[str, ...], i: int) -> str:
    return factor if effects == ("(Intercept)",) else f"{factor} {effects[i]}"


def _values(size: float, groups: int, variances: int) -> tuple[float, ...]:
    """0 and the values of one ψ."""
    low, high = _SMALLEST / size, _LARGEST[min(variances, 2) - 1]
    if variances > 1:
        number = _VALUES[variances] - 1
    else:
        number = 1 + math.ceil(math.log(high / low) / min(_STEP, _WIDTH * math.sqrt(2.0 / groups)))
    return (0.0, *np.geomspace(low, high, number).tolist())


def _even(psi: tuple[float, ...], size: float) -> Floats:
    """Weights of one axis that are even in log(1 + nψ)."""
    return np.asarray(np.gradient(np.log1p(size * np.array(psi))))


def _factors(model: Model, values: Floats, arms: int) -> list[Floats]:
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
    return out
