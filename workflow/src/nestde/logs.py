"""When a step began, what it did and when it ended: lines with times, for the log of its rule. No result is made of them."""

import logging
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from nestde import __version__
from nestde.errors import printable

log = logging.getLogger("nestde")
STOPPED = "nestde: stopped."  # the last line of a step that a person has stopped


def coloured(stream: TextIO) -> bool:
    """Whether a stream is a terminal that takes colours, and NO_COLOR does not say otherwise."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def fitted(text: str, stream: TextIO, indent: str = "") -> str:
    """Text in lines that a terminal has room for; as it is for anything else. Addresses and names are not broken."""
    if not stream.isatty():
        return text
    width = shutil.get_terminal_size().columns
    lines = (
        textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        for line in text.split("\n")
    )
    return "\n".join("\n".join(line) for line in lines)


def painted(text: str, style: str, stream: TextIO) -> str:
    """Text in a colour or weight (an SGR code), where the stream takes any."""
    return f"\x1b[{style}m{text}\x1b[0m" if style and text and coloured(stream) else text


class _Line(logging.Formatter):
    """One line, in which no name from data steers a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), line_ends=False)


@contextmanager
def telling(step: str) -> Iterator[None]:
    """Tell on standard error what is logged while this lasts, each line with its time, first and last the step itself.

    Without it nothing is told: a person's own Python hears of `nestde` what its logging is set to.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    began = time.monotonic()
    end = "fails"
    log.info("%s begins: nestde %s", step, __version__)
    try:
        yield
        end = "ends"
    finally:
        log.info("%s %s after %.1f s", step, end, time.monotonic() - began)
        log.removeHandler(handler)
        log.setLevel(before)
