"""Differential expression of one cell type: from a design and genes' statistics to rows of results."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.design.contrasts import Contrast, contrasts, joint
from nestde.design.design import Design
from nestde.design.testable import NotTestable
from nestde.fit.methods import AUTO, METHODS, Fitted, Method, Tested, method

if TYPE_CHECKING:
    from nestde.fit import Fits, LikelihoodRatio
    from nestde.fit.inference import FTests
    from nestde.fit.statistics import Statistics


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
    headline: str = "lrt",
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
        Tested terms, of `design.tests`.
    headline
        The p-value that matters most: coefficients are from the fit that it is computed on, ML for ``lrt``, else REML.
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
    fitted = Fitted(design, statistics, threads)
    chosen = method(headline)
    shown = fitted.ml.full if chosen.estimates == "ML" else fitted.reml
    parts = []
    for term in terms:
        of_term = _term_columns(fitted, term, chosen)
        for contrast in contrasts(design, term):
            parts.append(
                {
                    "gene": genes,
                    "level": contrast.level,
                    "against": contrast.against,
                    **_effect(shown, contrast.rows[0]),
                    **_level_columns(fitted, contrast, chosen),
                    **of_term,
                    **_model_columns(shown),
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
        Tested terms, of `design.tests`.
    threads
        As for `fit_table`.
    """
    reasons: dict[str, dict[str, str]] = {term: {} for term in terms}
    if isinstance(design, NotTestable) or not len(statistics.genes):
        nothing = pd.DataFrame(columns=["gene", "term", "level", "against"])
        return Moderation(nothing, pd.DataFrame(columns=PRIOR), reasons)
    fitted = Fitted(design, statistics, threads)
    parts = []
    for term in terms:
        whole, pairs = joint(design, term), contrasts(design, term)
        columns = [dict[str, object]() for _ in pairs]
        for each in METHODS:
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


def _without(fitted: Fitted, pair: Contrast, columns: Mapping[str, object]) -> dict[str, object]:
    """Of what is likely to be found, what is left of the effect without any one sample; empty for other genes."""
    from nestde.calibrate.leave_out import by_reml, leave_out
    from nestde.expression.tables import benjamini_hochberg

    name = method(AUTO, lambda name: f"logpvalue_{name}" in columns).name
    log_p = np.asarray(columns.get(f"logpvalue_{name}", np.full(len(fitted.statistics.genes), np.nan)), float)
    found = np.flatnonzero(benjamini_hochberg(np.exp(log_p)) <= LIKELY)
    if not len(found):
        return {}
    left = leave_out(fitted.design, fitted.statistics.of(found), pair, by_reml, fitted.threads)
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


def _effect(fits: "Fits", weights: Floats) -> dict[str, Floats]:
    """Estimate of one contrast and its standard error; each gene by itself, so that chunks do not matter."""
    variance = (fits.vcov * np.outer(weights, weights)).sum(axis=(1, 2))
    return {"coef": (fits.coef * weights).sum(axis=1), "se": np.sqrt(np.maximum(variance, 0))}


def _level_columns(fitted: Fitted, contrast: Contrast, headline: Method) -> dict[str, Floats]:
    """Level against level, by the headline's t test; by Satterthwaite's where the headline has none of its own."""
    name = headline.name if headline.levels and not headline.every_gene else "satterthwaite"
    found = _alone(method(name), fitted, contrast)
    usable = trusted(fitted.reml.status)
    return {
        "df_level": np.asarray(found.columns[f"df_{name}"], float),
        "pvalue_level": np.where(usable, np.exp(found.log_p), np.nan),
    }


def _alone(each: Method, fitted: Fitted, contrast: Contrast) -> Tested:
    """Test one contrast by a method that no gene needs the others for."""
    found = each.test(fitted, [contrast])
    assert not isinstance(found, str), f"{each.name}: {found}"
    return found[0]


def _term_columns(fitted: Fitted, term: str, headline: Method) -> dict[str, object]:
    """Status and every p-value of a term, all its levels at once; a p-value of a fit that is not to be trusted is empty."""
    from nestde.fit.differences import why_not_kenward_roger

    whole = joint(fitted.design, term)
    ratio = fitted.ml.tests[term]
    (tests,) = fitted.f_tests([whole])
    status, reason = _status(ratio, fitted.reml, headline.estimates)
    columns: dict[str, object] = {
        "term": term,
        "status": status,
        "reason": _with_words(
            reason, tests, fitted.reml.status == "singular", why_not_kenward_roger(fitted.design)
        ),
    }
    usable = {"ML": trusted(ratio.status), "REML": trusted(fitted.reml.status)}
    for each in METHODS:
        if each.every_gene:
            continue
        found = _alone(each, fitted, whole)
        log_p = np.where(usable[each.estimates], found.log_p, np.nan)
        columns |= {**found.columns, f"pvalue_{each.name}": np.exp(log_p), f"logpvalue_{each.name}": log_p}
    columns["iterations"] = fitted.ml.full.record.evaluations + ratio.reduced.record.evaluations
    return columns


def trusted(status: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Whether fits are to be believed, so that what is tested in them has a p-value."""
    return np.isin(status, ("ok", "singular"))


def _status(
    test: "LikelihoodRatio", reml: "Fits", estimates: str
) -> tuple[NDArray[np.str_], NDArray[np.object_]]:
    """Status and reason of the fits that estimates and headline are of; the reason tells of the others' faults too.

    Where estimates are by ML these are the two fits of the likelihood ratio, else the one by REML.
    """
    by_ml = (test.status, test.reason, "by ML, so no likelihood-ratio test")
    by_reml = (reml.status, reml.reason, "by REML, so no t and F tests")
    (status, reason, _), (other, why, what) = (by_ml, by_reml) if estimates == "ML" else (by_reml, by_ml)
    told = reason.astype(object)
    for g in np.flatnonzero(trusted(status) & ~trusted(other)):
        told[g] = "; ".join(filter(None, (told[g], f"{other[g]} {what}: {why[g]}")))
    return status, told


def _with_words(
    reason: NDArray[np.object_], tests: "FTests", singular: NDArray[np.bool_], no_kenward_roger: str
) -> NDArray[np.object_]:
    """Reasons, why there is a test less, and whose degrees of freedom were below 1 and replaced.

    The cap of singular fits is told by `df_method`.
    """
    told = reason.copy()
    if no_kenward_roger:
        told[:] = ["; ".join(filter(None, (words, no_kenward_roger))) for words in told]
    instead = {"containment": "those by containment", "one": "1"}
    for whose, found, replaced in (
        ("Satterthwaite's", tests.satterthwaite, (tests.satterthwaite.method != "satterthwaite") & ~singular),
        ("Kenward and Roger's", tests.kenward_roger, tests.kenward_roger.method != "kenward_roger"),
    ):
        for g in np.flatnonzero(replaced):
            words = f"{whose} degrees of freedom are below 1: {instead[str(found.method[g])]} taken"
            told[g] = "; ".join(filter(None, (told[g], words)))
    return told


def _model_columns(fits: "Fits") -> dict[str, object]:
    """All coefficients, and the variance components."""
    columns: dict[str, object] = {"estimates": "REML" if fits.reml else "ML"}
    for i, name in enumerate(fits.design.coef_names):
        columns |= {f"coef_{name}": fits.coef[:, i], f"se_{name}": fits.se[:, i]}
    return columns | variance_components(fits)


def variance_components(fits: "Fits") -> dict[str, Floats]:
    """Residual SD, SDs and correlations of random effects and, for intercepts alone, the intraclass correlation.

    ICC is the share of a factor's intercept variance in the sum of all variances.
    """
    found: dict[str, Floats] = {"sigma": fits.sigma}
    for factor, sd, corr in zip(fits.design.random, fits.sd(), fits.corr(), strict=True):
        for i, effect in enumerate(factor.effects):
            found[f"sd_{factor.name}_{effect}"] = sd[:, i]
        for i, j in itertools.combinations(range(len(factor.effects)), 2):
            if factor.blocks[i] == factor.blocks[j]:
                found[f"corr_{factor.name}_{factor.effects[i]}_{factor.effects[j]}"] = corr[:, i, j]
    if all(factor.effects == ("(Intercept)",) for factor in fits.design.random):
        variances = [sd[:, 0] ** 2 for sd in fits.sd()]
        total = sum(variances, fits.sigma**2)
        for factor, variance in zip(fits.design.random, variances, strict=True):
            found["icc" if len(variances) == 1 else f"icc_{factor.name}"] = variance / total
    return found
