"""All genes of a comparison: volcano, and p-values against what chance gives."""

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import beta, chi2

from nestde.arrays import Floats
from nestde.pl.drawing import DOWN, INK, REST, UP, axes, name_of, one_comparison, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def volcano(
    table: pd.DataFrame,
    *,
    cell_type: str | None = None,
    term: str | None = None,
    level: str | None = None,
    against: str | None = None,
    fdr: float = 0.05,
    label: int = 10,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw effect and p-value of every gene of one comparison.

    Parameters
    ----------
    table
        Of `nestde.de`, or read from ``de/<cell type>.tsv``.
    cell_type, term, level, against
        The comparison, as far as there are several.
    fdr
        Genes with ``padj`` (of several levels ``padj_level``, too) up to this are coloured: orange higher in ``level``, blue lower.
    label
        So many of them, the smallest p-values first, are named.
    ax
        Axes to draw on; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    NestdeError
        No comparison, or several of them, are what is asked for.
    """
    rows = one_comparison(table, cell_type, term, level, against)
    ax = axes(ax)
    height = rows["neg_log10_pvalue"].to_numpy(float)
    effect = rows["coef"].to_numpy(float)
    found = ((rows["padj"] <= fdr) & (rows["padj_level"] <= fdr)).to_numpy(bool)
    drawn = np.isfinite(height) & np.isfinite(effect)
    for colour, which, name in (
        (REST, ~found, ""),
        (UP, found & (effect > 0), "higher"),
        (DOWN, found & (effect < 0), "lower"),
    ):
        which = which & drawn
        says = f"{int(which.sum()):,} {name}" if name else None
        ax.scatter(
            effect[which], height[which], s=9, c=colour, alpha=0.7, linewidths=0, label=says, rasterized=True
        )
    chosen = np.flatnonzero(found & drawn)
    chosen = chosen[np.argsort(-height[chosen], kind="stable")][:label]
    _name(ax, rows["gene"].iloc[chosen].tolist(), effect[chosen], height[chosen])
    ax.margins(x=0.15)
    ax.axvline(0, color=REST, lw=0.8, zorder=0)
    ax.set(xlabel="effect (coef)", ylabel="−log10 p", title=plain(name_of(rows)))
    ax.legend(frameon=False, fontsize=8, title=f"FDR ≤ {fdr:g}", title_fontsize=8)
    return ax


def _name(ax: "Axes", genes: list[str], effect: Floats, height: Floats) -> None:
    """Write names beside points, lower where another stands already."""
    wide, high = 0.25 * (np.ptp(effect) if len(effect) else 0.0), 0.035 * height.max(initial=0.0)
    placed: list[tuple[float, float]] = []
    for gene, x, y in zip(genes, effect, height, strict=True):
        at = y
        while any(abs(x - left) < wide and abs(at - top) < high for left, top in placed):
            at -= high
        placed.append((x, at))
        right = x > 0
        ax.annotate(
            plain(gene),
            (x, at),
            textcoords="offset points",
            xytext=(5 if right else -5, 0),
            ha="left" if right else "right",
            va="center",
            fontsize=7,
            color=INK,
        )


def qq(
    table: pd.DataFrame,
    *,
    cell_type: str | None = None,
    term: str | None = None,
    level: str | None = None,
    against: str | None = None,
    p_value: str = "pvalue",
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw the p-values of one comparison against those of chance alone.

    Points above the band at all heights say that p-values are too small everywhere; only at the right end, that some genes
    differ. λ is the median p-value as χ² of one degree of freedom over that of chance (Devlin & Roeder 1999, Biometrics 55).

    Parameters
    ----------
    table, cell_type, term, level, against, ax
        As `volcano` takes them.
    p_value
        Column with p-values: ``pvalue`` is the headline, ``pvalue_lrt`` and its like the others.

    Returns
    -------
    matplotlib.axes.Axes
        With a 95 % band for each rank, of independent genes.

    Raises
    ------
    NestdeError
        No comparison, or several of them, are what is asked for.
    """
    rows = one_comparison(table, cell_type, term, level, against)
    ax = axes(ax, 4.0)
    p = rows[p_value].to_numpy(float)
    seen = np.maximum(np.sort(p[np.isfinite(p)]), np.finfo(float).tiny)
    n = len(seen)
    rank = np.arange(1, n + 1)
    expected = -np.log10((rank - 0.5) / n)
    low, high = (-np.log10(beta.ppf(q, rank, n - rank + 1)) for q in (0.975, 0.025))
    inflation = chi2.isf(np.median(seen), 1) / chi2.isf(0.5, 1) if n else math.nan
    ax.fill_between(expected, low, high, color=REST, alpha=0.3, lw=0, label="95 % of chance")
    ax.plot(expected, expected, color=REST, lw=0.8)
    ax.scatter(
        expected, -np.log10(seen), s=7, c=DOWN, linewidths=0, rasterized=True, label=f"λ = {inflation:.2f}"
    )
    ax.set(xlabel="−log10 p expected by chance", ylabel=f"−log10 {p_value}", title=plain(name_of(rows)))
    ax.legend(frameon=False, fontsize=8)
    return ax
