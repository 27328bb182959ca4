"""Bad input, as `nestde run` meets it: sentences and exit code 2, before any result is touched."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import yaml
from makers.command import nestde

from nestde.simulate import Cohort, write

MARK = "results of an earlier run"


@pytest.fixture
def study(tmp_path):
    """A small study in a folder, with a result of an earlier run in it."""
    write(Cohort(donors=3, cells=40, genes=60, seed=3), tmp_path / "config/example")
    config = {
        "samples": "config/example/samples.tsv",
        "cell_types": ["Neuron", "Astrocyte"],
        "input": {"counts": "config/example/counts.h5ad"},
        "qc": {"enabled": False, "min_cells_per_sample": 5},
        "model": {
            "formula": "~ sequencing_saturation + diagnosis + (1 | sample_id)",
            "test": ["diagnosis"],
            "levels": {"diagnosis": ["Control", "AD"]},
        },
    }
    (tmp_path / "results/de").mkdir(parents=True)
    (tmp_path / "results/de/Neuron.tsv").write_text(MARK)
    return tmp_path, config


def edit_sheet(folder, change):
    path = folder / "config/example/samples.tsv"
    change(pd.read_csv(path, sep="\t")).to_csv(path, sep="\t", index=False)


def edit_data(folder, change):
    path = folder / "config/example/counts.h5ad"
    data = ad.read_h5ad(path)
    change(data).write_h5ad(path)


def typo(folder, config):
    config["modle"] = {}


def missing_file(folder, config):
    (folder / "config/example/counts.h5ad").unlink()


def absent_sample(folder, config):
    edit_sheet(folder, lambda sheet: pd.concat([sheet, sheet.iloc[:1].assign(sample_id="S99")]))


def two_diagnoses(folder, config):
    edit_sheet(folder, lambda sheet: pd.concat([sheet, sheet.iloc[:1].assign(diagnosis="AD")]))


def non_integer(folder, config):
    def change(data):
        data.X = data.X.astype(np.float32) * 0.5
        return data

    edit_data(folder, change)


def duplicate_genes(folder, config):
    def change(data):
        names = data.var_names.to_list()
        data.var_names = [names[1], *names[1:]]
        return data

    edit_data(folder, change)


def empty_cell_type(folder, config):
    config["cell_types"].append("Astrocyt")


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (typo, ["unknown key modle", "Did you mean model?"]),
        (missing_file, ["counts.h5ad"]),
        (absent_sample, ["S99"]),
        (two_diagnoses, ["S01 (AD, Control)"]),
        (non_integer, ["counts.h5ad", "non-integer"]),
        (duplicate_genes, ["counts.h5ad", "gene"]),
        (empty_cell_type, ["Astrocyt", "Did you mean Astrocyte?"]),
    ],
)
def test_fault_is_said_before_any_result_is_touched(study, fault, words):
    folder, config = study
    fault(folder, config)
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config))
    result = nestde("run", "--cores", "1", cwd=folder)
    assert result.returncode == 2, result.stdout + result.stderr
    for word in words:
        assert word in result.stderr
    assert "Traceback" not in result.stderr
    assert [path.name for path in (folder / "results").rglob("*") if path.is_file()] == ["Neuron.tsv"]
    assert (folder / "results/de/Neuron.tsv").read_text() == MARK


def test_several_faults_are_all_named(study):
    folder, config = study
    absent_sample(folder, config)
    empty_cell_type(folder, config)
    non_integer(folder, config)
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config))
    result = nestde("run", "--cores", "1", cwd=folder)
    assert result.returncode == 2
    for word in ("S99", "Astrocyt", "non-integer"):
        assert word in result.stderr


def test_braces_and_dots_in_names_are_harmless(study):
    folder, config = study
    edit_data(folder, lambda data: data)
    config |= {"title": "{x} and {wildcards.y}", "cell_types": ["Neuron", "Neuron.de"]}
    config["qc"] |= {"hb_pattern": "^HB[AB]{1,2}"}

    def rename(data):
        data.obs["cell_type"] = data.obs["cell_type"].astype(str).replace("Astrocyte", "Neuron.de")
        return data

    edit_data(folder, rename)
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config))
    told = nestde("run", "--cores", "1", "--dry-run", cwd=folder)
    assert told.returncode == 0, told.stdout + told.stderr
