"""The notebooks of the docs run, and show what stands in them."""

import base64
import io

import pytest
from makers.real import real_data

pytest.importorskip("nbclient", reason="the dev extra is not installed")
from makers import notebooks
from matplotlib import image


def shown(notebook):
    """What each cell shows: its text as it is, of figures that they are there."""
    return [
        [
            (output["name"], output["text"])
            if output["output_type"] == "stream"
            else {kind: "a figure" if kind == "image/png" else text for kind, text in output["data"].items()}
            for output in cell["outputs"]
        ]
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    ]


def figures(notebook):
    """The pixels of its figures."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    drawn = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    return [image.imread(io.BytesIO(base64.b64decode(each))) for each in drawn]


@pytest.mark.parametrize("name", sorted(path.stem for path in notebooks.DOCS.glob("*.ipynb")))
def test_a_notebook_shows_what_stands_in_it(name):
    folder = real_data(notebooks.DATA[name]).parent if name in notebooks.DATA else None
    as_it_stands, now = notebooks.read(name), notebooks.executed(name, folder)
    assert shown(now) == shown(as_it_stands)
    assert not any(
        output[0] == "stderr" for cell in shown(now) for output in cell if isinstance(output, tuple)
    )
    assert figures(now)
    for pixels in figures(now):
        assert min(pixels.shape[:2]) > 200 and pixels[..., :3].std() > 0.02


def test_every_kind_of_figure_is_shown():
    text = "".join(str(notebooks.read(path.stem)) for path in notebooks.DOCS.glob("*.ipynb"))
    for kind in ("volcano", "strip", "forest", "qq", "variance"):
        assert f"nestde.pl.{kind}(" in text
