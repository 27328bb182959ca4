"""The site is built from the docs as they stand, and whatever its makers warn of is an error."""

import os
import subprocess
import sys

import pytest

from nestde.study.template import template_dir

ROOT = template_dir()
CONFIG = ROOT / ".github/mkdocs.yml"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("mkdocs", reason="the docs extra is not installed: pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(CONFIG), "-d", str(folder)]
    quiet = {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, env=os.environ | quiet
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_every_page_is_built_and_led_to(site):
    index = (site / "index.html").read_text(encoding="utf-8")
    docs = ROOT / "workflow/docs"
    for page in (*docs.glob("*.md"), *docs.glob("*.ipynb")):
        assert (site / f"{page.stem}.html").exists()
        assert f'href="{page.stem}.html"' in index, f"{page.name} is in no line of .github/mkdocs.yml's nav"


def test_the_reference_has_what_a_docstring_says(site):
    text = (site / "api.html").read_text(encoding="utf-8")
    assert "Test every gene of every cell type by its mixed model." in text


def test_nothing_is_fetched(site):
    for page in site.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        for tag in ("<script src", '<link rel="stylesheet" href', "<img src"):
            assert f'{tag}="http' not in text
