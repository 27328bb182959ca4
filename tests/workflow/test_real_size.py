"""A study of the size that labs bring: 12 samples of 4,000 cells, 5,000 genes, doublets and all, from counts to report."""

import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import yaml
from makers.command import nestde
from scipy.optimize import minimize_scalar
from scipy.stats import chi2

from nestde.io.files import read_tsv, write_tsv
from nestde.run.rules import init

pytestmark = pytest.mark.slow
SAMPLES, CELLS, GENES, SHIFTED = 12, 4_000, 5_000, 100
CONFIG = {
    "samples": "config/samples.tsv",
    "cell_types": ["Neuron", "Astrocyte"],
    "input": {"counts": "config/counts.h5ad"},
    "model": {
        "formula": "~ sequencing_saturation + diagnosis + (1 | sample_id)",
        "test": ["diagnosis"],
        "levels": {"diagnosis": ["Control", "AD"]},
    },
    "inference": {"crosscheck_genes": 2},
    "calibration": {"relabellings": 5},
    "genes": {"size_factors": "library"},
    "chunks": 2,
}


def cohort():
    """Counts drawn gene by gene from the profile of a type, which differs by donor; one cell of 80 is two.

    The first `SHIFTED` genes are twice as abundant in AD.
    """
    rng = np.random.default_rng(1)
    profiles = rng.lognormal(0, 1.5, (2, GENES))
    donors = []
    for sample in range(SAMPLES):
        mine = profiles * rng.lognormal(0, 0.15, (2, GENES))
        mine[:, :SHIFTED] *= 1 + sample % 2
        kind = rng.integers(2, size=CELLS)
        other = np.where(rng.random(CELLS) < 1 / 80, 1 - kind, -1)
        depth = rng.poisson(1500 * rng.lognormal(0, 0.25, CELLS))
        cell, gene = [], []
        for k in range(2):
            n = np.where(kind == k, depth, 0) + np.where(other == k, depth[::-1], 0)
            cell.append(np.repeat(np.arange(CELLS), n))
            share = np.cumsum(mine[k] / mine[k].sum())
            gene.append(np.minimum(np.searchsorted(share, rng.random(n.sum())), GENES - 1))
        cell, gene = np.concatenate(cell), np.concatenate(gene)
        counts = sp.coo_matrix((np.ones(len(cell), np.int32), (cell, gene)), (CELLS, GENES)).tocsr()
        obs = {"sample_id": f"S{sample:02d}", "cell_type": np.array(CONFIG["cell_types"])[kind]}
        obs["sequencing_saturation"] = rng.uniform(0.5, 0.9, CELLS)
        obs["two"] = other >= 0
        donors.append(ad.AnnData(counts, obs=pd.DataFrame(obs, index=[f"C{i}" for i in range(CELLS)])))
    whole = ad.concat(donors, index_unique="-")
    whole.var_names = [f"G{i}" for i in range(GENES)]
    return whole


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The folder of the study that was run, and its data."""
    folder = tmp_path_factory.mktemp("real size") / "study"
    init(folder)
    data = cohort()
    data.write_h5ad(folder / "config/counts.h5ad")
    names = [f"S{sample:02d}" for sample in range(SAMPLES)]
    sheet = pd.DataFrame({"sample_id": names, "diagnosis": ["Control", "AD"] * (SAMPLES // 2)})
    write_tsv(sheet, folder / "config/samples.tsv")
    (folder / "config/config.yaml").write_text(yaml.safe_dump(CONFIG))
    result = nestde("run", "--cores", "2", cwd=folder, timeout=3000)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder, data


def test_doublets_are_called_in_every_sample(study):
    folder, data = study
    two = data.obs["two"]
    for sample in data.obs["sample_id"].unique():
        ledger = json.loads((folder / f"results/qc/{sample}.json").read_text())
        assert ledger["doublets"]["run"], ledger["doublets"]
        cells = read_tsv(folder / f"results/qc/{sample}.tsv", text=["removed_by"])
        called = cells["removed_by"].str.contains("doublet").to_numpy()
        candidate = (
            called | (cells["removed_by"] == "").to_numpy()
        )  # others have gone for their counts or genes
        true = two.loc[cells["barcode"]].to_numpy()
        assert (candidate & true).sum() > 15
        assert called[candidate & true].mean() > 0.8
        assert called[~true].mean() < 0.02


def by_hand(y, x, sample):
    """Log-likelihood and coefficients of a random-intercept model by maximum likelihood, from n × n blocks inverted on paper.

    V of a sample of n cells is σ² (I + θ² 11'), its inverse (I − w 11') / σ² with w = θ² / (1 + n θ²).
    """
    n = np.bincount(sample)
    sums = np.stack([np.bincount(sample, column) for column in np.column_stack([x, y]).T], axis=1)
    plain = np.column_stack([x, y]).T @ np.column_stack([x, y])

    def fit(theta):
        inside = plain - sums.T @ (sums * (theta**2 / (1 + n * theta**2))[:, None])
        coef = np.linalg.solve(inside[:-1, :-1], inside[:-1, -1])
        rest = inside[-1, -1] - coef @ inside[:-1, -1]
        loglik = -0.5 * (len(y) * (1 + np.log(2 * np.pi * rest / len(y))) + np.log1p(n * theta**2).sum())
        return loglik, coef

    best = minimize_scalar(
        lambda theta: -fit(theta)[0], bounds=(0, 3), method="bounded", options={"xatol": 1e-9}
    )
    return max(fit(best.x), fit(0.0), key=lambda found: found[0])


@pytest.mark.parametrize("cell_type", CONFIG["cell_types"])
def test_the_fits_are_those_done_by_hand(study, cell_type):
    folder, data = study
    table = read_tsv(folder / f"results/de/{cell_type}.tsv", text=["gene", "status"]).set_index("gene")
    assert len(table) == GENES
    kept = []
    for sample in sorted(data.obs["sample_id"].unique()):
        cells = read_tsv(folder / f"results/qc/{sample}.tsv", text=["removed_by"])
        kept += list(cells.loc[cells["removed_by"] == "", "barcode"])
    cells = data[kept]
    total = np.ravel(cells.X.sum(axis=1))
    mine = (cells.obs["cell_type"] == cell_type).to_numpy()
    cells, total = cells[mine], total[mine]
    sample = pd.factorize(cells.obs["sample_id"])[0]
    saturation = cells.obs["sequencing_saturation"].to_numpy()
    x = np.column_stack([np.ones(len(cells)), saturation, sample % 2])
    tested = table[table["status"].isin(["ok", "singular"])].index
    assert len(tested) > 3_000
    for gene in tested[:: len(tested) // 12]:
        y = np.log1p(cells[:, gene].X.toarray().ravel() * 1e4 / total)
        full, coef = by_hand(y, x, sample)
        reduced, _ = by_hand(y, x[:, :2], sample)
        row = table.loc[gene]
        assert row["loglik_full"] == pytest.approx(full, abs=1e-5)
        assert row["loglik_reduced"] == pytest.approx(reduced, abs=1e-5)
        # the headline's estimates are at the variances that its method holds likely, not at those of maximum likelihood
        assert row["coef"] == pytest.approx(coef[2], abs=1e-3)
        assert row["pvalue_lrt"] == pytest.approx(chi2.sf(2 * (full - reduced), 1), rel=1e-4)
    found = table.loc[tested, "padj"] <= 0.05
    shifted = np.isin(tested, [f"G{i}" for i in range(SHIFTED)])
    assert found[shifted].mean() > 0.8
    assert found[~shifted].mean() < 0.15  # the others fall a little, where the shifted rise
