import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from makers.tiny_study import SAMPLES, cells, config, write_study

from nestde.cells.ingest import cells_of, ingest
from nestde.errors import NestdeError
from nestde.io import source
from nestde.io.counts import OURS
from nestde.io.formats import open_source


@pytest.fixture
def adata():
    return cells()


def ingested(path, tmp_path, samples=SAMPLES, **changes):
    settings = config(input={"counts": str(path)} | changes)
    ingest(path, samples, settings.input, tmp_path / "out.h5ad")
    return ad.read_h5ad(tmp_path / "out.h5ad")


def same(found, adata, samples=SAMPLES, layer=None):
    """The cells of each sample, in the order of the input, with their counts."""
    start = 0
    for sample in samples:
        wanted = adata[(adata.obs["sample_id"] == sample).to_numpy()]
        part = found[start : start + len(wanted)]
        start += len(wanted)
        assert list(part.obsm[OURS]["sample_id"].unique()) == [sample]
        assert list(part.obs_names) == list(wanted.obs_names)
        counts = wanted.X if layer is None else wanted.layers[layer]
        assert np.array_equal(part.X.toarray(), sp.csr_matrix(counts).toarray())
    assert start == len(found)


@pytest.mark.parametrize("kind", ["csr", "csc", "dense", "float csr", "fortran"])
@pytest.mark.parametrize("block", [source.BLOCK, 200])
def test_an_h5ad_of_any_kind_gives_the_same_counts_whatever_the_block(
    adata, tmp_path, monkeypatch, kind, block
):
    monkeypatch.setattr("nestde.io.source.BLOCK", block)
    monkeypatch.setattr("nestde.io.formats.anndata_store.BLOCK", block)
    monkeypatch.setattr("nestde.io.source.Source.blocks.__defaults__", (block,))
    whole = adata.copy()
    match kind:
        case "csc":
            whole.X = sp.csc_matrix(adata.X)
        case "dense":
            whole.X = adata.X.toarray()
        case "float csr":
            whole.X = adata.X.astype(np.float32)
        case "fortran":
            whole.X = np.asfortranarray(adata.X.toarray())
    whole.write_h5ad(tmp_path / "in.h5ad", compression="gzip")
    found = ingested(tmp_path / "in.h5ad", tmp_path)
    same(found, adata)
    assert found.X.dtype == np.int32
    assert list(found.obs.columns[:3]) == list(adata.obs.columns)


@pytest.mark.parametrize("layer", ["raw", "counts"])
def test_counts_may_be_in_raw_or_a_layer(adata, tmp_path, layer):
    whole = adata.copy()
    if layer == "raw":
        whole.raw = adata[:, ::-1].copy()
    else:
        whole.layers["counts"] = adata.X.copy()
    whole.X = np.log1p(adata.X)
    whole.write_h5ad(tmp_path / "in.h5ad")
    found = ingested(tmp_path / "in.h5ad", tmp_path, layer=layer)
    same(found[:, adata.var_names], adata)
    with pytest.raises(NestdeError, match=r"non-integer values .*is there a raw layer"):
        ingested(tmp_path / "in.h5ad", tmp_path)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_zarr_is_read_like_h5ad(adata, tmp_path, zarr_format):
    with ad.settings.override(zarr_write_format=zarr_format), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of format 2 and of strings in format 3, by their writers
        adata.write_zarr(tmp_path / "in.zarr")
    same(ingested(tmp_path / "in.zarr", tmp_path), adata)


def test_only_samples_of_the_sheet_are_taken(adata, tmp_path):
    adata.write_h5ad(tmp_path / "in.h5ad")
    found = ingested(tmp_path / "in.h5ad", tmp_path, ["S1", "S3"])
    same(found, adata, ["S1", "S3"])
    assert found.uns["others"] == 80


def test_keep_removes_column_by_column_and_says_how_many(adata, tmp_path):
    adata.obs["multiplet"] = pd.Categorical(np.where(np.arange(len(adata)) % 5 == 0, "doublet", "singlet"))
    adata.obs["lane"] = np.arange(len(adata)) % 2 + 1.0
    adata.write_h5ad(tmp_path / "in.h5ad")
    found = ingested(tmp_path / "in.h5ad", tmp_path, keep={"multiplet": ["singlet"], "lane": [1]})
    kept = adata[(adata.obs["multiplet"] == "singlet") & (adata.obs["lane"] == 1)]
    same(found, kept)
    uns = found.uns
    assert uns["came"].sum() == len(adata)
    assert uns["keep"]["multiplet"].sum() == (adata.obs["multiplet"] == "doublet").sum()
    assert (uns["came"] - uns["keep"]["multiplet"] - uns["keep"]["lane"] == uns["kept"]).all()
    assert np.array_equal(uns["starts"], np.concatenate([[0], np.cumsum(uns["kept"])]))
    with pytest.raises(NestdeError, match=r"no cell has multiplet ambs.*there are doublet, singlet"):
        ingested(tmp_path / "in.h5ad", tmp_path, keep={"multiplet": ["ambs"]})


def test_metadata_is_joined_by_barcode_and_sample(adata, tmp_path):
    adata.obs_names = [f"C{i % 40}" for i in range(len(adata))]
    adata.obs["sample_id"] = pd.Categorical(np.repeat(SAMPLES, 40))
    table = pd.DataFrame({"sample_id": adata.obs["sample_id"], "barcode": adata.obs_names})
    table["clonotype"] = np.arange(len(table)) % 7
    table["cell_type"] = np.where(table["clonotype"] == 0, "mast", "other")
    table.iloc[10:].sample(frac=1, random_state=1).to_csv(tmp_path / "meta.tsv", sep="\t", index=False)
    with pytest.warns(UserWarning, match="not unique"):
        adata.write_h5ad(tmp_path / "in.h5ad")
        found = ingested(tmp_path / "in.h5ad", tmp_path, cell_metadata=str(tmp_path / "meta.tsv"))
    assert found.obs["clonotype"].isna().sum() == 10
    assert np.array_equal(found.obs["clonotype"][10:], table["clonotype"][10:])
    assert list(found.obsm[OURS]["cell_type"][10:]) == list(table["cell_type"][10:])


def test_without_samples_in_the_table_repeated_barcodes_are_refused(adata, tmp_path):
    adata.obs_names = [f"C{i % 40}" for i in range(len(adata))]
    adata.obs["sample_id"] = pd.Categorical(np.repeat(SAMPLES, 40))
    pd.DataFrame({"barcode": adata.obs_names[:40], "x": 1}).to_csv(
        tmp_path / "meta.tsv", sep="\t", index=False
    )
    adata.write_h5ad(tmp_path / "in.h5ad")
    with pytest.raises(NestdeError, match="no column sample_id, but barcodes repeat across samples"):
        ingested(tmp_path / "in.h5ad", tmp_path, cell_metadata=str(tmp_path / "meta.tsv"))


def test_a_file_of_one_sample_needs_no_sample_column(adata, tmp_path):
    one = adata[(adata.obs["sample_id"] == "S2").to_numpy()].copy()
    wanted = one.copy()
    del one.obs["sample_id"]
    one.write_h5ad(tmp_path / "in.h5ad")
    same(ingested(tmp_path / "in.h5ad", tmp_path, ["S2"]), wanted, ["S2"])


def test_the_command_writes_the_same_bytes_twice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    steps = write_study(tmp_path)
    path = tmp_path / "ingest/counts.h5ad.h5ad"
    assert steps.ingest() == 0
    first = path.read_bytes()
    assert steps.ingest() == 0
    assert path.read_bytes() == first


def test_columns_become_numbers_booleans_or_text(adata, tmp_path):
    n = len(adata)
    adata.obs["whole"] = pd.array([1, None] * (n // 2), dtype="Int64")
    adata.obs["flag"] = np.arange(n) % 2 == 0
    adata.obs["number labels"] = pd.Categorical(np.arange(n) % 3)
    adata.obs["text"] = [None if i == 3 else "a" for i in range(n)]
    adata.write_h5ad(tmp_path / "in.h5ad")
    found, _ = cells_of(open_source(tmp_path / "in.h5ad"), SAMPLES, config().input)
    assert found["whole"].dtype == float and found["whole"].isna().sum() == n // 2
    assert found["flag"].dtype == bool
    assert list(found["number labels"].cat.categories) == ["0", "1", "2"]
    assert found["text"].isna().sum() == 1


def test_every_fault_of_the_counts_is_told_with_its_number_and_first_place(adata, tmp_path):
    counts = adata.X.toarray().astype(float)
    counts[3, 4], counts[5, 1], counts[7, 0], counts[8, 0] = 0.5, -2, np.nan, np.inf
    adata.X = counts
    adata.write_h5ad(tmp_path / "in.h5ad")
    with pytest.raises(NestdeError) as error:
        ingested(tmp_path / "in.h5ad", tmp_path)
    assert len(error.value.faults) == 3
    told = " ".join(error.value.faults)
    for part in ("2 non-finite values", "1 non-integer value (first: 0.5", "1 negative value (first: -2.0"):
        assert part in told
    assert "cell C0003-1, gene G4" in told
    assert not (tmp_path / "out.h5ad").exists()
