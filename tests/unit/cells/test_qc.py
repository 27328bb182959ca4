import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import scipy.sparse as sp
from makers.tiny_study import SAMPLES, Steps, cells, config, read_tested, sheet, write_study

from nestde.cells import qc
from nestde.cells.scrublet import scrublet
from nestde.io.files import read_tsv, write_tsv

QC = {"enabled": True, "min_counts": 20, "min_genes": 5, "max_pct_mt": 20, "min_cells_per_sample": 1}


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def noisy():
    """Cells with every kind of fault: empty, shallow, few genes, mitochondrial, far too deep."""
    adata = cells(n=60)
    counts = adata.X.toarray()
    counts[0] = 0
    counts[1:9] //= 8
    counts[9:14, 5:] = 0
    counts[14:20, -2] += 60
    counts[20:22] *= 60
    adata.X = sp.csr_matrix(counts)
    return adata


def test_metrics_equal_scanpys():
    import scanpy as sc

    adata = noisy()
    config_qc = config().qc
    adata.var["mt"] = [gene.startswith("MT-") for gene in adata.var_names]
    adata.var["ribo"] = [gene.startswith("RPS") for gene in adata.var_names]
    adata.var_names = [*adata.var_names[:5], "HBA1", *adata.var_names[6:]]
    adata.var["hb"] = adata.var_names == "HBA1"
    counts, adata.X = adata.X, adata.X.toarray()  # dense: scanpy's sparse path would be compiled first
    with np.errstate(invalid="ignore"):  # scanpy divides 0 by 0 in empty cells
        sc.pp.calculate_qc_metrics(
            adata, qc_vars=["mt", "ribo", "hb"], percent_top=[20], log1p=False, inplace=True
        )
    found = qc.metrics(counts, adata.var_names.to_numpy(object), config_qc)
    theirs = adata.obs.rename(columns={"n_genes_by_counts": "n_genes"})
    full = (theirs["total_counts"] > 0).to_numpy()  # scanpy says NaN % where there is nothing
    for name in qc.METRICS:
        np.testing.assert_allclose(
            found[name][full], theirs[name].to_numpy(float)[full], rtol=1e-5, err_msg=name
        )
        assert (found[name][~full] == 0).all()


def test_the_ledger_adds_up_and_agrees_with_the_table(study):
    steps = write_study(study, noisy(), qc=QC | {"mad_counts": 5, "mad_genes": 5, "mad_pct_mt": 3})
    assert steps.ingest() == steps.qc() == 0
    removed_any = 0
    for sample in SAMPLES:
        ledger = steps.ledger(sample)
        table = read_tsv(study / f"qc/{sample}.tsv", text=["removed_by"])
        kept = ad.read_h5ad(study / f"counts/{sample}.h5ad")
        assert ledger["cells_in"] == len(table) == 60
        assert ledger["cells_kept"] == len(kept) == (table["removed_by"] == "").sum()
        assert ledger["cells_in"] - sum(line["first"] for line in ledger["removed"]) == ledger["cells_kept"]
        for line in ledger["removed"]:
            rules = table["removed_by"].str.split(";")
            assert line["any"] == rules.map(lambda of, rule=line["rule"]: rule in of).sum()
            assert line["only"] == rules.map(lambda of, rule=line["rule"]: of == [rule]).sum()
            assert line["only"] <= line["first"] <= line["any"]
        assert sum(of["kept"] for of in ledger["cell_types"].values()) == ledger["cells_kept"]
        assert set(kept.obs_names) == set(table.loc[table["removed_by"] == "", "barcode"])
        removed_any += ledger["cells_in"] - ledger["cells_kept"]
    assert 15 <= removed_any <= 60


def test_mad_bounds_are_those_of_the_definition():
    obs = pd.DataFrame({"total_counts": [10, 100, 110, 90, 5000], "n_genes": [3, 4, 5, 6, 7]})
    obs["pct_counts_mt"] = [0.0, 1, 2, 3, 90]
    found = qc.bounds(obs, config(qc={"mad_counts": 5, "mad_genes": None, "mad_pct_mt": 3}).qc)
    logs = np.log1p(obs["total_counts"])
    mad = np.median(np.abs(logs - np.median(logs)))
    wanted = np.expm1([np.median(logs) - 5 * mad, np.median(logs) + 5 * mad])
    np.testing.assert_allclose(found["mad_counts"], wanted, rtol=1e-12)
    assert "mad_genes" not in found
    assert found["mad_pct_mt"] == (None, 2 + 3 * 1.0)


def test_a_spread_of_zero_gives_no_bound():
    obs = pd.DataFrame(
        {"total_counts": [100] * 9 + [120], "n_genes": [50] * 10, "pct_counts_mt": [0.0] * 9 + [1.0]}
    )
    assert not {"mad_counts", "mad_genes", "mad_pct_mt"} & set(qc.bounds(obs, config().qc))


def test_switched_off_it_keeps_every_cell_but_the_empty(study):
    steps = write_study(study, noisy())
    assert steps.ingest() == steps.qc() == 0
    ledgers = [steps.ledger(sample) for sample in SAMPLES]
    assert sum(ledger["cells_kept"] for ledger in ledgers) == 4 * 60 - 1
    assert all(line["rule"] == "empty" for ledger in ledgers for line in ledger["removed"])


def test_cells_that_keep_removed_are_in_the_ledger(study):
    adata = cells()
    adata.obs["multiplet"] = pd.Categorical(np.where(np.arange(len(adata)) % 4 == 0, "doublet", "singlet"))
    steps = write_study(study, adata, input={"keep": {"multiplet": ["singlet"]}})
    assert steps.ingest() == steps.qc() == 0
    ledgers = [steps.ledger(sample) for sample in SAMPLES]
    assert sum(ledger["removed"][0]["first"] for ledger in ledgers) == 40
    assert {ledger["removed"][0]["rule"] for ledger in ledgers} == {"keep:multiplet"}
    assert sum(ledger["cells_in"] for ledger in ledgers) == 160


def test_a_sample_without_enough_cells_is_marked(study):
    steps = write_study(study, qc={"min_cells_per_sample": 41})
    assert steps.ingest() == steps.qc() == 0
    assert steps.ledger("S1")["left_out"] == ("40 cells after quality control; qc.min_cells_per_sample is 41")


def test_every_cell_may_go(study):
    steps = write_study(study, qc=QC | {"min_counts": 1e9})
    assert steps.ingest() == steps.qc() == steps.matrix("T cell") == 0
    genes = read_tsv(study / "genes.tsv", text=["status", "reason"])
    assert len(genes) == 30
    assert set(genes["status"]) == {"not_testable"}
    (reason,) = set(genes["reason"])
    assert reason.startswith(
        "no sample is left to be tested: 4 have too few cells in all (qc.min_cells_per_sample): S1 (0), "
    )
    assert read_tested(study).shape == (0, 0)


def with_doublets(n, genes=300):
    """Counts of n singlets of six kinds, and below them doublets of two kinds, 8 % of n drawn."""
    rng = np.random.default_rng(3)
    profiles = rng.gamma(0.3, 3.0, (6, genes))
    kind = rng.integers(0, 6, n)
    singlets = rng.poisson(profiles[kind])
    a, b = rng.integers(0, n, n * 8 // 100), rng.integers(0, n, n * 8 // 100)
    mixed = kind[a] != kind[b]
    doublets = (singlets[a] + singlets[b])[mixed]
    return sp.csr_matrix(np.vstack([singlets, doublets]).astype(np.int32))


@pytest.mark.parametrize("n", [2731, 10_000])
def test_doublets_are_found_in_a_sample_of_the_usual_size(n):
    """From 2,731 cells on, scanpy would look for approximate neighbours, by a library of another interface."""
    counts = with_doublets(n)
    candidates = np.ones(counts.shape[0], bool)
    scores, told = qc.find_doublets(counts, candidates, config().qc, seed=1)
    assert told["run"], told
    called = scores >= told["threshold"]
    assert called[n:].mean() > 0.7
    assert called[:n].mean() < 0.03


def test_scores_are_those_of_scanpy_which_holds_every_zero():
    counts = with_doublets(700)
    counts = counts.tolil()
    counts[5] = 0  # a cell that Scrublet leaves out
    counts = counts.tocsr()
    scores, threshold = scrublet(counts, 0.05, seed=3)
    cells = ad.AnnData(counts.astype(np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sc.pp.scrublet(
            cells, expected_doublet_rate=0.05, use_approx_neighbors=False, random_state=3, verbose=False
        )
    np.testing.assert_allclose(scores, cells.obs["doublet_score"], rtol=1e-12)
    assert threshold == pytest.approx(cells.uns["scrublet"]["threshold"], rel=1e-12)


def test_scrublet_finds_planted_doublets_in_large_samples_only(study):
    n = 1200
    counts = with_doublets(n)
    candidates = np.ones(counts.shape[0], bool)
    scores, told = qc.find_doublets(counts, candidates, config(qc={"doublets": "auto"}).qc, seed=1)
    assert told["run"], told
    called = scores >= told["threshold"]
    assert called[n:].mean() > 0.7
    assert called[:n].mean() < 0.03
    assert told["called"] == called.sum()
    again, _ = qc.find_doublets(counts, candidates, config(qc={"doublets": "auto"}).qc, seed=1)
    assert np.array_equal(scores, again)
    few, told = qc.find_doublets(counts[:300], candidates[:300], config(qc={"doublets": "auto"}).qc, seed=1)
    assert not told["run"] and np.isnan(few).all()
    assert told["why"] == "300 cells; it needs 500"


def test_a_sample_is_read_from_its_own_file_as_from_a_shared_one(study):
    adata = noisy()
    adata.obs["score"] = np.linspace(0, 1, adata.n_obs, dtype=np.float32)
    adata.obs["batch"] = pd.Categorical(["b", "a"] * (adata.n_obs // 2), categories=["b", "a"], ordered=True)
    adata.obs["fresh"] = np.arange(adata.n_obs) % 3 == 0
    paths = []
    for sample in SAMPLES:
        paths.append(f"{sample}.h5ad")
        adata[(adata.obs["sample_id"] == sample).to_numpy()].copy().write_h5ad(paths[-1])
    steps = Steps(study, config(qc=QC, input={"counts": None}), sheet(source=paths))
    made = [
        *steps.counts,
        *(study / f"qc/{sample}.{suffix}" for sample in SAMPLES for suffix in ("tsv", "json")),
    ]
    assert steps.ingest() == steps.qc() == 0
    through_ingest = [path.read_bytes() for path in made]
    for path in made:
        path.unlink()
    assert steps.qc(counts=[]) == 0
    assert [path.read_bytes() for path in made] == through_ingest
    alone = steps.samples.assign(counts="S1.h5ad")
    write_tsv(alone, study / "samples.tsv")
    assert steps.qc(counts=[]) == 2
