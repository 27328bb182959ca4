"""The last word of `nestde run`: what of the results has to be known before they are read."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from nestde.cells.concerns import MOST, concerns, removed_words, share
from nestde.errors import NestdeError, printable
from nestde.io.files import read_json
from nestde.io.layout import CONTENT, PAGE
from nestde.logs import fitted, painted
from nestde.report.identity import lie_elsewhere
from nestde.report.results import Results
from nestde.run.progress import span
from nestde.study.config import Config
from nestde.words import count

BOLD, RED, YELLOW = "1", "31", "33"
CITE = "To cite: methods, references and BibTeX of this run are in the report, under For the paper."


def closing_words(results: Results) -> Iterator[str]:
    """Sentences on quality control and on whose sample it is, for the terminal."""
    told = [*concerns(results.ledgers, results.samples, results.config.model), lie_elsewhere(results)]
    for title, text in told:
        if title:
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


def found(folder: Path) -> list[str]:
    """Sentences on what was found, from the numbers of the report; none where there is no report."""
    path, page = folder / CONTENT / "summary.json", folder / PAGE
    if not (path.exists() and page.exists()):
        return []
    told = read_json(path)
    verdicts = {(each["cell_type"], each["term"]): each["verdict"] for each in told.get("calibration", [])}
    lines = []
    for test in told["tests"]:
        if not test["tested"]:  # why is told by others
            continue
        verdict = verdicts.get((test["cell_type"], test["term"]))
        calibrated = f"; with labels exchanged the p-value is {verdict}" if verdict else ""
        lines.append(
            f"{test['cell_type']}, {test.get('comparison', test['term'])}: {test['up'] + test['down']:,} of {count(test['tested'], 'tested gene')} differ at a "
            f"false discovery rate of {100 * told['fdr']:g} % ({test['up']:,} up, {test['down']:,} down){calibrated}."
        )
    return [*lines, f"Report: {page.resolve().as_uri()}", CITE]


def _print(sentence: str, style: str) -> None:
    print(painted(fitted(printable(sentence), sys.stdout, "  "), style, sys.stdout))


def say(studies: Iterable[tuple[Path, Config]], seconds: float | None = None) -> None:
    """Print what is to be known of each study that has been run.

    Parameters
    ----------
    seconds
        How long it took.

    Raises
    ------
    NestdeError
        If in one of them no gene was tested.
    """
    nothing = []
    for folder, config in studies:
        results = Results(folder, config)
        for sentence in closing_words(results):
            _print(sentence, YELLOW)
        if sentence := nothing_tested(folder, results):
            nothing.append(sentence)
            continue
        sentences = found(folder)
        if sentences and seconds is not None:
            sentences.append(f"Done in {span(seconds)}.")
        for sentence in sentences:
            _print(sentence, BOLD if sentence.startswith("Report: ") else "")
        for sentence in not_tested(results):  # the last lines: nobody looks for what is not there
            _print(sentence, RED)
    if nothing:
        raise NestdeError(nothing)
