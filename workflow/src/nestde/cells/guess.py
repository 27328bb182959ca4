"""Guess from an h5ad which columns are sample, diagnosis and cell type, and write a study's configuration."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nestde.design.expressions import quoted
from nestde.errors import NestdeError, a_few
from nestde.io.files import write_text, write_tsv
from nestde.io.formats import open_source
from nestde.io.obs import tidy
from nestde.io.source import Source

if TYPE_CHECKING:
    import pandas as pd

# Names as they are met in public data, likeliest first; compared without case and punctuation.
SAMPLE = ["sampleid", "sample", "samplename", "libraryid", "library", "donorid", "donor", "individual", "individualid",
          "subjectid", "subject", "patientid", "patient", "projid", "origident", "mouseid", "animal", "replicate"]  # fmt: skip
DIAGNOSIS = ["diagnosis", "disease", "diseasestate", "condition", "group", "case", "casecontrol", "status", "phenotype",
             "treatment", "stim", "genotype", "label"]  # fmt: skip
CELL_TYPE = ["celltype", "celltypes", "broadcelltype", "majorcelltype", "cellclass", "annotation", "celltypist", "class",
             "subclass", "cluster", "clusters", "leiden", "louvain", "seuratclusters"]  # fmt: skip
REFERENCE = r"control|ctrl|ctl|healthy|normal|wt|wild.?type|untreated|vehicle|unstim\w*|mock|baseline|non.?demented|nc|none"
NO_DIAGNOSIS = {"sex", "gender", "batch", "chemistry", "donor", "platform", "assay"}
FEWEST_CELLS, FEWEST_SAMPLES = 10, 2


@dataclass(frozen=True)
class Guess:
    """What was guessed: names of columns of obs, and what follows from them."""

    data: Path
    layer: str
    sample: str
    diagnosis: str
    cell_type: str
    levels: tuple[str, ...]
    cell_types: tuple[str, ...]
    remarks: tuple[str, ...]
    sheet: "pd.DataFrame"
    formula: str

    def story(self) -> str:
        """Say in a few lines what was guessed, for a person to correct."""
        lines = [
            f"Guessed from {self.data}; check it:",
            f"  samples     column {self.sample}: {len(self.sheet)}",
            f"  diagnosis   column {self.diagnosis}: {', '.join(self.levels)} (reference: {self.levels[0]})",
            f"  cell types  column {self.cell_type}: {a_few(self.cell_types, 8)}",
            f"  raw counts  {self.layer}",
            f"  model       {self.formula}",
        ]
        return "\n".join([*lines, *(f"  note: {remark}" for remark in self.remarks)])

    def write(self, folder: Path) -> None:
        """Write ``config.yaml`` and ``samples.tsv`` into the folder ``config`` of a study."""
        data, study = self.data.resolve(), folder.resolve().parent
        where = os.path.relpath(data, study) if data.is_relative_to(study) else str(data)
        text = f"""# Written by nestde init from {json.dumps(self.data.name, ensure_ascii=False)}: columns are guesses, check them.
# Every key is described in config/README.md.
title: {_yaml(self.data.stem)}
samples: config/samples.tsv
cell_types: {_yaml(list(self.cell_types))}
input:
  counts: {_yaml(where)}
  layer: {_yaml(self.layer)}
  sample_key: {_yaml(self.sample)}
  cell_type_key: {_yaml(self.cell_type)}
model:
  formula: {_yaml(self.formula)}
  test: {_yaml([quoted(self.diagnosis)])}
  levels:
    {_yaml(self.diagnosis)}: {_yaml(list(self.levels))} # reference first
"""
        write_text(text, folder / "config.yaml")
        write_tsv(self.sheet, folder / "samples.tsv")


def _yaml(value: Any) -> str:
    """JSON is YAML, and quotes what needs to be quoted."""
    return json.dumps(value, ensure_ascii=False)


def guess_study(path: str | Path) -> Guess:
    """Guess sample, diagnosis and cell type from names and values of the columns of obs.

    Sample: a column with a known name, two or more values. Diagnosis: a factor that has one value in each sample, by
    name, else the only one with two values. Cell type: by name. Raw counts: the first of X, raw and the layers whose
    first cells hold whole numbers.

    Raises
    ------
    NestdeError
        Saying for every column that could not be guessed which ones there are.
    """
    path = Path(path)
    layer, source = raw_layer(path)
    obs = source.obs.apply(tidy)
    sample = by_name(obs, SAMPLE, lambda column: column.nunique() >= 2)
    if sample is None:
        raise NestdeError(
            f"{path}: no column of obs looks like the sample; there are {a_few(obs.columns, 20) or 'none'}. Name it "
            "in input.sample_key of a configuration of your own (nestde init without --from)."
        )
    constant = constant_within(obs, sample)
    diagnosis = guess_diagnosis(obs, constant, sample)
    cell_type = by_name(obs, CELL_TYPE, lambda column: column.nunique() >= 1)
    missing = [
        f"{path}: no column of obs looks like the {what}; there are {a_few(obs.columns, 20)}. Name it in {key} of a "
        "configuration of your own (nestde init without --from)."
        for what, found, key in [
            ("diagnosis (one value in each sample, two or more in all)", diagnosis, "model.formula"),
            ("cell type", cell_type, "input.cell_type_key"),
        ]
        if found is None
    ]
    if missing or diagnosis is None or cell_type is None:
        raise NestdeError(missing)
    for name in (sample, diagnosis, cell_type):
        if not _sayable(name):
            raise NestdeError(
                f"{path}: the column {name!r} of obs has a name that no formula and no table can hold: a backtick, or what "
                "is not printed. Rename it, and run nestde init again."
            )
    unsayable = [repr(name) for name in constant if not _sayable(name)]
    constant = [name for name in constant if _sayable(name)]
    levels = reference_first(obs[diagnosis].dropna().astype(str).unique())
    chosen, others = usable_types(obs, sample, diagnosis, cell_type)
    remarks = []
    if unsayable:
        remarks.append(
            f"left out, for a backtick or what is not printed in their names: {a_few(unsayable, 8)}"
        )
    if others:
        remarks.append(f"left out, with too few cells: {a_few(others, 8)}")
    if not chosen:
        raise NestdeError(
            f"{path}: no cell type ({cell_type}) has {FEWEST_CELLS} cells in {FEWEST_SAMPLES} samples of each "
            f"{diagnosis} ({sample}). There is nothing to compare."
        )
    kept = [name for name in constant if name not in (cell_type, "sample_id", "counts")]
    sheet = obs.groupby(sample, observed=True)[kept].first().reset_index(names="sample_id")
    paired = [name for name in constant if _plain(name) in SAMPLE and is_paired(sheet, name, diagnosis)]
    if paired:
        remarks.append(
            f"every {paired[0]} has one sample of each {diagnosis}; consider + (1 | {quoted(paired[0])})"
        )
    saturation = ["sequencing_saturation"] if "sequencing_saturation" in obs else []
    formula = "~ " + " + ".join([*saturation, quoted(diagnosis), "(1 | sample_id)"])
    sheet["sample_id"] = sheet["sample_id"].astype(str)
    return Guess(
        path, layer, sample, diagnosis, cell_type, tuple(levels), tuple(chosen), tuple(remarks),
        sheet.sort_values("sample_id", ignore_index=True), formula,
    )  # fmt: skip


def _sayable(name: str) -> bool:
    """Whether a formula and a table can hold the name of a column."""
    return name.isprintable() and "`" not in name and bool(name.strip())


def raw_layer(path: Path) -> tuple[str, Source]:
    """Return the first of X, raw and the layers that starts with whole numbers, opened; X if none does."""
    first = open_source(path)
    candidates = ["X", "raw", "counts", "raw_counts"]
    for layer in candidates:
        try:
            source = first if layer == "X" else open_source(path, layer=layer)
        except NestdeError:
            continue
        data = source.rows(0, min(200, len(source.obs))).data
        if len(data) and np.all(data >= 0) and np.all(data == np.floor(data)):
            return layer, source
    return "X", first


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", str(name).lower())


def by_name(obs: "pd.DataFrame", names: Sequence[str], fits: Any) -> str | None:
    """Column whose name is the first of the names, and whose values fit; None if there is none."""
    plain = {_plain(column): str(column) for column in reversed(obs.columns)}
    return next((plain[name] for name in names if name in plain and fits(obs[plain[name]])), None)


def constant_within(obs: "pd.DataFrame", sample: str) -> list[str]:
    """Columns with one value in every sample."""
    groups = obs.groupby(sample, observed=True)
    return [
        name for name in obs.columns if name != sample and (groups[name].nunique(dropna=False) <= 1).all()
    ]


def guess_diagnosis(obs: "pd.DataFrame", constant: Sequence[str], sample: str) -> str | None:
    """Return the factor that samples differ in: by its name, else the only one with two values."""

    def fits(column: "pd.Series[Any]") -> bool:
        return column.dtype.kind not in "f" and 2 <= column.nunique() < obs[sample].nunique()

    named = by_name(obs[list(constant)], DIAGNOSIS, fits)
    if named is not None:
        return named
    others = [name for name in constant if obs[name].nunique() == 2 and _plain(name) not in NO_DIAGNOSIS]
    return others[0] if len(others) == 1 else None


def is_paired(sheet: "pd.DataFrame", name: str, diagnosis: str) -> bool:
    """Whether every level of a column has one sample of each diagnosis."""
    table = sheet.groupby([name, diagnosis], observed=False).size()
    return bool((table == 1).all()) and len(table) == len(sheet)


def reference_first(levels: Sequence[str]) -> list[str]:
    """Sorted, but a level that is named like a control comes first."""
    return sorted(levels, key=lambda level: (not is_control(level), level))


def is_control(level: str) -> bool:
    """Whether a level is named like what others are compared with."""
    return re.fullmatch(REFERENCE, level.lower()) is not None


def usable_types(
    obs: "pd.DataFrame", sample: str, diagnosis: str, cell_type: str
) -> tuple[list[str], list[str]]:
    """Cell types with enough cells in enough samples of each diagnosis, and the others."""
    cells = obs.groupby([cell_type, diagnosis, sample], observed=True).size()
    enough = (cells >= FEWEST_CELLS).groupby(level=[0, 1], observed=True).sum() >= FEWEST_SAMPLES
    levels = obs[diagnosis].nunique()
    counted = enough.groupby(level=0, observed=True).sum()
    every = sorted(map(str, counted.index))
    chosen = sorted(str(name) for name in counted.index[counted == levels])
    return chosen, [name for name in every if name not in chosen]
