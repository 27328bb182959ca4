"""Additions as small as they can be: a p-value, a family of the linear engine, and one that has nothing in common with it."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm, t

from nestde.fit.family import Alike, Component, Family, Scale
from nestde.fit.family.linear import LinearFamily
from nestde.fit.family.mixedlm import mixedlm
from nestde.fit.methods import Method, Tested

NORMAL = "ε ~ N(0, σ²)"


def wald(fitted, contrasts):
    """Estimates by REML over their standard errors."""
    found = []
    for contrast in contrasts:
        coef, se = fitted.effect("REML", contrast.rows[0])
        found.append(Tested(np.log(2) + norm.logsf(np.abs(coef / se)), {"wald_z": coef / se}))
    return found


WALD = Method(
    name="wald",
    label="Wald",
    sentence="the estimate over its standard error",
    model_sentence="{term} is tested by Wald's z.",
    engines=("linear",),
    estimates="REML",
    every_gene=False,
    levels=True,
    dear=False,
    test=wald,
)

ROOT = LinearFamily(
    name="root",
    label="linear mixed model of roots",
    sentence="linear mixed model of the square root of counts per 10,000",
    values=lambda size_factor: lambda counts, rows: np.sqrt(counts / size_factor[rows]),
    scale=Scale(
        "√(counts per 10,000)", "ε", NORMAL, "the coefficient on the scale of square roots", "root scale"
    ),
    oracles="none",
    reference=mixedlm(lambda counts, size_factor: np.sqrt(counts / size_factor)),
)


@dataclass(frozen=True)
class Totals:
    """(G, S) counts and (S,) size factors, each summed over the cells of a sample; code (n,) is the sample of each cell."""

    family: Family
    genes: np.ndarray
    code: np.ndarray
    exposure: np.ndarray
    counts: np.ndarray

    @property
    def mean(self):
        return self.counts.sum(axis=1) / self.exposure.sum()

    def arrays(self):
        return {"code": self.code, "exposure": self.exposure, "counts": self.counts}

    def of(self, chosen):
        return replace(self, genes=self.genes[chosen], counts=self.counts[chosen])

    def of_cells(self, kept):
        stays, code = np.unique(self.code[kept], return_inverse=True)
        return replace(self, code=code, exposure=self.exposure[stays], counts=self.counts[:, stays])

    def above(self, others):
        parts = [self, *others]
        genes, counts = (
            np.concatenate([getattr(part, what) for part in parts]) for what in ("genes", "counts")
        )
        return replace(self, genes=genes, counts=counts)

    def fitted(self, design, threads=None, learnt=None):
        return LogRates(design, self, threads, {} if learnt is None else learnt)


@dataclass
class LogRates:
    """Least squares of the logarithm of each sample's rate."""

    design: object
    statistics: Totals
    threads: int | None
    learnt: dict

    def __post_init__(self):
        code, y = self.statistics.code, np.log((self.statistics.counts + 0.5) / self.statistics.exposure)
        x = (
            np.stack([np.bincount(code, column) for column in self.design.x.T], axis=1)
            / np.bincount(code)[:, None]
        )
        self.coef = np.linalg.lstsq(x, y.T, rcond=None)[0].T
        self.df = len(x) - x.shape[1]
        self.sigma = np.sqrt(((y - self.coef @ x.T) ** 2).sum(axis=1) / self.df)
        self.inverse = np.linalg.inv(x.T @ x)

    def coefficients(self, by):
        return self.coef, np.sqrt(np.diag(self.inverse)) * self.sigma[:, None]

    def effect(self, by, weights):
        return self.coef @ weights, np.sqrt(weights @ self.inverse @ weights) * self.sigma

    def components(self, by):
        return {"spread": self.sigma}

    def status(self, by, term):
        none = len(self.statistics.genes) * [""]
        return np.array(len(none) * ["ok"]), np.array(none, object)

    def trusted(self, by, term):
        return np.full(len(self.statistics.genes), True)

    def evaluations(self, term):
        return np.ones(len(self.statistics.genes), int)


def rate(fitted, contrasts):
    """t tests of log rates."""
    found = []
    for contrast in contrasts:
        coef, se = fitted.effect("least squares", contrast.rows[0])
        df = np.full(len(coef), fitted.df)
        found.append(Tested(np.log(2) + t.logsf(np.abs(coef / se), df), {"df_rate": df}))
    return found


RATE = replace(
    WALD,
    name="rate",
    label="rates",
    model_sentence="{term} is tested by the samples' rates.",
    engines=("rates",),
    estimates="least squares",
    test=rate,
)


class Rates(Family):
    """Counts of samples, and no cells."""

    def sum_up(self, grain, counts, size_factor, genes, threads=None):
        code = grain.code
        one = np.eye(code.max() + 1)[code]
        return Totals(self, np.asarray(genes, object), code, size_factor @ one, (one.T @ counts).T)

    def restore(self, genes, arrays):
        return Totals(self, genes, arrays["code"], arrays["exposure"], arrays["counts"])

    def why_not(self, design):
        slopes = [factor.name for factor in design.random if factor.effects != ("(Intercept)",)]
        return f"slopes of {', '.join(slopes)}: the family rates has none" if slopes else ""

    def alike(self, formula):
        return Alike("~ x + (1 | a)", "~ x + d + (1 | a)", 2)


RATES = Rates(
    name="rates",
    label="rates of samples",
    sentence="least squares of the logarithm of each sample's rate",
    engine="rates",
    estimates="least squares",
    pairs="rate",
    fits=1,
    scale=Scale("ln E(count / size factor)", "", "variance free", "a log rate ratio", "log rate ratio"),
    shown=(Component("spread", "Spread", "SD of the samples' log rates", "{:.1f}"),),
    reference=None,
    oracles="a ruler",
)
