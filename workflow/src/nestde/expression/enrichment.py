"""Gene sets whose genes differ together: decoupler's scores of the genes' statistics, held against relabelled samples.

Genes of a set go together from sample to sample whether or not anything differs, so that tests that take them for independent
call far too many sets (Wu & Smyth 2012, Nucleic Acids Res 40(17), e133). Samples that are given each other's labels
(`nestde.calibrate.relabel`) keep that correlation: how far a set's score spreads over relabellings is what chance does to it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import ndtri_exp
from scipy.stats import t as student

from nestde.arrays import Floats
from nestde.calibrate.relabel import relabelled, relabellings
from nestde.design.contrasts import Contrast, contrasts
from nestde.design.testable import NotTestable
from nestde.errors import a_few
from nestde.fit.fdr import benjamini_hochberg
from nestde.fit.methods import Method, again, method

if TYPE_CHECKING:
    from nestde.design.design import Design
    from nestde.fit.family import Fitted, Statistics

# Scores of decoupler in which a set's genes are held against all others: those that relabelling can scale.
SCORES = ("ulm", "mlm", "zscore")
COLUMNS = [
    "gene_set", "cell_type", "term", "level", "against", "status", "reason",
    "n_genes", "score", "inflation", "relabellings", "pvalue", "padj", "leading",
]  # fmt: skip
TEXT = ("gene_set", "cell_type", "term", "level", "against", "status", "reason", "leading")
LEADING = 10  # genes told of each set, the strongest in the direction of its score
FEWEST = 5  # relabellings below which the spread of a score is not known


@dataclass(frozen=True)
class Sets:
    """Gene sets in the names that the data have.

    Attributes
    ----------
    members
        Set -> its genes among those of the data.
    by
        What they were found by: ``gene``, the names of the data's genes, or ``gene_id``.
    """

    members: dict[str, tuple[str, ...]]
    by: str


def in_data(sets: Mapping[str, Sequence[str]], genes: pd.DataFrame) -> Sets:
    """Find the genes of sets among ``gene`` of a table, or among its ``gene_id`` where more of them are there."""
    names = genes["gene"].astype(str)
    known = {"gene": dict(zip(names, names, strict=True))}
    if "gene_id" in genes:
        known["gene_id"] = dict(zip(genes["gene_id"].astype(str), names, strict=True))
    every = set().union(*sets.values()) if sets else set()
    by = max(known, key=lambda column: len(every & known[column].keys()))
    of = known[by]
    members = {
        name: tuple(dict.fromkeys(of[gene] for gene in own if gene in of)) for name, own in sets.items()
    }
    return Sets(members, by)


def enrich(
    cell_type: str,
    design: "Design | NotTestable",
    statistics: "Statistics",
    terms: Sequence[str],
    sets: Sets,
    headline: str,
    *,
    score: str = "ulm",
    min_genes: int = 5,
    number: int = 100,
    seed: int = 1,
    threads: int | None = None,
) -> pd.DataFrame:
    """Score every set for every tested term and pair of levels, and test the scores against relabelled samples.

    Parameters
    ----------
    design
        Of n cells, or why there is none.
    statistics
        Of all tested genes in these cells.
    terms
        Of `design.tests` or `design.untested`.
    sets
        In the names of `statistics.genes`.
    headline
        The p-value that a gene's statistic is made of: z with its two-sided p-value, signed as the effect.
    score
        One of `SCORES`.
    min_genes
        Sets with fewer tested genes are not tested.
    number, seed
        Of relabellings, at most, and of their draw: those of the calibration are the same.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`. ``inflation`` is the root mean square of the score over relabellings, where independent genes would
        have 1; ``pvalue`` is of ``score / max(inflation, 1)`` by Student's t with as many degrees of freedom as relabellings.
    """
    parts = []
    there = {
        name: [gene for gene in own if gene in set(statistics.genes)] for name, own in sets.members.items()
    }
    numbers = pd.DataFrame({"gene_set": list(there), "n_genes": [len(own) for own in there.values()]})
    for term in terms:
        why = design.reason if isinstance(design, NotTestable) else design.untested.get(term, "")
        if isinstance(design, NotTestable) or why:
            parts.append(numbers.assign(term=term, status="not_testable", reason=why))
            continue
        large = {name: own for name, own in there.items() if len(own) >= min_genes}
        if not large:
            few = f"no set has {min_genes} genes that were tested; the data's are like {a_few(map(str, statistics.genes), 2)}"
            parts.append(numbers.assign(term=term, status="not_testable", reason=few))
            continue
        ways = relabellings(design, term, number, seed)
        orders = [] if isinstance(ways, str) else list(ways.order)
        learnt: dict[str, object] = {}
        true = statistics.fitted(design, threads, learnt)
        pairs = contrasts(design, term)
        chosen = _method(true, headline, pairs[0])
        z = [[_statistic(true, chosen, pair)] for pair in pairs]
        for order in orders:
            assert not isinstance(ways, str)
            other = statistics.fitted(relabelled(design, term, ways.unit, order), threads, learnt)
            for of_pair, pair in zip(z, pairs, strict=True):
                of_pair.append(_statistic(other, chosen, pair))
        reason = (
            ways
            if isinstance(ways, str)
            else f"{len(orders)} relabellings cannot tell how far scores spread by chance"
        )
        for of_pair, pair in zip(z, pairs, strict=True):
            rows = _tested(np.array(of_pair), statistics.genes, large, score, reason)
            merged = numbers.merge(rows, on="gene_set", how="left")
            small = merged["status"].isna()
            merged.loc[small, "status"] = "not_testable"
            merged.loc[small, "reason"] = f"fewer than {min_genes} of its genes were tested"
            parts.append(merged.assign(term=term, level=pair.level, against=pair.against))
    table = pd.concat(parts, ignore_index=True).assign(cell_type=cell_type).reindex(columns=COLUMNS)
    return table.fillna(dict.fromkeys(TEXT, ""))


def _method(fitted: "Fitted", headline: str, pair: Contrast) -> Method:
    """What is computed for each relabelling (`again`), of ``auto`` the first of those preferred that these genes have."""
    engine = fitted.statistics.family.engine

    def has(name: str) -> bool:
        found = method(name, engine).test(fitted, [pair])
        return not isinstance(found, str) and bool(np.isfinite(found[0].log_p).any())

    return method(again(headline, engine), engine, has)


def _statistic(fitted: "Fitted", chosen: Method, pair: Contrast) -> Floats:
    """(G,) standard normal deviates with the two-sided p-values of a contrast, signed as its effect; 0 where there is none."""
    found = chosen.test(fitted, [pair])
    if isinstance(found, str):
        return np.zeros(len(fitted.statistics.genes))
    coef = found[0].coef
    if coef is None:
        coef = fitted.effect(chosen.estimates, pair.rows[0])[0]
    z = -np.sign(coef) * ndtri_exp(np.minimum(found[0].log_p, 0.0) - np.log(2.0))
    return np.where(np.isfinite(z), z, 0.0)


def _tested(
    z: Floats, genes: Iterable[str], sets: Mapping[str, Sequence[str]], score: str, reason: str
) -> pd.DataFrame:
    """Rows of sets from statistics (1 + relabellings, G), the true labels first."""
    names = list(sets)
    scores = scored(z, genes, sets, score)
    of_true, of_others = scores[0], scores[1:]
    place = {gene: i for i, gene in enumerate(genes)}
    leading = []
    for name, value in zip(names, of_true, strict=True):
        own = sorted(sets[name], key=lambda gene: (-np.sign(value) * z[0, place[gene]], gene))
        leading.append(", ".join(own[:LEADING]))
    rows = pd.DataFrame({"gene_set": names, "status": "ok", "score": of_true, "relabellings": len(of_others)})
    rows["leading"] = leading
    if len(of_others) < FEWEST:
        return rows.assign(reason=reason)
    inflation = np.sqrt((of_others**2).mean(axis=0))
    p = 2 * student.sf(np.abs(of_true) / np.maximum(inflation, 1.0), len(of_others))
    return rows.assign(inflation=inflation, pvalue=p, padj=benjamini_hochberg(p), reason="")


def scored(z: Floats, genes: Iterable[str], sets: Mapping[str, Sequence[str]], score: str) -> Floats:
    """Decoupler's score of each set in each row of statistics: (rows, sets).

    Parameters
    ----------
    z
        (rows, G).
    score
        ``ulm``: t of the slope of the statistics on membership; ``mlm``: the same, all sets at once; ``zscore``: the mean
        of a set's genes against all.
    """
    import decoupler as dc

    # neutral names: decoupler would make numbers of those that look like some
    codes = {gene: f"g{i}" for i, gene in enumerate(genes)}
    net = pd.DataFrame(
        [(f"s{i}", codes[gene]) for i, own in enumerate(sets.values()) for gene in own],
        columns=["source", "target"],
    ).assign(weight=1.0)
    frame = pd.DataFrame(z, index=[f"r{i}" for i in range(len(z))], columns=list(codes.values()))
    found = getattr(dc.mt, score)(frame, net, tmin=1, verbose=False)[0]
    return np.asarray(found.reindex(columns=[f"s{i}" for i in range(len(sets))]), float)
