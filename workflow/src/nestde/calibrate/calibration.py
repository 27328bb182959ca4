"""How often each p-value is small where nothing differs: measured on the study's own cells, with relabelled samples.

Guards, each found by first going wrong without it: what was learnt from the genes under the true labels (the prior) is kept,
because real differences would leak into one that is learnt anew; only genes are counted that are not called under the true
labels; and relabellings that are like the true one are left out (`relabel`).
"""

import math
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.calibrate.max_t import StepDown
from nestde.calibrate.ranks import ranks
from nestde.calibrate.relabel import Relabellings, relabelled, relabellings
from nestde.design.contrasts import joint
from nestde.design.design import Design
from nestde.fit.family import Fitted, Statistics
from nestde.fit.fdr import benjamini_hochberg
from nestde.fit.methods import Method, again, method, of_table

ALPHAS = (0.05, 0.01, 0.001)
# Genes called at this false discovery rate under the true labels are not counted.
CALLED = 0.1
# At this level the verdict is given: a size beyond this many times its nominal one, for all of its range, is told.
JUDGED, BEYOND = 0.01, 1.5
# Fewer relabellings than this have no range.
FEWEST = 3
COLUMNS = [
    "term", "method", "relabellings", "genes",
    *(f"{what}_{alpha:g}" for alpha in ALPHAS for what in ("size", "lower", "upper")),
    "found", "found_relabelled", "found_relabelled_most", "verdict",
]  # fmt: skip
# Of fewer relabellings no adjusted p-value could be as small as 0.01.
FEWEST_FOR_MAX_T = 100
OF_GENES = ["gene", "term", "padj_max_t"]


@dataclass(frozen=True)
class Calibrated:
    """What relabelled samples say of the p-values of one term.

    Attributes
    ----------
    term
        That was relabelled.
    ways
        The relabellings; or why there are none.
    table
        `COLUMNS`, one row for each method.
    genes
        `OF_GENES`, one row for each gene; none where relabellings are too few, or the headline is on request only.
    quantiles
        Of the headline (see `ranks`); none where it is on request only.
    """

    term: str
    ways: Relabellings | str
    table: pd.DataFrame
    genes: pd.DataFrame
    quantiles: dict[str, list[float]] = field(default_factory=dict)


def calibrate(
    design: Design,
    statistics: Statistics,
    term: str,
    headline: str,
    *,
    number: int = 100,
    seed: int = 1,
    fdr: float = 0.05,
    threads: int | None = None,
) -> Calibrated:
    """Measure every p-value of a term on relabelled samples.

    Parameters
    ----------
    design
        Of n cells, with `term` among its tests.
    statistics
        Of all tested genes in these cells.
    term
        Of `design.tests` or `design.untested`.
    headline
        Name of the method by whose p-values genes are called under the true labels, or ``auto``.
    number
        Of relabellings, at most.
    seed
        Of their draw.
    fdr
        False discovery rate at which findings are counted.
    threads
        As for `Statistics.fitted`.
    """
    ways = design.untested.get(term) or relabellings(design, term, number, seed)
    if isinstance(ways, str) or not len(statistics.genes):
        return Calibrated(term, ways, pd.DataFrame(columns=COLUMNS), pd.DataFrame(columns=OF_GENES))
    engine = statistics.family.engine
    methods, learnt = of_table(engine), dict[str, object]()
    true = statistics.fitted(design, threads, learnt)
    observed = {each.name: _log_p(each, true, term) for each in methods}
    asked = again(headline, engine)
    leading = method(asked, engine, lambda name: bool(np.isfinite(observed[name]).any())).name
    chosen = observed[leading]
    called = benjamini_hochberg(np.exp(chosen)) <= CALLED
    counted = np.flatnonzero(~called & np.isfinite(chosen))
    # a p-value that costs much is measured on some genes
    drawn_genes = np.random.default_rng(seed).permutation(len(counted))[: statistics.family.calibrated]
    few = counted[np.sort(drawn_genes)]
    genes = {each.name: few if each.dear else counted for each in methods}
    chances: dict[str, list[Floats]] = {each.name: [] for each in methods}
    drawn = len(ways.like) + int(ways.drawn.sum())
    all_at_once = StepDown(-chosen) if asked == headline and drawn >= FEWEST_FOR_MAX_T else None
    for order, in_draw in zip(ways.order, ways.drawn, strict=True):
        other = relabelled(design, term, ways.unit, order)
        # a prior is of all genes, and a p-value that needs none is had for those that are counted
        whole, part = (of.fitted(other, threads, learnt) for of in (statistics, statistics.of(few)))
        for each in methods:
            if np.isnan(observed[each.name]).all():
                continue
            if all_at_once and in_draw and each.name == leading:
                log_p = _log_p(each, whole, term)
                all_at_once.add(-log_p)
                chances[each.name].append(log_p[genes[each.name]])
                continue
            log_p = _log_p(each, part if each.dear else whole, term)
            chances[each.name].append(log_p if each.dear else log_p[counted])
    of_genes = pd.DataFrame(columns=OF_GENES)
    if all_at_once:
        for order in ways.like:
            whole = statistics.fitted(relabelled(design, term, ways.unit, order), threads, learnt)
            all_at_once.add(-_log_p(method(leading, engine), whole, term))
        of_genes = pd.DataFrame(
            {"gene": statistics.genes, "term": term, "padj_max_t": all_at_once.adjusted()}
        )
    rows = [
        _row(term, each, observed[each.name], np.array(chances[each.name]), genes[each.name], fdr)
        for each in methods
        if chances[each.name]
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    by_rank = ranks(np.array(chances[leading])) if asked == headline else {}
    return Calibrated(term, ways, table, of_genes, by_rank)


def _log_p(method: Method, fitted: Fitted, term: str) -> Floats:
    """(G,) log p-values of a term, NaN where there is none."""
    found = method.test(fitted, [joint(fitted.design, term)])
    return np.full(len(fitted.statistics.genes), np.nan) if isinstance(found, str) else found[0].log_p


def _row(
    term: str, method: Method, observed: Floats, log_p: Floats, genes: NDArray[np.int64], fdr: float
) -> list[object]:
    """One method: its size and range at each level, and findings with true labels and with others."""
    sizes: list[object] = []
    for alpha in ALPHAS:
        sizes += _range(np.nanmean(log_p <= math.log(alpha), axis=1))
    chance = [int((benjamini_hochberg(np.exp(each)) <= fdr).sum()) for each in log_p]
    found = int((benjamini_hochberg(np.exp(observed)) <= fdr).sum())
    return [
        *(term, method.name, len(log_p), len(genes), *sizes),
        *(found, float(np.median(chance)), max(chance)),
        verdict(*_range(np.nanmean(log_p <= math.log(JUDGED), axis=1)), len(log_p)),
    ]


def _range(sizes: Floats) -> tuple[float, float, float]:
    """Mean over relabellings, and two standard errors of it to either side."""
    mean = float(sizes.mean())
    if len(sizes) < FEWEST:
        return mean, math.nan, math.nan
    error = 2 * float(sizes.std(ddof=1)) / math.sqrt(len(sizes))
    return mean, max(mean - error, 0.0), min(mean + error, 1.0)


def about(found: Calibrated) -> dict[str, object]:
    """What was relabelled, for machines and the report; or why nothing was."""
    if isinstance(found.ways, str):
        return {"relabellings": 0, "reason": found.ways}
    return {
        "relabellings": len(found.ways.order),
        "possible": found.ways.possible,
        "unit": found.ways.unit,
        "blocks": list(found.ways.blocks),
        "genes": dict(zip(found.table["method"], found.table["genes"].tolist(), strict=True)),
        "quantiles": found.quantiles,
        "reason": "",
    }


def verdict(size: float, lower: float, upper: float, relabellings: int) -> str:
    """Say in a word or two what a size at `JUDGED`, and its range, mean."""
    if relabellings < FEWEST:
        return "too few relabellings to tell"
    ratio = size / JUDGED
    if lower > BEYOND * JUDGED:
        return f"anti-conservative by {ratio:.1f}×"
    if upper < JUDGED / BEYOND:
        return f"conservative by {1 / ratio:.1f}×" if ratio > 0.01 else "conservative: hardly ever small"
    return "calibrated"
