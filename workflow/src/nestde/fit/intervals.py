"""Profile-likelihood intervals of variance components: SDs, correlations, the residual SD.

The interval of a component is all its values at which −2 log-likelihood, at its best over all that is not held, lies at most
χ²₁'s quantile above its minimum (Bates et al. 2015, J Stat Softw 67(1), section 5.1), by REML or ML as the fit is. Here

    −2ℓ(θ, σ) = log-determinants + r²(θ)/σ² + freedom · log 2πσ²

is searched over θ and log σ with the gradient of the kernels. What is held is made a coordinate: effects are put in the
order in which the one asked for comes first in its Λ, where its SD is σ|Λ₁₁|; a correlation is the direction of the second row.

    symbol                              array
    θ, by the layout's scale; log σ     x[:T], x[T]
    Λ = A Λ̃ of the factor asked for     _Likelihood.back (k, k), a lower triangle
    signed root of −2ℓ's rise           what `zeta` returns
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import optimize, stats

from nestde.arrays import Floats
from nestde.design.design import Design
from nestde.fit.basis import Basis
from nestde.fit.crossproducts import Sums
from nestde.fit.evaluate import deviance, gradient, space
from nestde.fit.genes import FitModel
from nestde.fit.layout import flatten
from nestde.fit.record import Fits, corr_of, sd_of

# Where a search ends: slope of −2ℓ by the scaled coordinates. What is near zero is also begun at one unit of its scale.
_SLOPE, _ZERO = 1e-6, 1e-3
# Limits are found to this share; beyond this many times the estimate (or the scale, where it is zero) there is none.
_CLOSE, _ENDLESS = 1e-7, 1e5
_WORST = 1e300


@dataclass(frozen=True)
class Component:
    """A standard deviation or a correlation, with an interval.

    Attributes
    ----------
    group
        Grouping factor; '' for the residual.
    effect
        Random effect; '' for the residual.
    other
        The second effect, of a correlation.
    estimate, lower, upper
        The SD itself, never the variance; `upper` is infinite where the likelihood does not fall.
    """

    group: str
    effect: str
    other: str
    estimate: float
    lower: float
    upper: float

    @property
    def name(self) -> str:
        """As lme4's ``confint`` has it: ``sd_(Intercept)|animal``, ``cor_x.(Intercept)|animal``, ``sigma``."""
        if not self.group:
            return "sigma"
        return (
            f"cor_{self.other}.{self.effect}|{self.group}" if self.other else f"sd_{self.effect}|{self.group}"
        )


def components(design: Design) -> list[tuple[int, int, int]]:
    """Factor, effect and second effect of each component: SDs and correlations, in lme4's order; −1 where there is none."""
    found = []
    for f, factor in enumerate(design.random):
        for i in range(len(factor.effects)):
            found.append((f, i, -1))
            later = range(i + 1, len(factor.effects))
            found += [(f, i, j) for j in later if factor.blocks[i] == factor.blocks[j]]
    return [*found, (-1, -1, -1)]


def values_of(design: Design, factors: Sequence[Floats], sigma: Floats) -> list[Floats]:
    """(G,) of each of `components`, from the (G, k, k) Λ of each factor and the (G,) residual SD."""
    sd, corr = sd_of(factors, sigma), corr_of(factors)
    return [sigma if f < 0 else sd[f][:, i] if j < 0 else corr[f][:, i, j] for f, i, j in components(design)]


def estimates(fits: Fits) -> list[Floats]:
    """(G,) of each of `components`."""
    return values_of(fits.design, fits.factors, fits.sigma)


def named(design: Design, which: tuple[int, int, int], values: tuple[float, float, float]) -> Component:
    """One of `components` with its estimate and limits."""
    f, i, j = which
    if f < 0:
        return Component("", "", "", *values)
    factor = design.random[f]
    return Component(factor.name, factor.effects[i], factor.effects[j] if j >= 0 else "", *values)


@dataclass(frozen=True)
class Drawn:
    """What studies that were drawn from known components estimate of one of them.

    Attributes
    ----------
    of
        Its true value, with the quantiles of the estimates as limits.
    mean
        Of the estimates.
    zero
        Share of them that is exactly 0.
    """

    of: Component
    mean: float
    zero: float


def quantiles(truth: Sequence[Floats], drawn: Fits, level: float = 0.95) -> list[Drawn]:
    """Sum up what `draws.bootstrap` drew.

    Parameters
    ----------
    truth
        (1,) of each of `components`, from `values_of` or `estimates`.
    drawn
        The fits; those that failed do not count, nor does a correlation with what was estimated as 0.
    level
        Share of studies between the limits.
    """
    inside = np.isin(drawn.status, ("ok", "singular"))
    tail = 50.0 * (1.0 - level)
    out = []
    for which, true, each in zip(components(drawn.design), truth, estimates(drawn), strict=True):
        known = each[inside & np.isfinite(each)]
        if not len(known):
            known = np.full(1, np.nan)
        lower, upper = np.percentile(known, [tail, 100.0 - tail])
        of = named(drawn.design, which, (float(true[0]), float(lower), float(upper)))
        out.append(Drawn(of, float(known.mean()), float((known == 0).mean())))
    return out


def profile(
    model: FitModel, sums: Sums, fits: Fits, level: float = 0.95, response: int = 0
) -> list[Component]:
    """Profile-likelihood interval of every variance component of one response.

    Parameters
    ----------
    model, sums
        That were fitted.
    fits
        Of all columns of X; its likelihood, ML or REML, is the one that is profiled.
    level
        Coverage, where there are many groups. At zero, the end of its range, an SD's is higher.
    response
        Which of the fits.
    """
    bound = float(np.sqrt(stats.chi2.ppf(level, 1)))
    values = [float(each[response]) for each in estimates(fits)]
    out = []
    for which, value in zip(components(model.design), values, strict=True):
        of = _Likelihood.led(model, sums, fits, which, response)
        out.append(named(model.design, which, (value, *_limits(of, which, value, bound))))
    return out


def _limits(
    of: "_Likelihood", which: tuple[int, int, int], value: float, bound: float
) -> tuple[float, float]:
    """Where ζ is ∓ `bound`."""
    if np.isnan(value):  # of a correlation with what does not vary nothing is known
        return -1.0, 1.0
    track = _Track(of, value)
    if which[2] >= 0:
        return track.crossing(-1.0, bound), track.crossing(1.0, bound)
    unit = value if value > 0 else of.sigma * of.unit
    return track.below(bound) if which[0] < 0 else track.crossing(0.0, bound), track.above(unit, bound)


class _Likelihood:
    """−2ℓ of one response with one component held.

    Attributes
    ----------
    start
        (T + 1,) the estimates.
    sigma, unit
        Estimate of σ; the SD, in units of σ, at which data begin to tell it from 0.
    best
        −2ℓ at the estimates, but for constants.
    """

    def __init__(
        self, model: FitModel, zy: Floats, qy: Floats, yy: float, reml: bool, which: tuple[int, int, int]
    ) -> None:
        self.layout: Any = model.layout(np.eye(len(qy)))
        self.zy, self.qy, self.yy, self.reml = zy, qy, yy, reml
        self.freedom = float(model.design.n - len(qy) if reml else model.design.n)
        self.room = space(self.layout), np.empty(len(qy)), np.empty((len(qy), len(qy)))
        self.size = len(model.basis.theta)
        f, _, j = which
        self.correlation = j >= 0
        at = [tuple(row) for row in model.basis.theta.tolist()]
        self.first = at.index((f, 0, 0)) if f >= 0 else -1
        self.second = (at.index((f, 1, 0)), at.index((f, 1, 1))) if self.correlation else (-1, -1)
        self.back = np.linalg.inv(model.basis.turn[f]) if f >= 0 else np.eye(1)
        self.diagonal = np.append(model.basis.theta[:, 1] == model.basis.theta[:, 2], False)
        self.scale: Floats = np.append(self.layout.scale, 1.0)
        self.unit = float(self.layout.scale[self.first] * abs(self.back[0, 0])) if f >= 0 else 1.0
        self.start, self.sigma, self.best = np.empty(0), 1.0, 0.0

    @classmethod
    def led(
        cls, model: FitModel, sums: Sums, fits: Fits, which: tuple[int, int, int], response: int
    ) -> "_Likelihood":
        """The likelihood of one response, with the effects of the component asked for first."""
        f, i, j = which
        zy, factors = [part[[response]] for part in sums.zy], [part[[response]] for part in fits.factors]
        if f >= 0:
            others = [e for e in range(len(model.design.random[f].effects)) if e not in (i, j)]
            order = [i, *([j] if j >= 0 else []), *others]
            model, turn = _led(model, f, order)
            zy[f], factors[f] = zy[f] @ turn, factors[f][:, order]
        flat = flatten(model.design, model.order, tuple(zy))[0]
        of = cls(model, flat, sums.qy[response], float(sums.yy[response]), fits.reml, which)
        # Λ̃ of the estimates, its columns turned to a lower triangle
        tilde = [
            np.linalg.qr((turned @ part[0]).T)[1].T
            for turned, part in zip(model.basis.turn, factors, strict=True)
        ]
        tilde = [part * np.where(np.diag(part) < 0, -1.0, 1.0) for part in tilde]
        theta = np.array([tilde[g][row, column] for g, row, column in model.basis.theta])
        of.sigma = float(fits.sigma[response])
        of.start = np.append(theta, np.log(of.sigma)) / of.scale
        of.best = of.value(of.start)[0]
        return of

    def value(self, x: Floats) -> tuple[float, Floats]:
        """−2ℓ, but for constants, and its gradient by x."""
        theta, sigma2 = (x * self.scale)[:-1], float(np.exp(2.0 * x[-1]))
        work, beta, covariance = self.room
        # with freedom 0 what is left of the profiled deviance are the log-determinants
        logdet, r2 = deviance(theta, self.layout, self.zy, self.qy, self.yy, 0.0, self.reml, work)
        if not np.isfinite(logdet):
            return _WORST, np.zeros(len(x))
        slope = np.empty(self.size)
        gradient(self.layout, sigma2, 1.0, self.reml, work, beta, covariance, slope)
        by_log_sigma = 2.0 * (self.freedom - r2 / sigma2)
        return logdet + r2 / sigma2 + 2.0 * self.freedom * x[-1], np.append(slope, by_log_sigma) * self.scale

    def held(self, value: float, u: Floats) -> tuple[float, Floats]:
        """−2ℓ with the component held at a value, and its gradient by u: x, in which what is not free does not count."""
        x = u.copy()
        if self.first < 0:
            x[-1] = np.log(value)
            loss, slope = self.value(x)
            slope[-1] = 0.0
        elif self.correlation:
            # u holds the length of Λ's second row in the place of its diagonal
            below, on = self.second
            a, scale = self.back, self.scale
            length, across = u[on] * scale[on], np.sqrt(max(1.0 - value**2, 0.0))
            x[below] = (length * value - a[1, 0] * u[self.first] * scale[self.first]) / (
                a[1, 1] * scale[below]
            )
            x[on] = length * across / (a[1, 1] * scale[on])
            loss, slope = self.value(x)
            by_length = slope[below] * value / scale[below] + slope[on] * across / scale[on]
            slope[self.first] -= slope[below] * a[1, 0] * scale[self.first] / (a[1, 1] * scale[below])
            slope[on], slope[below] = by_length * scale[on] / a[1, 1], 0.0
        else:
            x[self.first] = value * np.exp(-u[-1]) / (self.back[0, 0] * self.scale[self.first])
            loss, slope = self.value(x)
            slope[-1] -= slope[self.first] * x[self.first]
            slope[self.first] = 0.0
        return loss, slope

    def begin(self) -> Floats:
        """The estimates as `held` takes them."""
        u = self.start.copy()
        if self.correlation:
            below, on = self.second
            theta, a = self.start * self.scale, self.back
            u[on] = (
                np.hypot(a[1, 0] * theta[self.first] + a[1, 1] * theta[below], a[1, 1] * theta[on])
                / self.scale[on]
            )
        return u

    def least(self, value: float, begin: Floats) -> tuple[float, Floats]:
        """The best of −2ℓ with the component held at a value, from a start; and where."""
        bounds = [(0.0, None) if diagonal else (None, None) for diagonal in self.diagonal]
        starts = [begin]
        near = self.diagonal & (np.abs(begin) < _ZERO)
        if near.any():  # at zero the slope is none, though there may be a way down
            starts.append(np.where(near, 1.0, begin))
        found = [
            optimize.minimize(
                lambda u: self.held(value, u),
                start,
                jac=True,
                method="L-BFGS-B",
                bounds=bounds,
                options={"ftol": 1e-15, "gtol": _SLOPE, "maxiter": 500, "maxfun": 2000, "maxcor": 20},
            )
            for start in starts
        ]
        best = min(found, key=lambda result: float(result.fun))
        return float(best.fun), best.x


class _Track:
    """ζ of one component along its values, each search begun where the last one with a value nearby ended."""

    def __init__(self, of: _Likelihood, estimate: float) -> None:
        self.of, self.estimate = of, estimate
        self.known: dict[float, tuple[float, Floats]] = {estimate: (0.0, of.begin())}

    def zeta(self, value: float) -> float:
        """Root of what −2ℓ rises by, negative below the estimate."""
        if value not in self.known:
            near = min(self.known, key=lambda other: abs(other - value))
            loss, u = self.of.least(value, self.known[near][1])
            root = np.sqrt(max(loss - self.of.best, 0.0))
            self.known[value] = (float(np.copysign(root, value - self.estimate)), u)
        return self.known[value][0]

    def crossing(self, end: float, bound: float) -> float:
        """Where |ζ| is `bound` between the estimate and the end of the range; the end if it is not reached."""
        if self.estimate == end or abs(self.zeta(end)) <= bound:
            return end
        return self._root(self.estimate, end, bound)

    def below(self, bound: float) -> float:
        """Where ζ is −`bound`, of what cannot be 0."""
        inner, outer = self.estimate, 0.8 * self.estimate
        while abs(self.zeta(outer)) < bound:
            inner, outer = outer, 0.5 * outer
        return self._root(inner, outer, bound)

    def above(self, unit: float, bound: float) -> float:
        """Where ζ is `bound` above the estimate, infinite if nowhere."""
        value = self.estimate + 0.5 * unit
        below = self.estimate
        while (there := self.zeta(value)) < bound:
            if value > _ENDLESS * unit:
                return np.inf
            below = value
            ahead = (value - self.estimate) * (1.1 * bound / there if there > 0 else 4.0)
            value = self.estimate + min(ahead, 4.0 * (value - self.estimate))
        return self._root(below, value, bound)

    def _root(self, inner: float, outer: float, bound: float) -> float:
        return float(
            optimize.brentq(
                lambda value: abs(self.zeta(value)) - bound, inner, outer, xtol=1e-300, rtol=_CLOSE
            )
        )


def _led(model: FitModel, f: int, order: Sequence[int]) -> tuple[FitModel, Floats]:
    """The same model with the effects of a factor in another order, on a basis in which Λ is `turn`⁻¹Λ̃, all lower triangles.

    Returns
    -------
    FitModel
        Its leaves are turned, its rows are not looked at.
    Floats
        (k, k) what Z̃ of the factor was multiplied by.
    """
    design, turned, leaf = model.design, model.basis, model.leaf
    places = list(order)
    factor = design.random[f]
    moved = replace(
        factor,
        effects=tuple(factor.effects[i] for i in places),
        z=factor.z[:, places],
        blocks=tuple(factor.blocks[i] for i in places),
    )
    q, r = np.linalg.qr(turned.turn[f][:, places[::-1]])
    sign = np.where(np.diag(r) < 0, -1.0, 1.0)
    across, lower = (q * sign)[:, ::-1], (r * sign[:, None])[::-1, ::-1]
    columns = np.cumsum([0, *(len(each.effects) for each in design.random)])
    own = slice(columns[f], columns[f + 1])
    mean, within, cross = leaf.mean.copy(), leaf.within.copy(), leaf.cross.copy()
    mean[:, own], within[:, :, own] = mean[:, own] @ across, within[:, :, own] @ across
    cross[:, own] = across.T @ cross[:, own]
    cross[:, :, own] = cross[:, :, own] @ across
    random = tuple(moved if g == f else each for g, each in enumerate(design.random))
    theta = [
        (g, row, column)
        for g, each in enumerate(random)
        for column in range(len(each.blocks))
        for row in range(column, len(each.blocks))
        if each.blocks[row] == each.blocks[column]
    ]
    basis = Basis(
        turned.q,
        turned.r,
        tuple(z @ across if g == f else z for g, z in enumerate(turned.z)),
        tuple(lower if g == f else turn for g, turn in enumerate(turned.turn)),
        np.array(theta, np.int64),
    )
    leaf = replace(leaf, mean=mean, within=within, cross=cross)
    return FitModel(replace(design, random=random), basis, leaf), across
