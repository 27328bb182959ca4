"""The study: who was compared, by which model, and what the design check had to say."""

from nestde.report.artefacts import Results
from nestde.report.sections import Section

CHAPTER = "study"


def sections(results: Results) -> list[Section]:
    """All sections of the chapter, in order."""
    return []
