"""`nestde.de`: differential expression in one AnnData object, every cell type, in memory."""

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nestde.api.levels import levels_to_test
from nestde.arrays import Floats
from nestde.cells.depth import offered
from nestde.cells.roles import Reference, cell_types_of, samples_of
from nestde.cells.roster import Comparison, Entry, Fewest, Roster, call, levels_of_samples
from nestde.design.formula import of_genes
from nestde.design.testable import NotTestable, design_to_test
from nestde.errors import Faults, NestdeError, NestdeWarning, a_few
from nestde.fit.grain import grain_of
from nestde.io.raw_counts import RawCounts
from nestde.size_factors import Counted, Scaled
from nestde.size_factors import size_factor as size_factor_of
from nestde.study.config import Genes, Model
from nestde.study.schema import rule
from nestde.words import are, count, verb

if TYPE_CHECKING:
    import anndata
    import scipy.sparse

    from nestde.design.design import Design
    from nestde.fit.family import Family

ALL_CELLS = "all cells"
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
    threads: int | None = None,
) -> pd.DataFrame:
    """Test every gene of every cell type by its mixed model.

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
        Layer with the raw counts; None takes X.
    min_cells
        A sample with fewer cells of a cell type is left out of that cell type.
    min_cells_share, min_samples
        Test genes detected in this share of a cell type's cells, and in this many samples.
    size_factors
        What the counts of a cell are divided by: ``median_of_ratios`` or ``library``.
    p_value
        Headline p-value, on which the false discovery rate is computed.
    threads
        Threads to fit with; None takes all. Results do not depend on it.

    Returns
    -------
    pandas.DataFrame
        One row per gene, cell type, term and level, as in the workflow's tables. ``.attrs["nestde"]`` says what was
        used: ``references``, ``samples`` (the column), ``cells`` (cell type -> sample -> cells), ``left_out`` (cell
        type -> sample -> why) and ``said``, the same in sentences, which the logger ``nestde`` has too.

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
    `family`, `min_cells`, `min_cells_share`, `min_samples`, `size_factors` and `p_value` have the defaults of the workflow's
    configuration (None).
    """
    from nestde.expression.celltype import fit_table, moderate
    from nestde.expression.tables import adjust, combine
    from nestde.fit.family import family as family_of
    from nestde.fit.methods import AUTO, instead, method
    from nestde.fit.statistics import sum_up

    terms = [test] if isinstance(test, str) else list(test)
    headline = _setting(p_value, "inference.p_value")
    rules = Genes(
        min_cells_share=_setting(min_cells_share, "genes.min_cells_share"),
        min_samples=_setting(min_samples, "genes.min_samples"),
        size_factors=_setting(size_factors, "genes.size_factors"),
    )
    faults = Faults()
    fitted = None
    with faults.noting():
        fitted = family_of(_setting(family, "model.family"))
        method(headline, fitted.engine)
    scale = size_factor_of("library").scale
    with faults.noting():
        scale = size_factor_of(rules.size_factors).scale
    counts = None
    with faults.noting():
        counts = _counts(adata, layer)
    plan = None
    with faults.noting():
        plan = _plan(
            adata,
            counts,
            scale,
            formula,
            terms,
            cell_type_key,
            levels or {},
            _setting(min_cells, "model.min_cells"),
            fitted,
        )
    faults.raise_if_any()
    assert counts is not None and plan is not None and fitted is not None
    for sentence in plan.said:
        LOG.info(sentence)
    for reference in plan.references:
        if reference.turned:
            warnings.warn(f"{reference.sentence()} Name the levels to choose.", NestdeWarning, stacklevel=2)
    names = np.asarray(adata.var_names.astype(str), object)
    tables, chosen = {}, list[str]()
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
    table = pd.concat(adjust(tables).values(), ignore_index=True)
    table.attrs["nestde"] = plan.told(chosen)
    return table


def _counts(adata: "anndata.AnnData", layer: str | None) -> "scipy.sparse.csr_matrix":
    """Raw counts as CSR without stored zeros."""
    from scipy.sparse import csr_matrix

    if layer is not None and layer not in adata.layers:
        raise NestdeError(f"layer {layer}: the data have {a_few(adata.layers) or 'none'}.")
    counts = csr_matrix(adata.X if layer is None else adata.layers[layer])
    check = RawCounts(layer or "X", adata.obs_names, adata.var_names)
    counts = check.whole(counts, np.arange(counts.shape[0]))
    check.raise_if_any(hint="is there a raw layer?")
    if not counts.data.all():
        counts = counts.copy()  # the arrays are the user's still
        counts.eliminate_zeros()
    empty = int((np.diff(counts.indptr) == 0).sum())
    if empty:
        raise NestdeError(f"{count(int(empty), 'cell')} {verb(empty, 'have')} no counts. Remove them.")
    return counts


def _measured(
    counts: "scipy.sparse.csr_matrix | None",
    scale: Callable[[Counted], Scaled],
    rows: NDArray[np.intp],
    samples: "pd.Series[str]",
) -> tuple[Floats, dict[str, Floats]]:
    """Size factors of some cells, and what is offered to formulas."""
    if counts is None:
        made_up = np.random.default_rng(1).lognormal(size=(3, len(rows)))
        return made_up[0], offered(*made_up)
    mine = counts[rows]
    counted = _counted(mine, samples.iloc[rows])
    size_factor = scale(counted).of_cells
    return size_factor, offered(counted.total, np.diff(mine.indptr).astype(float), size_factor)


def _counted(counts: "scipy.sparse.csr_matrix", samples: "pd.Series[str]") -> Counted:
    """What size factors of some cells are made of."""
    from scipy.sparse import csr_matrix

    names, sample = np.unique(samples.to_numpy(str), return_inverse=True)

    def profiles() -> NDArray[np.int64]:
        of = csr_matrix(
            (np.ones(len(sample), np.int64), (sample, np.arange(len(sample)))), (len(names), len(sample))
        )
        return np.asarray((of @ counts.astype(np.int64)).toarray())

    total = np.asarray(counts.sum(axis=1, dtype=np.int64), float).ravel()
    return Counted(total, sample.astype(np.int64), len(names), profiles)


def _setting(given: Any, key: str) -> Any:
    """What was given, else the schema's default of the key."""
    return rule(key)["default"] if given is None else given


@dataclass(frozen=True)
class TypePlan:
    """One cell type: its cells in samples with enough of them, their design or why there is none, what was left out."""

    rows: NDArray[np.intp]
    size_factor: Floats
    design: "Design | NotTestable"
    cells: dict[str, int]
    left_out: dict[str, str]


@dataclass(frozen=True)
class TestPlan:
    """What is tested with which cells.

    Attributes
    ----------
    model
        With the levels as given or guessed.
    references
        Of the factors in tested terms.
    sample_key, samples
        The column that tells samples apart, and (n,) its values.
    parts
        By cell type.
    untyped
        Number of cells without a cell type.
    """

    model: Model
    references: tuple[Reference, ...]
    sample_key: str
    samples: "pd.Series[str]"
    parts: dict[str, TypePlan]
    untyped: int

    @property
    def said(self) -> list[str]:
        """The same in sentences."""
        said = [reference.sentence() for reference in self.references]
        said.append(f"Samples are told apart by {self.sample_key}: {self.samples.nunique():,} of them.")
        for name, part in self.parts.items():
            left_out = a_few(f"{sample} ({why})" for sample, why in part.left_out.items())
            said.append(
                f"{name}: {len(part.rows):,} cells of {len(part.cells):,} samples"
                + (f"; left out: {left_out}." if left_out else ".")
            )
            if isinstance(part.design, NotTestable):
                said.append(f"{name}: not testable: {part.design.reason}")
            else:
                said += [
                    f"{name}: {test} is not tested: {why}." for test, why in part.design.untested.items()
                ]
        if self.untyped:
            said.append(f"{self.untyped:,} cells without a cell type are in no test.")
        return said

    def told(self, also: Sequence[str]) -> dict[str, object]:
        """What a table's ``attrs`` hold; other sentences come last."""
        return {
            "references": {reference.factor: reference.levels[0] for reference in self.references},
            "samples": self.sample_key,
            "cells": {name: part.cells for name, part in self.parts.items()},
            "left_out": {name: part.left_out for name, part in self.parts.items()},
            "said": [*self.said, *also],
        }


def _plan(
    adata: "anndata.AnnData",
    counts: "scipy.sparse.csr_matrix | None",
    scale: Callable[[Counted], Scaled],
    formula: str,
    tests: Sequence[str],
    cell_type_key: str | Literal[False] | None,
    levels: Mapping[str, Sequence[object]],
    min_cells: int,
    family: "Family | None",
) -> TestPlan:
    """Decide what is tested with which cells. Without counts, whose faults are told elsewhere, what a formula may read of them is made up.

    Raises
    ------
    NestdeError
        All that is wrong with the formula, the tests and the columns of obs.
    """
    faults, obs = Faults(), adata.obs
    twice = adata.var_names[adata.var_names.duplicated()].unique()
    if len(twice):
        faults.add(f"{are(len(twice), 'gene name')} there more than once: {a_few(twice)}. Make them unique.")
    parsed = None
    with faults.noting():
        parsed = of_genes(formula, obs)
    if parsed is None:
        raise NestdeError(faults.sentences)
    key = cell_types_of(obs, cell_type_key, parsed, faults)
    if not parsed.random:
        faults.add(parsed.ungrouped())
    fixed, chosen, found = levels_to_test(obs, parsed, tests, levels, faults)
    model = Model(
        formula=formula, test=fixed, levels=chosen, min_cells=min_cells, family=family.name if family else ""
    )
    name, samples = samples_of(obs, parsed) or ("", pd.Series("", obs.index))
    kind = np.full(len(obs), ALL_CELLS, object)
    if key is not None:
        kind = obs[key].astype(str).where(obs[key].notna(), "").to_numpy(object)
    why_not = family.why_not if family else lambda design: ""
    parts = {}
    for cell_type in sorted(set(kind) - {""}):
        rows = np.flatnonzero(kind == cell_type)
        number = samples.iloc[rows].value_counts().sort_index()
        roster = _roster(obs, rows, samples, model)
        cells = {str(sample): int(number[sample]) for sample in roster.tested}
        rows = rows[samples.iloc[rows].isin(list(cells)).to_numpy()]
        why = roster.untestable()
        size_factor, measured = _measured(counts, scale, rows, samples)
        table = obs.iloc[rows].reset_index(drop=True).assign(**measured)
        design: Design | NotTestable = NotTestable(why)
        if not why:
            design = design_to_test(formula, table, test=fixed, levels=chosen, why_not=why_not)
        if not isinstance(design, NotTestable):
            design = roster.explain(design, model)
        parts[cell_type] = TypePlan(rows, size_factor, design, cells, roster.left_out)
    refused = {
        name: part.design.reason for name, part in parts.items() if isinstance(part.design, NotTestable)
    }
    if len(refused) == len(parts):
        for cell_type, reason in refused.items():
            alone = len(set(refused.values())) == 1
            faults.add(reason if alone else f"{cell_type}: {reason}")
    faults.raise_if_any()
    return TestPlan(model, tuple(found), name, samples, parts, int((kind == "").sum()))


def _roster(obs: pd.DataFrame, rows: NDArray[np.intp], samples: "pd.Series[str]", model: Model) -> Roster:
    """Say of each sample with cells of a type whether it is tested there."""
    named = samples.iloc[rows].astype(str).to_numpy()
    tables = {sample: obs.iloc[rows[named == sample]] for sample in sorted(set(named))}
    factors, levels = levels_of_samples(tables, pd.DataFrame({"sample_id": []}), Comparison.of(model))
    entries = [
        Entry(sample, len(table), len(table), len(table), levels[sample]) for sample, table in tables.items()
    ]
    return call(entries, factors, of_type=Fewest("min_cells", model.min_cells))


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
