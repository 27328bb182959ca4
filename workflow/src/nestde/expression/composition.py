"""Did the share of a cell type change? Moderated t and F tests of the logits of samples' shares.

The way of propeller (Phipson et al. 2022, Bioinformatics 38(20), 4720): each sample counts once, by the logit of its share of
cells of the type, ``log(p / (1 - p))`` with ``p = (cells + 1/2) / (all cells + types / 2)``, and the residual variances are
squeezed over the cell types as limma squeezes those of genes (see `nestde.fit.means`; without limma's robust variant).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit
from scipy.stats import t as student

from nestde.arrays import Floats
from nestde.design.contrasts import contrasts, joint
from nestde.design.formula import parse
from nestde.design.testable import NotTestable
from nestde.expression.pseudobulk_de import SampleFormula, paired_design, sample_formula
from nestde.fit.fdr import benjamini_hochberg
from nestde.fit.means import Spread, moderated_tests
from nestde.study.config import Model

if TYPE_CHECKING:
    from nestde.design.design import Design

COLUMNS = [
    "cell_type", "term", "level", "against", "status", "reason", "n_samples",
    "coef", "se", "lower", "upper", "pvalue_level", "padj_level", "df", "pvalue", "padj", "pvalue_unmoderated",
]  # fmt: skip
TEXT = ("cell_type", "term", "level", "against", "status", "reason")
ALONE = Spread(1.0, 0.0)  # a variance of its own, to which nothing is lent
ONE_TYPE = "there is one cell type only: its share is all of every sample"


@dataclass(frozen=True)
class Composition:
    """Tests of the shares of cell types.

    Attributes
    ----------
    table
        `COLUMNS`, a row for each cell type, tested term and pair of levels: the difference of the logits (a log odds
        ratio, positive = a larger share in `level`), its standard error and 95 % limits; `pvalue` is of the whole term, with
        its false discovery rate over the cell types, and beside it that with a variance of the cell type's own.
    shares
        ``sample_id, cell_type, cells, share``: of every sample that is tested.
    formula
        Over samples, as it was fitted.
    unit
        What counted once: ``sample_id``, or a group of several samples between which all is tested, as donors.
    """

    table: pd.DataFrame
    shares: pd.DataFrame
    formula: SampleFormula
    unit: str


def shares(cells: Mapping[str, Mapping[str, int]]) -> pd.DataFrame:
    """Lay cells out as ``sample_id, cell_type, cells, share``, every type of any sample in each sample, both sorted.

    Parameters
    ----------
    cells
        Sample -> cell type -> its cells; those without a type are no part of the whole.
    """
    types = sorted({name for of in cells.values() for name, number in of.items() if number})
    rows = [(sample, name, int(cells[sample].get(name, 0))) for sample in sorted(cells) for name in types]
    found = pd.DataFrame(rows, columns=["sample_id", "cell_type", "cells"])
    return found.assign(share=found["cells"] / found.groupby("sample_id")["cells"].transform("sum"))


def test(cells: Mapping[str, Mapping[str, int]], samples: pd.DataFrame, model: Model) -> Composition:
    """Test every cell type's share by the model's formula over samples.

    Parameters
    ----------
    cells
        Sample -> cell type -> its cells, of the samples that take part; those without a cell of any type are left out.
    samples
        ``sample_id`` and covariates, one row for each sample.
    model
        Section ``model`` of the configuration.
    """
    found = shares({sample: of for sample, of in cells.items() if any(of.values())})
    counts = found.pivot(index="sample_id", columns="cell_type", values="cells")
    obs = samples[samples["sample_id"].isin(counts.index)].sort_values("sample_id").reset_index(drop=True)
    counts = counts.loc[list(obs["sample_id"])]
    formula, design = paired_design(obs, sample_formula(model, None, list(obs.columns)), model)
    unit, codes = "sample_id", np.arange(len(obs))
    if not isinstance(design, NotTestable):
        unit, codes = _units(design, obs, model)
        if counts.shape[1] == 1:
            design = NotTestable(ONE_TYPE)
    table = _table(counts, design, codes, model, formula)
    return Composition(table.reindex(columns=COLUMNS), found, formula, unit)


def logits(counts: Floats) -> Floats:
    """Logits of shares with half a cell added to each type: (samples, types), also of counts (samples, types)."""
    added = counts + 0.5
    return np.asarray(logit(added / added.sum(axis=1, keepdims=True)))


def _units(design: "Design", obs: pd.DataFrame, model: Model) -> tuple[str, NDArray[np.intp]]:
    """The grouping factor of the model of fewest groups within which nothing is tested; else each sample by itself."""
    tested = sorted({column for columns in design.tests.values() for column in columns})
    unit, codes = "sample_id", np.arange(len(obs))
    for term in parse(model.formula).random:
        names = [name for name in term.factors if name in obs]
        if len(names) < len(term.factors) or not tested:
            continue
        own = obs.groupby(names, sort=True, observed=True).ngroup().to_numpy(np.intp)
        first = np.unique(own, return_index=True)[1]
        constant = (design.x[:, tested] == design.x[first][own][:, tested]).all()
        if constant and len(first) < codes.max() + 1:
            unit, codes = ":".join(names), own
    return unit, codes


def _table(
    counts: pd.DataFrame,
    design: "Design | NotTestable",
    codes: NDArray[np.intp],
    model: Model,
    formula: SampleFormula,
) -> pd.DataFrame:
    parts = []
    types = counts.columns.to_numpy(object)
    of = {"cell_type": types, "n_samples": (counts > 0).sum(axis=0).to_numpy()}
    size = np.bincount(codes)[:, None] if len(codes) else np.ones((0, 1))
    for term in model.test:
        why = _why_not(design, term, model, formula)
        if why or isinstance(design, NotTestable):
            parts.append(pd.DataFrame({**of, "term": term, "status": "not_testable", "reason": why}))
            continue
        x, y = (_sums(codes, columns) / size for columns in (design.x, logits(counts.to_numpy(float))))
        df = len(x) - int(np.linalg.matrix_rank(x))
        pairs = contrasts(design, term)
        rows = [joint(design, term).rows, *(pair.rows for pair in pairs)]
        # of two shares each is the other's complement: it tells nothing of the other's variance
        spread = ALONE if len(types) == 2 else None
        tests = (
            moderated_tests(y.T, x, df, rows, spread)
            if df
            else f"the coefficients take up all {len(x)} samples"
        )
        if isinstance(tests, str):
            parts.append(pd.DataFrame({**of, "term": term, "status": "not_testable", "reason": tests}))
            continue
        whole, *of_pairs = tests
        by_itself = moderated_tests(y.T, x, df, rows[:1], ALONE)
        assert not isinstance(by_itself, str)
        plain = np.exp(by_itself[0].log_p)
        pvalue = np.exp(whole.log_p)
        for pair, own in zip(pairs, of_pairs, strict=True):
            coef, se, level = own.coef[:, 0], own.se[:, 0], np.exp(own.log_p)
            reach = float(student.ppf(0.975, own.df_residual)) * se
            place = {"term": term, "level": pair.level, "against": pair.against, "status": "ok"}
            effect = {"coef": coef, "se": se, "lower": coef - reach, "upper": coef + reach}
            alone = {"pvalue_level": level, "padj_level": benjamini_hochberg(level), "df": own.df_residual}
            together = {"pvalue": pvalue, "padj": benjamini_hochberg(pvalue), "pvalue_unmoderated": plain}
            parts.append(pd.DataFrame(of | place | effect | alone | together))
    table = pd.concat(parts, ignore_index=True).reindex(columns=COLUMNS)
    words = ["level", "against", "reason"]
    return table.fillna(dict.fromkeys(words, ""))


def _sums(codes: NDArray[np.intp], columns: Floats) -> Floats:
    return np.stack([np.bincount(codes, column) for column in columns.T], axis=1)


def _why_not(design: "Design | NotTestable", term: str, model: Model, formula: SampleFormula) -> str:
    """Why a term is not tested of shares; '' if it is."""
    if isinstance(design, NotTestable):
        return design.reason
    if term in design.tests:
        return ""
    return design.untested.get(term, f"{model.about(term)} is not in the formula {formula.text}")
