"""`nestde.de`: differential expression in one AnnData object, every cell type, in memory."""

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nestde.api.check import check_design
from nestde.api.counts import raw_counts, setting
from nestde.api.plan import plan_of
from nestde.api.uns import to_uns
from nestde.arrays import Floats
from nestde.cells.roster import Comparison
from nestde.design.design import Design
from nestde.design.testable import NotTestable
from nestde.errors import Faults, NestdeWarning
from nestde.fit.grain import grain_of
from nestde.size_factors import size_factor as size_factor_of
from nestde.study.config import Genes, Model

if TYPE_CHECKING:
    import anndata
    import scipy.sparse

    from nestde.fit.family import Statistics

LOG = logging.getLogger("nestde")


def de(
    adata: "anndata.AnnData",
    formula: str,
    *,
    test: str | Sequence[str],
    cell_type_key: str | Literal[False] | None = None,
    family: str | None = None,
    levels: Mapping[str, Sequence[object]] | None = None,
    layer: str | None = None,
    min_cells: int | None = None,
    min_cells_share: float | None = None,
    min_samples: int | None = None,
    size_factors: str | None = None,
    p_value: str | None = None,
    relabellings: int = 0,
    seed: int = 1,
    key_added: str | None = None,
    threads: int | None = None,
) -> pd.DataFrame:
    """Test every gene of every cell type by its mixed model.

    The workflow's tables in memory: the same cells, designs, fits and p-values.

    Parameters
    ----------
    adata
        Cells × genes of raw counts, with all covariates of the formula in obs.
    formula
        lme4's grammar, without a response: ``~ sequencing_saturation + diagnosis + (1 | sample_id)``. The response
        is every gene's expression, as the family has it.
    test
        Fixed terms to test, each by leaving it out; and named contrasts of levels, such as ``AD - Control``,
        ``(AD + MCI)/2 - Control`` or, of an interaction, ``AD - Control | sex=F``.
    cell_type_key
        Column of obs: each of its values is analysed apart. False takes all cells together; None does so where no
        column of obs looks like cell types, and else asks for it.
    family
        Model family, as ``model.family`` of the configuration: ``gaussian`` is a linear mixed model of log-normalised counts.
    levels
        Factor -> its levels, reference first. Of others that are tested, an ordered categorical's first level is the
        reference, else one that is named like a control, else the first by the alphabet.
    layer
        Layer with the raw counts; None takes ``adata.uns`` under.
    min_cells
        A sample with fewer cells of a cell type is left out of that cell type.
    min_cells_share, min_samples
        Test genes detected in this share of a cell type's cells, and in this many samples.
    size_factors
        What the counts of a cell are divided by: ``median_of_ratios`` or ``library``.
    p_value
        Headline p-value, on which the false discovery rate is computed.
    relabellings
        So many times at most samples get each other's labels, to measure how often each p-value is small where nothing
        differs; each costs about a fit of all genes. The workflow makes 30.
    seed
        Of their draw.
    key_added
        Key of ``adata.uns`` under which the table is written, too, as scanpy's ``rank_genes_groups`` writes its own (see
        `nestde.to_uns`).
    threads
        Threads to fit with; None takes all. Results do not depend on it.

    Returns
    -------
    pandas.DataFrame
        One row per gene, cell type, term and level; *Notes* tells each column.

        ``.attrs["nestde"]`` says what was used: ``references``, ``samples`` (the column), ``cells`` (cell type -> sample ->
        cells), ``left_out`` (cell type -> sample -> why), ``design`` (cell type -> formula, coefficients, levels, tests,
        groups; or the reason), ``warnings`` (of the design check: id, title, text), ``calibration`` (one record per
        cell type, term and method, with its true size at 0.05, 0.01 and 0.001 and a verdict; or why there is none) and ``said``,
        sentences, which the logger ``nestde`` has too.

    Raises
    ------
    NestdeError
        With all that is wrong with the counts, the formula or the covariates.

    Warns
    -----
    NestdeWarning
        Where a reference was guessed that is not the first by the alphabet, which turns signs round.

    Notes
    -----
    Columns, those of the workflow's ``de/<cell type>.tsv``; where one has no value it is NaN, or '' if it is text:

    - ``gene``, ``gene_id``, ``cell_type``, ``term``, ``level``, ``against``: what was tested; effects are of ``level`` against
      ``against``, positive = higher in ``level``
    - ``status``, ``reason``: ``ok``; ``singular`` (a variance is zero: the fit is valid), ``unstable``, ``not_testable``,
      ``failed``; and why
    - ``n_cells``, ``n_samples``: cells and samples in which the gene was detected
    - ``mean_<level>``, ``detected_<level>``: mean counts per 10,000 of the size factor, and share of cells with the gene
    - ``log2fc``: log2 ratio of these means, a description; NaN where one of them is 0
    - ``coef``, ``se``: the effect of the headline's fit and its standard error, on the scale of the family: of ``gaussian`` natural log of 1 + counts
      per 10,000, of counts log ratios; ``estimates``: that fit, ML or REML
    - ``pvalue``, ``neg_log10_pvalue``, ``pvalue_by``: headline p-value of the term, its −log10 (never rounded to 0), its name
    - ``padj``, ``padj_global``: its false discovery rate (Benjamini–Hochberg) within the cell type, and over all
    - ``df_level``, ``pvalue_level``, ``padj_level``: t test of this level against the other alone, with its degrees of freedom, and its
      false discovery rate
    - ``loglik_full``, ``loglik_reduced``, ``lrt_stat``, ``lrt_df``, ``pvalue_lrt``, ``padj_lrt``: likelihood-ratio test of the term, by ML
    - ``pvalue_satterthwaite``, ``df_satterthwaite``, ``df_method``, ``pvalue_kenward_roger``, ``df_kenward_roger``,
      ``pvalue_containment``, ``df_containment``: t or F tests by REML, their degrees of freedom, how the first was found
    - ``pvalue_means``, ``df_means``: moderated t or F test of the samples' means, as limma's
    - ``pvalue_moderated``, ``coef_moderated``, ``se_moderated``, ``lower_moderated``, ``upper_moderated``: the moderated test, its
      effect with standard error and 95 % limits; ``icc_moderated``, ``variance_moderated``, ``variance_moderated_<level>``,
      ``variance_ratio_moderated``: what it takes the variances for
    - ``without``, ``coef_without``, ``hangs``: of what is likely found, the sample without which least is left of the effect, what
      is left, and whether the finding hangs on it (``sign``, ``half``)
    - ``pvalue_lrt_f``, ``df_lrt_f``, ``dispersion``, ``sd``: of count models, the likelihood ratio as F, and the counts' dispersion; ``sd_cox_reid``: the
      SD between samples by Cox and Reid's adjusted likelihood, as REML has it;
      with ``p_value="lrt_bartlett"`` ``pvalue_lrt_bartlett``, ``bartlett_factor``: the ratio over its mean without an effect
    - ``sigma``, ``sd_<group>_<effect>``, ``corr_<group>_<effects>``, ``icc``: residual SD, SDs of random effects, correlations between
      them, share of variance between samples
    - ``coef_<coefficient>``, ``se_<coefficient>``: all coefficients of the model, and their standard errors
    - ``iterations``: how often the optimiser evaluated the two models

    `family`, `min_cells`, `min_cells_share`, `min_samples`, `size_factors` and `p_value` have the defaults of the workflow's
    configuration (None).
    """
    from nestde.expression.celltype import fit_table, moderate
    from nestde.expression.tables import adjust, combine
    from nestde.fit.family import family as family_of
    from nestde.fit.methods import AUTO, instead, method
    from nestde.fit.statistics import sum_up

    terms = [test] if isinstance(test, str) else list(test)
    headline = setting(p_value, "inference.p_value")
    rules = Genes(
        min_cells_share=setting(min_cells_share, "genes.min_cells_share"),
        min_samples=setting(min_samples, "genes.min_samples"),
        size_factors=setting(size_factors, "genes.size_factors"),
    )
    faults = Faults()
    fitted = None
    with faults.noting():
        fitted = family_of(setting(family, "model.family"))
        method(headline, fitted.engine)
    scale = size_factor_of("library").scale
    with faults.noting():
        scale = size_factor_of(rules.size_factors).scale
    counts = None
    with faults.noting():
        counts = raw_counts(adata, layer)
    plan = None
    with faults.noting():
        plan = plan_of(
            adata,
            counts,
            scale,
            formula,
            terms,
            cell_type_key,
            levels or {},
            setting(min_cells, "model.min_cells"),
            fitted,
        )
    if relabellings < 0:
        faults.add(f"relabellings {relabellings}: must not be negative.")
    faults.raise_if_any()
    assert counts is not None and plan is not None and fitted is not None
    for sentence in plan.said:
        LOG.info(sentence)
    for reference in plan.references:
        if reference.turned:
            warnings.warn(f"{reference.sentence()} Name the levels to choose.", NestdeWarning, stacklevel=2)
    names = np.asarray(adata.var_names.astype(str), object)
    tables, chosen, calibration = {}, list[str](), list[dict[str, object]]()
    for cell_type, part in plan.parts.items():
        mine = counts[part.rows].tocsc()
        mine.sort_indices()
        obs = adata.obs.iloc[part.rows].reset_index(drop=True)
        ledger = _ledger(mine, part.size_factor, obs, plan.samples.iloc[part.rows], names, plan.model, rules)
        tested = np.flatnonzero(ledger["status"] == "")
        grain = None if isinstance(part.design, NotTestable) else grain_of(part.design)
        statistics = sum_up(fitted, grain, mine[:, tested], part.size_factor, names[tested], threads)
        fits = fit_table(part.design, statistics, terms, headline, threads)
        every = moderate(part.design, statistics, terms, threads)
        tables[cell_type] = combine(
            *(cell_type, ledger, [fits], terms, headline, statistics.family, every.table),
            plan.model.weights_of_levels(),
        )
        for term in terms if headline == AUTO else ():
            taken = tables[cell_type].loc[tables[cell_type]["term"] == term, "pvalue_by"].max()
            if words := instead(taken, fitted.engine, every.reasons[term]):
                chosen.append(f"{cell_type}, {term}: {words}.")
                LOG.info(chosen[-1])
        calibration += _calibration(
            cell_type, part.design, statistics, terms, headline, relabellings, seed, threads
        )
    table = pd.concat(adjust(tables).values(), ignore_index=True)
    found = check_design(
        *(adata, formula),
        test=terms,
        cell_type_key=cell_type_key,
        family=family,
        levels=plan.model.levels,
        layer=layer,
        min_cells=min_cells,
    )
    table.attrs["nestde"] = plan.told(chosen) | {
        "warnings": [
            *(
                {"id": "refused", "title": "The design check refuses this", "text": each}
                for each in found.faults
            ),
            *(asdict(warned) for warned in found.warnings),
        ],
        "calibration": calibration,
    }
    if key_added is not None:
        to_uns(table, adata, key_added)
    return table


def _calibration(
    cell_type: str,
    design: Design | NotTestable,
    statistics: "Statistics",
    terms: Sequence[str],
    headline: str,
    relabellings: int,
    seed: int,
    threads: int | None,
) -> list[dict[str, object]]:
    """One record for each term and method; or why there is none."""
    from nestde.calibrate.calibration import calibrate

    if not relabellings or isinstance(design, NotTestable):
        why = (
            design.reason if isinstance(design, NotTestable) else "not asked for: relabellings=30 measures it"
        )
        return [{"cell_type": cell_type, "term": term, "reason": why} for term in terms]
    records: list[dict[str, object]] = []
    for term in terms:
        found = calibrate(design, statistics, term, headline, number=relabellings, seed=seed, threads=threads)
        if isinstance(found.ways, str):
            records.append({"cell_type": cell_type, "term": term, "reason": found.ways})
        records += [{"cell_type": cell_type, **row} for row in found.table.to_dict("records")]
    return records


def _ledger(
    counts: "scipy.sparse.csc_matrix",
    size_factor: Floats,
    obs: pd.DataFrame,
    sample: "pd.Series[str]",
    names: NDArray[np.object_],
    model: Model,
    rules: Genes,
) -> pd.DataFrame:
    """Every gene with its cells, samples, and by level its mean and share of cells; and why it is not tested."""
    from nestde.cells.matrix import judge, tested_levels

    codes, found = pd.factorize(sample)
    gene_of = np.repeat(np.arange(len(names)), np.diff(counts.indptr))
    pairs = np.unique(gene_of.astype(np.int64) * len(found) + codes[counts.indices])
    table = {
        "gene": names,
        "n_cells": np.diff(counts.indptr).astype(np.int64),
        "n_samples": np.bincount(pairs // len(found), minlength=len(names)),
    }
    for level, mask in tested_levels(obs, Comparison.of(model)).items():
        cells = max(int(mask.sum()), 1)
        table[f"mean_{level}"] = counts.T @ (mask / size_factor) / cells
        table[f"detected_{level}"] = np.bincount(gene_of[mask[counts.indices]], minlength=len(names)) / cells
    ledger = pd.DataFrame(table)
    rule, reason = judge(ledger, len(obs), len(found), [""] * len(names), rules)
    ledger.insert(1, "status", np.where(rule == "", "", "not_testable"))
    ledger.insert(2, "reason", reason)
    return ledger
