"""For the paper."""

from nestde.report.page import script
from nestde.report.results import Results
from nestde.report.sections import Section, html

CHAPTER = "paper"


def sections(results: Results) -> list[Section]:
    """The chapter."""
    return [Section("nestde_versions", CHAPTER, "Versions", html(f"<p></p>{script()}"))]
