"""No room uses one that stands below it in the table of CONTRIBUTING."""

import ast
import re
from pathlib import Path

import nestde
from nestde.study.template import template_dir

PACKAGE = Path(nestde.__file__).parent


def used(path: Path) -> set[str]:
    """Rooms that a module imports from, at its top or in a function."""
    imports = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
    ]
    names = [f"{node.module}.{alias.name}" for node in imports for alias in node.names]
    return {name.split(".")[1] for name in names if name.startswith("nestde.")}


def test_each_room_uses_those_above_it():
    text = (template_dir() / ".github/CONTRIBUTING.md").read_text(encoding="utf-8")
    rooms = re.findall(r"^\| `(\w+)/` \|", text, re.MULTILINE)
    assert sorted(rooms) == sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
    wrong = [
        f"{path.relative_to(PACKAGE)} uses {other}"
        for place, room in enumerate(rooms)
        for path in sorted((PACKAGE / room).rglob("*.py"))
        for other in sorted(used(path) & set(rooms[place + 1 :]))
    ]
    assert not wrong
