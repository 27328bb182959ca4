"""Pages of the site that are notebooks or files elsewhere in the tree, and links as they are in the tree."""

import ast
import html
import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
DOCS = PurePosixPath("workflow/docs")
ELSEWHERE = {
    "index.md": "README.md",
    "configuration.md": "config/README.md",
    "examples.md": "config/examples/README.md",
    "contributing.md": ".github/CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
REFERENCE = "api.md"
INTERFACE = ROOT / "workflow/src/nestde/__init__.py"
FIGURES = ROOT / "workflow/src/nestde/pl/__init__.py"
LINK = re.compile(r"\[([^\]\n]*)\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that stand elsewhere, and those made of notebooks."""
    for page, path in ELSEWHERE.items():
        files.append(File.generated(config, page, content=(ROOT / path).read_text(encoding="utf-8")))
    for path in (ROOT / DOCS).glob("*.ipynb"):
        files.append(File.generated(config, f"{path.stem}.md", content=of_notebook(path)))
    files.append(File.generated(config, REFERENCE, content=reference()))
    return files


def of_notebook(path: Path) -> str:
    """A notebook as a page: its text, its code and what each cell shows."""
    blocks = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        blocks.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", []):
            data = {kind: "".join(text) for kind, text in output.get("data", {}).items()}
            if "image/png" in data:
                picture = f"data:image/png;base64,{data['image/png'].strip()}"
                blocks.append(f'<img src="{picture}" alt="{html.escape(source.splitlines()[0])}">')
            elif "text/html" in data:
                blocks.append(data["text/html"])
            else:
                blocks.append(f"```text\n{data.get('text/plain') or ''.join(output['text'])}\n```")
    return "\n\n".join(blocks)


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
    pages |= {DOCS / path.name: f"{path.stem}.md" for path in (ROOT / DOCS).glob("*.ipynb")}
    here = PurePosixPath(ELSEWHERE.get(page.file.src_uri, str(DOCS / page.file.src_uri))).parent

    def turned(link: re.Match[str]) -> str:
        text, target, anchor = link.groups()
        path = PurePosixPath((ROOT / here / target).resolve().relative_to(ROOT.resolve()).as_posix())
        if not (ROOT / path).exists():
            return link[0]  # the build warns of it
        name = pages.get(path) or (path.name if path.parent == DOCS and path.suffix == ".md" else None)
        return f"[{text}]({name}{anchor or ''})" if name else text

    return LINK.sub(turned, markdown)
