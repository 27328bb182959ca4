"""Differential expression of one cell type: from a design and genes' statistics to rows of results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nestde.arrays import Floats
from nestde.design.contrasts import Contrast, contrasts, joint
from nestde.design.design import Design
from nestde.design.testable import NotTestable
from nestde.fit.methods import AUTO, Method, Tested, method, of_engine, of_table

if TYPE_CHECKING:
    from nestde.fit.family import Fitted, Statistics


PRIOR = ["term", "expression", "weight"]
# Genes up to this false discovery rate are looked at without each sample.
LIKELY = 0.1


def slice_of_chunk(chunk: str, genes: int) -> tuple[int, int]:
    """First gene and end of chunk ``i-of-n``: n slices that differ by one gene at most.

    >>> [slice_of_chunk(f"{i}-of-3", 8) for i in (1, 2, 3)]
    [(0, 2), (2, 5), (5, 8)]
    """
    i, n = (int(part) for part in chunk.split("-of-"))
    return (i - 1) * genes // n, i * genes // n


def fit_table(
    design: Design | NotTestable,
    statistics: "Statistics",
    terms: Sequence[str],
    headline: str = AUTO,
    threads: int | None = None,
) -> pd.DataFrame:
    """Fit some genes and lay the results out in rows: gene by gene, term by term, level against level.

    Every p-value that a gene has by itself is there; those that need all genes of the cell type are `moderate`'s.

    Parameters
    ----------
    design
        Of n cells, or why there is none.
    statistics
        Of the genes in these cells.
    terms
        Tested terms, of `design.tests` or `design.untested`.
    headline
        The p-value that matters most, of the family's: coefficients are from the fit that it is computed on.
    threads
        Threads to fit with; None takes all. Results do not depend on it.

    Returns
    -------
    pandas.DataFrame
        See README, *Read the result*; ``logpvalue_…`` are natural logs.
    """
    genes = statistics.genes
    if isinstance(design, NotTestable):
        rows = [(gene, term, "not_testable", design.reason) for gene in genes for term in terms]
        return pd.DataFrame(rows, columns=["gene", "term", "status", "reason"])
    fitted = statistics.fitted(design, threads)
    chosen = method(headline, statistics.family.engine)
    of_model = _model_columns(fitted, chosen.estimates)
    parts = []
    for term in terms:
        if term in design.untested:
            parts.append(
                {"gene": genes, "term": term, "status": "not_testable", "reason": design.untested[term]}
            )
            continue
        of_term = _term_columns(fitted, term, chosen)
        for contrast in contrasts(design, term):
            parts.append(
                {
                    "gene": genes,
                    "level": contrast.level,
                    "against": contrast.against,
                    **_effect(fitted, chosen.estimates, contrast.rows[0]),
                    **_level_columns(fitted, contrast, chosen),
                    **of_term,
                    **of_model,
                }
            )
    return _by_gene([pd.DataFrame(part) for part in parts], len(genes))


@dataclass(frozen=True)
class Moderation:
    """What all genes of a cell type give together.

    Attributes
    ----------
    table
        ``gene, term, level, against`` and of each method ``pvalue_…``, ``logpvalue_…`` of the term, ``pvalue_level_…`` of
        level against level, and its own columns; no rows where nothing is tested.
    prior
        What was learnt of the random effects' variances: ``term, expression`` (mean of y), ψ on each axis, ``weight``.
    reasons
        Term -> method -> why it has no p-values.
    """

    table: pd.DataFrame
    prior: pd.DataFrame
    reasons: dict[str, dict[str, str]]


def moderate(
    design: Design | NotTestable, statistics: "Statistics", terms: Sequence[str], threads: int | None = None
) -> Moderation:
    """Compute the p-values that need all genes of a cell type, in the rows of `fit_table`.

    Parameters
    ----------
    design
        Of n cells, or why there is none.
    statistics
        Of all tested genes in these cells.
    terms
        Tested terms, of `design.tests` or `design.untested`.
    threads
        As for `fit_table`.
    """
    reasons: dict[str, dict[str, str]] = {term: {} for term in terms}
    if isinstance(design, NotTestable) or not len(statistics.genes):
        nothing = pd.DataFrame(columns=["gene", "term", "level", "against"])
        return Moderation(nothing, pd.DataFrame(columns=PRIOR), reasons)
    fitted = statistics.fitted(design, threads)
    parts = []
    for term in terms:
        if term in design.untested:
            continue
        whole, pairs = joint(design, term), contrasts(design, term)
        columns = [dict[str, object]() for _ in pairs]
        for each in of_engine(statistics.family.engine):
            if not each.every_gene:
                continue
            found = each.test(fitted, [whole, *pairs])
            if isinstance(found, str):
                reasons[term][each.name] = found
                continue
            of_term, *of_pairs = found
            for into, own in zip(columns, of_pairs, strict=True):
                into |= {
                    **of_term.columns,
                    f"pvalue_{each.name}": np.exp(of_term.log_p),
                    f"logpvalue_{each.name}": of_term.log_p,
                    f"pvalue_level_{each.name}": np.exp(own.log_p),
                }
                for what in ("coef", "se", "lower", "upper"):
                    if getattr(own, what) is not None:
                        into[f"{what}_{each.name}"] = getattr(own, what)
        for pair, into in zip(pairs, columns, strict=True):
            into |= _without(fitted, pair, into)
            place = {"gene": statistics.genes, "term": term, "level": pair.level, "against": pair.against}
            parts.append(pd.DataFrame(place | into))
    priors = [
        pd.DataFrame({"term": term, **prior.columns()})
        for term, prior in fitted.learnt.get("moderated", {}).items()
    ]
    return Moderation(
        table=_by_gene(parts, len(statistics.genes)),
        prior=pd.concat(priors, ignore_index=True) if priors else pd.DataFrame(columns=PRIOR),
        reasons=reasons,
    )


def _without(fitted: "Fitted", pair: Contrast, columns: Mapping[str, object]) -> dict[str, object]:
    """Of what is likely to be found, what is left of the effect without any one sample; empty for other genes."""
    from nestde.calibrate.leave_out import leave_out
    from nestde.fit.fdr import benjamini_hochberg

    name = method(AUTO, fitted.statistics.family.engine, lambda name: f"logpvalue_{name}" in columns).name
    log_p = np.asarray(columns.get(f"logpvalue_{name}", np.full(len(fitted.statistics.genes), np.nan)), float)
    found = np.flatnonzero(benjamini_hochberg(np.exp(log_p)) <= LIKELY)
    if not len(found):
        return {}
    left = leave_out(fitted.design, fitted.statistics.of(found), pair, fitted.threads)
    if isinstance(left, str):
        return {}
    coef = np.full(len(log_p), np.nan)
    without, hangs = np.full(len(log_p), "", object), np.full(len(log_p), "", object)
    coef[found], without[found], hangs[found] = left.without, left.sample, left.hangs
    return {"without": without, "coef_without": coef, "hangs": hangs}


def _by_gene(parts: Sequence[pd.DataFrame], genes: int) -> pd.DataFrame:
    """Tables of the same genes, their rows gene by gene."""
    order = np.arange(len(parts) * genes).reshape(len(parts), -1).T.ravel()
    return pd.concat(parts, ignore_index=True).iloc[order].reset_index(drop=True)


def _effect(fitted: "Fitted", by: str, weights: Floats) -> dict[str, Floats]:
    """Estimate of one contrast and its standard error."""
    coef, se = fitted.effect(by, weights)
    return {"coef": coef, "se": se}


def _level_columns(fitted: "Fitted", contrast: Contrast, headline: Method) -> dict[str, Floats]:
    """Level against level, by the headline; by the family's own choice where the headline has no such test of its own."""
    family = fitted.statistics.family
    chosen = headline if headline.levels and not headline.every_gene else method(family.pairs, family.engine)
    found = _alone(chosen, fitted, contrast)
    usable = fitted.trusted(chosen.estimates, contrast.term)
    columns = {}
    if f"df_{chosen.name}" in found.columns:
        columns["df_level"] = np.asarray(found.columns[f"df_{chosen.name}"], float)
    return columns | {"pvalue_level": np.where(usable, np.exp(found.log_p), np.nan)}


def _alone(each: Method, fitted: "Fitted", contrast: Contrast) -> Tested:
    """Test one contrast by a method that no gene needs the others for."""
    found = each.test(fitted, [contrast])
    assert not isinstance(found, str), f"{each.name}: {found}"
    return found[0]


def _term_columns(fitted: "Fitted", term: str, headline: Method) -> dict[str, object]:
    """Status and every p-value of a term, all its levels at once; a p-value of a fit that is not to be trusted is empty."""
    whole = joint(fitted.design, term)
    status, reason = fitted.status(headline.estimates, term)
    columns: dict[str, object] = {"term": term, "status": status, "reason": reason}
    for each in of_table(fitted.statistics.family.engine, headline):
        if each.every_gene:
            continue
        found = _alone(each, fitted, whole)
        log_p = np.where(fitted.trusted(each.estimates, term), found.log_p, np.nan)
        columns |= {**found.columns, f"pvalue_{each.name}": np.exp(log_p), f"logpvalue_{each.name}": log_p}
    columns["iterations"] = fitted.evaluations(term)
    return columns


def _model_columns(fitted: "Fitted", by: str) -> dict[str, object]:
    """All coefficients, and what of the model is random or spread."""
    columns: dict[str, object] = {"estimates": by}
    coef, se = fitted.coefficients(by)
    for i, name in enumerate(fitted.design.coef_names):
        columns |= {f"coef_{name}": coef[:, i], f"se_{name}": se[:, i]}
    return columns | fitted.components(by)
