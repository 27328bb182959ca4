"""What makes the page more than MultiQC's: scripts and a style sheet, ours alone, with nothing of the data in them."""

from pathlib import Path

FOLDER = Path(__file__).parent
STYLE = "nestde.css"
SCRIPTS = ("unpack.js", "draw.js", "files.js", "genes.js", "figures.js", "page.js")


def script() -> str:
    """All scripts, as one that leaves no name behind."""
    parts = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return f"<script>\n(() => {{\n{parts}}})();\n</script>"


def style() -> str:
    """The style sheet."""
    return (FOLDER / STYLE).read_text(encoding="utf-8")
