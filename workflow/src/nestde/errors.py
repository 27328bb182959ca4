"""What bad input raises: every fault at once, each a sentence that says what to do."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

LONGEST = 80  # characters of a name that are shown
# control characters but tab and line ends; what has no width, separates lines or turns the direction of writing; lone
# surrogates, which no terminal takes
STEERING = r"\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff"


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


class NotGivenError(AttributeError):
    """A key of the configuration that a step was not given, or whose value is at fault."""


class NestdeWarning(UserWarning):
    """Something was guessed that turns results round if it was guessed wrong; the sentence says how to say it instead."""


class Faults:
    """Collects faults, so that a person can mend them all before the next try."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def add(self, sentence: str) -> None:
        """Note one fault; a sentence said before is not said again."""
        if sentence not in self.sentences:
            self.sentences.append(sentence)

    @contextmanager
    def noting(self, prefix: str = "") -> Iterator[None]:
        """Note the faults that what is done here raises, and go on after it.

        Where it needs a key of the configuration that is itself at fault, nothing more is to be said.
        """
        try:
            yield
        except NestdeError as error:
            for sentence in error.faults:
                self.add(f"{prefix}{sentence}")
        except NotGivenError:
            pass

    def raise_if_any(self) -> None:
        """Raise `NestdeError` with all that was noted; do nothing if that is nothing."""
        if self.sentences:
            raise NestdeError(self.sentences)


def a_few(values: Iterable[object], most: int = 5) -> str:
    """Name the first `most` values and how many more there are: ``S01, S02 … (12 in all)``."""
    items = list(values)
    shown = ", ".join(shortened(str(value)) for value in items[:most])
    return shown if len(items) <= most else f"{shown} … ({len(items):,} in all)"


def shortened(name: str) -> str:
    """A name as it is shown in a sentence: on one line, and cut if it is very long."""
    cut = name if len(name) <= LONGEST else f"{name[: LONGEST - 20]}… ({len(name):,} characters)"
    return printable(cut, line_ends=False)


def printable(text: str, *, line_ends: bool = True) -> str:
    r"""Text without characters that steer a terminal or hide others: those of names from data are shown as ``\x1b``.

    A word longer than any but a name gone wrong is cut.

    Parameters
    ----------
    line_ends
        Whether ends of lines stay; those of a name would begin a line that looks as if it were ours.
    """
    text = re.sub(r"\S{400,}", lambda found: f"{found[0][:200]}… ({len(found[0]):,} characters)", text)
    ends = "" if line_ends else r"\t\n\r"
    return re.sub(rf"[{STEERING}{ends}]", lambda found: ascii(found[0])[1:-1], text)
