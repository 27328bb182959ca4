"""10x folders and files: broken ones end in a sentence, odd ones are read as they are meant."""

import gzip
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp
from makers.tiny_study import cells, config

from nestde.cells.ingest import ingest
from nestde.errors import NestdeError
from nestde.io.formats import open_source


@pytest.fixture(autouse=True)
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def tenx(
    folder=Path("tenx"), suffix=".gz", names=("barcodes.tsv", "features.tsv"), genes=None, barcodes=None
):
    """Write the cells of S1 as a 10x folder."""
    adata = cells()
    adata = adata[adata.obs["sample_id"] == "S1"]
    folder.mkdir()
    opened = gzip.open if suffix else open
    rows = genes or [f"ENS{i}\t{gene}\tGene Expression" for i, gene in enumerate(adata.var_names)]
    with opened(folder / f"{names[0]}{suffix}", "wb") as handle:
        handle.write("".join(f"{barcode}\n" for barcode in barcodes or adata.obs_names).encode("latin-1"))
    with opened(folder / f"{names[1]}{suffix}", "wb") as handle:
        handle.write("".join(f"{row}\n" for row in rows).encode("latin-1"))
    with opened(folder / f"matrix.mtx{suffix}", "wb") as handle:
        scipy.io.mmwrite(handle, sp.coo_matrix(adata.X.T), field="integer")
    return adata


def cut(path, share=0.5):
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole[: int(len(whole) * share)])


def plain_matrix(change):
    """Replace the matrix by a plain one with its text changed."""
    with gzip.open("tenx/matrix.mtx.gz", "rt") as handle:
        text = handle.read()
    Path("tenx/matrix.mtx.gz").unlink()
    Path("tenx/matrix.mtx").write_text(change(text))


def entry(old, new):
    return lambda: plain_matrix(lambda text: text.replace(old, new, 1))


TENX = {
    "no barcodes": (lambda: Path("tenx/barcodes.tsv.gz").unlink(), "has no barcodes.tsv (or .gz)"),
    "no features": (lambda: Path("tenx/features.tsv.gz").unlink(), "has no features.tsv or genes.tsv (or .gz)"),
    "truncated gzip": (lambda: cut("tenx/matrix.mtx.gz"), "cannot be read"),
    "truncated barcodes": (lambda: cut("tenx/barcodes.tsv.gz"), "cannot be read"),
    "truncated text": (lambda: plain_matrix(lambda text: text[: len(text) // 2]), "cannot be read"),
    "no header": (lambda: plain_matrix(lambda text: text.split("\n", 1)[1]), "cannot be read"),
    "another shape": (entry("30 40 ", "31 40 "), "is 31 × 40, but beside it are 30 features"),
    "indices beyond the shape": (entry("\n1 1 ", "\n99 1 "), "cannot be read"),
    "words": (entry("\n1 1 ", "\none 1 "), "cannot be read"),
    "a barcode more": (
        lambda: Path("tenx/barcodes.tsv.gz").write_bytes(gzip.compress(b"A\n" * 41)),
        "30 features and 41 barcodes",
    ),
    "two matrices": (
        lambda: shutil.copy("tenx/matrix.mtx.gz", "tenx/other_matrix.mtx.gz"), "is a folder with 2 matrices",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TENX)
def test_a_broken_10x_folder_ends_in_a_sentence(name):
    tenx()
    breaking, words = TENX[name]
    breaking()
    with pytest.raises(NestdeError) as error:
        ingest("tenx", ["S1"], config().input, "out.h5ad")
    assert words in str(error.value)
    assert not Path("out.h5ad").exists()


def test_10x_without_genes_or_with_a_layer_is_refused():
    tenx(genes=[f"AB{i}\tCD{i}\tAntibody Capture" for i in range(30)])
    with pytest.raises(NestdeError, match="no feature is of type Gene Expression"):
        open_source("tenx")
    with pytest.raises(NestdeError, match="is 10x data and has no layer raw"):
        open_source("tenx", layer="raw")


def test_a_truncated_10x_h5_ends_in_a_sentence():
    adata = cells()
    with h5py.File("tenx.h5", "w") as root:
        group = root.create_group("matrix")
        for name, values in {
            "data": adata.X.data,
            "indices": adata.X.indices,
            "indptr": adata.X.indptr,
        }.items():
            group[name] = values
        group["shape"] = [30, 160]
        group["barcodes"] = [name.encode() for name in adata.obs_names]
        features = group.create_group("features")
        features["id"] = features["name"] = [name.encode() for name in adata.var_names]
    found = open_source("tenx.h5").rows(0, 160)
    assert (found != adata.X).nnz == 0
    with h5py.File("tenx.h5", "r+") as root:
        short = root["matrix/barcodes"][:-1]
        del root["matrix/barcodes"]
        root["matrix/barcodes"] = short
    with pytest.raises(
        NestdeError, match="its matrix is 30 × 160, but there are 30 features and 159 barcodes"
    ):
        open_source("tenx.h5")


def test_names_that_are_not_utf_8_are_read_as_latin_1():
    adata = tenx(barcodes=[f"caf\xe9-{i}" for i in range(40)], genes=[f"E{i}\tg\xe8ne{i}" for i in range(30)])
    source = open_source("tenx")
    assert source.obs.index[0] == "café-0" and source.genes[1] == "gène1"
    assert (source.rows(0, 40) != adata.X).nnz == 0


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("features", ["features.tsv", "genes.tsv"])
def test_10x_folders_gzipped_or_not_with_a_prefix_or_by_their_matrix(suffix, features):
    adata = tenx(suffix=suffix, names=("barcodes.tsv", features))
    for path in Path("tenx").iterdir():
        path.rename(path.with_name(f"GSM1_{path.name}"))
    for path in ("tenx", f"tenx/GSM1_matrix.mtx{suffix}"):
        source = open_source(path)
        assert list(source.genes) == list(adata.var_names)
        assert (source.rows(0, 40) != adata.X).nnz == 0


def test_a_10x_symbol_that_occurs_twice_takes_its_id_along_and_antibodies_are_no_genes():
    kinds = ["Antibody Capture" if i > 27 else "Gene Expression" for i in range(30)]
    adata = tenx(
        genes=[f"E{i}\t{'TBCE' if i in (3, 9) else f'G{i}'}\t{kind}" for i, kind in enumerate(kinds)]
    )
    source = open_source("tenx")
    assert len(source.genes) == 28
    assert (source.genes[3], source.genes[4], source.genes[9]) == ("TBCE_E3", "G4", "TBCE_E9")
    assert (source.rows(0, 40) != adata.X[:, :28]).nnz == 0
    assert np.array_equal(source.row_nnz, np.diff(adata.X[:, :28].tocsr().indptr))
