"""How much of the variance lies between groups."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nestde.api.glmm import GLMMResult
from nestde.api.lmm import LMMResult
from nestde.errors import NestdeError
from nestde.pl.drawing import GROUPS, INK, axes, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def variance(found: "pd.DataFrame | LMMResult | GLMMResult", *, ax: "Axes | None" = None) -> "Axes":
    """Draw the share of variance between samples of all genes, or the variances of one fit.

    Parameters
    ----------
    found
        A table of `nestde.de`: the distribution of ``icc``, by cell type. Or a fit of `nestde.lmm` or `nestde.glmm`: its
        variance components, on the scale of the linear predictor, as bars.
    ax
        Axes to draw on; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    NestdeError
        The table has no ``icc``, as that of a count model.
    """
    return _of_genes(found, ax) if isinstance(found, pd.DataFrame) else _of_fit(found, ax)


def _of_genes(table: pd.DataFrame, ax: "Axes | None") -> "Axes":
    if "icc" not in table or table["icc"].isna().all():
        raise NestdeError(
            "variance: the table has no icc, the share of variance between samples: count models have none."
        )
    fitted = table[table["icc"].notna()].drop_duplicates(["cell_type", "gene"])
    kinds = sorted(fitted["cell_type"].astype(str).unique())
    ax = axes(ax, 5.0, 0.9 + 0.5 * len(kinds))
    parts = [fitted.loc[fitted["cell_type"] == kind, "icc"].to_numpy(float) for kind in kinds]
    places = -np.arange(len(kinds))
    marks = np.array([np.quantile(part, (0.05, 0.25, 0.5, 0.75, 0.95)) for part in parts]).T
    ax.hlines(places, marks[0], marks[4], color=INK, lw=1.2)
    ax.barh(places, marks[3] - marks[1], 0.5, marks[1], color="#A6CEE3", edgecolor=INK, zorder=2)
    ax.vlines(marks[2], places - 0.25, places + 0.25, color=INK, lw=2, zorder=3)
    zero = [f"{kind}\n{(part == 0).mean():.0%} are 0" for kind, part in zip(kinds, parts, strict=True)]
    ax.set_yticks(places, [plain(name) for name in zero])
    ax.set_xlim(0, None)
    ax.set(xlabel="share of variance between samples (ICC): quartiles, 5 and 95 % of genes")
    return ax


def _of_fit(fit: "LMMResult | GLMMResult", ax: "Axes | None") -> "Axes":
    parts = [
        (f"{name}: {effect}", float(table.loc[effect, effect]))
        for name, table in fit.random_effects_covariance.items()
        for effect in table.index
    ]
    if isinstance(fit, LMMResult):
        parts.append(("Residual", fit.sigma**2))
    ax = axes(ax, 5.0, 0.9 + 0.35 * len(parts))
    places = -np.arange(len(parts))
    ax.barh(places, [value for _, value in parts], color=[GROUPS[i % len(GROUPS)] for i in range(len(parts))])
    for place, (_, value) in zip(places, parts, strict=True):
        ax.annotate(f" {value:.3g}", (value, place), va="center", fontsize=8)
    ax.set_yticks(places, [plain(name) for name, _ in parts])
    ax.margins(x=0.15)
    ax.set(xlabel="variance, on the scale of the linear predictor")
    return ax
