"""Where the cells come from: one file or many, 10x, zarr, cell metadata; and what is written of them."""

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr
from anndata.io import write_elem
from makers.studies import Study, write_h5ad

from nestde.cli import main
from nestde.errors import NestdeError
from nestde.io.files import read_tsv
from nestde.io.formats import read_cells


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_samples_are_written_as_the_workflow_wants_them():
    study = Study()
    study.put("sample_id", ["S01"], "S 1/a")
    study.obs["sample_id"] = study.obs["sample_id"].replace("S01", "S 1/a")
    samples = study.check().samples
    assert list(samples.columns) == ["sample_id", "counts", "diagnosis", "sex", "age", "batch"]
    assert list(samples["sample_id"]) == sorted(samples["sample_id"])
    assert set(samples["counts"]) == {"counts.h5ad"}


def test_command_writes_and_prints(capsys):
    study = Study()
    study.write()
    settings = json.dumps(full_settings(study.config))
    assert (
        main(["check", "--settings", settings, "--out", "check.json", "--samples-out", "samples-out.tsv"])
        == 0
    )
    printed = capsys.readouterr().out
    assert printed.startswith(
        "The study can be answered\n  12 samples, 288 cells, cell types Neuron, Astrocyte.\n"
    )
    assert "\x1b" not in printed
    assert len(read_tsv("samples-out.tsv", text=["sample_id"])) == 12
    first = Path("check.json").read_bytes()
    main(["check", "--settings", settings, "--out", "check.json", "--samples-out", "samples-out.tsv"])
    assert Path("check.json").read_bytes() == first


def full_settings(given):
    """The sections that the rule passes, every key present."""
    from nestde.study.config import load

    return json.loads(load(given).text("samples", "cell_types", "input", "qc", "model", "pseudobulk"))


def test_command_prints_json_of_faults_too(capsys):
    study = Study()
    study.config["cell_types"] = ["Neurons"]
    study.write()
    Path("config.yaml").write_text(json.dumps(study.config))
    assert main(["check", "--configfile", "config.yaml", "--json"]) == 2
    (fault,) = json.loads(capsys.readouterr().out)["faults"]
    assert fault.startswith("cell_types: no cell of counts.h5ad is named Neurons")


@pytest.mark.parametrize("columns", ["60", "200"])
@pytest.mark.parametrize("long", [[], ["--explain"]])
def test_text_keeps_to_the_width_of_the_terminal(columns, long, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    study = Study(per_level=3)
    study.write()
    Path("config.yaml").write_text(json.dumps(study.config))
    assert main(["check", "--configfile", "config.yaml", *long]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= min(int(columns), 110)


def test_a_file_per_sample_and_10x_of_both_versions():
    study = Study(per_level=2)
    study.config["input"] = {"counts": None, "cell_metadata": "cells.tsv"}
    study.formula("~ diagnosis + (1 | sample_id)")
    study.sheet["counts"] = ["S01", "S02.h5ad", "S03.h5", "S04"]
    cells = study.obs.assign(barcode=study.obs.index)[["sample_id", "barcode", "cell_type"]]
    cells.to_csv("cells.tsv", sep="\t", index=False)
    barcodes = {name: part["barcode"].tolist() for name, part in cells.groupby("sample_id")}
    Path("S01").mkdir()
    Path("S01/matrix.mtx").touch()
    Path("S01/barcodes.tsv").write_text("\n".join(barcodes["S01"]) + "\n")
    Path("S01/genes.tsv").write_text("E1\tG1\n")
    write_h5ad(pd.DataFrame(index=barcodes["S02"]), "S02.h5ad")
    import h5py

    with h5py.File("S03.h5", "w") as root:
        root.create_group("matrix")["barcodes"] = [name.encode() for name in barcodes["S03"]]
        root["matrix/features/id"], root["matrix/features/name"] = [b"E1"], [b"G1"]
    Path("S04").mkdir()
    Path("S04/matrix.mtx.gz").touch()
    Path("S04/barcodes.tsv.gz").write_bytes(gzip.compress("\n".join(barcodes["S04"]).encode()))
    Path("S04/features.tsv.gz").write_bytes(gzip.compress(b"E1\tG1\tGene Expression\n"))
    check = study.check()
    assert check.faults == ()
    assert [report["cells"] for report in check.as_json()["cell_types"]] == [48, 48]
    assert list(check.samples["counts"]) == ["S01", "S02.h5ad", "S03.h5", "S04"]


def test_zarr():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": pd.Categorical(["x", None])}, index=["c1", "c2"])
    root = zarr.open_group("counts.zarr", mode="w", zarr_format=2)
    write_elem(root, "obs", frame)
    cells = read_cells("counts.zarr", {"a", "b"})
    assert list(cells.barcodes) == ["c1", "c2"]
    assert cells.frame["a"].tolist() == [1.0, 2.0]
    assert cells.frame["b"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: Path("x").mkdir(),
            "x: is a folder with no matrix.mtx and no zarr group. Give a 10x folder of one sample, or a file.",
        ),
        (
            lambda: Path("x").write_bytes(b""),
            "x: is empty. nestde reads h5ad, 10x h5, 10x mtx folders and zarr.",
        ),
        (
            lambda: write_h5ad(pd.DataFrame(index=["c"]), "x") or drop_obs("x"),
            "x: has no obs and var, so it is no AnnData. Its parts: var.",
        ),
    ],
)
def test_what_cannot_be_read_is_said(make, sentence):
    make()
    with pytest.raises(NestdeError) as caught:
        read_cells("x", set())
    assert caught.value.faults == (sentence,)


def drop_obs(path):
    import h5py

    with h5py.File(path, "a") as root:
        del root["obs"]


def test_truncated_file_is_a_sentence():
    write_h5ad(pd.DataFrame({"a": np.arange(20_000.0)}, index=[f"c{i}" for i in range(20_000)]), "x.h5ad")
    whole = Path("x.h5ad").read_bytes()
    Path("x.h5ad").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(NestdeError, match=r"x\.h5ad: cannot be read: .* It is truncated or corrupt"):
        read_cells("x.h5ad", {"a"})


def test_cell_types_that_cannot_be_tested_have_a_reason():
    study = Study()
    gone = (study.obs["cell_type"] == "Neuron") & (study.per_cell("diagnosis") == "AD")
    study.obs = study.obs[~gone]
    content = study.check().as_json()
    neuron, astrocyte = content["cell_types"]
    assert not neuron["estimable"]
    assert neuron["reason"] == (
        "No test of diagnosis can be made, for which 2 samples of each level are the least: AD has none: of its 6 samples, 6 have "
        "no cell of this type."
    )
    assert [(entry["level"], entry["samples"], entry["cells"]) for entry in neuron["levels"]] == [
        ("Control", 6, 72),
        ("AD", 0, 0),
    ]
    assert astrocyte["estimable"]
    assert astrocyte["tests"][0]["df"] == 10


def test_a_cell_type_in_which_batch_and_diagnosis_coincide():
    study = Study()
    study.formula("~ batch + diagnosis + (1 | sample_id)")
    other = ((study.sheet["batch"] == "B1") == (study.sheet["diagnosis"] == "AD")).to_numpy()
    gone = (study.obs["cell_type"] == "Neuron") & study.obs["sample_id"].isin(study.sheet["sample_id"][other])
    study.obs = study.obs[~gone]
    check = study.check()
    assert check.faults == ()
    assert check.as_json()["cell_types"][0]["reason"].startswith(
        "diagnosis cannot be separated from batch: batch B1 has only Control samples (2 of 2) and B2 and B3 have only AD (4 of 4)."
    )
