"""What is said of a study that is accepted, as data: for the terminal, for machines, for the report."""

from typing import TYPE_CHECKING, Any

from nestde.check.study import Study
from nestde.files import slug

if TYPE_CHECKING:
    import pandas as pd


def content(study: Study, reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Return all that is explained and warned of."""
    return {
        "faults": [],
        "warnings": [],
        "variables": [],
        "nesting": {},
        "model": {"equation": "", "sentence": ""},
        "degrees_of_freedom": [],
        "cell_types": reports,
        "explanations": [],
    }


def resolved_samples(study: Study) -> "pd.DataFrame":
    """Return the sheet with each sample's slug, the slug of its file, and its path; sorted by sample_id."""
    sheet = study.sheet.copy()
    paths = [study.paths[sample] for sample in sheet["sample_id"]]
    sheet = sheet.drop(columns="counts", errors="ignore")
    sheet.insert(1, "slug", [slug(sample) for sample in sheet["sample_id"]])
    sheet.insert(2, "source", [slug(path) for path in paths])
    sheet.insert(3, "counts", paths)
    return sheet
