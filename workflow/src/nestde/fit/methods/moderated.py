"""The moderated test: exact given the variances, which all genes of the cell type help to tell (see `fit.moderated`)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nestde.fit.methods.method import Fitted, Method, Tested

if TYPE_CHECKING:
    from nestde.contrasts import Contrast
    from nestde.fit.moderated import Moderated
    from nestde.fit.prior import Prior


def test(fitted: Fitted, contrasts: Sequence["Contrast"]) -> list[Tested] | str:
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
    arms = arms_of(fitted.design, term)
    if prior is not None and arms is not None:
        prior = replace(prior, grid=replace(prior.grid, arm=arms.arm))
    found = moderate(
        *(model, sums, [contrast.rows for contrast in contrasts], fitted.statistics.mean),
        arms=arms,
        prior=prior,
        threads=fitted.threads,
    )
    known.setdefault(term, found.prior)
    columns = _columns(found)
    return [
        Tested(each.log_p, columns, each.estimate, each.se, each.lower, each.upper) for each in found.tests
    ]


def _columns(found: "Moderated") -> dict[str, NDArray[np.float64] | NDArray[np.str_]]:
    """Shares of variance; with an own variance of each arm also how many times the reference's each is."""
    if len(found.icc) == 1:
        return {"icc_moderated": next(iter(found.icc.values()))}
    columns: dict[str, NDArray[np.float64] | NDArray[np.str_]] = {
        f"icc_moderated_{axis}": share for axis, share in found.icc.items()
    }
    axes = list(found.variance)
    if len(axes) > 1 and all("[" in axis for axis in axes):
        for axis in axes[1:]:
            columns[f"variance_ratio_{axis}"] = found.variance[axis] / found.variance[axes[0]]
    return columns


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
    estimates="REML",
    every_gene=True,
    levels=True,
    test=test,
)
