"""Scrublet as scanpy runs it, without the matrices that hold every zero of all cells and of twice as many simulated ones.

Scrublet centres and scales each variable gene, and takes principal components of that. Scaling leaves zeros zero and components can be
had of centred data without centring them, so the matrices stay sparse; doublets are projected on the components of the cells. The
neighbours, scores and threshold are scanpy's own, of the same components, of which they see the distances alone.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from nestde.arrays import Floats

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

COMPONENTS, RATIO = 30, 2.0  # Scrublet's, and scanpy's


def scrublet(counts: "csr_matrix", rate: float, seed: int) -> tuple[Floats, float | None]:
    """Score cells.

    Parameters
    ----------
    counts
        Cells × genes.
    rate
        Share of doublets that is expected.
    seed
        Of the simulation, and of the start of the components.

    Returns
    -------
    scores
        (n,), NaN for cells with fewer than three genes.
    threshold
        From which on a cell is called a doublet; None if there is none between two modes.
    """
    import anndata as ad
    import scanpy as sc

    cells = ad.AnnData(counts.astype(np.float32))
    cells.obs_names = [str(i) for i in range(cells.n_obs)]
    sc.pp.filter_genes(cells, min_cells=3)
    sc.pp.filter_cells(cells, min_genes=3)
    raw = cells.X.copy()
    sc.pp.normalize_total(cells)
    scaled = cells.X.copy()
    sc.pp.log1p(cells)
    sc.pp.highly_variable_genes(cells)
    variable = cells.var["highly_variable"].to_numpy()
    of_cells = ad.AnnData(scaled[:, variable], layers={"raw": raw[:, variable]}, obs=cells.obs[[]])
    del raw, scaled, cells
    simulated = sc.pp.scrublet_simulate_doublets(
        of_cells, layer="raw", sim_doublet_ratio=RATIO, random_seed=seed
    )
    del of_cells.layers["raw"]
    for each in (of_cells, simulated):
        sc.pp.normalize_total(each, target_sum=1e6)
    x, y = _components(of_cells.X, simulated.X, seed)
    # a column of zeros, as components of fewer columns than there are of them cannot be asked for
    embedded = ad.AnnData(_padded(x), obs=of_cells.obs[[]])
    doublets = ad.AnnData(_padded(y))
    doublets.obsm["doublet_parents"] = simulated.obsm["doublet_parents"]
    sc.pp.scrublet(
        embedded,
        adata_sim=doublets,
        expected_doublet_rate=rate,
        mean_center=False,
        normalize_variance=False,
        n_prin_comps=x.shape[1],
        use_approx_neighbors=False,
        random_state=seed,
        verbose=False,
    )
    scores = np.full(counts.shape[0], np.nan)
    scores[embedded.obs_names.astype(int)] = embedded.obs["doublet_score"].to_numpy(float)
    threshold = embedded.uns["scrublet"].get("threshold")
    return scores, None if threshold is None else float(threshold)


def _components(cells: Any, doublets: Any, seed: int) -> tuple[Floats, Floats]:
    """Principal components of genes divided by their standard deviation, and doublets on them."""
    from scipy.sparse import csr_matrix, diags_array
    from sklearn.decomposition import PCA

    cells, doublets = csr_matrix(cells, dtype=np.float64), csr_matrix(doublets, dtype=np.float64)
    n = cells.shape[0]
    mean = np.asarray(cells.mean(axis=0)).ravel()
    square = np.asarray(cells.multiply(cells).mean(axis=0)).ravel()
    scale = diags_array(1 / np.sqrt((square - mean**2) * n / (n - 1)))
    scaled, others = csr_matrix(cells @ scale), csr_matrix(doublets @ scale)
    pca = PCA(min(COMPONENTS, min(scaled.shape) - 1), svd_solver="arpack", random_state=seed).fit(scaled)
    return np.asarray(pca.transform(scaled)), np.asarray(pca.transform(others))


def _padded(x: Floats) -> Floats:
    return np.column_stack([x, np.zeros(len(x))])
