"""The documentation says what the software does: its Python is run, its output compared."""

import contextlib
import io
import re

import pytest

from nestde.project import template_dir

DOCS = template_dir() / "workflow/docs"


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_examples_print_what_is_shown(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    names: dict[str, object] = {}
    for code, shown in re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", text, re.DOTALL):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        lines = [line.rstrip() for line in printed.getvalue().rstrip().splitlines()]
        assert lines == shown.rstrip().splitlines()
