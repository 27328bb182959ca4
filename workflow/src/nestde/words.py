"""Numbers with their nouns, for every sentence: 1 sample is, 1,200 cells are."""

from collections.abc import Sequence


def count(number: int, singular: str, plural: str | None = None) -> str:
    """``1 sample``, ``1,200 cells``."""
    return f"{number:,} {singular if number == 1 else plural or several(singular)}"


def are(number: int, singular: str) -> str:
    """``1 sample is``, ``2 samples are``."""
    return f"{count(number, singular)} {'is' if number == 1 else 'are'}"


def several(name: str) -> str:
    """The plural of an English word or of a column named by one: diagnoses, batches, donors."""
    if name.endswith("mouse"):
        return f"{name[:-5]}mice"
    if name.endswith("is"):
        return f"{name[:-2]}es"
    if name.endswith("mice"):
        return name
    if name.endswith("s") and not name.endswith(("ss", "us", "as", "os")):
        return name  # it is one: cells, batches
    if name.endswith(("s", "x", "ch", "sh")):
        return f"{name}es"
    if name.endswith("y") and name[-2:-1] not in ("a", "e", "o", "u", ""):
        return f"{name[:-1]}ies"
    return f"{name}s"


def verb(number: int, several: str) -> str:
    """``have`` after a number of things, ``has`` after one: also share and shares, are and is."""
    if number != 1:
        return several
    return {"have": "has", "are": "is"}.get(several, f"{several}s")


def both(parts: Sequence[object]) -> str:
    """``A``, ``A and B``, ``A, B and C``."""
    words = [str(part) for part in parts]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def as_sentence(words: str) -> str:
    """Words with a capital and a full stop; '' stays ''."""
    return f"{words[:1].upper()}{words[1:].rstrip('.')}." if words else ""
