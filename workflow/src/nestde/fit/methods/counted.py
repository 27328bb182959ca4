"""p-values of count models: the likelihood ratio against χ² and F, and its average over what is known of the variance."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nestde.fit.methods import lrt, moderated
from nestde.fit.methods.method import Method, Tested

if TYPE_CHECKING:
    from nestde.design.contrasts import Contrast
    from nestde.fit.counts.statistics import CountFitted
    from nestde.fit.prior import Prior


def ratio(fitted: "CountFitted", contrasts: Sequence["Contrast"]) -> list[Tested]:
    """Twice the difference of the log-likelihoods with and without a contrast."""
    found = []
    for contrast in contrasts:
        test = fitted.ratio(contrast)
        columns = {
            "lrt_stat": test.stat,
            "lrt_df": np.full(len(test.stat), test.df),
            "loglik_full": fitted.full.loglik,
            "loglik_reduced": test.reduced.loglik,
        }
        found.append(Tested(test.log_p, columns))
    return found


def ratio_as_f(fitted: "CountFitted", contrasts: Sequence["Contrast"]) -> list[Tested]:
    """The same against F."""
    from nestde.fit.counts.tests import log_p_of_ratio, residual_df

    found = []
    for contrast in contrasts:
        test = fitted.ratio(contrast)
        df = np.full(len(test.stat), float(residual_df(fitted.design, contrast.rows)[1]))
        found.append(Tested(log_p_of_ratio(fitted.design, contrast.rows, test.stat), {"df_lrt_f": df}))
    return found


def rescaled(fitted: "CountFitted", contrasts: Sequence["Contrast"]) -> list[Tested]:
    """The same over its mean in counts that are drawn without an effect, against χ²."""
    from nestde.fit.log_sf import log_chi2_sf

    found = []
    for contrast in contrasts:
        test, factor = fitted.ratio(contrast), fitted.bartlett(contrast)
        found.append(Tested(log_chi2_sf(test.stat / factor, test.df), {"bartlett_factor": factor}))
    return found


def averaged(fitted: "CountFitted", contrasts: Sequence["Contrast"]) -> list[Tested] | str:
    """Likelihood ratios at each value of the random effects' variances, averaged over each gene's posterior of them."""
    from nestde.fit.counts import by_arm
    from nestde.fit.counts import moderated as common
    from nestde.fit.counts.fits import single
    from nestde.fit.counts.general import moderated as general
    from nestde.fit.moderated import LEAST_GENES, arms_of, too_few_genes

    design = fitted.design
    reason = "" if single(design) else general.infeasible(design)
    if reason:
        return f'formula "{design.formula.text}": {reason}'
    (term,) = {contrast.term for contrast in contrasts}
    known: dict[str, Prior] = fitted.learnt.setdefault("moderated", {})
    prior, genes = known.get(term), len(fitted.statistics.genes)
    if prior is None and genes < LEAST_GENES:
        return too_few_genes(genes)
    rows, arms = [contrast.rows for contrast in contrasts], arms_of(design, term)
    model: Any
    model, data = fitted.model
    fits, among = (model, data, fitted.full, rows), (fitted.statistics.mean, prior, fitted.threads)
    if arms is not None:
        found = by_arm.moderate(*fits, arms, *among)
    elif single(design):
        # searches begin where the likelihood ratio's ended
        found = common.moderate(*fits, [fitted.ratio(contrast) for contrast in contrasts], *among)
    else:
        found = general.moderate(*fits, *among)
    known.setdefault(term, found.prior)
    return [
        Tested(each.log_p, found.columns, each.estimate, each.se, each.lower, each.upper)
        for each in found.tests
    ]


LRT = replace(lrt.METHOD, engines=("counts",), dear=True, test=ratio)
LRT_F = Method(
    name="lrt_f",
    label="likelihood ratio as F",
    sentence=(
        "the likelihood ratio of a count model turned to F as in a linear model, on samples less coefficients for what is tested"
        " between samples"
    ),
    model_sentence=(
        "The model is fitted by maximum likelihood with and without {term}; the likelihood ratio is turned to F on as many degrees"
        " of freedom as samples leave."
    ),
    engines=("counts",),
    estimates="ML",
    every_gene=False,
    levels=True,
    dear=True,
    test=ratio_as_f,
)
LRT_BARTLETT = replace(
    LRT_F,
    name="lrt_bartlett",
    label="likelihood ratio, Bartlett",
    sentence=(
        "the likelihood ratio of a count model over its mean in counts that are drawn from the gene's own fit without what is tested,"
        " against χ²: one gene by itself, and only where it is the headline, as it takes 199 further pairs of fits"
    ),
    model_sentence=(
        "The model is fitted by maximum likelihood with and without {term}; the likelihood ratio is divided by its mean in 199 draws"
        " from the fit without {term} (Bartlett's factor) and held against χ²."
    ),
    test=rescaled,
    on_request=True,
)
MODERATED = replace(
    moderated.METHOD,
    sentence=(
        "of a count model, the likelihood ratio at each value of the random effects' variances, averaged over what the gene and all"
        " genes of its cell type tell of them"
    ),
    model_sentence=(
        "Given the variances between samples, {term} is tested by the likelihood ratio against χ²; as they are not known, the"
        " test is averaged over what the gene's own cells and all genes of the cell type tell of them (moderated test)."
    ),
    engines=("counts",),
    estimates="ML",
    test=averaged,
)
