"""Every format of the shared real data, against scanpy and anndata reading them by hand."""

from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
from makers.real import real_data
from makers.tiny_study import Steps, config, read_tested

from nestde.io.files import read_tsv
from nestde.io.formats import open_source


def same(path, wanted, layer="X"):
    source = open_source(path, layer=layer)
    counts = {"X": wanted.X, "raw": wanted.raw.X if wanted.raw else None}.get(layer)
    counts = sp.csr_matrix(wanted.layers[layer] if counts is None else counts)
    found = sp.vstack([block for _, block in source.blocks(3_000)], format="csr")
    assert found.shape == counts.shape
    assert abs(found - counts).sum() == 0
    assert list(source.obs.index) == list(wanted.obs_names)
    assert list(source.genes) == list((wanted.raw if layer == "raw" else wanted).var_names)
    assert np.array_equal(source.row_nnz, np.diff(found.indptr))
    for column in wanted.obs:
        assert list(source.obs[column].astype(str)) == list(wanted.obs[column].astype(str))


def opened_by_anndata(path):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of anndata, about its own old files
        return ad.read_h5ad(path)


@pytest.mark.parametrize(
    "path, layers",
    [
        ("kang_bcells.h5ad", ["X"]),
        ("zeisel_pseudodonors.h5ad", ["X"]),
        ("anndata_old/v0.5.0/adata.h5ad", ["X", "raw"]),
        ("anndata_old/v0.7.0/adata.h5ad", ["X", "raw", "array", "sparse"]),
        ("anndata_old/v0.7.8/adata.h5ad", ["X", "raw", "array", "sparse"]),
    ],
)
def test_h5ad_of_old_and_new_anndata(path, layers):
    wanted = opened_by_anndata(real_data(path))
    for layer in layers:
        same(real_data(path), wanted, layer)


@pytest.mark.parametrize(
    "path",
    [
        "scanpy_10x/1.2.0/filtered_gene_bc_matrices_h5.h5",
        "scanpy_10x/1.2.0/filtered_gene_bc_matrices/hg19_chr21",
        "scanpy_10x/3.0.0/filtered_feature_bc_matrix.h5",
        "scanpy_10x/3.0.0/filtered_feature_bc_matrix",
        *(f"zeisel_10x/individual_{i}" for i in range(1, 7)),
    ],
)
def test_10x_of_versions_2_and_3(path):
    import scanpy as sc

    read = sc.read_10x_h5 if path.endswith(".h5") else sc.read_10x_mtx
    same(real_data(path), read(real_data(path)))


def test_two_genomes_stand_side_by_side():
    import scanpy as sc

    path = real_data("scanpy_10x/1.2.0/multiple_genomes.h5")
    source = open_source(path)
    found = source.rows(0, len(source.obs))
    for genome in ("hg19_chr21", "another_genome"):
        wanted = sc.read_10x_h5(path, genome=genome)
        columns = [i for i, gene in enumerate(source.genes) if gene.startswith(f"{genome}_")]
        assert [source.genes[i].removeprefix(f"{genome}_") for i in columns] == list(wanted.var_names)
        assert abs(found[:, columns] - sp.csr_matrix(wanted.X)).sum() == 0


def test_the_ids_of_10x_genes_can_be_chosen():
    source = open_source(real_data("scanpy_10x/3.0.0/filtered_feature_bc_matrix.h5"), gene_key="gene_ids")
    assert source.genes[0] == "ENSG00000279493"


def test_six_10x_folders_run_from_their_sheet_with_cell_types_from_a_table(tmp_path, monkeypatch):
    import scanpy as sc

    monkeypatch.chdir(tmp_path)
    given = read_tsv(real_data("zeisel_10x/SampleSheet.tsv"), text=["individual"])
    folders = [real_data(f"zeisel_10x/individual_{i}") for i in given["individual"]]
    sheet = given.rename(columns={"manifest": "sample_id"}).assign(counts=[str(path) for path in folders])
    sheet = sheet.sort_values("sample_id", ignore_index=True)
    by_hand = {row.sample_id: sc.read_10x_mtx(row.counts) for row in sheet.itertuples()}
    rows = [
        f"{sample}\t{barcode}\t{barcode.split('_')[0]}"
        for sample, data in by_hand.items()
        for barcode in data.obs_names
    ]
    Path("types.tsv").write_text("\n".join(["sample_id\tbarcode\tcell_type", *rows]) + "\n")
    steps = Steps(
        tmp_path,
        config(
            cell_types=["TEINH", "MGL1"],
            input={"counts": None, "cell_metadata": "types.tsv"},
            model={"formula": "~ diagnosis + (1 | sample_id)", "levels": {"diagnosis": ["Control", "Case"]}},
        ),
        sheet,
    )
    assert steps.ingest() == steps.qc() == steps.matrix("TEINH") == steps.pseudobulk("TEINH") == 0
    found = read_tested()
    genes = read_tsv("genes.tsv", text=["gene"])
    assert list(genes["gene"]) == list(by_hand[sheet["sample_id"][0]].var_names)
    for sample, data in by_hand.items():
        wanted = data[data.obs_names.str.startswith("TEINH")][:, found.var_names]
        assert abs(found[found.obs["sample_id"] == sample].X - wanted.X).sum() == 0
        bulk = ad.read_h5ad("bulk.h5ad")[sample]
        assert np.array_equal(np.ravel(bulk[:, found.var_names].X), np.ravel(wanted.X.sum(axis=0)))
