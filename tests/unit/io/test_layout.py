"""The rules write paths out and `nestde.io.layout` tabulates them: the two agree."""

import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from makers.small_study import CONFIG, write_study

from nestde.io import layout
from nestde.io.files import slug
from nestde.run.asked import rules_of
from nestde.study import samples
from nestde.study.template import workflow_dir

OTHERS = {layout.MANIFEST, layout.CRATE, layout.WORKFLOW, layout.CONTENT, layout.PAGE}
WILDCARDS = {
    "sample": ["S1", slug("S 2")],
    "cell_type": ["Neuron", slug("Glia cells")],
    "source": ["counts.h5ad"],
    "scatteritem": ["1-of-2", "2-of-2"],
    "family": ["negative_binomial", "hurdle"],
}


@pytest.fixture(params=["one job for all samples", "a job for each sample"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(samples, "is_small", lambda paths: "one job" in request.param)
    return tmp_path


ALSO = {"model": CONFIG["model"] | {"also": WILDCARDS["family"]}}


def rules() -> dict[str, Any]:
    from snakemake.cli import parse_args

    options = ["--snakefile", str(workflow_dir() / "Snakefile"), "--configfile", "config/config.yaml"]
    return {rule.name: rule for rule in rules_of(parse_args(options)[1])}


def expand(pattern: str) -> set[str]:
    """Every file of a pattern of Snakemake, or of the table, relative to the results folder."""
    plain = re.sub(r"\{(\w+),[^{}]*\}", r"{\1}", pattern.removeprefix("results/"))
    names = re.findall(r"\{(\w+)\}", plain)
    choices = product(*(WILDCARDS[name] for name in names))
    return {plain.format(**dict(zip(names, chosen, strict=True))) for chosen in choices}


def every(patterns: Any) -> set[str]:
    return {path for pattern in patterns for path in expand(str(pattern))}


def test_the_rules_make_what_the_table_says(folder: Path) -> None:
    write_study(folder, **ALSO)
    outputs = [output for rule in rules().values() for output in rule.output]
    passing = [output for output in outputs if output.flags.get("temp")]
    staying = [output for output in outputs if not output.flags.get("temp")]
    assert every(passing) == every(layout.INTERMEDIATES.values())
    assert every(staying) - OTHERS == every((layout.RESULTS | layout.BESIDE).values())
    assert every(staying) >= OTHERS


@pytest.mark.parametrize("wanted", [True, False])
def test_the_manifest_tells_of_all_that_is_kept(folder: Path, wanted: bool) -> None:
    (folder / "sets.gmt").write_text("one\tof two\tG1\tG2\n")
    gene_sets = "sets.gmt" if wanted else None
    write_study(folder, pseudobulk={"enabled": wanted}, enrich={"gene_sets": gene_sets}, **ALSO)
    told = rules()["manifest"].input.results
    asked_for = layout.ON_REQUEST if wanted else ()
    assert every(told) == every(path for path in layout.RESULTS.values() if layout.is_made(path, asked_for))
    assert ("sets.gmt" in rules()["manifest"].input.data) == wanted
    assert len(told) == len(set(map(str, told)))
    assert every(told) <= {path.removeprefix("results/") for path in map(str, rules()["all"].input)}


def test_steps_are_the_folders_of_results() -> None:
    assert (
        " ".join(layout.STEPS)
        == "also calibration cells cohort composition crosscheck de design enrich matrix prior pseudobulk qc statistics"
    )
