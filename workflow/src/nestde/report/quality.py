"""Quality control: per sample, how many cells came in, how many each rule removed, how many stayed."""

from nestde.report.artefacts import Results
from nestde.report.sections import Section

CHAPTER = "quality"


def sections(results: Results) -> list[Section]:
    """All sections of the chapter, in order."""
    return []
