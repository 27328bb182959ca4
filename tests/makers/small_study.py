"""Studies that Snakemake can read: no counts worth fitting, only names and a sheet."""

from pathlib import Path

import yaml

from nestde.study.template import workflow_dir

CONFIG = {
    "samples": "samples.tsv",
    "cell_types": ["Neuron", "Glia cells"],
    "input": {"counts": "counts.h5ad"},
    "model": {"formula": "~ diagnosis + (1 | sample_id)", "test": ["diagnosis"]},
    "chunks": 2,
}
MODULE = """
module {name}:
    snakefile: "{workflow}"
    config: config["{name}"]
    pathvars:
        results="{results}",
        logs="logs/{name}",
        benchmarks="benchmarks/{name}"

use rule * from {name} as {name}_*
"""


def write_study(folder: Path, **settings: object) -> None:
    """Write config/config.yaml, the sheet and an empty file of counts."""
    write_inputs(folder)
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config/config.yaml").write_text(yaml.safe_dump(CONFIG | settings))


def write_studies(folder: Path, **results: str) -> None:
    """Write a Snakefile of several studies: name -> results folder; the first has all cell types, others one."""
    write_inputs(folder)
    modules = [
        MODULE.format(name=name, workflow=workflow_dir() / "Snakefile", results=path)
        for name, path in results.items()
    ]
    (folder / "Snakefile").write_text('configfile: "studies.yaml"\n' + "".join(modules))
    configs = {
        name: CONFIG | ({"cell_types": ["Neuron"], "pseudobulk": {"enabled": False}} if i else {})
        for i, name in enumerate(results)
    }
    (folder / "studies.yaml").write_text(yaml.safe_dump(configs))


def write_inputs(folder: Path) -> None:
    """Write the sheet, and a file of counts that is none."""
    (folder / "samples.tsv").write_text("sample_id\tdiagnosis\nS1\tAD\nS 2\tControl\n")
    (folder / "counts.h5ad").touch()
