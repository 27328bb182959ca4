"""A table of results as scanpy keeps its own, so that what reads those reads it."""

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import ndtri_exp

from nestde.arrays import Floats
from nestde.errors import NestdeError

if TYPE_CHECKING:
    import anndata

# Of scanpy's structure -> what of ours it is.
_FIELDS = {
    "names": "gene",
    "scores": "score",
    "pvals": "pvalue_level",
    "pvals_adj": "padj_level",
    "logfoldchanges": "log2fc",
}


def to_uns(table: pd.DataFrame, adata: "anndata.AnnData", key: str = "rank_genes_groups") -> None:
    """Write a table of `nestde.de` into ``adata.uns`` in the form of ``scanpy.tl.rank_genes_groups``.

    ``scanpy.get.rank_genes_groups_df(adata, group, key=key)`` reads it, and so do scanpy's plots of ranked genes and
    decoupler's methods, for which ``scores`` is the signed statistic.

    Parameters
    ----------
    table
        Of `nestde.de`.
    adata
        The object that it is of; its ``uns`` is changed.
    key
        In ``uns``.

    Notes
    -----
    A group is a cell type, or ``cell type: level - against`` where there is more than one comparison. Genes are in the order of
    their scores, those without a p-value last, with NaN. ``scores`` is the normal deviate of the p-value with the sign of the
    effect, ``pvals`` and ``pvals_adj`` are ``pvalue_level`` and ``padj_level``, ``logfoldchanges`` is ``log2fc``.

    Raises
    ------
    NestdeError
        The table is none of `nestde.de`, or of other genes.
    """
    lacking = [name for name in ("gene", "cell_type", "term", "level", "against") if name not in table]
    genes = pd.Index(adata.var_names.astype(str), name="gene")
    strange = set() if lacking else set(table["gene"]) ^ set(genes)
    if lacking or strange:
        raise NestdeError("to_uns: the table is not of nestde.de on these genes.")
    scored = table.assign(score=_scores(table), log2fc=table.get("log2fc", np.nan))
    compared = scored[scored["level"].notna() & (scored["level"] != "")]
    several = len(compared[["term", "level", "against"]].drop_duplicates()) > 1
    groups: dict[str, pd.DataFrame] = {}
    for (cell_type, _, level, against), rows in compared.groupby(
        ["cell_type", "term", "level", "against"], sort=False, dropna=False
    ):
        versus = f"{level} - {against}" if against and not pd.isna(against) else level
        groups[f"{cell_type}: {versus}" if several else str(cell_type)] = (
            rows.set_index("gene").reindex(genes).reset_index()
        ).sort_values(["score", "gene"], ascending=[False, True], na_position="last")
    if not groups:
        raise NestdeError("to_uns: no comparison has a result.")
    kinds = {"names": object, "scores": np.float32}
    adata.uns[key] = {
        "params": {
            "groupby": "cell_type",
            "reference": "against",
            "method": "nestde",
            "use_raw": False,
            "layer": None,
            "corr_method": "benjamini-hochberg",
        },
        **{
            field: np.rec.fromarrays(
                [rows[column].to_numpy(kinds.get(field, float)) for rows in groups.values()],
                dtype=[(name, np.dtype(kinds.get(field, float))) for name in groups],
            )
            for field, column in _FIELDS.items()
        },
    }


def _scores(table: pd.DataFrame) -> Floats:
    """Normal deviates of the p-values of level against level, signed as the effect; finite where a p-value is 0."""
    level = table["pvalue_level"].to_numpy(float)
    log_p = np.where(
        level > 0,
        np.log(np.where(level > 0, level, 1.0)),
        -math.log(10) * table["neg_log10_pvalue"].to_numpy(float),
    )
    return np.asarray(-ndtri_exp(log_p - math.log(2.0)) * np.sign(table["coef"].to_numpy(float)))
