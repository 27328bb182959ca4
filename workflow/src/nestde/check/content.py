"""What is said of a study that is accepted, as data: for the terminal, for machines, for the report."""

from typing import TYPE_CHECKING

import numpy as np

from nestde.check import explain
from nestde.check.faults import Answer
from nestde.check.found import Accepted
from nestde.check.seen import COUNTED
from nestde.check.study import Study
from nestde.check.warnings import warnings_of

if TYPE_CHECKING:
    import pandas as pd


def content(study: Study, answer: Answer, *, after_qc: bool = False) -> Accepted:
    """Return all that is warned of and explained; `after_qc`: whether that is known of the cells of cell types."""
    return Accepted(
        samples=len(np.unique(study.sample)),
        cells=len(study.sample),
        warnings=warnings_of(study, answer),
        variables=explain.variables(study),
        nesting=explain.nesting(study),
        model=explain.model(study, answer),
        tests=answer.tests,
        cell_types=answer.cell_types,
        counted=COUNTED if after_qc else "",
        explanations=explain.explanations(study, answer),
    )


def resolved_samples(study: Study) -> "pd.DataFrame":
    """Return the sheet with the path of each sample's file, also where one holds them all; sorted by sample_id."""
    sheet = study.sheet.drop(columns="counts", errors="ignore")
    sheet.insert(1, "counts", [study.paths[sample] for sample in sheet["sample_id"]])
    return sheet
