"""The in-process reference: statsmodels refits a random sample of genes, and the differences are published."""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from nestde.arrays import Floats
from nestde.design.design import Design

COLUMNS = [
    "gene",
    "loglik_full",
    "loglik_full_statsmodels",
    "loglik_reduced",
    "loglik_reduced_statsmodels",
    "difference_loglik",
    "difference_coef",
    "verdict",
]


def why_not(design: Design) -> str:
    """Say why statsmodels cannot be the reference for a design; '' if it can."""
    if len(design.random) != 1 or len(set(design.random[0].blocks)) != 1:
        return "statsmodels' MixedLM is our reference for one grouping factor with correlated effects only"
    return ""


def sample_genes(genes: Sequence[str], number: int, seed: int) -> list[str]:
    """Draw `number` of the genes, the same ones for the same seed, in the order given."""
    chosen = np.random.default_rng(seed).permutation(len(genes))[:number]
    return [genes[i] for i in sorted(chosen)]


def crosscheck(
    design: Design,
    table: pd.DataFrame,
    term: str,
    response: Callable[[str], Floats],
    tolerance: float,
) -> pd.DataFrame:
    """Refit genes by statsmodels' MixedLM and compare.

    Parameters
    ----------
    design
        The design, for which `why_not` is ''.
    table
        Result rows of the genes to refit, one per gene: ``gene``, ``loglik_full``, ``loglik_reduced`` (ML), ``estimates``
        and ``coef_<name>`` for each coefficient.
    term
        The tested term, without which the reduced model is fitted.
    response
        Gives a gene's response, (n,).
    tolerance
        Largest difference of log-likelihoods, and of coefficients, that counts as agreement.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`; ``verdict`` is ``agrees``, ``statsmodels stopped short`` where its log-likelihood is the
        lower one by more than the tolerance, ``statsmodels failed`` where it gives no fit, else ``differs``.
    """
    every = list(range(design.x.shape[1]))
    kept = [column for column in every if column not in design.tests[term]]
    rows = []
    for _, row in table.iterrows():
        y = response(row["gene"])
        full, coef = _refit(design, y, every)
        if row["estimates"] == "REML":
            coef = _refit(design, y, every, reml=True)[1]
        reduced, _ = _refit(design, y, kept)
        ours = np.array([row["loglik_full"], row["loglik_reduced"]])
        theirs = np.array([full, reduced])
        apart = np.abs(row[[f"coef_{name}" for name in design.coef_names]].to_numpy(float) - coef).max()
        gap = ours - theirs
        rows.append(
            {
                "gene": row["gene"],
                "loglik_full": ours[0],
                "loglik_full_statsmodels": full,
                "loglik_reduced": ours[1],
                "loglik_reduced_statsmodels": reduced,
                "difference_loglik": gap[np.argmax(np.abs(gap))],
                "difference_coef": apart,
                "verdict": _verdict(gap, apart, tolerance),
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _verdict(gap: Floats, apart: float, tolerance: float) -> str:
    if not np.all(np.isfinite(gap)):
        return "statsmodels failed"
    if np.all(np.abs(gap) <= tolerance) and apart <= tolerance:
        return "agrees"
    if np.all(gap >= -tolerance) and np.any(gap > tolerance):
        return "statsmodels stopped short"
    return "differs"


def _refit(design: Design, y: Floats, columns: list[int], reml: bool = False) -> tuple[float, Floats]:
    """Fit with bfgs, and with powell where that does not converge; what statsmodels warns of is seen in the result.

    Its default, lbfgs, can end at a variance of exactly zero, where it reports a log-likelihood of +inf.
    """
    from statsmodels.regression.mixed_linear_model import MixedLM

    factor = design.random[0]
    best, coef = -np.inf, np.full(len(columns), np.nan)
    for method, tolerances in (("bfgs", {"gtol": 1e-8}), ("powell", {"xtol": 1e-8, "ftol": 1e-12})):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                model = MixedLM(y, design.x[:, columns], groups=factor.codes, exog_re=factor.z)
                fit = model.fit(reml=reml, method=method, **tolerances)
                loglik = float(fit.llf)
            except (np.linalg.LinAlgError, ValueError):
                continue
        if best < loglik < np.inf:
            best, coef = loglik, np.asarray(fit.fe_params)
            if fit.converged:
                break
    return best, coef
