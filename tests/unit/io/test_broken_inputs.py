"""Broken and hostile inputs: each ends in a sentence that names what is wrong, or in the right result.

Never in a traceback, and never in a half-written file. `BROKEN` breaks a good study and gives words of the
sentence; `HARMLESS` are inputs that look odd and are read as they are meant.
"""

import gzip
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from makers.tiny_study import SAMPLES, Steps, cells, config, read_tested, sheet

DATA = Path("counts.h5ad")


@pytest.fixture(autouse=True)
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells().write_h5ad(DATA)


def edit(change):
    """Break the file from inside HDF5, where anndata would not let us."""

    def breaking():
        with h5py.File(DATA, "r+") as root:
            change(root)

    return breaking


def rewrite(change):
    """Break the AnnData and write it again."""

    def breaking():
        adata = ad.read_h5ad(DATA)
        changed = change(adata)
        adata = adata if changed is None else changed
        DATA.unlink()
        adata.write_h5ad(DATA)

    return breaking


def replace(root, name, values):
    attrs = dict(root[name].attrs)
    del root[name]
    root.create_dataset(name, data=values)
    root[name].attrs.update(attrs)


def counts(value):
    """Put one value into the counts."""

    def change(adata):
        dense = adata.X.toarray().astype(np.asarray(value).dtype)
        dense[2, 3] = value
        adata.X = sp.csr_matrix(dense)

    return rewrite(change)


def truncate(share):
    def breaking():
        whole = DATA.read_bytes()
        DATA.write_bytes(whole[: int(len(whole) * share)])

    return breaking


def write(content):
    return lambda: DATA.write_bytes(content)


def names(change):
    def breaking(adata):
        adata.var_names = change(list(adata.var_names))

    return rewrite(breaking)


def obs(**columns):
    def change(adata):
        for name, values in columns.items():
            adata.obs[name] = values(adata) if callable(values) else values

    return rewrite(change)


def drop(column):
    def change(adata):
        del adata.obs[column]

    return rewrite(change)


def repeat_barcodes(adata):
    adata.obs["sample_id"] = pd.Categorical(np.repeat(SAMPLES, 40))
    adata.obs_names = ["AAAC-1", "AAAC-1", *adata.obs_names[2:]]


def folder():
    DATA.unlink()
    DATA.mkdir()


def set_indptr(root):
    indptr = root["X/indptr"][:]
    indptr[5] = indptr[7] + 1
    root["X/indptr"][:] = indptr


def metadata(text, encoding="utf-8"):
    return lambda: Path("meta.tsv").write_bytes(text.encode(encoding))


META = {"input": {"cell_metadata": "meta.tsv"}}
ONE = "sample_id\tbarcode\tlane\n"

# name -> (how the good study is broken, changes of the configuration, words of the sentence)
BROKEN = {
    "no such file": (DATA.unlink, {}, "cannot be read (No such file"),
    "empty file": (write(b""), {}, "is empty"),
    "text called h5ad": (write(b"gene,cell\n"), {}, "is no HDF5 file, whatever its name says"),
    "gzip called h5ad": (write(gzip.compress(b"x" * 99)), {}, "is gzipped and no HDF5 file"),
    "zip called h5ad": (write(b"PK\x03\x04 and so on"), {}, "is a zip archive"),
    "only the first bytes": (write(b"\x89HDF\r\n\x1a\n"), {}, "cannot be read"),
    "truncated at a half": (truncate(0.5), {}, "cannot be read"),
    "truncated near the end": (truncate(0.97), {}, "cannot be read"),
    "a folder of nothing": (folder, {}, "is a folder with no matrix.mtx"),
    "no obs": (edit(lambda root: root.pop("obs")), {}, "has no obs and var"),
    "no var": (edit(lambda root: root.pop("var")), {}, "has no obs and var"),
    "no X": (edit(lambda root: root.pop("X")), {}, "holds no layer X (input.layer). It holds no counts"),
    "no such layer": (lambda: None, {"input": {"layer": "raw"}}, "holds no layer raw (input.layer). It holds X"),
    "X without indices": (edit(lambda root: root.pop("X/indices")), {}, "cannot be read"),
    "X of unknown encoding": (
        edit(lambda root: root["X"].attrs.modify("encoding-type", "coo_matrix")), {}, "stored as coo",
    ),
    "X without a shape": (edit(lambda root: root["X"].attrs.pop("shape")), {}, "cannot be read"),
    "X of another shape": (
        edit(lambda root: root["X"].attrs.modify("shape", [160, 29])), {}, "X is 160 × 29, but there are 160 cells",
    ),
    "pointers that go back": (edit(set_indptr), {}, "its sparse matrix is broken"),
    "pointers cut off": (
        edit(lambda root: replace(root, "X/indptr", root["X/indptr"][:-3])), {}, "its sparse matrix is broken",
    ),
    "values cut off": (
        edit(lambda root: replace(root, "X/data", root["X/data"][:-3])), {}, "its sparse matrix is broken",
    ),
    "indices beyond the genes": (
        edit(lambda root: root["X/indices"].__setitem__(10, 30_000)), {}, "its sparse matrix is broken: indices",
    ),
    "negative indices": (
        edit(lambda root: root["X/indices"].__setitem__(10, -4)), {}, "its sparse matrix is broken: indices",
    ),
    "text as counts": (
        edit(lambda root: replace(root, "X/data", np.full(len(root["X/data"]), b"3"))), {}, "its counts are no numbers",
    ),
    "normalised counts": (
        rewrite(lambda adata: setattr(adata, "X", np.log1p(adata.X))), {},
        "non-integer values (first: ",
    ),
    "one half": (counts(0.5), {}, "holds 1 non-integer value (first: 0.5 at cell C0002-1, gene G3)"),
    "a negative count": (counts(-1), {}, "holds 1 negative value (first: -1 at cell C0002-1, gene G3)"),
    "NaN": (counts(np.nan), {}, "holds 1 non-finite value (first: nan at cell C0002-1, gene G3)"),
    "infinity": (counts(np.inf), {}, "holds 1 non-finite value (first: inf at cell C0002-1, gene G3)"),
    "beyond 32 bits": (
        counts(np.int64(2**40)), {}, f"holds 1 too large value (first: {2**40} at cell C0002-1, gene G3)",
    ),
    "beyond 64 bits": (counts(np.uint64(2**63 + 9)), {}, "holds 1 too large value"),
    "gene names that are not UTF-8": (
        edit(lambda root: replace(root, "var/_index", np.full(30, b"caf\xe9"))), {}, "cannot be read",
    ),
    "barcodes cut off": (
        edit(lambda root: replace(root, "obs/_index", root["obs/_index"][:-1])), {}, "cannot be read",
    ),
    "a column of obs cut off": (
        edit(lambda root: replace(root, "obs/sequencing_saturation", np.zeros(159))), {}, "cannot be read",
    ),
    "labels beyond their categories": (
        edit(lambda root: root["obs/cell_type/codes"].__setitem__(4, 9)), {}, "cannot be read",
    ),
    "genes twice": (
        names(lambda genes: ["MALAT1", "MALAT1", *genes[2:]]), {}, "1 gene name occurs more than once: MALAT1",
    ),
    "a gene without a name": (names(lambda genes: ["", *genes[1:]]), {}, "1 gene has no name"),
    "no such gene column": (lambda: None, {"input": {"gene_key": "symbol"}}, "var has no column symbol"),
    "no sample column": (drop("sample_id"), {}, "obs has no column sample_id (input.sample_key)"),
    "no cell type column": (drop("cell_type"), {}, "there is no column cell_type (input.cell_type_key)"),
    "samples without a name": (
        obs(sample_id=lambda adata: pd.Categorical([None] * len(adata), SAMPLES)), {},
        "S1, S2, S3, S4 of the sample sheet is not among the samples",
    ),
    "a sample that is not there": (
        obs(sample_id=lambda adata: adata.obs["sample_id"].astype(str).replace("S3", "S33")), {},
        "S3 of the sample sheet is not among the samples of the data",
    ),
    "no cells": (rewrite(lambda adata: adata[:0].copy()), {}, "of the sample sheet is not among the samples"),
    "the same cell twice": (rewrite(repeat_barcodes), {}, "2 cells share a barcode with another cell of their sample"),
    "keep what is not there": (
        lambda: None, {"input": {"keep": {"lane": [1]}}}, "input.keep names lane, which is no column",
    ),
    "keep a value that no cell has": (
        lambda: None, {"input": {"keep": {"cell_type": ["mast"]}}}, "no cell has cell_type mast (input.keep)",
    ),
    "keep all but one sample": (
        lambda: None, {"input": {"keep": {"sample_id": ["S1"]}}}, "input.keep leaves no cell of S2, S3, S4",
    ),
    "no table of cells": (lambda: None, META, "meta.tsv: the table of cell metadata cannot be read (No such file"),
    "an empty table of cells": (metadata(""), META, "meta.tsv: is empty. It needs a header with barcode"),
    "a table of cells in another encoding": (
        metadata(ONE + "S1\tC0001-1\tä\n", "latin-1"), META, "meta.tsv: is not UTF-8 text (byte 34)",
    ),
    "a table with ragged rows": (metadata(ONE + "S1\tC\t1\nS1\tD\t1\t2\t3\n"), META, "row 3 has 5 fields, but the header has 3"),
    "a table without barcodes": (metadata("cell\tlane\nC1\t2\n"), META, "has no column barcode"),
    "a table with a cell twice": (
        metadata(ONE + "S1\tC0001-1\t1\nS1\tC0001-1\t2\n"), META, "more than one row for S1 C0001-1",
    ),
    "a table of other cells": (metadata(ONE + "S1\tX\t1\n"), META, "no row fits a cell of S1, S2, S3, S4"),
}  # fmt: skip


def leftovers():
    """Files that a step left behind, finished or not."""
    return [path for folder in ("ingest", "counts", "qc") for path in Path(folder).glob("*")]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_study_ends_in_a_sentence(name, capsys):
    breaking, changes, words = BROKEN[name]
    breaking()
    steps = Steps(".", config(**changes), sheet())
    assert steps.ingest() == 2
    told = capsys.readouterr().err
    assert words in told
    assert str(DATA) in told or "meta.tsv" in told
    assert "Traceback" not in told
    assert leftovers() == []


def test_what_stood_there_before_stays():
    steps = Steps(".", config(), sheet())
    assert steps.ingest() == 0
    (path,) = leftovers()
    before = path.read_bytes()
    counts(0.5)()
    assert steps.ingest() == 2
    assert leftovers() == [path] and path.read_bytes() == before


# Odd, but what is meant is plain


def run_all(steps, cell_types=("T cell", "B/cell")):
    assert steps.ingest() == steps.qc() == 0
    for cell_type in cell_types:
        assert steps.matrix(cell_type) == steps.pseudobulk(cell_type) == 0
    return read_tested()


HARMLESS = {
    "floats that are whole": rewrite(lambda adata: setattr(adata, "X", adata.X.astype(np.float64))),
    "64-bit counts": rewrite(lambda adata: setattr(adata, "X", adata.X.astype(np.int64))),
    "columns of mixed types": edit(
        lambda root: replace(root, "obs/cell_type/categories", np.array(["B/cell", "T cell"], dtype="S"))
    ),
    "categories without members": obs(
        cell_type=lambda adata: adata.obs["cell_type"].cat.add_categories(["nobody", "…"])
    ),
    "a column name with a slash": obs(**{"score/µ": 1.0}),
    "an all-missing column": obs(nothing=np.nan, none=lambda adata: pd.Categorical([None] * len(adata))),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_oddities_give_the_same_counts(name):
    wanted = run_all(Steps(".", config(), sheet()))
    HARMLESS[name]()
    found = run_all(Steps(".", config(), sheet()))
    assert (found.X != wanted.X).nnz == 0
    assert list(found.obs_names) == list(wanted.obs_names)


@pytest.mark.parametrize("kind", ["csr", "csc"])
def test_unsorted_and_repeated_and_zero_entries_mean_their_sum(kind):
    adata = ad.read_h5ad(DATA)
    wanted = run_all(Steps(".", config(), sheet()))
    stored = adata.X.asformat(kind)
    half, one = stored.copy(), stored.copy()
    half.data -= 1
    one.data[:] = 1
    rows = [slice(start, stop) for start, stop in zip(stored.indptr[:-1], stored.indptr[1:], strict=True)]
    with h5py.File(DATA, "r+") as root:
        root["X"].attrs["encoding-type"] = f"{kind}_matrix"
        replace(root, "X/data", np.concatenate([[*half.data[row][::-1], *one.data[row]] for row in rows]))
        replace(
            root,
            "X/indices",
            np.concatenate([[*stored.indices[row][::-1], *stored.indices[row]] for row in rows]),
        )
        replace(root, "X/indptr", stored.indptr * 2)
    found = run_all(Steps(".", config(), sheet()))
    assert (found.X != wanted.X).nnz == 0


def test_cells_without_a_type_are_counted_and_enter_no_matrix():
    with h5py.File(DATA, "r+") as root:
        root["obs/cell_type/codes"][:20] = -1
    steps = Steps(".", config(), sheet())
    assert steps.ingest() == steps.qc() == 0
    assert sum(steps.ledger(sample)["without_cell_type"]["kept"] for sample in SAMPLES) == 20
    sizes = []
    for cell_type in ("T cell", "B/cell"):
        assert steps.matrix(cell_type) == 0
        sizes.append(len(read_tested()))
    assert sum(sizes) == 140


def test_a_column_of_mixed_types_in_the_table_of_cells_is_text():
    obs_of = ad.read_h5ad(DATA).obs
    rows = [
        f"{s}\t{barcode}\t{['1', 'a', '', '2.5'][i % 4]}"
        for i, (barcode, s) in enumerate(obs_of["sample_id"].items())
    ]
    Path("meta.tsv").write_text("\n".join(["sample_id\tbarcode\tlane", *rows]) + "\n")
    found = run_all(Steps(".", config(**META), sheet()))
    assert list(found.obs["lane"].cat.categories) == ["1", "2.5", "a"]
    assert found.obs["lane"].isna().any()


def test_cells_and_genes_without_counts_are_no_fault():
    adata = ad.read_h5ad(DATA)
    dense = adata.X.toarray()
    dense[5], dense[:, 6] = 0, 0
    adata.X = sp.csr_matrix(dense)
    adata.write_h5ad(DATA)
    steps = Steps(".", config(), sheet())
    run_all(steps)
    assert sum(steps.ledger(sample)["cells_kept"] for sample in SAMPLES) == 159


HOSTILE = [
    "a/b",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    'it\'s "quoted"',
    "ünï cödé",
    "x" * 200,
    "S 1",
    "-rf",
]


def test_hostile_names_stay_names_and_never_become_paths():
    adata = cells(n=10, samples=HOSTILE)
    adata.obs["cell_type"] = pd.Categorical(np.where(np.arange(80) % 2, "<b>T & B</b>", "../up"))
    adata.var_names = ["../gene", "<i>gene</i>", "ge ne", 'ge"ne', *adata.var_names[4:]]
    adata.write_h5ad(DATA)
    samples = sorted(HOSTILE)
    steps = Steps("in", config(cell_types=["<b>T & B</b>", "../up"]), sheet(samples))
    assert steps.ingest() == steps.qc() == steps.matrix("../up") == steps.pseudobulk("<b>T & B</b>") == 0
    found = read_tested("in")
    assert sorted(found.obs["sample_id"].unique()) == samples
    assert {"../gene", "<i>gene</i>", 'ge"ne'} <= set(found.var_names)
    assert sorted(path.name for path in Path().iterdir()) == ["counts.h5ad", "in"]
    assert found.X.sum() == adata[adata.obs["cell_type"] == "../up", found.var_names].X.sum()
