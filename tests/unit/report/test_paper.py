"""For the paper: what the run says of itself, escaped for its language, and references that are whole."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from makers.fabricated import BREAKOUT, SCRIPT, settings, tags, write_results

from nestde import __version__, report
from nestde.design.effects import RandomEffects
from nestde.fit.family.gaussian import FAMILY as GAUSSIAN
from nestde.fit.methods import METHODS
from nestde.io.files import sha256
from nestde.report import paper, references
from nestde.report.equation import latex, mathml
from nestde.report.results import Results

EVERY = [each for each in vars(references).values() if isinstance(each, references.Reference)]


@pytest.fixture
def results(tmp_path):
    return Results(write_results(tmp_path / "results"), settings())


def test_methods_are_of_this_run(results):
    cells, genes, tests = paper.methods(results)
    assert cells.startswith("Raw counts of 336 cells of 6 samples came in.") and cells.endswith(
        "300 cells were kept."
    )
    assert "Neuron: 60 genes" in genes and "fewer than 10 cells" in genes
    for words in (
        "Control is the reference of diagnosis",
        "at most 0.05",
        f"nestde {__version__}",
        "with and without diagnosis",
    ):
        assert words in tests
    assert "Scrublet" not in cells and references.SCRUBLET not in paper.cited(results)
    assert {references.LME4, references.PYDESEQ2} <= set(paper.cited(results))


def test_tables_are_listed_with_their_checksums(results, tmp_path):
    report.write(results.config, results.folder, tmp_path / "content")
    text = json.loads((tmp_path / "content/nestde_again_mqc.json").read_text())["data"]
    assert sha256(results.folder / "de/Neuron.tsv") in text


@pytest.mark.parametrize("name", [SCRIPT, BREAKOUT, r"a_b\c{d}", "50 %", "x^2 & y~1", "$x$ #1"])
def test_the_equation_holds_any_name(name):
    model = (["(Intercept)", name], [RandomEffects(name, ("(Intercept)", name), (0, 0))], GAUSSIAN.scale)
    drawn = ElementTree.fromstring(mathml(*model))
    assert name in "".join(drawn.itertext())
    text = latex(*model)
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    assert not re.search(r"(?<!\\)[%$#&]", text)


@pytest.mark.parametrize("reference", EVERY, ids=lambda each: each.key)
def test_a_reference_is_whole(reference):
    assert re.fullmatch(r"10\.\d{4,}/\S+", reference.doi)
    assert reference.doi in reference.text and str(reference.year) in reference.text
    assert reference.bibtex.count("{") == reference.bibtex.count("}") and reference.key in reference.bibtex


def test_references_are_of_p_values_that_there_are_and_have_keys_of_their_own():
    assert set(references.OF_METHOD) <= {each.name for each in METHODS}
    assert len({each.key for each in EVERY}) == len(EVERY) > 10


def test_the_citation_is_of_this_version():
    told = yaml.safe_load((Path(__file__).parents[3] / ".github/CITATION.cff").read_text())
    assert told["version"] == __version__ and told["title"] in references.NESTDE_BIBTEX


def test_nothing_of_the_data_is_markup_in_the_chapter(results, tmp_path):
    report.write(results.config, results.folder, tmp_path / "content")
    for name in ("methods", "references"):
        parsed = tags(json.loads((tmp_path / f"content/nestde_{name}_mqc.json").read_text())["data"])
        assert not {"script", "img"} & {tag for tag, _ in parsed.tags}
