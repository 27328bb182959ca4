"""The likelihood-ratio test by maximum likelihood, against the χ² law of endless samples (Wilks 1938)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nestde.fit.methods.method import Method, Tested

if TYPE_CHECKING:
    from nestde.design.contrasts import Contrast
    from nestde.fit.leaf_sums import LinearFitted


def test(fitted: "LinearFitted", contrasts: Sequence["Contrast"]) -> list[Tested]:
    """Twice the difference of the log-likelihoods with and without a term, both by ML."""
    found = []
    for contrast in contrasts:
        ratio = fitted.ml.tests[contrast.term]
        columns = {
            "lrt_stat": ratio.stat,
            "lrt_df": np.full(len(ratio.stat), ratio.df),
            "loglik_full": fitted.ml.full.loglik,
            "loglik_reduced": ratio.loglik_reduced,
        }
        found.append(Tested(ratio.log_p, columns))
    return found


METHOD = Method(
    name="lrt",
    label="likelihood ratio test",
    sentence="twice the difference of the log-likelihoods with and without the term, against χ²",
    model_sentence=(
        "The model is fitted by maximum likelihood with and without {term}; twice the difference of the"
        " log-likelihoods is compared with a χ² distribution (likelihood ratio test)."
    ),
    engines=("linear",),
    estimates="ML",
    every_gene=False,
    levels=False,
    dear=True,
    test=test,
)
