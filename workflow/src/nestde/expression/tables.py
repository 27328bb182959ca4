"""From chunks of fitted genes to the result tables: every gene in a row, false discovery rates, totals."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from nestde.arrays import Floats
from nestde.design.formula import variables_of
from nestde.errors import NestdeError, a_few
from nestde.fit.family import Family
from nestde.fit.fdr import benjamini_hochberg
from nestde.fit.methods import Method, method

STATUSES = ("ok", "singular", "unstable", "not_testable", "failed")
VALID = ("ok", "singular")
TEXT = (
    "gene",
    "gene_id",
    "cell_type",
    "term",
    "level",
    "against",
    "status",
    "reason",
    "df_method",
    "estimates",
    "pvalue_by",
    "without",
    "hangs",
)
FIRST = [
    "gene",
    "gene_id",
    "cell_type",
    "term",
    "level",
    "against",
    "status",
    "reason",
    "n_cells",
    "n_samples",
]
HEADLINE = ["log2fc", "coef", "se", "pvalue", "pvalue_by", "neg_log10_pvalue", "padj", "padj_global"]


def combine(
    cell_type: str,
    genes: pd.DataFrame,
    fits: Sequence[pd.DataFrame],
    terms: Sequence[str],
    headline: str,
    family: Family,
    moderated: pd.DataFrame | None = None,
    contrasts: Mapping[str, Mapping[tuple[str, str], float]] | None = None,
) -> pd.DataFrame:
    """Put the chunks of one cell type beside the ledger of its genes.

    Parameters
    ----------
    cell_type
        Its name.
    genes
        The ledger: ``gene, status, reason, n_cells, n_samples, mean_<level>, detected_<level>`` for every gene
        that came in; an empty status means that the gene was to be fitted.
    fits
        Chunk tables, one row per gene, term and level.
    terms
        Tested terms: a gene that was not fitted has one row for each.
    headline
        Which of ``pvalue_<headline>`` becomes ``pvalue``; ``auto`` takes the best that there is, ``pvalue_by`` says which.
    family
        That was fitted.
    moderated
        What `celltype.moderate` gives for all genes of the cell type, if there is any.
    contrasts
        Named contrast among the terms -> (factor, level) -> weight, see `NamedContrast.of_levels`.

    Returns
    -------
    pandas.DataFrame
        Rows in the ledger's order of genes, without the false discovery rates.

    Raises
    ------
    NestdeError
        If a gene that was to be fitted is in no chunk, or one that was not is; if `headline` is no p-value.
    """
    fitted = pd.concat(fits, ignore_index=True)
    wanted = genes.loc[genes["status"] == "", "gene"]
    missing, surplus = sorted(set(wanted) - set(fitted["gene"])), sorted(set(fitted["gene"]) - set(wanted))
    if missing or surplus:
        raise NestdeError(
            f"{cell_type}: the chunks do not belong to this matrix: {len(missing)} genes without a fit ({a_few(missing)}), "
            f"{len(surplus)} fits without a gene ({a_few(surplus)}). Remove results/fit and run again."
        )
    every = fitted if moderated is None else moderated
    chosen = method(
        headline, family.engine, lambda name: f"pvalue_{name}" in fitted or f"pvalue_{name}" in every
    )
    if moderated is not None and len(moderated):
        fitted = _with_moderated(fitted, moderated, chosen)
    untested = genes.loc[genes["status"] != "", ["gene", "status", "reason"]]
    rows = pd.concat([fitted, *(untested.assign(term=term) for term in terms)], ignore_index=True)
    # where no gene of a cell type could be fitted, no chunk has them
    rows = rows.reindex(columns=list(dict.fromkeys([*rows, "level", "against", "coef", "se"])))
    table = rows.merge(
        genes.drop(columns=["status", "reason"]), on="gene", how="left", validate="many_to_one"
    )
    table.insert(0, "cell_type", cell_type)
    table["log2fc"] = _log2fc(table, contrasts or {})
    table["pvalue"] = table.get(f"pvalue_{chosen.name}", np.nan)
    table["neg_log10_pvalue"] = table.get(f"logpvalue_{chosen.name}", np.nan) / -np.log(10)
    table["pvalue_by"] = np.where(table["pvalue"].notna(), chosen.name, "")
    for column in {"lrt_df", "iterations"} & set(table):
        table[column] = table[column].astype("Int64")
    table.loc[~table["status"].isin(VALID), ["pvalue", "neg_log10_pvalue"]] = np.nan
    order = pd.Series(range(len(genes)), index=genes["gene"])
    return table.iloc[np.argsort(table["gene"].map(order).to_numpy(), kind="stable")].reset_index(drop=True)


def _with_moderated(fitted: pd.DataFrame, moderated: pd.DataFrame, headline: Method) -> pd.DataFrame:
    """Rows of fits with the p-values that need all genes; where one of them is the headline, level against level too.

    A gene whose fit by REML is not to be trusted has none.
    """
    place = ["gene", "term", "level", "against"]
    # a covariate called `moderated` has a column coef_moderated too: as in formulas, backticks tell that it is a name
    clash = [column for column in fitted if column in moderated and column not in place]
    named = {column: "{}_`{}`".format(*column.split("_", 1)) for column in clash}
    table = fitted.rename(columns=named).merge(moderated, on=place, how="left", validate="one_to_one")
    values = [column for column in moderated if column not in place]
    table.loc[~table["status"].isin(VALID), values] = np.nan
    if headline.every_gene:
        for shown in ("pvalue_level", "coef", "se"):
            table[shown] = table.get(f"{shown}_{headline.name}", table[shown])
        table["df_level"] = table.get(f"df_{headline.name}", np.nan)
    return table.drop(columns=[column for column in values if column.startswith("pvalue_level_")])


def _log2fc(table: pd.DataFrame, contrasts: Mapping[str, Mapping[tuple[str, str], float]]) -> Floats:
    """log2 of the ratio of mean counts per 10,000 of level and reference, NaN where one is 0 or there are none.

    Of a named contrast it is the sum of the weighted logarithms: the mean of several levels is the geometric one.
    """
    ratio = np.full(len(table), np.nan)
    for (term, *levels), rows in table.groupby(["term", "level", "against"], dropna=True).indices.items():
        weights = contrasts.get(term)
        if weights is None:
            factor = "_".join(variables_of(term))
            weights = {(factor, level): sign for level, sign in zip(levels, (1.0, -1.0), strict=True)}
        # a level that two factors have is told with its factor's name
        names = [
            next((name for name in (f"mean_{level}", f"mean_{factor}_{level}") if name in table), "")
            for factor, level in weights
        ]
        if names and all(names):
            means = table[names].to_numpy(float)[rows]
            both = (means > 0).all(axis=1)
            ratio[rows[both]] = np.log2(means[both]) @ np.array(list(weights.values()))
    return ratio


def adjust(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Add Benjamini–Hochberg false discovery rates to each table, and sort it by p-value."""
    rates = rates_of(tables)
    return {name: with_rates(table, rates[name]) for name, table in tables.items()}


def rates_of(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """For each table ``gene, term, padj, padj_global``.

    ``padj`` is over the genes of one cell type and term, ``padj_global`` over all cell types and terms. A
    term with several levels has one p-value per gene and counts once.
    """
    tests = pd.concat(
        {name: table[["gene", "term", "pvalue"]].drop_duplicates(["gene", "term"]) for name, table in tables.items()},
        names=["table"],
    ).reset_index("table")  # fmt: skip
    tests["padj"] = tests.groupby(["table", "term"])["pvalue"].transform(benjamini_hochberg)
    tests["padj_global"] = benjamini_hochberg(tests["pvalue"])
    return {
        name: tests.loc[tests["table"] == name, ["gene", "term", "padj", "padj_global"]] for name in tables
    }


def with_rates(table: pd.DataFrame, rates: pd.DataFrame) -> pd.DataFrame:
    """Put the rates into a table, columns in their order, sorted by p-value.

    ``padj_level`` is of `pvalue_level`, over the genes of one pair of levels.
    """
    table = table.merge(rates, on=["gene", "term"], how="left", validate="many_to_one")
    if "pvalue_level" in table:
        pairs = table.groupby(["term", "level", "against"], dropna=False)["pvalue_level"]
        place = table.columns.get_loc("pvalue_level") + 1
        table.insert(place, "padj_level", pairs.transform(benjamini_hochberg))
    first = [column for column in FIRST if column in table]
    described = [column for column in table if str(column).startswith(("mean_", "detected_"))]
    head = [column for column in HEADLINE if column in table]
    rest = [
        column
        for column in table
        if column not in {*first, *described, *head} and not str(column).startswith("logpvalue_")
    ]
    table = table[[*first, *described, *head, *rest]]
    order = np.lexsort((np.arange(len(table)), -table["neg_log10_pvalue"].fillna(-1).to_numpy(float)))
    return table.iloc[order].reset_index(drop=True)


def totals(tables: Mapping[str, pd.DataFrame], fdr: float) -> pd.DataFrame:
    """Count genes per cell type and term: those that came in, by status, and significant ones up and down.

    ``up`` and ``down`` are by the sign of the effect; of a term with several levels a gene is up or down that is so in any
    pair in which it is found by ``padj_level`` too, and may be both.
    """
    rows = []
    for table in tables.values():
        for term, every in table.groupby("term", sort=False):
            genes = every.drop_duplicates("gene")
            found = genes[genes["padj"] <= fdr]
            pairs = every[every["padj"] <= fdr]
            if len(every) > len(genes):
                pairs = pairs[pairs["padj_level"] <= fdr]
            rows.append(
                {
                    "cell_type": genes["cell_type"].iloc[0],
                    "term": term,
                    "genes": len(genes),
                    "tested": int(genes["pvalue"].notna().sum()),
                    **{status: int((genes["status"] == status).sum()) for status in STATUSES},
                    "significant": len(found),
                    "up": int(pairs.loc[pairs["coef"] > 0, "gene"].nunique()),
                    "down": int(pairs.loc[pairs["coef"] < 0, "gene"].nunique()),
                    "significant_global": int((genes["padj_global"] <= fdr).sum()),
                }
            )
    return pd.DataFrame(rows)
