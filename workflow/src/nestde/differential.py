"""`nestde.de`: differential expression in one AnnData object, every cell type, in memory."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nestde.config import Genes, Model
from nestde.errors import Faults, NestdeError, a_few
from nestde.formula import parse, variables_of

if TYPE_CHECKING:
    import anndata
    import scipy.sparse


def de(
    adata: "anndata.AnnData",
    formula: str,
    *,
    test: str | Sequence[str],
    cell_type_key: str | None = None,
    levels: Mapping[str, Sequence[str]] | None = None,
    layer: str | None = None,
    min_cells_share: float = 0.0,
    min_samples: int = 1,
    p_value: str = "lrt",
    threads: int | None = None,
) -> pd.DataFrame:
    """Test every gene of every cell type by its mixed model.

    Parameters
    ----------
    adata
        Cells × genes of raw counts, with all covariates of the formula in obs.
    formula
        lme4's grammar, without a response: ``~ sequencing_saturation + diagnosis + (1 | sample_id)``. The response
        is log(1 + counts per 10,000).
    test
        Fixed terms to test, each by leaving it out.
    cell_type_key
        Column of obs: each of its values is analysed apart. None takes all cells together.
    levels
        Factor -> its levels, reference first. Others take sorted order.
    layer
        Layer with the raw counts; None takes X.
    min_cells_share, min_samples
        Test genes detected in this share of a cell type's cells, and in this many samples.
    p_value
        Headline p-value, on which the false discovery rate is computed.
    threads
        Threads to fit with; None takes all. Results do not depend on it.

    Returns
    -------
    pandas.DataFrame
        One row per gene, cell type, term and level, as in the workflow's tables.

    Raises
    ------
    NestdeError
        With all that is wrong with the counts, the formula or the covariates.
    """
    from nestde.celltype import design_of, fit_table, moderate
    from nestde.fit.methods import method
    from nestde.fit.statistics import of_counts
    from nestde.tables import adjust, combine

    terms = [test] if isinstance(test, str) else list(test)
    method(p_value)
    given = {name: [str(level) for level in order] for name, order in (levels or {}).items()}
    model = Model(formula=formula, test=terms, levels=given, min_cells=1)
    counts = _counts(adata, layer)
    sample_key = _check(adata, model, cell_type_key)
    names = np.asarray(adata.var_names.astype(str), object)
    kind = (
        adata.obs[cell_type_key].astype(str).where(adata.obs[cell_type_key].notna(), "").to_numpy()
        if cell_type_key
        else np.full(adata.n_obs, "all cells")
    )
    rules = Genes(min_cells_share=min_cells_share, min_samples=min_samples, size_factors="library")
    tables, refused = {}, []
    for cell_type in sorted(set(kind) - {""}):  # cells without a type are in no test
        cells = np.flatnonzero(kind == cell_type)
        mine = counts[cells].tocsc()
        mine.sort_indices()
        size_factor = np.asarray(mine.sum(axis=1), float).ravel() / 1e4
        obs = adata.obs.iloc[cells].reset_index(drop=True)
        ledger = _ledger(mine, size_factor, obs, obs[sample_key], names, model, rules)
        tested = np.flatnonzero(ledger["status"] == "")
        design = design_of(model, obs)
        refused += [f"{cell_type}: {design}"] if isinstance(design, str) else []
        statistics = of_counts(design, mine[:, tested], size_factor, names[tested], threads)
        fits = fit_table(design, statistics, terms, p_value, threads)
        every = moderate(design, statistics, terms, threads)
        tables[cell_type] = combine(cell_type, ledger, [fits], terms, p_value, every)
    if len(refused) == len(tables):
        raise NestdeError(refused)
    return pd.concat(adjust(tables).values(), ignore_index=True)


def _counts(adata: "anndata.AnnData", layer: str | None) -> "scipy.sparse.csr_matrix":
    """Raw counts as CSR without stored zeros."""
    from scipy.sparse import csr_matrix

    if layer is not None and layer not in adata.layers:
        raise NestdeError(f"layer {layer}: the data have {a_few(adata.layers) or 'none'}.")
    counts = csr_matrix(adata.X if layer is None else adata.layers[layer])
    counts.eliminate_zeros()
    wrong = ~np.isfinite(counts.data) | (counts.data < 0) | (counts.data != np.round(counts.data))
    if wrong.any():
        raise NestdeError(
            f"{layer or 'X'} holds {wrong.sum():,} values that are no counts (first: {counts.data[wrong.argmax()]:g}). "
            "DE needs raw counts; is there a raw layer?"
        )
    empty = int((np.diff(counts.indptr) == 0).sum())
    if empty:
        raise NestdeError(f"{empty:,} cells have no counts. Remove them.")
    return counts


def _check(adata: "anndata.AnnData", model: Model, cell_type_key: str | None) -> str:
    """Name of the column that tells samples apart: sample_id, or the formula's finest grouping factor."""
    from nestde.design import random_test

    faults = Faults()
    parsed = parse(model.formula)
    twice = adata.var_names[adata.var_names.duplicated()].unique()
    if len(twice):
        faults.add(f"{len(twice)} gene names are there more than once: {a_few(twice)}. Make them unique.")
    if cell_type_key is not None and cell_type_key not in adata.obs:
        faults.add(
            f"cell_type_key: obs has no column {cell_type_key}; its columns are {a_few(adata.obs, 12)}."
        )
    for term in model.test:
        random_test(parsed, term, faults)
    faults.raise_if_any()
    if "sample_id" in adata.obs or not parsed.random:
        return "sample_id" if "sample_id" in adata.obs else str(adata.obs.columns[0])
    groups = [name for term in parsed.random for name in term.factors if name in adata.obs]
    return max(groups, key=lambda name: adata.obs[name].nunique(), default=variables_of(model.test[0])[0])


def _ledger(
    counts: "scipy.sparse.csc_matrix",
    size_factor: NDArray[np.float64],
    obs: pd.DataFrame,
    sample: "pd.Series[str]",
    names: NDArray[np.object_],
    model: Model,
    rules: Genes,
) -> pd.DataFrame:
    """Every gene with its cells, samples, and by level its mean and share of cells; and why it is not tested."""
    from nestde.matrix import judge, tested_levels

    codes, found = pd.factorize(sample)
    gene_of = np.repeat(np.arange(len(names)), np.diff(counts.indptr))
    pairs = np.unique(gene_of.astype(np.int64) * len(found) + codes[counts.indices])
    table = {
        "gene": names,
        "n_cells": np.diff(counts.indptr).astype(np.int64),
        "n_samples": np.bincount(pairs // len(found), minlength=len(names)),
    }
    for level, mask in tested_levels(obs, model).items():
        cells = max(int(mask.sum()), 1)
        table[f"mean_{level}"] = counts.T @ (mask / size_factor) / cells
        table[f"detected_{level}"] = np.bincount(gene_of[mask[counts.indices]], minlength=len(names)) / cells
    ledger = pd.DataFrame(table)
    rule, reason = judge(ledger, len(obs), len(found), np.zeros(len(names), bool), rules)
    ledger.insert(1, "status", np.where(rule == "", "", "not_testable"))
    ledger.insert(2, "reason", reason)
    return ledger
