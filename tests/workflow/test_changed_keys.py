"""What a changed key computes again: never from the counts, where only terms of samples, tests and rates changed."""

import shutil
from pathlib import Path

import changed_keys
import pandas as pd
import pytest
import yaml
from makers.command import nestde

pytestmark = pytest.mark.slow
# What is made of counts, and needs no change.
OF_COUNTS = ("counts", "qc", "cells", "matrix", "statistics")


def times(study: Path, folders: tuple[str, ...]) -> dict[str, int]:
    results = study / "results"
    return {
        str(path.relative_to(results)): path.stat().st_mtime_ns
        for folder in folders
        for path in sorted((results / folder).rglob("*"))
    }


def change(study: Path) -> None:
    """Add a covariate to the sheet and the formula, and an interaction; another rate and another headline."""
    sheet = pd.read_csv(study / "config/samples.tsv", sep="\t")
    sheet["rin"] = [7.1, 6.2, 8.0, 6.9, 7.7, 5.8]
    sheet.to_csv(study / "config/samples.tsv", sep="\t", index=False)
    path = study / "config/config.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["model"]["formula"] = "~ sequencing_saturation * diagnosis + rin + (1 | sample_id)"
    settings["inference"] |= {"fdr": 0.1, "p_value": "lrt"}
    path.write_text(yaml.safe_dump(settings))


def test_another_formula_of_terms_of_samples_starts_from_the_sums(small: Path, tmp_path: Path) -> None:
    changed, fresh = tmp_path / "changed", tmp_path / "fresh"
    shutil.copytree(small, changed)
    shutil.copytree(
        small, fresh, ignore=shutil.ignore_patterns("results", "logs", "benchmarks", ".snakemake")
    )
    before = times(changed, OF_COUNTS)
    profiles = (changed / "results/pseudobulk/Neuron.h5ad").stat().st_mtime_ns
    for study in (changed, fresh):
        change(study)
        result = nestde("run", "--cores", "2", "--until", "gather", "pseudobulk_de", cwd=study)
        assert result.returncode == 0, result.stdout + result.stderr
    assert before == times(changed, OF_COUNTS)
    assert (changed / "results/pseudobulk/Neuron.h5ad").stat().st_mtime_ns == profiles
    assert not list((changed / "results").glob("ingest/*"))
    for name in ("de/Neuron.tsv", "summary.tsv", "pseudobulk/Neuron.de.tsv"):
        assert (changed / "results" / name).read_bytes() == (fresh / "results" / name).read_bytes(), name
    assert (changed / "results/de/Neuron.tsv").read_bytes() != (small / "results/de/Neuron.tsv").read_bytes()


OF_ALL = {"gather", "summary", "multiqc", "manifest"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("title", OF_ALL - {"gather"}),
        ("an input touched, or copied over itself", set()),
        ("inference.fdr", OF_ALL | {"calibrate", "pseudobulk_de"}),
        ("inference.crosscheck_tolerance", OF_ALL - {"gather"} | {"crosscheck"}),
        ("calibration.relabellings", OF_ALL - {"gather"} | {"calibrate"}),
        ("a cell type dropped", OF_ALL | {"check"}),
    ],
)
def test_a_changed_key_runs_again_what_depends_on_it(example: Path, change: str, expected: set[str]) -> None:
    (change,) = (each for each in changed_keys.CHANGES if each.words.strip("`") == change)
    assert set(changed_keys.jobs_after(example, change)) == expected


def test_a_cell_type_more_leaves_the_others_alone(example: Path) -> None:
    (change,) = (each for each in changed_keys.CHANGES if each.words == "a cell type added")
    found = changed_keys.jobs_after(example, change)
    assert {cell_type for of in found.values() for cell_type in of} == {"Microglia"}
    assert {rule for rule, of in found.items() if not of} == OF_ALL | {"check"}
