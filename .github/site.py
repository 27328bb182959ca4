"""Pages of the site that are files elsewhere in the tree, and links as they are in the tree."""

import ast
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
DOCS = PurePosixPath("workflow/docs")
ELSEWHERE = {
    "index.md": "README.md",
    "configuration.md": "config/README.md",
    "contributing.md": ".github/CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
REFERENCE = "api.md"
INTERFACE = ROOT / "workflow/src/nestde/__init__.py"
FIGURES = ROOT / "workflow/src/nestde/pl/__init__.py"
LINK = re.compile(r"\[([^\]\n]*)\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_config(config: Any) -> Any:
    """Leave out of the navigation what is not written yet."""
    there = {*ELSEWHERE, REFERENCE, *(path.name for path in (ROOT / DOCS).glob("*.md"))}
    config["nav"] = [
        entry
        if isinstance(pages, str)
        else {title: [page for page in pages if next(iter(page.values())) in there]}
        for entry in config["nav"]
        for title, pages in entry.items()
    ]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that stand elsewhere."""
    for page, path in ELSEWHERE.items():
        files.append(File.generated(config, page, content=(ROOT / path).read_text(encoding="utf-8")))
    files.append(File.generated(config, REFERENCE, content=reference()))
    return files


def reference() -> str:
    """The page of what `nestde` gives Python users, functions first, each by its docstring."""
    for statement in ast.parse(INTERFACE.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "_LAZY":
            modules = ast.literal_eval(statement.value)
            break
    names = sorted(modules, key=lambda name: (name[0].isupper(), name))
    blocks = [f"::: {modules[name]}.{name}" for name in names]
    for statement in ast.parse(FIGURES.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.ImportFrom):
            blocks += [f"::: {statement.module}.{alias.name}" for alias in statement.names]
    return "\n\n".join(["# Reference", "`import nestde` loads none of it before it is used.", *blocks])


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links between files of the tree to links between pages; what is no page stays as its text."""
    pages = {PurePosixPath(path): name for name, path in ELSEWHERE.items()}
    here = PurePosixPath(ELSEWHERE.get(page.file.src_uri, str(DOCS / page.file.src_uri))).parent

    def turned(link: re.Match[str]) -> str:
        text, target, anchor = link.groups()
        path = PurePosixPath((ROOT / here / target).resolve().relative_to(ROOT.resolve()).as_posix())
        if not (ROOT / path).exists():
            return link[0]  # the build warns of it
        name = pages.get(path) or (path.name if path.parent == DOCS and path.suffix == ".md" else None)
        return f"[{text}]({name}{anchor or ''})" if name else text

    return LINK.sub(turned, markdown)
