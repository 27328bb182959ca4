"""The moderated test: exact given the variances, which all genes of the cell type help to tell (see `fit.moderated`)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nestde.fit.methods.method import Method, Tested

if TYPE_CHECKING:
    from nestde.design.contrasts import Contrast
    from nestde.fit.leaf_sums import LinearFitted
    from nestde.fit.prior import Prior


def test(fitted: "LinearFitted", contrasts: Sequence["Contrast"]) -> list[Tested] | str:
    """F tests at each value of the variances, averaged over each gene's posterior of them."""
    from nestde.fit.moderated import arms_of, moderate, not_applicable

    model, sums = fitted.model
    (term,) = {contrast.term for contrast in contrasts}
    known: dict[str, Prior] = fitted.learnt.setdefault("moderated", {})
    prior = known.get(term)
    # a prior that was learnt before serves any number of genes
    reason = not_applicable(model, len(fitted.statistics.genes)) if prior is None else ""
    if reason:
        return reason
    found = moderate(
        *(model, sums, [contrast.rows for contrast in contrasts], fitted.statistics.mean),
        arms=arms_of(fitted.design, term),
        prior=prior,
        # of a term as a whole, alone, only p is asked for
        estimates=len(contrasts) > 1 or bool(contrasts[0].level),
        threads=fitted.threads,
    )
    known.setdefault(term, found.prior)
    return [
        Tested(each.log_p, found.columns(), each.estimate, each.se, each.lower, each.upper)
        for each in found.tests
    ]


METHOD = Method(
    name="moderated",
    label="moderated",
    sentence=(
        "the likelihood-ratio test at each value of the random effects' variances, where it is exact, averaged over what the"
        " gene and all genes of its cell type tell of them"
    ),
    model_sentence=(
        "Given the variances between samples, {term} is tested by the likelihood ratio, which then follows F exactly; as they"
        " are not known, the test is averaged over what the gene's own cells and all genes of the cell type tell of them"
        " (moderated test)."
    ),
    engines=("linear",),
    estimates="REML",
    every_gene=True,
    levels=True,
    dear=True,
    test=test,
)
