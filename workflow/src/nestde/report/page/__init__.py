"""What makes the page more than MultiQC's: scripts and a style sheet, ours alone, with nothing of the data in them."""

from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent
STYLE = "nestde.css"
SCRIPTS = ("unpack.js", "draw.js", "files.js", "genes.js", "figures.js", "page.js")


def script() -> str:
    """All scripts, as one that leaves no name behind."""
    parts = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return f"<script>\n(() => {{\n{parts}}})();\n</script>"


def style(blocks: Iterable[str]) -> str:
    """The style sheet, with packed tables as comments.

    MultiQC carries each section a second time, within the base64 of its prompts for language models, and its plots through Python
    objects; a style sheet it takes once, as it is. Base64 has no character that ends a comment.
    """
    sheet = (FOLDER / STYLE).read_text(encoding="utf-8")
    return sheet + "".join(f"/*nd-block {block}*/\n" for block in blocks)
