"""The last word of `nestde run`: what of the results has to be known before they are read."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from nestde.cells.concerns import MOST, concerns, removed_words, share
from nestde.errors import NestdeError, a_few
from nestde.report.results import Results
from nestde.study.config import Config


def closing_words(results: Results) -> Iterator[str]:
    """Sentences on quality control, for the terminal."""
    for title, text in concerns(results.ledgers, results.samples, results.config.model):
        yield f"Note: {title}. {text}"


def nothing_tested(folder: Path, results: Results) -> str:
    """Say that no gene was tested in any cell type, and why; '' if one was."""
    totals = results.table("totals")
    if totals is None or int(totals["tested"].sum()):
        return ""
    why = (
        f"Quality control removed {removed_words(results.ledgers)}." if share(results.ledgers) > MOST else ""
    )
    if not why:
        reasons = []
        for name, table in results.of_cell_types("de").items():
            if len(table):
                reasons.append(f"{name}: {table['reason'].value_counts().index[0]}")
        why = f"The most frequent reasons: {a_few(reasons)}."
    return f"{folder}/: no gene was tested in any cell type ({a_few(results.config.cell_types)}), so there is no result. {why}"


def say(studies: Iterable[tuple[Path, Config]]) -> None:
    """Print what is to be known of each study that has been run.

    Raises
    ------
    NestdeError
        If in one of them no gene was tested.
    """
    nothing = []
    for folder, config in studies:
        results = Results(folder, config)
        for sentence in closing_words(results):
            print(sentence)
        nothing += [sentence] if (sentence := nothing_tested(folder, results)) else []
    if nothing:
        raise NestdeError(nothing)
