"""What is said of a study that is accepted, as data: for the terminal, for machines, for the report."""

from typing import TYPE_CHECKING, Any

import numpy as np

from nestde.check import explain
from nestde.check.cautions import warnings_of
from nestde.check.faults import Answer
from nestde.check.study import Study

if TYPE_CHECKING:
    import pandas as pd


def content(study: Study, answer: Answer) -> dict[str, Any]:
    """Return all that is warned of and explained."""
    return {
        "faults": [],
        "study": {
            "samples": len(np.unique(study.sample)),
            "cells": len(study.sample),
            "cell_types": list(study.config.cell_types),
        },
        "warnings": warnings_of(study, answer),
        "variables": explain.variables(study),
        "nesting": explain.nesting(study),
        "model": explain.model(study, answer),
        "degrees_of_freedom": explain.degrees_of_freedom(study, answer),
        "cell_types": answer.cell_types,
        "explanations": explain.explanations(study, answer),
    }


def resolved_samples(study: Study) -> "pd.DataFrame":
    """Return the sheet with the path of each sample's file, also where one holds them all; sorted by sample_id."""
    sheet = study.sheet.drop(columns="counts", errors="ignore")
    sheet.insert(1, "counts", [study.paths[sample] for sample in sheet["sample_id"]])
    return sheet
