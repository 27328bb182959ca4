"""`nestde.composition`: did the share of a cell type change, in one AnnData object."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nestde.api.levels import levels_to_test
from nestde.cells.roles import samples_of
from nestde.design.formula import of_genes
from nestde.errors import Faults, NestdeError, a_few
from nestde.expression.composition import Composition
from nestde.expression.composition import test as shares_tested
from nestde.study.config import Model

if TYPE_CHECKING:
    import anndata
    import pandas as pd


def composition(
    adata: "anndata.AnnData",
    formula: str,
    *,
    test: str | Sequence[str],
    cell_type_key: str,
    levels: Mapping[str, Sequence[object]] | None = None,
) -> Composition:
    """Test whether the share of any cell type differs between samples, by moderated t tests of logits (propeller's way).

    Parameters
    ----------
    adata
        Cells in rows; only obs is read.
    formula
        lme4's grammar, as for `nestde.de`. Of it what is constant within samples counts; groups of several samples that are
        compared within, as ``(1 | donor)``, are blocks, and those that are compared count once.
    test
        Fixed terms, and named contrasts of levels.
    cell_type_key
        Column of obs; cells without a value are no part of the whole.
    levels
        Factor -> its levels, reference first; else guessed as by `nestde.de`.

    Returns
    -------
    Composition
        With ``table``, one row for each cell type, term and pair of levels, and ``shares``, one for each sample and cell type.

    Raises
    ------
    NestdeError
        With all that is wrong with the formula, the tests and the columns.

    References
    ----------
    Phipson et al. 2022, Bioinformatics 38(20), 4720; Smyth 2004, Stat Appl Genet Mol Biol 3(1).
    """
    faults, obs = Faults(), adata.obs
    parsed = of_genes(formula, obs)
    if cell_type_key not in obs:
        faults.add(f"cell_type_key: obs has no column {cell_type_key}; its columns are {a_few(obs, 12)}.")
    tests = [test] if isinstance(test, str) else list(test)
    fixed, chosen, found = levels_to_test(obs, parsed, tests, levels or {}, faults)
    named = samples_of(obs, parsed)
    if named is None:
        faults.add(
            "formula: nothing tells samples apart. Give obs a column sample_id, or name samples in (1 | …)."
        )
    faults.raise_if_any()
    assert named is not None
    sheet = _sheet(obs, named[1])
    known = {reference.factor: list(reference.levels) for reference in found} | chosen
    cells = obs.groupby([named[1].to_numpy(), obs[cell_type_key].astype(object)], observed=True).size()
    counted: dict[str, dict[str, int]] = {str(sample): {} for sample in sheet["sample_id"]}
    for (sample, kind), number in cells.items():
        counted[str(sample)][str(kind)] = int(number)
    model = Model.of({"formula": formula, "test": fixed, "levels": known})
    tested = shares_tested(counted, sheet, model)
    reasons = tested.table.loc[tested.table["status"] != "ok", "reason"].unique()
    if len(reasons) and (tested.table["status"] != "ok").all():
        raise NestdeError(list(map(str, reasons)))
    return tested


def _sheet(obs: "pd.DataFrame", samples: "pd.Series[str]") -> "pd.DataFrame":
    """A row for each sample, with the columns of obs that are constant within samples."""
    groups = obs.groupby(samples.to_numpy(), observed=True)
    constant = groups.nunique(dropna=False).max() <= 1
    sheet = groups.first()[[name for name in obs if constant[name] and name != "sample_id"]]
    return sheet.rename_axis("sample_id").reset_index()
