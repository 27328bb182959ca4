"""Every p-value of nestde beside edgeR, limma-voom and PyDESeq2, on the same simulated counts.

    python tests/bench/beside_pseudobulk.py [--studies 8] [--only "6 v 6"]

Counts of cells are gamma–Poisson; means of genes run from .05 to 5, log-uniformly, the donors' own deviations are 0 in a
fifth of the genes and else log-normal around .2 (SD, natural log), a tenth of the genes differ by .2 to 1.2. *Gaussian* counts are
log-normal among cells (SD .6), 400 times as many, and the linear model sees the logarithms of 1 + counts per million, which are
as good as normal. A study has 5,556 genes; a row is of several. Printed is the share of null genes with p below .05 / .01 / .001, and of the true ones that found at a
false-discovery rate of 5 % (BH, study by study), with the share of false ones among the found; then size and power at .05 by
thirds of log mean. nestde's and PyDESeq2's size factors are medians of ratios, edgeR's and limma's are TMM. R with edgeR and
limma is needed.
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
from nestde.fit.grain import grain_of
from nestde.fit.methods import method, of_engine
from nestde.fit.moderated import moderate
from nestde.fit.statistics import Statistics
from nestde.size_factors import Counted, size_factor
from nestde.size_factors.median_of_ratios import median_ratios

LEVELS = (0.05, 0.01, 0.001)
GENES = 5556
# Whose sizes and power are told by mean expression.
BY_MEAN = ("moderated", "moderated NB", "edger", "voom")
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


def deseq2_test(profiles: np.ndarray, arm: np.ndarray) -> np.ndarray:
    """(genes,) p-values by PyDESeq2's steps, of (samples, genes) sums and each sample's arm."""
    names = np.arange(profiles.shape[1]).astype(str).astype(object)
    design = build_design("~ arm", pd.DataFrame({"arm": arm}), test=["arm"])
    ratios = median_ratios(profiles[:, (profiles > 0).all(axis=0)])
    (table,) = deseq2(profiles, ratios, names, [""] * len(names), design, 0.05)
    return table["pvalue"].to_numpy(float)


def own_tests(design: Design, statistics: Statistics, term: str) -> dict[str, np.ndarray]:
    """(genes,) p-values by every method of nestde; NaN where it has none."""
    fitted, found = statistics.fitted(design, 1), {}
    for each in of_engine(statistics.family.engine):
        tested = each.test(fitted, [joint(design, term)])
        of_method = (
            np.full(len(statistics.genes), np.nan) if isinstance(tested, str) else np.exp(tested[0].log_p)
        )
        found[each.name] = of_method
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


def simulate(
    obs: pd.DataFrame, seed: int, ratio: float = 1.0, *, gaussian: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts (cells, genes), which genes differ, and their log means; `ratio` of the donors' variance in the second arm."""
    rng = np.random.default_rng(seed)
    true = rng.random(GENES) < 0.1
    effect = np.where(true, rng.uniform(0.2, 1.2, GENES) * rng.choice([-1, 1], GENES), 0.0)
    donor_sd = np.where(rng.random(GENES) < 0.2, 0.0, rng.lognormal(np.log(0.2), 0.5, GENES))
    code, second = obs["sample"].astype("category").cat.codes.to_numpy(), (obs["arm"] == "B").to_numpy()
    log_mean = np.log(0.05) + rng.uniform(0, np.log(100), GENES)
    own = donor_sd * rng.normal(size=(code.max() + 1, GENES))[code]
    eta = log_mean + own * np.where(second, np.sqrt(ratio), 1.0)[:, None]
    eta += effect * second[:, None] + rng.normal(0, 0.3, len(obs))[:, None]
    if gaussian:
        return np.rint(400.0 * np.exp(rng.normal(eta, 0.6))).astype(np.int32), true, log_mean
    return rng.poisson(np.exp(eta) * rng.gamma(2.5, 0.4, eta.shape)).astype(np.int32), true, log_mean


def study(
    obs: pd.DataFrame, seed: int, ratio: float = 1.0, *, gaussian: bool = False
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """(genes,) p-values of a study by each method, which genes differ, and their log means."""
    counts, true, log_mean = simulate(obs, seed, ratio, gaussian=gaussian)
    design = build_design(FORMULA, obs, test=["arm"])
    names = np.array([f"g{i}" for i in range(GENES)], object)
    samples = pd.unique(obs["sample"])
    profiles = np.stack([counts[(obs["sample"] == sample).to_numpy()].sum(axis=0) for sample in samples])
    code = np.searchsorted(samples, obs["sample"])
    counted = Counted(counts.sum(axis=1), code, len(samples), lambda: profiles)
    factor = size_factor("median_of_ratios").scale(counted).of_cells
    sparse = scipy.sparse.csc_array(counts)
    per = 0.01 if gaussian else 1.0
    linear = family("gaussian").sum_up(grain_of(design), sparse, per * factor, names, 1)
    found = own_tests(design, linear, "arm")
    (common,) = moderate(*linear.model_of(design), [joint(design, "arm").rows], linear.mean, threads=1).tests
    found["moderated, one variance"] = np.exp(common.log_p)
    of_counts = family("negative_binomial").sum_up(grain_of(design), sparse, factor, names, 1)
    (tested,) = method("moderated", "counts").test(of_counts.fitted(design, 1), [joint(design, "arm")])
    found["moderated NB"] = np.exp(tested.log_p)
    arm = obs.drop_duplicates("sample")["arm"].to_numpy(str)
    found |= {peer: p[0] for peer, p in pseudobulk_tests(profiles.T, arm[None]).items()}
    found["PyDESeq2"] = deseq2_test(profiles, arm)
    return found, true, log_mean


def shares(p: list[np.ndarray], true: list[np.ndarray]) -> str:
    """Sizes, power and false share over studies, for the table."""
    hits = []
    for of_study in p:
        hit, known = np.zeros(len(of_study), bool), np.isfinite(of_study)
        hit[known] = stats.false_discovery_control(of_study[known]) <= 0.05
        hits.append(hit)
    all_p, all_true, hit = np.concatenate(p), np.concatenate(true), np.concatenate(hits)
    null = all_p[np.isfinite(all_p) & ~all_true]
    size = " / ".join(f"{np.mean(null < level):.4f}".lstrip("0") for level in LEVELS)
    return f"{size}; {np.mean(hit[all_true]):.2f} ({np.sum(hit & ~all_true) / max(hit.sum(), 1):.2f})"


def by_mean(p: list[np.ndarray], true: list[np.ndarray], log_mean: list[np.ndarray]) -> str:
    """Size and power at .05 in each third of the log means."""
    third = np.clip((np.concatenate(log_mean) - np.log(0.05)) / np.log(100) * 3, 0, 2).astype(int)
    low, differ = np.concatenate(p) < 0.05, np.concatenate(true)
    return ", ".join(
        f"{np.mean(low[~differ & (third == t)]):.3f}; {np.mean(low[differ & (third == t)]):.2f}".lstrip("0")
        for t in range(3)
    )


def main(studies: int, only: str) -> None:
    """Print the table as Markdown."""
    first = True
    arms, of_cells = ((3, 3), (4, 3), (6, 6), (12, 12)), (50, (10, 201))
    rows = [(per, cells, 1.0, gaussian) for gaussian in (False, True) for per in arms for cells in of_cells]
    rows += [(per, (10, 201), 4.0, False) for per in ((3, 3), (6, 6))]
    for per, cells, ratio, gaussian in rows:
        name = f"{'Gaussian, ' if gaussian else ''}{per[0]} v {per[1]}, {'50' if cells == 50 else '10–200'} cells"
        name += "" if ratio == 1 else f", second arm's donor variance × {ratio:g}"
        if only not in name:
            continue
        obs = cells_of(per, cells)
        done = [study(obs, 3 + seed, ratio, gaussian=gaussian) for seed in range(studies)]
        true, log_mean = [of[1] for of in done], [of[2] for of in done]
        p = {name_of: [of[0][name_of] for of in done] for name_of in done[0][0]}
        if first:
            print(f"| samples | {' | '.join(p)} |\n{'|---' * (1 + len(p))}|")
        first = False
        print(f"| {name} | {' | '.join(shares(of, true) for of in p.values())} |", flush=True)
        print(f"{name}: " + "; ".join(f"{m} {by_mean(p[m], true, log_mean)}" for m in BY_MEAN), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=8)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    main(options.studies, options.only)
