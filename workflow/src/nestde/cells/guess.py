"""Guess from an h5ad which columns are sample, diagnosis and cell type, where raw counts are, and what may be asked of them."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.cells.depth import LOG_SIZE_FACTOR
from nestde.cells.fitting import Change, changed, fitting, forecast, measure
from nestde.cells.proposal import UNKNOWN, Guess, Told
from nestde.cells.rawness import raw_layer
from nestde.cells.sayable import MISSING, is_name, odd_values, without_na
from nestde.design.expressions import quoted
from nestde.errors import NestdeError, a_few
from nestde.io.formats import open_source
from nestde.io.obs import tidy
from nestde.io.source import Source, label
from nestde.study.config import QC
from nestde.study.schema import rule, schema, with_defaults
from nestde.words import count

if TYPE_CHECKING:
    import pandas as pd

# Names as they are met in public data, likeliest first; compared without case and punctuation.
SAMPLE = ["sampleid", "sample", "samplename", "libraryid", "library", "donorid", "donor", "individual", "individualid",
          "subjectid", "subject", "patientid", "patient", "projid", "origident", "mouseid", "animal", "replicate"]  # fmt: skip
DIAGNOSIS = ["diagnosis", "disease", "diseasestate", "diseasestatus", "condition", "group", "case", "casecontrol", "status",
             "phenotype", "treatment", "stim", "genotype", "agegroup", "label"]  # fmt: skip
CELL_TYPE = ["celltype", "celltypes", "broadcelltype", "majorcelltype", "cellclass", "annotation", "celltypist", "class",
             "subclass", "cluster", "clusters", "leiden", "louvain", "seuratclusters"]  # fmt: skip
DONOR = ["donorid", "donor", "individualid", "individual", "subjectid", "subject", "patientid", "patient", "projid",
         "mouseid", "mouse", "animalid", "animal"]  # fmt: skip
COVARIATE = ["sex", "gender", "age", "ageatdeath", "batch", "pool", "chemistry", "assay", "site", "pmi", "rin",
             "developmentstage"]  # fmt: skip
SYMBOL = ["featurename", "genesymbols", "genesymbol", "symbol", "symbols", "genename", "genenames", "geneshortname",
          "hgncsymbol", "mgisymbol", "name"]  # fmt: skip
ID = r"ENS[A-Z]*G\d{5,}(\.\d+)?"
REFERENCE = r"control|ctrl|ctl|healthy|normal|wt|wild.?type|untreated|vehicle|unstim\w*|mock|baseline|non.?demented|nc|none"
NO_DIAGNOSIS = {
    *DONOR,
    *COVARIATE,
    "platform",
    "tissue",
    "suspensiontype",
    "selfreportedethnicity",
    "ethnicity",
}
FEWEST_CELLS, FEWEST_SAMPLES = 10, 2
SINGLET = ("singlet", "sng")  # what demultiplexing and doublet callers write of one cell


def guess_study(path: str | Path, told: Told | None = None) -> Guess:
    """Guess sample, diagnosis and cell type from names and values of the columns of obs, and the rest from them.

    Sample: a column with a known name, two or more values. Diagnosis: a factor that has one value in each sample, by
    name, else the only one with two values. Cell type: by name. Raw counts: the first of X, raw and the layers that
    holds whole numbers. Quality control: the defaults, or what fits the counts.

    Raises
    ------
    NestdeError
        No layer holds raw counts; what was told is not there; a column's name is none that a formula can hold.
    """
    path, told = Path(path), told or Told()
    layer, source = (
        raw_layer(path) if told.layer is None else (told.layer, open_source(path, layer=told.layer))
    )
    gene = told.gene or symbols_of(source)
    if gene is not None:
        source = open_source(path, layer=layer, gene_key=gene)
    obs = source.obs.apply(lambda column: without_na(tidy(column)))
    keep = singlets(obs)
    _check_told(path, obs, told)
    fits = {
        "sample": [told.sample]
        if told.sample
        else named(obs, SAMPLE, lambda column: 2 <= column.nunique() < len(column)),
    }
    if not told.sample:
        fits["sample"] = _without_twins(obs, fits["sample"])
    sample = fits["sample"][0] if fits["sample"] else ""
    constant = constant_within(obs, sample) if sample else []
    fits["diagnosis"] = [told.test] if told.test else diagnoses(obs, constant, sample) if sample else []
    types = [name for name in obs if name not in (sample, *fits["diagnosis"])]
    fits["cell type"] = [told.cell_type] if told.cell_type else named(
        obs[types], CELL_TYPE, lambda column: column.nunique() >= 1 and column.dtype.kind != "f"
    )  # fmt: skip
    diagnosis, cell_type = ((fits[role] or [""])[0] for role in ("diagnosis", "cell type"))
    for name in filter(None, (sample, diagnosis, cell_type)):
        if not is_name(name):
            raise NestdeError(
                f"{path}: the column {name!r} of obs has a name that no formula and no table can hold: a backtick, or what "
                "is not printed. Rename it, and run nestde init again."
            )
        if name != cell_type and (odd := odd_values(_labels(obs[name]).dropna().unique())):
            raise NestdeError(
                f"{path}: {name} has values that no sample sheet gives back as they are: {a_few(map(repr, odd))}. They begin or "
                "end with a quote or blank, or hold a tab or line end. Rename them, and run nestde init again."
            )
    remarks = []
    unsayable = [repr(name) for name in constant if not is_name(name)]
    constant = [name for name in constant if is_name(name)]
    if unsayable:
        remarks.append(
            f"left out, for a backtick or what is not printed in their names: {a_few(unsayable, 8)}"
        )
    spoilt = [
        name
        for name in constant
        if name not in (cell_type, diagnosis) and odd_values(_labels(obs[name]).dropna().unique())
    ]
    if spoilt:
        remarks.append(f"left out, for a quote, blank or tab at the ends of their values: {a_few(spoilt, 8)}")
        constant = [name for name in constant if name not in spoilt]
    levels: list[str] = []
    chosen: list[str] = []
    others: list[str] = []
    if cell_type:
        chosen = sorted(map(str, obs[cell_type].dropna().unique()))
    if diagnosis:
        levels = reference_first(_labels(obs[diagnosis]).dropna().unique(), told.reference)
        if told.reference and told.reference not in levels:
            raise NestdeError(
                f"{path}: {diagnosis} has no level {told.reference}; it has {a_few(levels, 12)}."
            )
    if cell_type and diagnosis:
        usable, others = usable_types(obs, sample, diagnosis, cell_type)
        if usable:
            chosen = usable
        else:
            remarks.append(
                f"no cell type has {FEWEST_CELLS} cells in {FEWEST_SAMPLES} samples of two levels of {diagnosis}: as it "
                "is, nothing can be compared"
            )
            others = []
    if others:
        remarks.append(f"left out, with too few cells: {a_few(others, 8)}")
    sheet = _sheet(obs, sample, [name for name in constant if name not in (cell_type, "sample_id", "counts")])
    if diagnosis and (lost := list(sheet.loc[sheet[diagnosis].isna(), "sample_id"])):
        remarks.append(
            f"{count(len(lost), 'sample')} without a {diagnosis} left out (input.keep): {a_few(lost, 8)}"
        )
        sheet = sheet[sheet[diagnosis].notna()].reset_index(drop=True)
        keep[diagnosis] = levels
    elif sample and source.obs[sample].map(str).eq(MISSING).any():
        keep[sample] = list(sheet["sample_id"])
    donor = told.donor or _donor(sheet, diagnosis)
    formula, paired = _formula(sheet, obs, diagnosis, donor)
    remarks += paired
    for name, values in keep.items():
        gone = int((~_labels(obs[name]).isin(values)).sum())
        remarks.append(f"{gone:,} cells whose {name} is not {a_few(values)} are not kept (input.keep)")
    proposed = _quality(source, obs, sample, diagnosis, keep)
    unknown = [
        f"{key}: no column of obs looks like the {what}; there are {a_few(obs.columns, 20) or 'none'} ({option})"
        for what, found, key, option in [
            ("sample", sample, "input.sample_key", "--sample-key"),
            ("diagnosis (one value in each sample, two or more in all)", diagnosis, "model", "--test"),
            ("cell type", cell_type, "input.cell_type_key", "--cell-type-key"),
        ]
        if not found
    ]
    return Guess(
        path, layer, gene, sample, diagnosis, cell_type, tuple(levels), tuple(chosen), formula, sheet,
        others={role: names[1:] for role, names in fits.items() if names[1:]},
        covariates=_covariates(sheet, diagnosis, donor), keep=keep,
        remarks=tuple(remarks), unknown=tuple(unknown), qc=tuple(proposed[0]), forecast=tuple(proposed[1]),
    )  # fmt: skip


def _check_told(path: Path, obs: "pd.DataFrame", told: Told) -> None:
    wanted = {
        "--sample-key": told.sample,
        "--test": told.test,
        "--cell-type-key": told.cell_type,
        "--donor-key": told.donor,
    }
    faults = [
        f"{path}: obs has no column {name} ({option}); it has {a_few(obs.columns, 20) or 'none'}."
        for option, name in wanted.items()
        if name and name not in obs
    ]
    if faults:
        raise NestdeError(faults)


def symbols_of(source: Source) -> str | None:
    """Column of var with symbols, where the index has ids and there is one."""
    if source.var is None or not len(source.var):
        return None
    index = [str(name) for name in source.var.index[:1000]]
    if sum(re.fullmatch(ID, name) is not None for name in index) < 0.5 * len(index):
        return None
    for name in named(source.var, SYMBOL, lambda column: column.dtype.kind not in "ifb"):
        values = [str(value) for value in source.var[name].iloc[:1000]]
        if sum(re.fullmatch(ID, value) is None for value in values) > 0.5 * len(values):
            return name
    return None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", str(name).lower())


def named(frame: "pd.DataFrame", names: Sequence[str], fits: Callable[[Any], bool]) -> list[str]:
    """Columns with one of the names, in the order of the names, whose values fit."""
    plain = {_plain(column): str(column) for column in reversed(frame.columns)}
    return [plain[name] for name in names if name in plain and fits(frame[plain[name]])]


def by_name(obs: "pd.DataFrame", names: Sequence[str], fits: Callable[[Any], bool]) -> str | None:
    """Column whose name is the first of the names, and whose values fit; None if there is none."""
    return next(iter(named(obs, names, fits)), None)


def _without_twins(obs: "pd.DataFrame", names: Sequence[str]) -> list[str]:
    """Columns that group cells in another way than one named before."""
    import pandas as pd

    kept: list[str] = []
    codes: list[NDArray[np.int64]] = []
    for name in names:
        mine = pd.factorize(obs[name])[0]
        if not any(np.array_equal(mine, other) for other in codes):
            kept.append(name)
            codes.append(mine)
    return kept


def constant_within(obs: "pd.DataFrame", sample: str) -> list[str]:
    """Columns with one value in every sample."""
    groups = obs.groupby(sample, observed=True)
    return [
        name for name in obs.columns if name != sample and (groups[name].nunique(dropna=False) <= 1).all()
    ]


def diagnoses(obs: "pd.DataFrame", constant: Sequence[str], sample: str) -> list[str]:
    """Factors that samples differ in: by their names, else the only one with two values, and what else would do."""

    def fits(column: "pd.Series[Any]") -> bool:
        return column.dtype.kind not in "f" and 2 <= column.nunique() < obs[sample].nunique()

    found = named(obs[list(constant)], DIAGNOSIS, fits)
    others = [
        name
        for name in constant
        if obs[name].nunique() == 2
        and _plain(name) not in NO_DIAGNOSIS
        and not _plain(name).endswith("ontologytermid")
    ]
    if not found and len(_without_twins(obs, others)) != 1:
        return []
    return _without_twins(obs, [*found, *(name for name in others if name not in found)])


def guess_diagnosis(obs: "pd.DataFrame", constant: Sequence[str], sample: str) -> str | None:
    """Return the best of `diagnoses`."""
    return next(iter(diagnoses(obs, constant, sample)), None)


def _sheet(obs: "pd.DataFrame", sample: str, kept: Sequence[str]) -> "pd.DataFrame":
    """One row per sample: its name, and the columns that are constant within samples."""
    import pandas as pd

    if not sample:
        return pd.DataFrame({"sample_id": pd.Series(dtype=object)})
    sheet = obs.groupby(sample, observed=True)[list(kept)].first().reset_index(names="sample_id")
    sheet["sample_id"] = sheet["sample_id"].astype(str)
    return sheet.sort_values("sample_id", ignore_index=True)


def _donor(sheet: "pd.DataFrame", diagnosis: str) -> str | None:
    """Column of donors of which some have several samples."""
    fits = named(
        sheet.drop(columns=[name for name in ("sample_id", diagnosis) if name in sheet]),
        DONOR,
        lambda column: 2 < column.nunique() < len(column),
    )
    return next(iter(fits), None)


def _formula(
    sheet: "pd.DataFrame", obs: "pd.DataFrame", diagnosis: str, donor: str | None
) -> tuple[str, list[str]]:
    """The formula, and what is to be said of donors in it."""
    terms = ["sequencing_saturation" if "sequencing_saturation" in obs else LOG_SIZE_FACTOR]
    terms.append(quoted(diagnosis) if diagnosis else UNKNOWN)
    remarks = []
    if donor is not None and donor in sheet and diagnosis in sheet:
        if is_paired(sheet, donor, diagnosis):
            number = sheet[donor].dtype.kind in "iuf"
            terms.append(f"C({quoted(donor)})" if number else quoted(donor))
            remarks.append(
                f"every {donor} has one sample of each {diagnosis}, so they are compared within donors: {terms[-1]} is in the "
                "formula, and in that of pseudobulk"
            )
        else:
            terms.append(f"(1 | {quoted(donor)})")
            remarks.append(
                f"several samples are of one {donor}: they are no independent ones, so (1 | {quoted(donor)})"
            )
    return "~ " + " + ".join([*terms, "(1 | sample_id)"]), remarks


def _covariates(sheet: "pd.DataFrame", diagnosis: str, donor: str | None) -> dict[str, str]:
    """Columns of samples that are named like covariates, each with what speaks against it."""
    found = {}
    rest = sheet.drop(columns=[name for name in ("sample_id", diagnosis, donor) if name in sheet])
    for name in named(rest, COVARIATE, lambda column: column.nunique() > 1):
        column, why = sheet[name], ""
        if column.isna().any():
            why = f"{int(column.isna().sum())} samples have no value"
        elif diagnosis in sheet and (column.dtype.kind not in "iuf" or column.nunique() == 2):
            pairs = sheet[[name, diagnosis]].astype(str).drop_duplicates()
            if len(pairs) == column.nunique():
                why = f"each has one {diagnosis}: the two cannot be told apart"
            elif column.nunique() > max(2, len(sheet) / 3):
                why = f"{column.nunique()} values in {len(sheet)} samples"
        found[name] = why
    return found


def singlets(obs: "pd.DataFrame") -> dict[str, list[str]]:
    """Columns in which cells were called singlets, and others were not -> the label of the singlets."""
    found = {}
    for name in obs:
        if obs[name].dtype.kind in "ifb" or obs[name].nunique() < 2:
            continue
        labels = [str(label) for label in obs[name].dropna().unique() if str(label).lower() in SINGLET]
        if labels:
            found[str(name)] = sorted(labels)
    return found


def _quality(
    source: Source, obs: "pd.DataFrame", sample: str, diagnosis: str, keep: Mapping[str, Sequence[str]]
) -> tuple[list[Change], list[str]]:
    """Bounds that fit, and what they would remove."""
    qc, min_cells = default_qc(), int(rule("model.min_cells")["default"])
    cells = measure(source, qc)
    samples, levels = (
        _texts(obs[name].iloc[cells.index])
        if name
        else np.full(len(cells), "all cells" if i == 0 else "", object)
        for i, name in enumerate((sample, diagnosis))
    )
    wanted = np.all([_labels(obs[name]).isin(values) for name, values in keep.items()], axis=0) & np.ones(
        len(obs), bool
    )
    inside = (samples != "") & wanted[cells.index]
    cells, samples, levels = cells[inside], samples[inside], levels[inside]
    changes = fitting(cells, samples, levels, list(source.genes), qc, min_cells)
    return changes, forecast(cells, samples, levels, changed(qc, changes))


def default_qc() -> QC:
    """Section ``qc`` as the schema has it."""
    return QC(**with_defaults({}, schema("config")["properties"]["qc"]))


def _labels(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Values as `input.keep` and the sheet name them: text, missing where they are."""
    return column.astype(object).map(label, na_action="ignore")


def _texts(column: "pd.Series[Any]") -> NDArray[np.object_]:
    """Text of each value, '' where it is missing."""
    values = column.astype(object)
    return np.asarray(values.where(values.notna(), "").map(str), object)


def is_paired(sheet: "pd.DataFrame", name: str, diagnosis: str) -> bool:
    """Whether every level of a column has one sample of each diagnosis."""
    table = sheet.groupby([name, diagnosis], observed=False).size()
    return bool((table == 1).all()) and len(table) == len(sheet)


def reference_first(levels: Sequence[str], reference: str | None = None) -> list[str]:
    """Sorted, but the reference comes first, or a level that is named like a control."""
    return sorted(levels, key=lambda level: (level != reference, not is_control(level), level))


def is_control(level: str) -> bool:
    """Whether a level is named like what others are compared with."""
    return re.fullmatch(REFERENCE, level.lower()) is not None


def usable_types(
    obs: "pd.DataFrame", sample: str, diagnosis: str, cell_type: str
) -> tuple[list[str], list[str]]:
    """Cell types with enough cells in enough samples of two diagnoses, and the others."""
    cells = obs.groupby([cell_type, diagnosis, sample], observed=True).size()
    enough = (cells >= FEWEST_CELLS).groupby(level=[0, 1], observed=True).sum() >= FEWEST_SAMPLES
    counted = enough.groupby(level=0, observed=True).sum()
    every = sorted(map(str, counted.index))
    chosen = sorted(str(name) for name in counted.index[counted >= 2])
    return chosen, [name for name in every if name not in chosen]
