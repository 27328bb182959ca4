"""What is tested with which cells of an AnnData object, before anything is fitted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

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
from nestde.errors import Faults, NestdeError, a_few
from nestde.size_factors import Counted, Scaled
from nestde.study.config import Model
from nestde.words import are

if TYPE_CHECKING:
    import anndata
    import scipy.sparse

    from nestde.design.design import Design
    from nestde.fit.family import Family

ALL_CELLS = "all cells"


@dataclass(frozen=True)
class TypePlan:
    """One cell type: its cells in samples with enough of them, their design or why there is none, what was left out."""

    rows: NDArray[np.intp]
    size_factor: Floats
    design: "Design | NotTestable"
    cells: dict[str, int]
    left_out: dict[str, str]

    def told(self) -> dict[str, object]:
        """What a table's ``attrs`` hold of the design: the model, its coefficients and groups; or why there is none."""
        if isinstance(self.design, NotTestable):
            return {"reason": self.design.reason}
        return {
            "formula": self.design.formula.text,
            "coefficients": list(self.design.coef_names),
            "levels": {name: list(levels) for name, levels in self.design.levels.items()},
            "tests": list(self.design.tests),
            "untested": dict(self.design.untested),
            "groups": {factor.name: len(factor.levels) for factor in self.design.random},
            "cells": self.design.n,
        }


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
            "design": {name: part.told() for name, part in self.parts.items()},
        }


def plan_of(
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
    named = family.name if family else ""
    model = Model(formula=formula, test=fixed, levels=chosen, min_cells=min_cells, family=named, also=[])
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
