"""`nestde.power`: what the next study would find, from a study's own results or from given numbers."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from nestde.api.printed import columns, indent
from nestde.arrays import Floats
from nestde.calibrate.planning import (
    Effects,
    best_split,
    cells_at_equal_cost,
    counted,
)
from nestde.calibrate.planning import power as power_of
from nestde.calibrate.scenarios import LAYOUTS, Scenario
from nestde.errors import Faults, a_few
from nestde.simulate.learnt import Learnt, learn
from nestde.simulate.moments import MEANS, moments

# Size factors of made-up cells: log-normal about the depth.
_DEPTH_SD = 0.3
# SD of the natural logarithm of the cells a sample, at most: one in six samples has seven times the middle one's.
_MOST_SPREAD = 2.0
_STRATA = ("low", "middle", "high")


@dataclass(frozen=True)
class Given:
    """Genes that are planned for by numbers.

    Attributes
    ----------
    icc
        Share of the variance of log(1 + count per 10,000) that lies between samples.
    mean
        Counts per 10,000.
    dispersion
        A count of mean μ has variance μ + dispersion · μ² within a sample.
    depth
        Median counts of a cell.
    """

    icc: float = 0.1
    mean: float = 1.0
    dispersion: float = 0.3
    depth: float = 3000.0


@dataclass(frozen=True, repr=False)
class Power:
    """What studies would find; print it, or take `table`.

    Attributes
    ----------
    table
        A row for each number of donors, of cells, effect and range of genes: ``cell_type, layout, donors_reference,
        donors_other, cells, effect`` (fold change, or ``0.5 SD``), ``genes`` (``all``, or by mean expression ``low``, ``middle``,
        ``high``), ``power_fdr, power_alpha`` (share found at the false discovery rate, at the nominal size), ``power_means`` (of the t
        test of donors' means at that size, by the noncentral law, where it is exact).
    about
        What was planned, in a line.
    sentences
        What more donors and more cells would do; the best split of a budget.
    """

    table: pd.DataFrame
    about: str
    sentences: tuple[str, ...]

    def __str__(self) -> str:
        rows = [["donors", "cells", "effect", "genes", "power at FDR", "power at alpha", "t of means"]]
        for row in self.table.itertuples():
            exact = "" if np.isnan(row.power_means) else f"{row.power_means:.3f}"
            donors = f"{row.donors_reference} + {row.donors_other}"
            rows.append(
                [
                    donors,
                    f"{row.cells:g}",
                    row.effect,
                    row.genes,
                    f"{row.power_fdr:.3f}",
                    f"{row.power_alpha:.3f}",
                    exact,
                ]
            )
        return "\n".join([self.about, "", indent(columns(rows, left=4)), "", *self.sentences])

    __repr__ = __str__


@dataclass(frozen=True)
class Costs:
    """What a study may cost: `budget` for donors at `donor` each, and cells at `cell` each."""

    budget: float
    donor: float
    cell: float


def power(
    like: str | Path | Learnt | None = None,
    cell_type: str | None = None,
    *,
    given: Given | None = None,
    layout: str = "unpaired",
    donors: Sequence[int | tuple[int, int]] = (),
    cells: Sequence[float] = (),
    fold_changes: Sequence[float] = (1.5,),
    sds: Sequence[float] = (),
    samples: int = 1,
    spread: float = 0.0,
    dropout: float = 0.0,
    within_donor: float | None = None,
    slope: float | None = None,
    fdr: float = 0.05,
    alpha: float = 0.05,
    share: float = 0.1,
    costs: Costs | None = None,
    genes: int = 8000,
    seed: int = 1,
    threads: int | None = None,
) -> Power:
    """Say what share of the genes that differ studies would find, by the moderated test.

    Parameters
    ----------
    like
        Results folder of a study whose genes and variances are taken; None: those of `given`.
    cell_type
        Of these results; the only one if not given.
    given
        Numbers of a gene, without results.
    layout
        A key of `nestde.calibrate.scenarios.LAYOUTS`.
    donors
        Donors a group, or pairs of both groups' numbers; none given: the study's, and twice as many.
    cells
        Cells a sample; none given: the study's median, and four times as many.
    fold_changes
        Of genes that differ.
    sds
        Effects in residual SDs, instead of fold changes; of slopes and interactions that is the difference of them.
    samples
        Samples a donor, of the nested layout.
    spread, dropout
        SD of the natural logarithm of the cells a sample; share of donors that are lost.
    within_donor
        Of the variance between samples, the share that lies between samples of a donor: for paired and nested studies, where
        the results do not tell it.
    slope
        Variance of the slope between donors, as a multiple of that of their level.
    fdr, share
        False discovery rate, and the share of genes that differ.
    alpha
        Nominal size of a single test.
    costs
        A budget to be split best.
    genes
        That are drawn of each study.
    seed, threads
        Equal seeds give equal results; results do not depend on threads.

    Raises
    ------
    NestdeError
        All that is wrong with what is asked.
    """
    learnt = like if isinstance(like, Learnt) or like is None else learn(like, cell_type)
    if learnt is not None:
        own = learnt.donors()
        donors = donors or (
            (own, (2 * own[0], 2 * own[1])) if layout != "paired" else (min(own), 2 * min(own))
        )
        median = float(np.median(learnt.cells))
        cells = cells or (median, 4 * median)
    donors, cells = donors or (6, 12), cells or (100.0, 400.0)
    both = [(n, n) if isinstance(n, int) else n for n in donors]
    base = Scenario(layout, both[0], cells[0], samples, spread, dropout)
    numbers = given or Given()
    _check(
        base,
        both,
        cells,
        learnt,
        numbers,
        fold_changes,
        sds,
        within_donor,
        slope,
        fdr,
        alpha,
        share,
        costs,
        genes,
    )

    drawn = _of_study(learnt, genes) if learnt is not None else _of_numbers(numbers, genes)
    variances = _split(drawn.variances, layout, within_donor, slope)
    known = moments(drawn.size_factor)
    planned_of: dict[str, Effects] = {
        f"{sd:g} SD": Effects(np.full(genes, sd), variances, drawn.expression) for sd in sds
    }
    for fold in () if sds else fold_changes:
        as_counts = counted(drawn.mean, drawn.sigma, variances, float(np.log(fold)), known)
        effect = known.shift(drawn.mean, as_counts.dispersion, as_counts.log_fold) / drawn.sigma
        planned_of[f"{fold:g}-fold"] = Effects(effect, variances, drawn.expression, as_counts)
    rows, told = [], list[str]()
    for name, planned in planned_of.items():
        found: dict[tuple[tuple[int, int], float], float] = {}
        for number, each in itertools.product(both, cells):
            scenario = replace(base, donors=number, cells=float(each))
            result = power_of(
                scenario, planned, fdr=fdr, alpha=alpha, share=share, seed=seed, threads=threads
            )
            found[number, each] = result.by_fdr
            ranges = {"all": np.ones(genes, bool)} | drawn.strata
            for of, inside in ranges.items():
                rows.append(
                    {
                        "cell_type": learnt.cell_type if learnt else "",
                        "layout": layout,
                        "donors_reference": number[0],
                        "donors_other": number[1],
                        "cells": float(each),
                        "effect": name,
                        "genes": of,
                        "power_fdr": float(result.taken[inside[result.gene]].mean()),
                        "power_alpha": float((result.pvalue[inside[result.gene]] <= alpha).mean()),
                        "power_means": result.exact if of == "all" else np.nan,
                    }
                )
        told += _sentence(name, both, cells, found)
        if costs is not None:
            told += _split_of(base, planned, costs, name, fdr, alpha, share, seed, threads)
    where = f"{learnt.cell_type}: genes and variances as in that study" if learnt else f"ICC {numbers.icc:g}"
    return Power(
        table=pd.DataFrame(rows),
        about=f"{where}; {LAYOUTS[layout].words}; {share:.0%} of genes differ, FDR {fdr:g}, alpha {alpha:g}",
        sentences=tuple(told),
    )


@dataclass(frozen=True)
class _Drawn:
    """Genes of a plan: mean per 10,000, residual SD, expression, variances (G, D), groups of them, and cells' size factors."""

    mean: Floats
    sigma: Floats
    expression: Floats
    variances: Floats
    strata: dict[str, NDArray[np.bool_]]
    size_factor: Floats


def _of_study(learnt: Learnt, genes: int) -> _Drawn:
    """Genes of a study, each with variances from the prior at its mean expression."""
    chosen, variances = learnt.evenly(genes)
    mean, sigma, expression = learnt.mean[chosen], learnt.sigma[chosen], learnt.expression[chosen]
    limits = np.quantile(learnt.mean, [1 / 3, 2 / 3])
    third = np.searchsorted(limits, mean)
    of = {
        f"{name}, mean {low:.2g} to {high:.2g}": third == i
        for i, (name, low, high) in enumerate(
            zip(_STRATA, [learnt.mean.min(), *limits], [*limits, learnt.mean.max()], strict=True)
        )
    }
    return _Drawn(
        mean=mean,
        sigma=sigma,
        expression=expression,
        variances=_of_groups(learnt, variances),
        strata=of,
        size_factor=learnt.size_factor,
    )


def _of_groups(learnt: Learnt, variances: Floats) -> Floats:
    """Variances of the first two levels where each has its own, else of all factors together: (G, 2) or (G, 1)."""
    return variances[:, :2] if learnt.by_level else variances.sum(axis=1, keepdims=True)


def _of_numbers(given: Given, genes: int) -> _Drawn:
    """Genes that are all alike."""
    middle = (np.arange(9) + 0.5) / 9
    sizes = given.depth / 1e4 * np.exp(_DEPTH_SD * stats.norm.ppf(middle))
    mean, dispersion = np.full(genes, given.mean), np.full(genes, given.dispersion)
    expression, sigma = moments(sizes).at(mean, dispersion)
    psi = given.icc / (1 - given.icc)
    return _Drawn(mean, sigma, expression, np.full((genes, 1), psi), {}, sizes)


def _split(
    variances: Floats, layout: str, within_donor: float | None, slope: float | None
) -> dict[str, Floats]:
    """Variances of the components of a layout, from those of a study or of numbers."""
    components = LAYOUTS[layout].components
    if components == ("donor",):
        # where the groups have their own variances they keep them
        return {"donor": variances if variances.shape[1] == 2 else variances[:, 0]}
    whole = variances.mean(axis=1)
    if "slope" in components:
        assert slope is not None
        return {"donor": whole, "slope": whole * slope}
    assert within_donor is not None
    return {"donor": whole * (1 - within_donor), "sample": whole * within_donor}


def _at(name: str) -> str:
    """An effect in a sentence."""
    return f"a {name} change" if name.endswith("fold") else f"a difference of {name}"


def _sentence(
    name: str,
    donors: Sequence[tuple[int, int]],
    cells: Sequence[float],
    found: dict[tuple[tuple[int, int], float], float],
) -> list[str]:
    """What more donors would do, and more cells."""
    base = found[donors[0], cells[0]]
    parts = list[str]()
    for number in donors[1:]:
        more = [number[0] - donors[0][0], number[1] - donors[0][1]]
        what = f"{more[0]} more donors a group" if more[0] == more[1] else f"{number[0]} + {number[1]} donors"
        parts.append(_step(what, name, base, found[number, cells[0]], not parts))
    for each in cells[1:]:
        parts.append(
            _step(f"{each / cells[0]:.2g} times the cells", name, base, found[donors[0], each], not parts)
        )
    if not parts:
        return [f"{donors[0][0]} + {donors[0][1]} donors find {base:.0%} of the genes at {_at(name)}."]
    text = "; ".join(parts)
    return [f"{text[0].upper()}{text[1:]}."]


def _step(what: str, name: str, base: float, share: float, first: bool) -> str:
    """What one change does; the first is told in full."""
    if not first:
        return f"{what}, to {share:.0%}"
    if f"{base:.0%}" == f"{share:.0%}":
        return f"{what} leave the share of findable genes at {_at(name)} at {base:.0%}"
    verb = "raise" if share > base else "change"
    return f"{what} {verb} the share of findable genes at {_at(name)} from {base:.0%} to {share:.0%}"


def _split_of(
    base: Scenario,
    planned: Effects,
    costs: Costs,
    name: str,
    fdr: float,
    alpha: float,
    share: float,
    seed: int,
    threads: int | None,
) -> list[str]:
    """The best split of a budget."""
    try:
        best = best_split(base, planned, costs.budget, costs.donor, costs.cell, alpha)
    except ValueError:
        return [f"A budget of {costs.budget:,.0f} is too small for two donors a group."]
    found = power_of(best, planned, fdr=fdr, alpha=alpha, share=share, seed=seed, threads=threads)
    whole = sum(each.mean() for each in planned.variances.values())
    check = cells_at_equal_cost(costs.donor, costs.cell, float(whole))
    rule = f" (By √(cost of a donor / cost of a cell / ψ), at the mean ψ {whole:.3g}: {check:.0f} cells.)"
    return [
        f"Best split of {costs.budget:,.0f} at {_at(name)}: {best.donors[0]} + {best.donors[1]} donors with {best.cells:.0f} cells a "
        f"sample, which find {found.by_fdr:.0%}.{rule if whole > 0 else ''}"
    ]


def _check(
    base: Scenario,
    donors: Sequence[tuple[int, int]],
    cells: Sequence[float],
    learnt: Learnt | None,
    given: Given,
    fold_changes: Sequence[float],
    sds: Sequence[float],
    within_donor: float | None,
    slope: float | None,
    fdr: float,
    alpha: float,
    share: float,
    costs: Costs | None,
    genes: int,
) -> None:
    """Refuse what cannot be, all of it at once."""
    faults = Faults()
    if base.layout not in LAYOUTS:
        faults.add(f"layout {base.layout}: there are {a_few(list(LAYOUTS), 8)}.")
        faults.raise_if_any()
    components = LAYOUTS[base.layout].components
    least = 4 if base.layout == "interaction" else 2
    for number in donors:
        if min(number) < least:
            faults.add(f"donors {number[0]} + {number[1]}: each group needs {least} or more.")
        if base.layout == "paired" and number[0] != number[1]:
            faults.add(f"donors {number[0]} + {number[1]}: pairs are as many in both groups.")
    if base.layout == "slope" and not sds:
        faults.add("the slope layout has effects in residual SDs per SD of the covariate: give sds (--sd).")
    if "sample" in components and (within_donor is None or not 0 <= within_donor <= 1):
        faults.add(
            f"{base.layout} studies: say which share of the variance between samples lies between samples of a donor, "
            "within_donor (--within-donor), 0 to 1."
        )
    if base.layout == "nested" and base.samples < 2:
        faults.add("nested studies have samples (--samples) of a donor, 2 or more.")
    if "slope" in components and (slope is None or not 0 <= slope < np.inf):
        faults.add(
            "slope studies: say how many times the variance of the donors' level that of their slopes is, slope (--slope), 0 or more."
        )
    for name, value in {"fdr": fdr, "alpha": alpha, "share": share}.items():
        if not 0 < value < 1:
            faults.add(f"{name} {value:g}: must lie between 0 and 1.")
    if not 0 <= base.dropout < 1:
        faults.add(f"dropout {base.dropout:g}: must be 0 or more, and less than 1.")
    if not 0 <= base.spread <= _MOST_SPREAD:
        faults.add(f"spread {base.spread:g}: must lie between 0 and {_MOST_SPREAD:g}.")
    for each in cells:
        if not 2 <= each < np.inf:
            faults.add(f"cells {each:g}: must be at least 2, or nothing tells samples from cells.")
    for fold in fold_changes:
        if not 0 < fold < np.inf:
            faults.add(f"fold change {fold:g}: must be above 0; 1 is none.")
    for sd in sds:
        if not np.isfinite(sd):
            faults.add(f"sd {sd:g}: is no number; 0 is none.")
    if learnt is None and not (
        0 <= given.icc < 1 and 0 < given.dispersion < np.inf and 0 < given.depth < np.inf
    ):
        faults.add("icc lies between 0 and 1; dispersion and depth are above 0.")
    if learnt is None and not MEANS[0] <= given.mean <= MEANS[1]:
        faults.add(
            f"mean {given.mean:g}: counts per 10,000 of a gene that can be told lie between {MEANS[0]:g} and {MEANS[1]:,.0f}."
        )
    if costs is not None and not all(0 < each < np.inf for each in (costs.budget, costs.donor, costs.cell)):
        faults.add("costs: budget, cost of a donor and of a cell are above 0.")
    if genes < 1000:
        faults.add(f"genes {genes}: draw 1,000 or more.")
    faults.raise_if_any()
