"""`nestde.check`: the design check of an AnnData object, as an object that prints."""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from nestde.api.counts import raw_counts, setting
from nestde.api.levels import levels_to_test
from nestde.api.plan import ALL_CELLS
from nestde.api.printed import Part, Summary
from nestde.cells.roles import cell_types_of, samples_of
from nestde.check.found import Accepted, Warned
from nestde.design.formula import of_genes
from nestde.errors import Faults, NestdeError

if TYPE_CHECKING:
    import anndata

# Keys of the configuration, which sentences of the check name, are arguments here.
_KEYS = re.compile(r"\b(?:model|input)\.(formula|test|levels|min_cells|family|cell_type_key|sample_key)\b")


@dataclass(frozen=True, repr=False)
class DesignCheck:
    """What a design can answer and what it cannot; print it, or let a notebook show it.

    Attributes
    ----------
    faults
        Why it is refused, each with what to do; none if it is not.
    found
        All that is said of a design that can answer: nesting, tests with what they cost, cell types, explanations; None if
        refused. `nestde.check.found` documents it.
    """

    faults: tuple[str, ...]
    found: Accepted | None

    @property
    def ok(self) -> bool:
        """Whether the design can answer."""
        return not self.faults

    @property
    def warnings(self) -> tuple[Warned, ...]:
        """What makes the answer worse than it seems: each with ``id, title, text``."""
        return self.found.warnings if self.found else ()

    @property
    def cell_types(self) -> pd.DataFrame:
        """What can be estimated in each.

        ``samples, cells, estimable, reason``, ``lrt_size`` (true size of its likelihood-ratio test at 0.05) and
        ``smallest_effect`` (that is seen with a power of 80 %, in SD between samples).
        """
        names = ["samples", "cells", "estimable", "reason", "lrt_size", "smallest_effect"]
        types = self.found.cell_types if self.found else ()
        rows = [[getattr(each, name) for name in names] for each in types]
        return pd.DataFrame(
            rows, columns=names, index=pd.Index([each.cell_type for each in types], name="cell_type")
        )

    def raise_if_refused(self) -> None:
        """Raise `NestdeError` with all faults, if there are any."""
        if self.faults:
            raise NestdeError(self.faults)

    def explain(self) -> str:
        """The long form: the equation, what each variable is, and answers to doubts that come with such a design."""
        return self._text(explain=True)

    def __str__(self) -> str:
        return self._text(explain=False)

    __repr__ = __str__

    def _text(self, *, explain: bool) -> str:
        from nestde.check.render import terminal

        if self.found is None:
            return "\n\n".join(["The design cannot answer this", *self.faults])
        text = terminal(self.found, explain=explain, stream=io.StringIO())
        return text.replace("nestde check --explain says why", "check.explain() says why")

    def _repr_html_(self) -> str:
        from nestde.check.render import CELL_TYPE_HEADS, cell_type_row

        if self.found is None:
            return Summary(
                (Part(("The design cannot answer this",)), *(Part((each,)) for each in self.faults))
            )._repr_html_()
        found = self.found
        table = (CELL_TYPE_HEADS, *map(cell_type_row, found.cell_types))
        return Summary(
            (
                Part(("The study can be answered", found.model.formula, found.model.sentence)),
                Part(tuple(found.nesting.text.split("\n"))),
                Part(tuple(test.text for test in found.tests)),
                Part(("Cell types",), table),
                *(Part((f"Warning: {each.title}", each.text)) for each in found.warnings),
            )
        )._repr_html_()


def check_design(
    adata: "anndata.AnnData",
    formula: str,
    *,
    test: str | Sequence[str],
    cell_type_key: str | Literal[False] | None = None,
    family: str | None = None,
    levels: Mapping[str, Sequence[object]] | None = None,
    layer: str | None = None,
    min_cells: int | None = None,
) -> DesignCheck:
    """Check what a design can answer, before anything is fitted: ``nestde.check(adata, …)``.

    It is what ``nestde check`` says of a study: aliased terms, samples that are too few, what the tests cost, depth that
    differs between the arms. Counts are only added up by cell.

    Parameters
    ----------
    adata, formula, test, cell_type_key, family, levels, layer, min_cells
        As `nestde.de` takes them.

    Returns
    -------
    DesignCheck
        Also where the design is refused: ``check.ok`` says it, ``check.faults`` why.

    Raises
    ------
    NestdeError
        What cannot be read at all: counts, formula, levels, columns that are not there.
    """
    counts = None
    faults = Faults()
    with faults.noting():
        counts = raw_counts(adata, layer)
    with faults.noting():
        parsed = of_genes(formula, adata.obs)
        key = cell_types_of(adata.obs, cell_type_key, parsed, faults)
        terms = [test] if isinstance(test, str) else list(test)
        _, chosen, _ = levels_to_test(adata.obs, parsed, terms, levels or {}, faults)
        samples = samples_of(adata.obs, parsed)
        if samples is None:
            faults.add(parsed.ungrouped() or "formula: obs has none of the columns that group its cells.")
    faults.raise_if_any()
    assert counts is not None and samples is not None
    obs = _writable(adata.obs).assign(sample_id=samples[1].to_numpy())
    kinds = [ALL_CELLS] if key is None else sorted(adata.obs[key].dropna().astype(str).unique())
    if key is None:
        key = _free("cell_type", obs)
        obs[key] = ALL_CELLS
    settings = {
        "cell_types": kinds,
        "input": {"cell_type_key": key},
        "qc": {"enabled": False, "min_cells_per_sample": 1},
        "model": {
            "formula": formula,
            "test": terms,
            "levels": chosen,
            "min_cells": setting(min_cells, "model.min_cells"),
            "family": setting(family, "model.family"),
        },
        "pseudobulk": {"enabled": False},
    }
    return _checked(obs, np.asarray(counts.sum(axis=1, dtype=np.int64)), settings)


def _checked(obs: pd.DataFrame, totals: Any, settings: dict[str, Any]) -> DesignCheck:
    """Check as the workflow does, on a study with one gene: the cells' totals, which is all that it reads of counts."""
    import anndata as ad
    from scipy.sparse import csr_matrix

    from nestde.check import check_study
    from nestde.io.files import write_tsv
    from nestde.study.config import read

    with TemporaryDirectory() as name:
        data, sheet = Path(name, "adata.h5ad"), Path(name, "samples.tsv")
        study = ad.AnnData(csr_matrix(totals), obs=obs, var=pd.DataFrame(index=["total"]))
        study.write_h5ad(data)
        write_tsv(pd.DataFrame({"sample_id": sorted(set(obs["sample_id"]))}), sheet)
        where = {"samples": str(sheet), "input": {**settings["input"], "counts": str(data)}}
        config, told = read(settings | where)
        check = check_study(config, told)

    def said(text: str) -> str:
        text = text.replace(str(data), "adata").replace(str(sheet), "adata.obs")
        return _KEYS.sub(r"\1", text)

    return DesignCheck(
        tuple(map(said, check.faults)), None if check.accepted is None else _mapped(check.accepted, said)
    )


def _mapped(value: Any, said: Any) -> Any:
    """The same value with all of its texts as an AnnData object's."""
    from dataclasses import fields, is_dataclass, replace

    if isinstance(value, str):
        return said(value)
    if isinstance(value, tuple):
        return tuple(_mapped(each, said) for each in value)
    if isinstance(value, Mapping):
        return {key: _mapped(each, said) for key, each in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{each.name: _mapped(getattr(value, each.name), said) for each in fields(value)}
        )
    return value


def _writable(obs: pd.DataFrame) -> pd.DataFrame:
    """Columns as a file can hold them: numbers as they are, all else as text."""
    columns: dict[str, Any] = {}
    for name, column in obs.items():
        number = pd.api.types.is_numeric_dtype(column.dtype) and column.dtype.kind in "biuf"
        text = column.astype(object).where(column.notna(), None)
        columns[str(name)] = column if number else pd.Categorical(text.map(str, na_action="ignore"))
    return pd.DataFrame(columns, index=obs.index.astype(str))


def _free(name: str, obs: pd.DataFrame) -> str:
    """A name that no column has."""
    return name if name not in obs else _free(f"{name}_", obs)
