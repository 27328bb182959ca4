"""Notebooks of the docs: `PYTHONPATH=tests python tests/makers/notebooks.py [NAME …]` runs them and writes what they show into them.

Kang's reads a file of the real data; a notebook is a page of the site, too (`.github/site.py`).
"""

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from nestde import processor
from nestde.check.render import WIDEST

DOCS = Path(__file__).parents[2] / "workflow/docs"
DATA = {"kang_python": "kang_bcells.h5ad"}  # what a notebook reads


def read(name: str) -> NotebookNode:
    """A notebook as it stands."""
    return nbformat.read(DOCS / f"{name}.ipynb", as_version=4)


def executed(name: str, data: Path) -> NotebookNode:
    """The notebook with what it shows now, run in a folder that has its data only."""
    notebook = read(name)
    processor.hold()  # the kernel's arithmetic, too
    with tempfile.TemporaryDirectory() as folder:
        if name in DATA:
            Path(folder, DATA[name]).symlink_to(data / DATA[name])
        at = {"metadata": {"path": folder}}
        client = NotebookClient(
            notebook, timeout=600, kernel_name="python3", resources=at, record_timing=False
        )
        # what is printed is as wide as a page has room for, whatever terminal the tests run in
        client.execute(env=os.environ | {"COLUMNS": str(WIDEST)})
    return notebook


if __name__ == "__main__":
    from makers.real import FOLDER

    for chosen in sys.argv[1:] or sorted(path.stem for path in DOCS.glob("*.ipynb")):
        found = executed(chosen, FOLDER)
        found["metadata"] = {"kernelspec": found["metadata"]["kernelspec"]}  # no version of this Python
        nbformat.write(found, DOCS / f"{chosen}.ipynb")
