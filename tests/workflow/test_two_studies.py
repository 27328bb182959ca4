"""Two studies in one Snakefile, each with a results folder of its own, kept apart and guarded as one in results/ is."""

import os
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from crash import results
from makers.command import nestde
from small import CONFIG, start_study

from nestde.study.template import template_dir

pytestmark = pytest.mark.slow

MODULE = """
module {name}:
    snakefile: "workflow/Snakefile"
    config: config["{name}"]
    pathvars:
        results="out/{name}",
        logs="logs/{name}",
        benchmarks="benchmarks/{name}"

use rule * from {name} as {name}_*
"""
BOTH = """
rule everything:
    default_target: True
    input:
        rules.a_all.input,
        rules.b_all.input,
        "out/strongest.tsv",

rule strongest:
    input:
        tables=["out/a/de/Neuron.tsv", "out/b/de/Neuron.tsv"],
    output:
        "out/strongest.tsv",
    run:
        import pandas as pd

        tables = [pd.read_csv(path, sep="\\t") for path in input.tables]
        pd.concat(tables).nsmallest(20, "pvalue").to_csv(output[0], sep="\\t", index=False)
"""


def test_the_page_shows_what_is_run() -> None:
    page = (template_dir() / "workflow/docs/module.md").read_text(encoding="utf-8")
    rule = BOTH.strip().partition("    output:")[2]
    assert rule in page
    assert "must be in the environment of the driver" in page


def test_two_studies_of_one_snakefile(small: Path, tmp_path: Path) -> None:
    study = start_study(tmp_path / "study")
    other = CONFIG | {"seed": 2, "chunks": 2, "pseudobulk": {"enabled": False}}
    (study / "config/config.yaml").write_text(yaml.safe_dump({"a": CONFIG, "b": other}))
    modules = [MODULE.format(name=name) for name in "ab"]
    (study / "Snakefile").write_text("\n".join(['configfile: "config/config.yaml"', *modules, BOTH]))
    told = nestde("run", "--cores", "2", cwd=study)
    assert told.returncode == 0, told.stdout + told.stderr
    same, expected = results(study, "out/a"), results(small)
    # these name the folder of the results
    named = {"manifest.json", "report/content/nestde_again_mqc.json"}
    assert {name for name in expected if same[name] != expected[name]} == named
    assert "pseudobulk/Neuron.tsv" not in results(study, "out/b")
    strongest = pd.read_csv(study / "out/strongest.tsv", sep="\t")
    every = [pd.read_csv(study / f"out/{name}/de/Neuron.tsv", sep="\t")["pvalue"] for name in "ab"]
    # read and written once more, a last digit may be another
    assert strongest["pvalue"].tolist() == pytest.approx(sorted(pd.concat(every).dropna())[:20], rel=1e-12)
    tables = [study / f"out/{name}/de/Neuron.tsv" for name in "ab"]
    whole = [table.read_bytes() for table in tables]
    for table in tables:
        table.write_text(table.read_text().replace("Neuron", "Nourons", 1))
        os.utime(table, (time.time() + 600,) * 2)
    refused = nestde("run", "--cores", "2", cwd=study)
    assert refused.returncode == 2
    for name in "ab":
        assert f"out/{name}/de/Neuron.tsv: was changed after the run that made it" in refused.stderr
    for table in tables:
        table.unlink()
    again = nestde("run", "--cores", "2", cwd=study)
    assert again.returncode == 0, again.stdout + again.stderr
    assert [table.read_bytes() for table in tables] == whole
