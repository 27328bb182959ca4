"""Columns of the user's, whatever their names: they take the place of nothing that nestde measures or needs."""

import ast
import re
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from makers.tiny_study import SAMPLES, Steps, cells, config, sheet

import nestde
from nestde.cells.covariates import covariates, measurements, of_data
from nestde.cells.parts import counted, parts_of
from nestde.cells.qc import MEASURED
from nestde.check import check_study
from nestde.io.counts import UNSTORABLE, as_named, storable
from nestde.io.files import write_tsv
from nestde.study.samples import read_checked

ODD = ["_index", ".", "..", "a/b", "100 %", "%2F", "self", "data", "0", "Ünïcode", "sample id"]


def names_of_the_package():
    """Every text in the package's source that could name a column."""
    folder = Path(nestde.__file__).parent
    found = set(MEASURED)
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            elif isinstance(node, ast.keyword) and node.arg:
                found.add(node.arg)
    named = {name for name in found if re.fullmatch(r"[A-Za-z_]\w{0,29}", name)}
    taken = {"sample_id", "counts", "cell_type", "sequencing_saturation", "diagnosis"}
    return sorted(named - taken | {"slug", "source", "index", "obs", "X"})


NAMES = names_of_the_package() + ODD


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tables(folder, adata, samples, model=None):
    """Bytes of all tables of a study, from its counts to fits and pseudobulk tests."""
    folder.mkdir()
    adata.write_h5ad("counts.h5ad")
    steps = Steps(folder, config(model=model or {}, inference={"crosscheck_genes": 2}), samples)
    assert steps.ingest() == steps.qc() == 0
    assert steps.matrix("T cell") == steps.pseudobulk("T cell") == 0
    assert steps.design("T cell") == steps.statistics() == 0
    given = {"design": folder / "design.npz", "statistics": folder / "statistics.npz"}
    assert steps.run("fit", **given, chunk="1-of-1", out=folder / "fit.tsv") == 0
    assert steps.crosscheck("fit.tsv", "checked.tsv") == steps.pseudobulk_de("bulk.de.tsv") == 0
    found = [*sorted(folder.glob("qc/*")), *map(folder.joinpath, ["genes.tsv", "design.json", "fit.tsv"])]
    found += [folder / name for name in ("checked.tsv", "bulk.tsv", "bulk.de.tsv")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


PLAIN = {}  # tables of the study without any column more, made once


def hostile(kind, n, seed=1):
    """n values that would be seen if they took the place of something."""
    rng = np.random.default_rng(seed)
    if kind == "text":
        return np.array(["T cell", "B/cell", "S1", "AD", "nan"], object)[rng.integers(0, 5, n)]
    return rng.uniform(0.001, 0.01, n)


def with_columns(adata, names, kind):
    adata = adata.copy()
    added = {name: pd.Series(hostile(kind, len(adata), i), adata.obs_names) for i, name in enumerate(names)}
    added = pd.DataFrame(added)
    for name in added if kind == "text" else []:
        added[name] = pd.Categorical(added[name])
    adata.obs = pd.concat([adata.obs, added], axis=1)
    return adata


def sheet_with(names, kind):
    added = pd.DataFrame({name: hostile(kind, len(SAMPLES), i) for i, name in enumerate(names)})
    return pd.concat([sheet(), added], axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["text", "number"])
def test_columns_that_the_formula_does_not_name_change_no_byte(study, kind):
    """In sheet and obs, under every name that the package itself uses."""
    if not PLAIN:
        PLAIN.update(tables(study / "plain", cells(), sheet()))
    plain = PLAIN
    assert len(NAMES) > 500 and {"total_counts", "size_factor", "left_out", "barcode"} <= set(NAMES)
    in_sheet = tables(study / "sheet", cells(), sheet_with(NAMES, kind))
    assert [name for name in plain if in_sheet[name] != plain[name]] == []
    stored = [name for name in NAMES if name not in UNSTORABLE and "/" not in name]
    in_obs = tables(study / "obs", with_columns(cells(), stored, kind), sheet())
    assert [name for name in plain if in_obs[name] != plain[name]] == []


USED = ["total_counts", "size_factor", "doublet_score", "left_out"]


@pytest.mark.parametrize("name", USED)
@pytest.mark.parametrize("where", ["sheet", "obs"])
def test_a_column_that_the_formula_names_is_the_users(study, name, where):
    def fitted(called):
        adata, samples = cells(samples=list("abcdefgh")), sheet(samples=list("abcdefgh"))
        if where == "obs":
            adata.obs[called] = hostile("number", len(adata))
        else:
            samples[called] = hostile("number", len(samples))
        model = {"formula": f"~ {called} + diagnosis + (1 | sample_id)"}
        return tables(study / called, adata, samples, model)

    mine, neutral = fitted(name), fitted("neutral")
    for table in ("fit.tsv", "checked.tsv", "bulk.de.tsv", "genes.tsv"):
        assert mine[table].replace(name.encode(), b"neutral") == neutral[table].replace(
            name.encode(), b"neutral"
        )


def test_the_formula_sees_every_column_as_it_was_given(study):
    samples = sheet_with(NAMES, "number")
    of_cells = [f"{name} of cells" for name in NAMES if "/" not in name] + ["cell_type", "barcode", "slug"]
    adata = with_columns(cells(), [name for name in of_cells if name != "cell_type"], "number")
    adata.obs["anno"] = adata.obs["cell_type"]
    adata.obs["cell_type"] = pd.Categorical(hostile("text", len(adata)))
    adata.write_h5ad("counts.h5ad")
    steps = Steps(study, config(input={"cell_type_key": "anno"}), samples.drop(columns=["barcode", "slug"]))
    assert steps.ingest() == steps.qc() == 0
    parts = parts_of(steps.counts, "T cell")
    measured = measurements(parts, np.ones(sum(part.n for part in parts)))
    seen = covariates(of_data(parts), measured, read_checked(study / "samples.tsv"))
    mine = adata[adata.obs["anno"] == "T cell"]
    mine = mine[np.argsort(mine.obs["sample_id"].astype(str).to_numpy(), kind="stable")]
    for name in of_cells:
        assert (seen[name].astype(str).to_numpy() == mine.obs[name].astype(str).to_numpy()).all(), name
    row = samples.set_index("sample_id").loc[mine.obs["sample_id"].astype(str)]
    for name in NAMES:
        if name not in ("barcode", "slug"):
            np.testing.assert_array_equal(seen[name], row[name], err_msg=name)


def test_what_is_measured_is_there_where_no_column_has_its_name(study):
    adata = cells()
    adata.write_h5ad("counts.h5ad")
    steps = Steps(study, config(), sheet())
    assert steps.ingest() == steps.qc() == 0
    parts = parts_of(steps.counts, "T cell")
    size = counted(parts, [], 0).total / 7
    seen = covariates(of_data(parts), measurements(parts, size), sheet())
    total = pd.Series(np.ravel(adata.X.sum(axis=1)), adata.obs_names)
    wanted = total[[name.partition(":")[2] for name in seen.index]].to_numpy()
    assert np.array_equal(seen["total_counts"], wanted)
    assert np.array_equal(seen["size_factor"], wanted / 7)


def test_the_check_takes_any_name(study):
    cells().write_h5ad("counts.h5ad")
    samples = sheet_with(NAMES, "number").drop(columns="counts")
    write_tsv(samples, "samples.tsv")
    checked = check_study(config(samples="samples.tsv", input={"counts": "counts.h5ad"}))
    assert checked.faults == ()
    assert list(checked.samples.columns) == ["sample_id", "counts", *samples.columns[1:]]


@pytest.mark.parametrize("name", ["total_counts", "size_factor", "sum", "n_cells"])
def test_de_in_memory_takes_library_sizes_from_the_counts(name):
    adata = cells(samples=list("abcdefgh"))
    adata.obs["diagnosis"] = adata.obs["sample_id"].map(lambda s: ["Control", "AD"]["abcdefgh".index(s) % 2])
    adata.obs["diagnosis"] = adata.obs["diagnosis"].astype(str)
    formula = "~ neutral + diagnosis + (1 | sample_id)"
    adata.obs["neutral"] = hostile("number", len(adata))
    given = {"test": "diagnosis", "cell_type_key": "cell_type", "levels": {"diagnosis": ["Control", "AD"]}}
    plain = nestde.de(adata, formula, **given)
    adata.obs[name] = hostile("number", len(adata), 2)
    pd.testing.assert_frame_equal(nestde.de(adata, formula, **given), plain)
    adata.obs[name] = adata.obs["neutral"]
    used = nestde.de(adata, formula.replace("neutral", name), **given)
    named = {f"{what}_{name}": f"{what}_neutral" for what in ("coef", "se")}
    pd.testing.assert_frame_equal(used.rename(columns=named), plain)


def test_any_name_is_stored_and_read_as_it_was(study):
    names = [*NAMES, "dtype", "", "%", "%%", "%00", "a%2Fb", "/", "//", "x" * 300]
    frame = pd.DataFrame({name: [i] for i, name in enumerate(names)}, index=["c"])
    ad.AnnData(np.zeros((1, 1)), obs=storable(frame)).write_h5ad("x.h5ad")
    assert list(as_named(ad.read_h5ad("x.h5ad").obs).columns) == list(frame.columns)
