"""p-values of hurdle models: the parts' likelihood ratios added, and their p-values combined."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nestde.arrays import Floats
from nestde.fit.methods import counted
from nestde.fit.methods.method import Method, Tested

if TYPE_CHECKING:
    from nestde.design.contrasts import Contrast
    from nestde.fit.hurdle.statistics import HurdleFitted
    from nestde.fit.prior import Prior

_PARTS = ("detection", "continuous")


@dataclass(frozen=True)
class Priors:
    """Of the variances between samples, of each part."""

    detection: "Prior"
    continuous: "Prior"

    def columns(self) -> dict[str, Floats]:
        """Both as one table: a row for each knot and node, each part's axis empty in the other's rows."""
        tables = [part.columns() for part in (self.detection, self.continuous)]
        lengths = [len(table["weight"]) for table in tables]
        found = {name: np.concatenate([table[name] for table in tables]) for name in ("expression", "weight")}
        for at, (what, table) in enumerate(zip(_PARTS, tables, strict=True)):
            for axis in (name for name in table if name not in found):
                parts = [np.full(length, np.nan) for length in lengths]
                parts[at] = table[axis]
                found[f"{axis} {what}"] = np.concatenate(parts)
        return found


def ratio(fitted: "HurdleFitted", contrasts: Sequence["Contrast"]) -> list[Tested]:
    """Likelihood ratios of both parts, added."""
    from nestde.fit.log_sf import log_chi2_sf

    found = []
    for contrast in contrasts:
        parts = fitted.parts(contrast)
        ratios = np.stack([parts.detection, parts.continuous])
        there = np.isfinite(ratios)
        stat, df = np.where(there, ratios, 0.0).sum(axis=0), parts.df * there.sum(axis=0)
        log_p = np.where(df > 0, log_chi2_sf(stat, np.maximum(df, 1)), np.nan)
        columns = {
            "lrt_stat": np.where(df > 0, stat, np.nan),
            "lrt_df": df,
            "lrt_stat_detection": parts.detection,
            "lrt_stat_continuous": parts.continuous,
            "loglik_full": parts.loglik_full,
            "loglik_reduced": parts.loglik_reduced,
        }
        found.append(Tested(log_p, columns))
    return found


def ratio_as_f(fitted: "HurdleFitted", contrasts: Sequence["Contrast"]) -> list[Tested]:
    """Each part's likelihood ratio against F, combined."""
    from nestde.fit.counts.tests import log_p_of_ratio, residual_df
    from nestde.fit.hurdle.combine import cauchy

    found = []
    for contrast in contrasts:
        parts = fitted.parts(contrast)
        units, left = residual_df(fitted.design, contrast.rows)
        detects = fitted.sums.cells > 0
        # samples, or cells, without a count are none of the continuous part's
        of_cells = units > detects.shape[1]
        lost = fitted.design.n - fitted.sums.cells.sum(axis=1) if of_cells else (~detects).sum(axis=1)
        log_p = [
            log_p_of_ratio(fitted.design, contrast.rows, parts.detection),
            log_p_of_ratio(fitted.design, contrast.rows, parts.continuous, lost),
        ]
        df = np.full(len(lost), float(left))
        found.append(Tested(cauchy(*log_p), {"df_lrt_f": df}))
    return found


def averaged(fitted: "HurdleFitted", contrasts: Sequence["Contrast"]) -> list[Tested] | str:
    """Each part's moderated test, combined."""
    from nestde.fit.hurdle.combine import cauchy
    from nestde.fit.hurdle.moderated import moderate

    (term,) = {contrast.term for contrast in contrasts}
    known: dict[str, Priors] = fitted.learnt.setdefault("moderated", {})
    prior = known.get(term)
    detection = fitted.detection
    if prior is not None:
        detection.learnt["moderated"] = {term: prior.detection}
    of_detection = counted.averaged(detection, contrasts)
    if isinstance(of_detection, str):
        return of_detection
    rows = [contrast.rows for contrast in contrasts]
    continuous, learnt = moderate(
        *(fitted.model, fitted.sums, rows, fitted.statistics.mean, fitted.untestable),
        None if prior is None else prior.continuous,
        fitted.threads,
    )
    known.setdefault(term, Priors(detection.learnt["moderated"][term], learnt))
    found = []
    for contrast, first, second in zip(contrasts, of_detection, continuous, strict=True):
        detects, counts = fitted.usable(contrast)
        log_p = [np.where(detects, first.log_p, np.nan), np.where(counts, second.log_p, np.nan)]
        columns = {f"pvalue_{what}": np.exp(each) for what, each in zip(_PARTS, log_p, strict=True)}
        coef = se = None
        if len(contrast.rows) == 1:
            assert first.coef is not None and first.se is not None
            coef, se = fitted.together((first.coef, first.se), (second.estimate, second.se))
        found.append(Tested(cauchy(*log_p), columns, coef, se))
    return found


LRT = replace(
    counted.LRT,
    sentence="the likelihood ratios of detection and of detecting cells, added, against χ² (as MAST does)",
    model_sentence=(
        "Both parts are fitted by maximum likelihood with and without {term}; their likelihood ratios, added, are compared with a"
        " χ² distribution."
    ),
    engines=("hurdle",),
    test=ratio,
)
LRT_F = replace(
    counted.LRT_F,
    sentence="the likelihood ratio of each part turned to F on samples, and both p-values combined by Cauchy's law",
    model_sentence=(
        "Both parts are fitted by maximum likelihood with and without {term}; their likelihood ratios are turned to F on as many"
        " degrees of freedom as samples leave, and both p-values combined by Cauchy's law."
    ),
    engines=("hurdle",),
    test=ratio_as_f,
)
MODERATED = replace(
    counted.MODERATED,
    sentence=(
        "of a hurdle model, the moderated tests of detection and of detecting cells, combined by Cauchy's law, which holds though"
        " both go together"
    ),
    model_sentence=(
        "Given the variance between samples, {term} is tested in either part by the likelihood ratio; as the variance is not known,"
        " each test is averaged over what the gene's own cells and all genes of the cell type tell of it (moderated test), and both"
        " p-values are combined by Cauchy's law."
    ),
    engines=("hurdle",),
    test=averaged,
)

METHODS: list[Method] = [MODERATED, LRT, LRT_F]
