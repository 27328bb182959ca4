import argparse
import subprocess
import sys

import anndata as ad
import numpy as np
import pytest

from nestde.cli import simulate as cli
from nestde.errors import NestdeError
from nestde.io.files import read_tsv, sha256, write_tsv
from nestde.simulate import Cohort
from nestde.simulate import cohorts as simulate
from nestde.simulate import small as studies

SMALL = Cohort(donors=3, cells=30, genes=80)


@pytest.fixture(scope="module")
def small():
    return simulate.simulate(SMALL)


@pytest.fixture(scope="module")
def default():
    return simulate.simulate(Cohort())


def test_same_seed_same_bytes_in_another_process(tmp_path):
    words = ["--donors", "3", "--cells", "30", "--genes", "80"]
    script = "import sys; from nestde.cli import main; sys.exit(main(sys.argv[1:]))"
    subprocess.run([sys.executable, "-c", script, "simulate", str(tmp_path / "a"), *words], check=True)
    simulate.write(SMALL, tmp_path / "b")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["counts.h5ad", "samples.tsv", "truth.tsv", "truth_cells.tsv"]
    for name in names:
        assert sha256(tmp_path / "a" / name) == sha256(tmp_path / "b" / name), name


def test_the_example_is_what_its_command_makes(default, tmp_path, request):
    """Counts and truth; not the bytes of the HDF5 container, which vary with the version of its library."""
    example = request.config.rootpath / "config" / "example"
    new, tables = default
    for name, table in tables.items():
        write_tsv(table, tmp_path / f"{name}.tsv")
        assert (example / f"{name}.tsv").read_bytes() == (tmp_path / f"{name}.tsv").read_bytes()
    old = ad.read_h5ad(example / "counts.h5ad")
    assert (old.X != new.X).nnz == 0
    assert old.obs.equals(new.obs)
    recorded = old.uns["simulation"]["command"].replace("OUT", "config/example")
    readme = (example / "README.md").read_text().replace("\\\n", " ")
    assert recorded.split() in [line.split() for line in readme.splitlines()]
    assert sum(path.stat().st_size for path in example.iterdir()) < 3_000_000


def test_another_seed_gives_another_cohort(small):
    other, _ = simulate.simulate(Cohort(donors=3, cells=30, genes=80, seed=2))
    assert (other.X != small[0].X).nnz > 0


def test_the_command_line_has_the_cohorts_options_and_defaults():
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    told = {action.dest: f"{action.help} {action.default}" for action in parser._actions}
    for name, value in vars(Cohort()).items():
        words = value if isinstance(value, tuple) else (value,)
        assert all(isinstance(word, bool) or str(word) in told[name] for word in words), name


def test_counts_and_obs(small):
    adata, tables = small
    assert adata.shape == (6 * 30, 80)
    assert adata.X.format == "csr" and adata.X.dtype == np.int32 and adata.X.min() >= 0
    assert adata.obs_names.is_unique and adata.var_names.is_unique
    assert adata.var_names.str.startswith("MT-").sum() == 13
    assert set(adata.obs["sample_id"]) == set(tables["samples"]["sample_id"])
    joined = adata.obs.merge(tables["samples"], on="sample_id", suffixes=("", "_sheet"))
    assert (joined["diagnosis"].astype(str) == joined["diagnosis_sheet"]).all()


def test_cells_pass_the_default_bounds_unless_made_bad(default):
    adata, tables = default
    total = np.asarray(adata.X.sum(axis=1)).ravel()
    genes = adata.X.getnnz(axis=1)
    mt = np.asarray(adata.X[:, adata.var_names.str.startswith("MT-")].sum(axis=1)).ravel() / total
    passes = (total >= 500) & (genes >= 200) & (mt <= 0.2)
    kind = tables["truth_cells"].set_index("cell")["kind"].reindex(adata.obs_names).fillna("good")
    assert passes[kind == "good"].mean() > 0.98
    assert not passes[kind.isin(["few_counts", "high_mt"])].any()
    assert total[kind == "doublet"].mean() > 1.7 * total[kind == "good"].mean()


def test_truth_has_every_gene_once_per_cell_type(default):
    adata, tables = default
    truth = tables["truth"]
    assert len(truth) == 2 * adata.n_vars and not truth.duplicated(["gene", "cell_type"]).any()
    changed = truth[truth["log2fc"] != 0]
    assert changed["log2fc"].abs().between(0.4, 1.6).all()
    assert 0.4 < (changed["log2fc"] > 0).mean() < 0.6
    assert not changed["gene"].str.startswith("MT-").any()
    assert (truth["donor_sd"] == 0).mean() == pytest.approx(0.15, abs=0.04)


def test_true_effects_are_in_the_counts(default):
    """The log ratio of pseudobulk means follows the truth, and null genes do not move on the whole."""
    adata, tables = default
    truth = tables["truth"].set_index(["cell_type", "gene"])["log2fc"]
    for cell_type in ("Neuron", "Astrocyte"):
        part = adata[adata.obs["cell_type"] == cell_type]
        cpm = part.X.multiply(1e4 / part.X.sum(axis=1)).tocsr()
        case = (part.obs["diagnosis"] == "AD").to_numpy()
        means = [np.asarray(cpm[rows].mean(axis=0)).ravel() for rows in (case, ~case)]
        abundant = means[1] > 1
        ratio = np.log2(means[0] / means[1])[abundant]
        true = truth[cell_type].loc[part.var_names].to_numpy()[abundant]
        slope = np.polyfit(true, ratio, 1)[0]
        assert slope == pytest.approx(1.0, abs=0.1)
        assert abs(np.median(ratio[true == 0])) < 0.03


def test_batches_are_balanced_unless_aliased():
    balanced = simulate.draw_sheet(Cohort())
    assert set(balanced.groupby(["diagnosis", "batch"]).size()) == {4}
    assert set(balanced.groupby(["diagnosis", "sex"]).size()) == {6}
    aliased = simulate.draw_sheet(Cohort(alias_batch=True))
    assert (aliased.groupby("batch")["diagnosis"].nunique() == 1).all()


def test_unequal_cells_and_more_diagnoses():
    adata, tables = simulate.simulate(
        Cohort(donors=4, cells=60, genes=60, unequal=True, diagnoses=("Control", "MCI", "AD"))
    )
    sizes = adata.obs["sample_id"].value_counts()
    assert len(sizes) == 12 and sizes.min() >= 20 and sizes.max() > 2 * sizes.min()
    assert set(tables["truth"]["level"]) == {"MCI", "AD"}


def test_all_impossible_options_are_told_at_once(tmp_path):
    with pytest.raises(NestdeError) as caught:
        simulate.write(Cohort(donors=0, genes=10, cell_types=("A", "A"), de_share=2, seed=-1), tmp_path / "x")
    assert len(caught.value.faults) == 5
    assert not (tmp_path / "x").exists()


def test_written_tables_read_back(tmp_path, small):
    simulate.write(SMALL, tmp_path)
    sheet = read_tsv(tmp_path / "samples.tsv", text=["sample_id"])
    assert sheet.equals(small[1]["samples"])


def test_shifted_gene():
    frame = studies.shifted_gene()
    assert len(frame) == 24 * 40
    means = frame.groupby(["diagnosis", "sample_id"])["expression"].mean().groupby("diagnosis").mean()
    assert means["AD"] - means["Control"] == pytest.approx(10, abs=3 * 3 * np.sqrt(2 / 12))
    assert (frame.groupby("aliased_batch")["diagnosis"].nunique() == 1).all()
    assert (frame.groupby("batch")["diagnosis"].nunique() == 2).all()


def test_nested_growth_has_the_variances_asked_for():
    frame = studies.nested_growth()
    assert len(frame) == 5000
    assert frame.groupby("diet")["animal"].nunique().to_dict() == {"fasted": 25, "fed": 25}
    assert set(frame.groupby("animal")["image"].unique().map(tuple)) == {tuple(map(str, range(1, 11)))}
    # a least-squares line in each image: SD between images, less what the residual adds
    x = np.linspace(0, 1, 10)
    big = studies.nested_growth(animals=400, seed=3)
    lines = np.polyfit(x, big["y"].to_numpy().reshape(-1, 10).T, 1).reshape(2, 400, 10)
    noise = 0.085**2 * np.diag(np.linalg.inv(np.vander(x, 2).T @ np.vander(x, 2)))
    within = lines.var(axis=2, ddof=1).mean(axis=1)
    assert np.sqrt(within - noise) == pytest.approx([0.08, 0.06], rel=0.05)
