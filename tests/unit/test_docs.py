"""The documentation says what the software does: its Python is run, its output compared."""

import ast
import contextlib
import io
import re

import pytest
from makers import designs

from nestde.cells.depth import LOG_SIZE_FACTOR
from nestde.check.advice import DEEPER, DEPTH_SIZE, FEW_SAMPLES, MEASURED
from nestde.design.literals import CONTRASTS
from nestde.design.transforms import TRANSFORMS
from nestde.fit.family import FAMILIES
from nestde.fit.methods import METHODS, of_engine
from nestde.study.template import template_dir

DOCS = template_dir() / "workflow/docs"


def lines(text: str) -> list[str]:
    """Lines of a text, without what stands invisible at their ends."""
    return [line.rstrip() for line in text.rstrip().splitlines()]


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_examples_print_what_is_shown(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    names: dict[str, object] = {}
    for code, shown in re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", text, re.DOTALL):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        assert lines(printed.getvalue()) == lines(shown)


def test_the_python_of_the_readme_runs_as_it_stands():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    text = (template_dir() / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    plt.close("all")
    for part in (
        "The study can be answered",
        "Linear mixed model fitted by REML",
        "Likelihood-ratio test",
        "ratio",
    ):
        assert part in printed.getvalue()


def test_what_is_known_of_few_samples_is_one_text():
    text = " ".join((DOCS / "inference.md").read_text(encoding="utf-8").split())
    assert f"{FEW_SAMPLES} {MEASURED}" in text
    everything = " ".join(
        path.read_text(encoding="utf-8")
        for path in (*template_dir().glob("workflow/**/*.*"), *template_dir().glob("*.md"))
        if path.suffix in (".md", ".py")
    )
    for wrong in ("prefer `kenward_roger`", "do not jump", "believe them", "Read the p-values of Kenward"):
        assert wrong not in everything


def test_every_p_value_is_explained():
    text = (DOCS / "inference.md").read_text(encoding="utf-8")
    for each in METHODS:
        assert f"| `pvalue_{each.name}` | {each.sentence} | {each.estimates} |" in text


def test_every_family_is_explained():
    text = (DOCS / "families.md").read_text(encoding="utf-8")
    of_keys = (template_dir() / "config/README.md").read_text(encoding="utf-8")
    for each in FAMILIES:
        ways = ", ".join(f"`{way.name}`" for way in of_engine(each.engine))
        run = f"; in each run {each.reference.name}" if each.reference else ""
        row = f"| `{each.name}` | {each.sentence} | {each.scale.effect} | {ways} | {each.oracles}{run} |"
        assert row in text
        assert f"{each.name}: {each.sentence}." in of_keys


def test_every_transform_is_documented():
    text = (template_dir() / "config/README.md").read_text(encoding="utf-8").split("## The formula")[1]
    named = set(re.findall(r"[\w.]+", text))
    wanted = {name for name in (*CONTRASTS, *TRANSFORMS) if name.removeprefix("np.") == name}
    assert wanted <= named


def test_the_price_of_depth_is_that_of_the_docs():
    text = (DOCS / "inference.md").read_text(encoding="utf-8")
    for times, size in DEPTH_SIZE.items():
        assert f"| × {times:g} | {f'{size:.3f}'[1:]} / " in text
    assert LOG_SIZE_FACTOR in text and f"from {DEEPER} times on" in text


def test_which_model_shows_what_the_check_says(monkeypatch):
    monkeypatch.setenv("COLUMNS", "110")
    text = designs.PAGE.read_text(encoding="utf-8")
    assert len(designs.SECTION.findall(text)) == len(designs.DESIGNS)
    assert designs.written(text) == text


def sentences() -> str:
    """Texts of the package, a line each, with `…` for what is filled in."""
    found = set()
    for path in template_dir().glob("workflow/src/nestde/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
                found.add("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return "\n".join(found)


def test_quoted_messages_are_said():
    said = sentences()
    quoted = re.findall(r"^> (.*)$", (DOCS / "messages.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(quoted) > 15
    assert [quote for quote in quoted if quote not in said] == []
