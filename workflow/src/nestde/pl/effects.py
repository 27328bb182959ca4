"""Effects with their intervals, and one gene sample by sample."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy.stats import norm
from scipy.stats import t as student

from nestde.api.counts import raw_counts
from nestde.arrays import Floats
from nestde.cells.roles import references
from nestde.design.values import sorted_labels
from nestde.errors import NestdeError, a_few
from nestde.fit.family import family
from nestde.io.source import label
from nestde.pl.drawing import GROUPS, INK, REST, axes, plain
from nestde.size_factors import PER

if TYPE_CHECKING:
    import anndata
    from matplotlib.axes import Axes


def limits(rows: pd.DataFrame, level: float = 0.95) -> tuple[Floats, Floats]:
    """Limits of the effect in each row of a table of `nestde.de`.

    The moderated test's own, which are of 95 %, where it is the headline; else estimate ± quantile × se, of t where the
    headline has degrees of freedom and of the normal law where it has none.
    """
    coef, se = (rows[name].to_numpy(float) for name in ("coef", "se"))
    df = rows["df_level"].to_numpy(float) if "df_level" in rows else np.full(len(rows), np.nan)
    half = (
        np.where(
            np.isfinite(df),
            student.isf((1 - level) / 2, np.where(df > 0, df, np.nan)),
            norm.isf((1 - level) / 2),
        )
        * se
    )
    low, high = coef - half, coef + half
    if level == 0.95 and "lower_moderated" in rows:
        own = (rows["pvalue_by"] == "moderated").to_numpy(bool) & rows["lower_moderated"].notna().to_numpy(
            bool
        )
        low = np.where(own, rows["lower_moderated"].to_numpy(float), low)
        high = np.where(own, rows["upper_moderated"].to_numpy(float), high)
    return low, high


def forest(
    table: pd.DataFrame,
    genes: str | Sequence[str],
    *,
    cell_type: str | None = None,
    term: str | None = None,
    level: str | None = None,
    against: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw effects of some genes with their 95 % limits: a line for each gene, cell type and comparison.

    Parameters
    ----------
    table
        Of `nestde.de`, or read from ``de/<cell type>.tsv``.
    genes
        One or several.
    cell_type, term, level, against
        Only these; None takes all.
    ax
        Axes to draw on; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        Filled points have ``padj`` up to 0.05.

    Raises
    ------
    NestdeError
        None of the genes has a result there.
    """
    wanted = [genes] if isinstance(genes, str) else list(genes)
    rows = table[table["gene"].isin(wanted) & table["coef"].notna()]
    for name, value in (("cell_type", cell_type), ("term", term), ("level", level), ("against", against)):
        if value is not None:
            rows = rows[rows[name] == value]
    if rows.empty:
        raise NestdeError(f"forest: {a_few(wanted)} has no result in this table.")
    rows = rows.assign(place=rows["gene"].map(wanted.index)).sort_values("place", kind="stable")
    shown = [name for name in ("gene", "cell_type", "level", "against") if rows[name].nunique() > 1] or [
        "gene"
    ]
    ax = axes(ax, 5.0, 0.9 + 0.28 * len(rows))
    low, high = limits(rows)
    y = -np.arange(len(rows))
    ax.hlines(y, low, high, color=INK, lw=1.2)
    found = (rows["padj"] <= 0.05).to_numpy(bool)
    colours = [INK if one else "white" for one in found]
    ax.scatter(rows["coef"], y, s=30, c=colours, edgecolors=INK, zorder=3)
    ax.axvline(0, color=REST, lw=0.8, zorder=0)
    ax.set_yticks(y, [plain("  ".join(map(str, row))) for row in rows[shown].itertuples(index=False)])
    ax.set_ylim(y[-1] - 0.6, 0.6)
    ax.set(xlabel="effect (coef), 95 % limits; filled: FDR ≤ 0.05")
    return ax


def strip(
    adata: "anndata.AnnData",
    gene: str,
    by: str,
    *,
    sample_key: str = "sample_id",
    cell_type: str | None = None,
    cell_type_key: str = "cell_type",
    layer: str | None = None,
    scale: Literal["log", "counts"] = "log",
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw one gene, a dot for each sample: its mean over the sample's cells; the larger, the more cells.

    Parameters
    ----------
    adata
        With raw counts.
    gene
        Of ``adata.var_names``.
    by
        Column of obs, constant within samples, whose values stand side by side, the reference of `nestde.de` first.
    sample_key
        Column of obs that names the sample.
    cell_type, cell_type_key
        Only cells of this type, and the column that names it; None takes all.
    layer
        Layer with the raw counts; None takes X.
    scale
        ``log``: mean of what the linear model looks at, a logarithm of counts per 10,000; ``counts``: mean counts per 10,000.
    ax
        Axes to draw on; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        A bar marks the mean of the samples.

    Raises
    ------
    NestdeError
        The gene, a column or the cell type is not there, or a sample has several values of `by`.
    """
    lacking = [
        name for name in (by, sample_key, *([cell_type_key] if cell_type else [])) if name not in adata.obs
    ]
    if lacking or gene not in adata.var_names:
        raise NestdeError(f"strip: {a_few(lacking or [gene])} is not in the data.")
    rows = (
        np.ones(adata.n_obs, bool)
        if cell_type is None
        else (adata.obs[cell_type_key] == cell_type).to_numpy(bool)
    )
    if not rows.any():
        raise NestdeError(f"strip: no cell is of {cell_type}.")
    counts = raw_counts(adata[rows], layer)
    share = (
        counts[:, adata.var_names.get_loc(gene)].toarray().ravel() / np.asarray(counts.sum(axis=1)).ravel()
    )
    value = np.log1p(share * PER) if scale == "log" else share * PER
    obs = adata.obs.loc[rows, [by, sample_key]]
    cells = pd.DataFrame(
        {"by": obs[by].to_numpy(), "sample": obs[sample_key].astype(str).to_numpy(), "value": value}
    )
    samples = cells.groupby("sample", sort=True).agg(
        by=("by", "first"), kinds=("by", "nunique"), value=("value", "mean"), cells=("value", "size")
    )
    if (samples["kinds"] > 1).any():
        raise NestdeError(
            f"strip: samples {a_few(samples.index[samples['kinds'] > 1])} have several values of {by}."
        )
    samples["by"] = samples["by"].map(label)
    order = [level for one in references(obs, [by], {}) for level in one.levels]
    order = order or sorted_labels(samples["by"])
    ax = axes(ax, 1.5 + len(order))
    biggest = samples["cells"].max()
    for x, level in enumerate(order):
        mine = samples[samples["by"] == level]
        spread = np.linspace(-0.18, 0.18, len(mine)) if len(mine) > 1 else np.zeros(1)
        size = 20 + 100 * mine["cells"] / biggest
        colour = GROUPS[x % len(GROUPS)]
        ax.scatter(x + spread, mine["value"], s=size, c=colour, alpha=0.75, linewidths=0)
        ax.hlines(mine["value"].mean(), x - 0.3, x + 0.3, color=INK, lw=1.5)
    ax.set_xticks(range(len(order)), [plain(level) for level in order])
    ax.set_xlim(-0.6, len(order) - 0.4)
    what = f"mean of {family('gaussian').scale.response}" if scale == "log" else "mean counts per 10,000"
    ax.set(ylabel=what, title=plain(gene if cell_type is None else f"{gene} in {cell_type}"))
    return ax
