"""Every p-value of nestde beside edgeR, limma-voom and PyDESeq2, on the same simulated counts.

    python tests/bench/beside_pseudobulk.py [--genes 4000] [--only "6 v 6"]

Counts of cells are gamma–Poisson; means of genes run from .05 to 5, log-uniformly, the donors' own deviations are 0 in a
fifth of the genes and else log-normal around .2 (SD, natural log), a tenth of the genes differ by .2 to 1.2. Printed is the
share of null genes with p below .05 / .01 / .001, and of the true ones that found at a false-discovery rate of 5 % (BH), with
the share of false ones among the found. nestde's and PyDESeq2's size factors are medians of ratios, edgeR's and limma's are TMM. R with edgeR and limma is needed.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse
from scipy import stats

from nestde.design.contrasts import joint
from nestde.design.design import Design, build_design
from nestde.expression.pseudobulk_de import deseq2
from nestde.fit.family import family
from nestde.fit.methods import of_engine
from nestde.fit.statistics import Statistics
from nestde.size_factors import Counted, size_factor
from nestde.size_factors.median_of_ratios import median_ratios

LEVELS = (0.05, 0.01, 0.001)
FORMULA = "~ arm + (1 | sample)"
PEERS = ("edger", "voom")


def pseudobulk_tests(counts: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
    """P-values of edgeR and limma-voom: (labellings, genes) each.

    Parameters
    ----------
    counts
        (genes, samples) sums.
    groups
        (labellings, samples) ``A``, ``B``, or ``-`` for a sample that is left out.
    """
    with tempfile.TemporaryDirectory() as folder:
        np.savetxt(Path(folder, "counts.tsv"), counts, "%d", "\t")
        np.savetxt(Path(folder, "groups.tsv"), groups, "%s", "\t")
        subprocess.run(["Rscript", str(Path(__file__).with_name("peers.R")), folder], check=True)
        return {peer: np.loadtxt(Path(folder, f"{peer}.tsv"), ndmin=2).T for peer in PEERS}


def own_tests(design: Design, statistics: Statistics, term: str) -> dict[str, np.ndarray]:
    """(genes,) p-values by every method of nestde; NaN where it has none."""
    fitted, found = statistics.fitted(design, 1), {}
    for method in of_engine(statistics.family.engine):
        tested = method.test(fitted, [joint(design, term)])
        of_method = (
            np.full(len(statistics.genes), np.nan) if isinstance(tested, str) else np.exp(tested[0].log_p)
        )
        found[method.name] = of_method
    return found


def cells_of(per: tuple[int, int], cells: int | tuple[int, int]) -> pd.DataFrame:
    """Samples of two arms, a row for each cell."""
    total = sum(per)
    number = (
        np.random.default_rng(1).integers(*cells, total)
        if isinstance(cells, tuple)
        else np.full(total, cells)
    )
    samples = pd.DataFrame({"sample": [f"s{i:02}" for i in range(total)], "arm": np.repeat(["A", "B"], per)})
    return samples.loc[samples.index.repeat(number)].reset_index(drop=True)


def simulate(obs: pd.DataFrame, genes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts (cells, genes), and which genes differ."""
    rng = np.random.default_rng(seed)
    true = rng.random(genes) < 0.1
    effect = np.where(true, rng.uniform(0.2, 1.2, genes) * rng.choice([-1, 1], genes), 0.0)
    donor_sd = np.where(rng.random(genes) < 0.2, 0.0, rng.lognormal(np.log(0.2), 0.5, genes))
    code = obs["sample"].astype("category").cat.codes.to_numpy()
    log_mean = np.log(0.05) + rng.uniform(0, np.log(100), genes)
    log_mean = log_mean + donor_sd * rng.normal(size=(code.max() + 1, genes))[code]
    log_mean += effect * (obs["arm"] == "B").to_numpy()[:, None] + rng.normal(0, 0.3, len(obs))[:, None]
    return rng.poisson(np.exp(log_mean) * rng.gamma(2.5, 0.4, (len(obs), genes))).astype(np.int32), true


def shares(p: np.ndarray, true: np.ndarray) -> str:
    """Sizes, power and false share, for the table."""
    known = np.isfinite(p)
    size = " / ".join(f"{np.mean(p[known & ~true] < level):.4f}".lstrip("0") for level in LEVELS)
    hit = np.zeros(len(p), bool)
    hit[known] = stats.false_discovery_control(p[known]) <= 0.05
    return f"{size}; {np.mean(hit[true]):.2f} ({np.sum(hit & ~true) / max(hit.sum(), 1):.2f})"


def run(per: tuple[int, int], cells: int | tuple[int, int], genes: int, seed: int = 3) -> dict[str, str]:
    """One design: each method's sizes, power and false share."""
    obs = cells_of(per, cells)
    counts, true = simulate(obs, genes, seed)
    design = build_design(FORMULA, obs, test=["arm"])
    names = np.array([f"g{i}" for i in range(genes)], object)
    samples = pd.unique(obs["sample"])
    profiles = np.stack([counts[(obs["sample"] == sample).to_numpy()].sum(axis=0) for sample in samples])
    code = np.searchsorted(samples, obs["sample"])
    counted = Counted(counts.sum(axis=1), code, len(samples), lambda: profiles)
    factor = size_factor("median_of_ratios").scale(counted).of_cells
    statistics = family("gaussian").sum_up(design, scipy.sparse.csc_array(counts), factor, names, 1)
    found = own_tests(design, statistics, "arm")
    arm = obs.drop_duplicates("sample")["arm"].to_numpy(str)
    found |= {peer: p[0] for peer, p in pseudobulk_tests(profiles.T, arm[None]).items()}
    of_samples = build_design("~ arm", pd.DataFrame({"arm": arm}), test=["arm"])
    ratios = median_ratios(profiles[:, (profiles > 0).all(axis=0)])
    (table,) = deseq2(profiles, ratios, names, [""] * genes, of_samples, 0.05)
    found["PyDESeq2"] = table["pvalue"].to_numpy(float)
    return {name: shares(p, true) for name, p in found.items()}


def main(genes: int, only: str) -> None:
    """Print the table as Markdown."""
    first = True
    for per in ((3, 3), (4, 3), (6, 6), (12, 12)):
        for cells in (50, (10, 201)):
            name = f"{per[0]} v {per[1]}, {'50' if cells == 50 else '10–200'} cells"
            if only not in name:
                continue
            row = run(per, cells, genes)
            if first:
                print(f"| samples | {' | '.join(row)} |\n{'|---' * (1 + len(row))}|")
            first = False
            print(f"| {name} | {' | '.join(row.values())} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--genes", type=int, default=4000)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    main(options.genes, options.only)
