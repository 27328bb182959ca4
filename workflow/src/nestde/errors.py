"""What bad input raises: every fault at once, each a sentence that says what to do."""

from collections.abc import Iterable


class NestdeError(Exception):
    """One or more faults in configuration or data; the command line prints each and exits with 2.

    Parameters
    ----------
    faults
        Sentences, each naming the file, the row or column, the offending values and what to do.
    """

    def __init__(self, faults: str | Iterable[str]):
        self.faults: tuple[str, ...] = (faults,) if isinstance(faults, str) else tuple(faults)
        super().__init__("\n".join(self.faults))


class Faults:
    """Collects faults, so that a person can mend them all before the next try."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def add(self, sentence: str) -> None:
        """Note one fault; a sentence said before is not said again."""
        if sentence not in self.sentences:
            self.sentences.append(sentence)

    def raise_if_any(self) -> None:
        """Raise `NestdeError` with all that was noted; do nothing if that is nothing."""
        if self.sentences:
            raise NestdeError(self.sentences)


def a_few(values: Iterable[object], most: int = 5) -> str:
    """Name the first `most` values and how many more there are: ``S01, S02 … (12 in all)``."""
    items = [str(value) for value in values]
    if len(items) <= most:
        return ", ".join(items)
    return f"{', '.join(items[:most])} … ({len(items):,} in all)"
