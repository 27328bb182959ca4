"""Power of studies that are still to be made: the moderated test on responses that are drawn as sums, and t where it is exact.

A gene's response is drawn in units of its residual SD, from the mixed model of the layout and with variances that a study's prior
or given numbers have; all genes are tested together, as those of a study are, by the moderated test with a prior of their own.
Of genes of which a share differs, the p-value at which Benjamini and Hochberg's procedure stops is where

    t (1 - q (1 - share)) ≤ q · share · F(t)

with F the distribution of the p-values of genes that differ, and p uniform where nothing does; power is F there.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nestde.arrays import Floats, Integers
from nestde.calibrate.scenarios import LAYOUTS, LEAST, LEVELS, Layout, Scenario
from nestde.design.design import build_design
from nestde.fit.draws import draw, sums_of, with_residuals
from nestde.fit.genes import FitModel, prepare
from nestde.fit.moderated import Moderated, arms_of, moderate
from nestde.fit.noncentral import t_power
from nestde.fit.prior import Prior
from nestde.simulate.like import MOST_SD
from nestde.simulate.moments import Moments

# Cohorts that stand for all where donors drop out or cells are unequal, and the share of the genes that each has.
_COHORTS, _PART = 40, 10


@dataclass(frozen=True)
class Effects:
    """G genes, in units of their residual SD.

    Where cohorts differ each has a run of them: let none of these be unlike another.

    Attributes
    ----------
    effect
        (G,) difference that is tested.
    variances
        Component -> (G,) variance, or (G, 2) where the groups have their own.
    expression
        (G,) mean expression, with which a prior changes.
    counted
        What they are as counts, where the effect is a fold change.
    """

    effect: Floats
    variances: Mapping[str, Floats]
    expression: Floats
    counted: "Counted | None" = None

    def of(self, chosen: slice) -> "Effects":
        """Some of them."""
        parts = {name: values[chosen] for name, values in self.variances.items()}
        counted = self.counted and self.counted.of(chosen)
        return Effects(self.effect[chosen], parts, self.expression[chosen], counted)


@dataclass(frozen=True)
class Counted:
    """G genes as counts.

    Attributes
    ----------
    mean, dispersion
        (G,) per 10,000, and φ.
    log_fold
        Effect on the natural logarithm of the mean, half on either side.
    sd
        Component -> (G,) or (G, 2) SD on the natural logarithm's scale.
    moments
        How counts become y.
    """

    mean: Floats
    dispersion: Floats
    log_fold: float
    sd: Mapping[str, Floats]
    moments: Moments

    def of(self, chosen: slice) -> "Counted":
        """Some of them."""
        sd = {name: values[chosen] for name, values in self.sd.items()}
        return replace(self, mean=self.mean[chosen], dispersion=self.dispersion[chosen], sd=sd)


def counted(
    mean: Floats, sigma: Floats, variances: Mapping[str, Floats], log_fold: float, known: Moments
) -> Counted:
    """Genes as counts, from their mean, residual SD and variances (in residual variances) of y."""
    dispersion = known.dispersion(mean, sigma)
    per_unit = sigma / known.slope(mean, dispersion)
    sd = {
        name: np.minimum(np.sqrt(values) * (per_unit if values.ndim == 1 else per_unit[:, None]), MOST_SD)
        for name, values in variances.items()
    }
    return Counted(mean, dispersion, log_fold, sd, known)


@dataclass(frozen=True)
class Found:
    """What a study would find.

    Attributes
    ----------
    gene
        (N,) gene of each draw: each once, or in several cohorts where these differ.
    pvalue
        (N,) of genes that differ; 1 where a cohort is too small to be tested.
    taken
        (N,) whether it is found at the false discovery rate, of all genes of its cohort.
    by_fdr, by_alpha
        Share of the draws found at the false discovery rate, and at a nominal size.
    exact
        Power at that size of the t test of the donors' means, by the noncentral law averaged over the genes' variances; NaN
        where it is not exact: donors drop out, cells are unequal, or the groups have variances of their own.
    """

    gene: Integers
    pvalue: Floats
    taken: NDArray[np.bool_]
    by_fdr: float
    by_alpha: float
    exact: float


def power(
    scenario: Scenario,
    genes: Effects,
    *,
    fdr: float = 0.05,
    alpha: float = 0.05,
    share: float = 0.1,
    seed: int = 1,
    threads: int | None = None,
) -> Found:
    """What a study finds of genes that differ.

    Parameters
    ----------
    scenario
        The study.
    genes
        That differ; 1,000 or more.
    fdr, share
        False discovery rate, and the share of all genes that differ as these do.
    alpha
        Nominal size of a single test.
    seed
        Equal seeds give equal studies.
    threads
        None takes all; results do not depend on it.
    """
    count = len(genes.effect)
    layout, prior = LAYOUTS[scenario.layout], None
    every, pvalues, taken = list[Integers](), list[Floats](), list[NDArray[np.bool_]]()
    even = scenario.evenly(_COHORTS, np.random.default_rng(seed))
    for cohort in range(1 + _COHORTS if scenario.random else 1):
        random = np.random.default_rng([seed, cohort])
        # the first cohort has all genes, and their prior serves the others
        first = (cohort - 1) % _PART * count // _PART
        some = slice(first, first + count // _PART) if cohort else slice(0, count)
        frame = scenario.frame(random, even[cohort - 1] if cohort else None)
        pvalue = np.ones(some.stop - some.start)
        if frame is not None:
            tested = _tested(layout, frame, genes.of(some), random, prior, threads)
            pvalue, prior = np.nan_to_num(np.exp(tested.tests[0].log_p), nan=1.0), tested.prior
        if cohort or not scenario.random:
            every.append(np.arange(some.start, some.stop))
            pvalues.append(pvalue)
            taken.append(pvalue <= stops_at(pvalue, fdr, share))
    found = np.concatenate(taken)
    pvalue = np.concatenate(pvalues)
    return Found(
        gene=np.concatenate(every),
        pvalue=pvalue,
        taken=found,
        by_fdr=float(found.mean()),
        by_alpha=float((pvalue <= alpha).mean()),
        exact=exact(scenario, genes, alpha),
    )


def stops_at(pvalue: Floats, fdr: float, share: float) -> float:
    """Largest p-value that Benjamini and Hochberg's procedure takes in, of genes that differ, a share of all; −1 if none."""
    ordered = np.sort(pvalue)
    rank = np.arange(1, len(ordered) + 1) / len(ordered)
    taken = ordered * (1 - fdr * (1 - share)) <= fdr * share * rank
    return float(ordered[taken][-1]) if taken.any() else -1.0


def _tested(
    layout: Layout,
    frame: pd.DataFrame,
    genes: Effects,
    random: np.random.Generator,
    prior: Prior | None,
    threads: int | None,
) -> Moderated:
    """Moderated tests of genes in one cohort."""
    design = build_design(layout.formula, frame, test=[layout.test], levels=LEVELS)
    model = prepare(design)
    if genes.counted is not None:
        drawn = _draw_counted(model, frame, _contrast(frame), genes.counted, random)
    else:
        drawn = _draw_normal(model, frame, layout, genes, random)
    return moderate(
        model,
        sums_of(model, drawn),
        [design.tested(layout.test)],
        np.asarray(drawn[0][:, :, 0].sum(axis=1) / design.n) if genes.counted else genes.expression,
        arms=arms_of(design, layout.test),
        prior=prior,
        estimates=False,
        threads=threads,
    )


def _draw_normal(
    model: FitModel, frame: pd.DataFrame, layout: Layout, genes: Effects, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """Sums over leaves of responses with effects in residual SDs."""
    design, factors = model.design, list[Floats]()
    for factor in design.random:
        variances = [genes.variances[_component(factor.name, effect)] for effect in factor.effects]
        if variances[0].ndim == 2:  # by group
            first = np.unique(factor.codes, return_index=True)[1]
            own = (frame["group"].to_numpy()[first] == LEVELS["group"][1]).astype(int)
            factors.append(np.sqrt(variances[0][:, own])[:, :, None, None])
        else:
            sd = np.sqrt(np.stack(variances, axis=1))
            factors.append(sd[:, :, None] * np.eye(len(factor.effects)))
    coef = np.zeros((len(genes.effect), design.x.shape[1]))
    coef[:, design.tests[layout.test][0]] = genes.effect
    return draw(model, factors, coef, np.ones(len(genes.effect)), random)


def _draw_counted(
    model: FitModel, frame: pd.DataFrame, contrast: Floats, genes: Counted, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """Sums over leaves of what counts become, whose means and SDs in each sample are those of its own mean count."""
    first = np.unique(model.leaf.grain.code, return_index=True)[1]
    # every other gene is lower in the other group: where groups are unequal that is not the same
    log_fold = np.where(np.arange(len(genes.mean)) % 2, -1.0, 1.0) * genes.log_fold
    log_mean = np.log(genes.mean)[:, None] + np.outer(log_fold, contrast[first] - 0.5)
    other = (frame["group"].to_numpy() == LEVELS["group"][1]).astype(int)
    for factor in model.design.random:
        sd = genes.sd[factor.name]
        place = np.unique(factor.codes, return_index=True)[1]
        sd = sd[:, other[place]] if sd.ndim == 2 else np.broadcast_to(sd[:, None], (len(sd), len(place)))
        # the mean over donors is the gene's
        log_mean = log_mean + (sd * random.normal(size=sd.shape) - sd**2 / 2)[:, factor.codes[first]]
    mean, sd = genes.moments.at(np.exp(log_mean), genes.dispersion[:, None])
    nothing = np.zeros((*mean.shape, model.leaf.within.shape[1]))
    return with_residuals(model, mean, nothing, sd, random)


def _contrast(frame: pd.DataFrame) -> Floats:
    """1 in the cells that have the effect."""
    found: Floats = (frame["group"] == LEVELS["group"][1]).to_numpy(float)
    return found * (frame["second"] == "b").to_numpy(float) if "second" in frame else found


def _component(factor: str, effect: str) -> str:
    return "slope" if effect == "x" else factor


def exact(scenario: Scenario, genes: Effects, alpha: float) -> float:
    """Power of the t test of the donors' means (or slopes, or differences), where that is exact; else NaN."""
    if scenario.random or any(values.ndim > 1 for values in genes.variances.values()):
        return math.nan
    n = np.array(scenario.donors, float)
    of_donor = genes.variances["donor"]
    of_sample = genes.variances.get("sample", np.zeros(1)) + 1 / scenario.cells
    if scenario.layout == "paired":
        variance, df = 2 * of_sample / n[0], n[0] - 1
    elif scenario.layout == "nested":
        variance, df = (of_donor + of_sample / scenario.samples) * np.sum(1 / n), n.sum() - 2
    elif scenario.layout == "interaction":
        halves = np.concatenate([np.ceil(n / 2), np.floor(n / 2)])
        variance, df = (of_donor + of_sample) * np.sum(1 / halves), n.sum() - 4
    elif scenario.layout == "slope":
        return math.nan  # covariates of cells are never balanced
    else:
        variance, df = (of_donor + of_sample) * np.sum(1 / n), n.sum() - 2
    if df < 1:
        return 0.0
    shifts, times = np.unique(np.round(np.abs(genes.effect) / np.sqrt(variance), 2), return_counts=True)
    return float(np.average(t_power(shifts, float(df), alpha), weights=times))


def best_split(
    scenario: Scenario, genes: Effects, budget: float, donor_cost: float, cell_cost: float, alpha: float
) -> Scenario:
    """The study of that layout that finds most for a budget: as many donors in either group, and cells for the rest.

    By the noncentral law of the donors' means, with the groups' mean variance where they have their own.

    Raises
    ------
    ValueError
        The budget is too small for two donors a group.
    """
    alike = Effects(
        genes.effect,
        {
            name: values if values.ndim == 1 else values.mean(axis=1)
            for name, values in genes.variances.items()
        },
        genes.expression,
    )
    arms = 1 if scenario.layout == "paired" else 2
    of_donor = 2 if scenario.layout == "paired" else scenario.samples if scenario.layout == "nested" else 1
    least = 4 if scenario.layout == "interaction" else LEAST
    tried: list[tuple[float, Scenario]] = []
    for donors in range(least, max(least, math.floor(budget / (arms * donor_cost))) + 1):
        cells = math.floor((budget / (arms * donors) - donor_cost) / (of_donor * cell_cost))
        if cells < 1:
            break
        one = replace(scenario, donors=(donors, donors), cells=float(cells), spread=0.0, dropout=0.0)
        tried.append((exact(one, alike, alpha), one))
    if not tried:
        raise ValueError("the budget is too small")
    best = max(tried, key=lambda each: each[0])[1]
    return replace(best, spread=scenario.spread, dropout=scenario.dropout)


def cells_at_equal_cost(donor_cost: float, cell_cost: float, variance: float) -> float:
    """Cells a donor that make a mean's variance smallest for its cost: √(cost of a donor / cost of a cell / ψ)."""
    return math.sqrt(donor_cost / cell_cost / variance) if variance > 0 else math.inf
