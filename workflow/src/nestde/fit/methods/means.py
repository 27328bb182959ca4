"""Moderated t and F tests of the samples' means: what is left when nothing of the cells is modelled (see `fit.means`)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nestde.fit.methods.method import Method, Tested

if TYPE_CHECKING:
    from nestde.design.contrasts import Contrast
    from nestde.fit.leaf_sums import LinearFitted


def test(fitted: "LinearFitted", contrasts: Sequence["Contrast"]) -> list[Tested] | str:
    """Each sample once, by the mean of its cells; variances squeezed over all genes."""
    from nestde.fit.means import means_tests

    rows = [contrast.rows for contrast in contrasts]
    tests = means_tests(fitted.design, fitted.statistics, rows, fitted.learnt.get("means"))
    if isinstance(tests, str):
        return tests
    fitted.learnt["means"] = tests[0].spread
    return [Tested(each.log_p, {"df_means": np.full(len(each.log_p), each.df_residual)}) for each in tests]


METHOD = Method(
    name="means",
    label="moderated means",
    sentence="moderated t or F test of the samples' means, as limma does: each sample counts once, whatever its cells are like",
    model_sentence=(
        "{term} is tested on the samples' means by a t or F test whose variances are moderated over all genes, as limma does;"
        " estimates are from the mixed model, by REML."
    ),
    engines=("linear",),
    estimates="REML",
    every_gene=True,
    levels=True,
    dear=False,
    test=test,
)
