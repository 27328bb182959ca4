"""The in-process reference: another implementation refits a random sample of genes, and the differences are published."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.design.design import Design
from nestde.fit.family import CrossReference

SPARE = 3


def columns(reference: CrossReference | None) -> list[str]:
    """Columns of `crosscheck`; of a family without a reference those of a table that is empty."""
    theirs = [f"loglik_{model}_{reference.name}" if reference else "" for model in ("full", "reduced")]
    found = ["gene", "term", "loglik_full", theirs[0], "loglik_reduced", theirs[1]]
    return [*filter(None, found), "difference_loglik", "difference_coef", "verdict"]


def stopped_short(reference: CrossReference) -> str:
    """Verdict of a gene whose log-likelihood by the reference is the lower one by more than the tolerance."""
    return f"{reference.name} stopped short"


def failed(reference: CrossReference) -> str:
    """Verdict of a gene that the reference gives no fit of."""
    return f"{reference.name} failed"


def draw(genes: Sequence[str] | NDArray[np.object_], number: int, seed: int) -> list[str]:
    """Draw `SPARE` times `number` of the genes, the same ones for the same seed whatever their order; in the order drawn.

    As many of the first ones as are trusted are refitted, `number` at most.
    """
    ordered = sorted(genes)
    return [ordered[i] for i in np.random.default_rng(seed).permutation(len(ordered))[: SPARE * number]]


def crosscheck(
    reference: CrossReference,
    design: Design,
    table: pd.DataFrame,
    counts: Callable[[str], Floats],
    size_factor: Floats,
    tolerance: float,
) -> pd.DataFrame:
    """Refit genes by the reference and compare.

    Parameters
    ----------
    reference
        Of the family.
    design
        The design, for which `reference.why_not` is ''.
    table
        Result rows of the genes to refit, one per gene: ``gene``, ``term`` (without which the reduced model is fitted), ``loglik_full``, ``loglik_reduced`` (ML), ``estimates``
        and ``coef_<name>`` for each coefficient.
    counts
        Gives a gene's raw counts, (n,).
    size_factor
        (n,) of each cell.
    tolerance
        Largest difference of log-likelihoods, and of coefficients, that counts as agreement.

    Returns
    -------
    pandas.DataFrame
        `columns`; ``verdict`` is ``agrees``, `stopped_short`, `failed`, else ``differs``.
    """
    rows: list[list[object]] = []
    for _, row in table.iterrows():
        full, reduced, coef = reference.refit(
            design, row["term"], row["estimates"], counts(row["gene"]), size_factor
        )
        ours = np.array([row["loglik_full"], row["loglik_reduced"]])
        apart = np.abs(row[[f"coef_{name}" for name in design.coef_names]].to_numpy(float) - coef).max()
        gap = ours - np.array([full, reduced])
        rows.append(
            [
                *(row["gene"], row["term"], ours[0], full, ours[1], reduced),
                *(gap[np.argmax(np.abs(gap))], apart, _verdict(reference, gap, apart, tolerance)),
            ]
        )
    return pd.DataFrame(rows, columns=columns(reference))


def _verdict(reference: CrossReference, gap: Floats, apart: float, tolerance: float) -> str:
    if not np.all(np.isfinite(gap)):
        return failed(reference)
    if np.all(np.abs(gap) <= tolerance) and apart <= tolerance:
        return "agrees"
    if np.all(gap >= -tolerance) and np.any(gap > tolerance):
        return stopped_short(reference)
    return "differs"
