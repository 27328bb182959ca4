"""What a terminal's encoding does not have is written in letters that it has: no locale stops a command."""

import codecs
import io
import sys
import unicodedata

NAME = "nestde_plain"
# What has no decomposition to plain letters (NFKD) and stands in our sentences.
PLAIN = {
    "→": "->",
    "←": "<-",
    "–": "-",
    "−": "-",
    "─": "-",
    "├": "|",
    "└": "`",
    "·": "*",
    "×": "x",
    "≤": "<=",
    "≥": ">=",
    "±": "+/-",
    "√": "sqrt ",
    "∞": "inf",
    "✓": "ok",
    "χ": "chi",
    "β": "beta",
    "σ": "sigma",
    "Σ": "Sigma",
    "ε": "epsilon",
    "θ": "theta",
}


def degrade(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that cannot be encoded; others than `PLAIN` by their plain letters, or by what they are in Python."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    plain = ""
    for character in error.object[error.start : error.end]:
        letters = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
        plain += PLAIN.get(character) or letters or ascii(character)[1:-1]
    return plain, error.end


def use() -> None:
    """Have the terminal's streams degrade."""
    codecs.register_error(NAME, degrade)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=NAME)
