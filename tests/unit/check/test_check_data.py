"""What is warned of the data themselves: genes that files do not have, columns that are measured too, marks of doublets."""

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from anndata.io import write_elem
from makers.studies import Study, write_h5ad

from nestde.io.formats import open_source, read_genes


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def warned(study):
    checked = study.check()
    assert checked.faults == (), checked.faults
    return {warning["title"]: warning["text"] for warning in checked.as_json()["warnings"]}


class Files(Study):
    """The study in a file for each sample; `genes` are those of each."""

    def __init__(self):
        super().__init__()
        self.config["input"] = {"counts": None}
        self.sheet["counts"] = [f"{sample}.h5ad" for sample in self.sheet["sample_id"]]
        self.genes = {sample: [f"G{i}" for i in range(30)] for sample in self.sheet["sample_id"]}

    def write(self):
        self.sheet.to_csv("samples.tsv", sep="\t", index=False)
        for sample, genes in self.genes.items():
            write_h5ad(self.obs[self.obs["sample_id"] == sample], f"{sample}.h5ad")
            with h5py.File(f"{sample}.h5ad", "a") as root:
                del root["var"]
                write_elem(root, "var", pd.DataFrame(index=genes))


def test_files_with_the_same_genes_in_another_order_are_no_matter():
    study = Files()
    study.genes["S03"] = study.genes["S03"][::-1]
    assert not [title for title in warned(study) if "Genes" in title]


def test_genes_that_a_file_lacks_are_counted_and_the_file_is_named():
    study = Files()
    study.genes["S03"] = study.genes["S03"][3:]
    told = warned(study)
    text = told["Genes are not in every file"]
    assert text.startswith("3 genes of 30 are not among the features of every file")
    assert "S03.h5ad (3)" in text and "not_measured" in text
    assert not [title for title in told if title.startswith("Genes are missing from the files of")]


@pytest.mark.parametrize("rule", ["not_measured", "zero"])
def test_absence_that_goes_with_what_is_tested_is_warned_of_first(rule):
    study = Files()
    study.config["input"]["absent_genes"] = rule
    for sample, diagnosis in zip(study.sheet["sample_id"], study.sheet["diagnosis"], strict=True):
        if diagnosis == "Control":
            study.genes[sample] = study.genes[sample][2:]
    told = warned(study)
    assert next(iter(told)) == "Genes are missing from the files of diagnosis Control"
    text = told["Genes are missing from the files of diagnosis Control"]
    assert text.startswith("2 genes of 30 are not among the features") and "G0, G1" in text
    assert ("They are not tested." in text) == (rule == "not_measured")
    assert ("nobody has looked" in text) == (rule == "zero")


def test_the_old_key_is_refused_with_the_new_one(capsys):
    from nestde.errors import NestdeError
    from nestde.study.config import load

    study = Study()
    study.config["input"]["genes"] = "union"
    with pytest.raises(NestdeError, match=r"unknown key input.genes. .*absent_genes: not_measured"):
        load(study.config)


@pytest.mark.parametrize("name", ["total_counts", "size_factor", "pct_counts_mt"])
@pytest.mark.parametrize("where", ["sheet", "obs"])
def test_a_covariate_that_is_measured_too_is_told_whose_it_is(name, where):
    study = Study()
    rng = np.random.default_rng(1)
    target = study.sheet if where == "sheet" else study.obs
    target[name] = rng.uniform(1, 2, len(target))
    assert not [title for title in warned(study) if title.startswith(name)]  # unused, it matters to nothing
    study.formula(f"~ {name} + diagnosis + (1 | sample_id)")
    origin = "samples.tsv" if where == "sheet" else "counts.h5ad"
    assert f"{name} is the column of {origin}" in warned(study)
    del target[name]
    assert not [title for title in warned(study) if title.startswith(name)]


@pytest.mark.parametrize(
    "name, values",
    [
        ("predicted_doublet", [False, True]),
        ("multiplet", ["singlet", "doublet"]),
        ("DoubletFinder_class", ["Singlet", "Doublet"]),
        ("scrublet_call", ["False", "True"]),
    ],
)
def test_doublets_that_a_column_marks_and_nothing_reads(name, values):
    study = Study()
    study.obs[name] = np.array(values)[(np.arange(len(study.obs)) % 10 == 0).astype(int)]
    text = warned(study)[f"Doublets that {name} marks are kept"]
    assert f"input.keep: {{{name}: [{values[0]}]}}" in text
    study.config["input"]["keep"] = {name: [str(values[0])]}
    assert not [title for title in warned(study) if "Doublets" in title]


def test_scores_of_doublets_and_columns_of_one_value_are_no_marks():
    study = Study()
    study.obs["doublet_score"] = np.random.default_rng(0).uniform(0, 1, len(study.obs))
    study.obs["predicted_doublet"] = False
    assert not [title for title in warned(study) if "Doublets" in title]


@pytest.mark.parametrize("name", ["nan", "None", "NA", "null", "-", "1"])
@pytest.mark.parametrize("layer", ["X", "raw"])
def test_genes_are_named_without_their_counts_as_with_them(name, layer):
    data = ad.AnnData(np.ones((3, 4), np.float32), var=pd.DataFrame(index=[name, "B", "C", "D"]))
    data.raw = data[:, ::-1].copy()
    data.write_h5ad("x.h5ad")
    assert list(read_genes("x.h5ad", layer=layer)) == list(open_source("x.h5ad", layer=layer).genes)
    assert name in read_genes("x.h5ad", layer=layer)
