"""The last word of `nestde run`: what of the results has to be known before they are read."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from nestde.cells.concerns import MOST, concerns, removed_words, share
from nestde.errors import NestdeError, printable
from nestde.report.results import Results
from nestde.study.config import Config


def closing_words(results: Results) -> Iterator[str]:
    """Sentences on quality control, for the terminal."""
    for title, text in concerns(results.ledgers, results.samples, results.config.model):
        yield f"Note: {title}. {text}"


def not_tested(results: Results) -> list[str]:
    """Sentences on cell types that were promised and of which no gene was tested."""
    return [f"{name} was not tested: {why.rstrip('.')}." for name, why in results.untested().items()]


def nothing_tested(folder: Path, results: Results) -> str:
    """Say that no gene was tested in any cell type, and why; '' if one was."""
    untested = results.untested()
    if len(untested) < len(results.config.cell_types):
        return ""
    qc = (
        f" Quality control removed {removed_words(results.ledgers)}." if share(results.ledgers) > MOST else ""
    )
    reasons = "; ".join(f"{name}: {why.rstrip('.')}" for name, why in list(untested.items())[:5])
    return f"{folder}/: no gene was tested in any cell type, so there is no result.{qc} {reasons}."


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
            print(printable(sentence))
        if sentence := nothing_tested(folder, results):
            nothing.append(sentence)
            continue
        for sentence in not_tested(results):  # the last lines: nobody looks for what is not there
            print(printable(sentence))
    if nothing:
        raise NestdeError(nothing)
