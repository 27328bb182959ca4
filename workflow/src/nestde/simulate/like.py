"""Cohorts like a study that was fitted: its genes, cells and samples, with new donors and effects that are known.

The counts of gene g in cell c of sample s are a gamma-Poisson mixture:

    y ~ Poisson(size factor_c · m_g · exp(β_g[level_s] + b_gs) · Gamma(1/φ_g, φ_g)),   b_gs ~ N(0, τ_g²)

m_g is the gene's mean in the study; φ_g gives log(1 + count per 10,000) the SD within samples that was fitted; τ_g gives it a
variance between samples drawn from the study's prior at its mean expression; cells and their size factors are the study's.
What genes that were not tested have of a cell's counts is one gene, `REST`, so that totals are on average what they were.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats, Integers
from nestde.errors import Faults
from nestde.io.files import atomic, write_tsv
from nestde.simulate.cohorts import draw_effects
from nestde.simulate.learnt import Learnt

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd

REST = "rest_of_the_counts"
# Beyond this, donors differ by more than counts can tell.
MOST_SD = 2.0
# One random stream for each part and cell type.
_SAMPLES, _GENES, _CELLS = range(3)


@dataclass(frozen=True)
class Asked:
    """What is to be like the study, and what not.

    Parameters
    ----------
    donors
        Samples of each level; None: as many as in the study.
    cells
        Median cells a sample and cell type; None: as many as in the study.
    de_share
        Share of genes that differ.
    log2fc
        Smallest and largest effect of these, log2.
    seed
        The same seed and options give the same bytes.
    """

    donors: int | None = None
    cells: int | None = None
    de_share: float = 0.1
    log2fc: tuple[float, float] = (0.4, 1.6)
    seed: int = 1

    def check(self) -> None:
        """Raise `NestdeError` with every option that cannot be."""
        faults = Faults()
        for name in ("donors", "cells"):
            value = getattr(self, name)
            if value is not None and value < 1:
                faults.add(f"--{name} {value}: must be at least 1.")
        if not 0 <= self.de_share <= 1:
            faults.add(f"--de-share {self.de_share}: must lie between 0 and 1.")
        if not 0 <= self.log2fc[0] <= self.log2fc[1]:
            faults.add(f"--log2fc {self.log2fc[0]} {self.log2fc[1]}: give the smallest first, 0 or more.")
        if self.seed < 0:
            faults.add(f"--seed {self.seed}: must not be negative.")
        faults.raise_if_any()


@dataclass(frozen=True)
class LikeGenes:
    """The truth about G genes of one cell type.

    Attributes
    ----------
    dispersion
        (G,) φ.
    donor_sd
        (G, L) τ in each level.
    log2fc
        (L, G) against the reference, whose own is 0.
    log_mean
        (L, G) natural log of the counts per 10,000 of a donor in the middle of its level.
    """

    dispersion: Floats
    donor_sd: Floats
    log2fc: Floats
    log_mean: Floats


def genes_like(learnt: Learnt, asked: Asked, random: np.random.Generator) -> LikeGenes:
    """Dispersions, variances between donors and effects of the genes of a cell type."""
    known = learnt.moments()
    dispersion = known.dispersion(learnt.mean, learnt.sigma)
    slope = known.slope(learnt.mean, dispersion)
    psi = learnt.draw_variances(learnt.expression, random)
    with np.errstate(divide="ignore", invalid="ignore"):
        sd = np.sqrt(psi) * (learnt.sigma / slope)[:, None]
    sd = np.clip(np.nan_to_num(sd), 0.0, MOST_SD)
    levels = len(learnt.levels)
    if not learnt.by_level:  # one variance for all; of several factors their sum
        sd = np.repeat(np.sqrt(np.sum(sd**2, axis=1, keepdims=True)), levels, axis=1)
    log2fc = np.zeros((levels, len(learnt.mean)))
    spared = np.zeros(len(learnt.mean), bool)
    for level in range(1, levels):
        log2fc[level] = draw_effects(random, learnt.mean, spared, asked.de_share, asked.log2fc)
    # half of an effect lies in the reference; and a donor's exp(b) has a mean above 1, which the study's means hold already
    middle = np.log(np.maximum(learnt.mean, 1e-12)) - np.log(2.0) * log2fc[1:].mean(axis=0) / 2
    return LikeGenes(dispersion, sd, log2fc, middle + np.log(2.0) * log2fc - sd.T**2 / 2)


def draw_samples(learnt: Learnt, asked: Asked, random: np.random.Generator) -> list[tuple[int, Integers]]:
    """Level of each new sample, and the study's cells that its cells are like."""
    found = []
    median = float(np.median(learnt.cells))
    for level in range(len(learnt.levels)):
        there = np.flatnonzero(learnt.level == level)
        chosen = there if asked.donors is None else random.choice(there, asked.donors)
        for sample in chosen:
            cells = np.flatnonzero(learnt.sample == sample)
            if asked.cells is None:
                found.append((level, cells))
            else:
                number = max(1, round(len(cells) * asked.cells / median))
                found.append((level, random.choice(cells, number)))
    return found


def draw_counts(
    learnt: Learnt, genes: LikeGenes, level: int, cells: Integers, random: np.random.Generator
) -> NDArray[np.int32]:
    """(cells, G + 1) counts of one sample, the last of `REST`."""
    donor = genes.log_mean[level] + genes.donor_sd[:, level] * random.normal(size=len(genes.dispersion))
    mean = learnt.size_factor[cells][:, None] * np.exp(donor)
    counts = random.poisson(mean * random.gamma(1 / genes.dispersion, genes.dispersion, mean.shape))
    others = learnt.total[cells] - learnt.size_factor[cells] * learnt.mean.sum()
    rest = random.poisson(np.maximum(others, 0.0))
    return np.hstack([counts, rest[:, None]]).astype(np.int32)


def simulate_like(
    learnt: Mapping[str, Learnt], asked: Asked
) -> tuple["ad.AnnData", dict[str, "pd.DataFrame"]]:
    """Simulate a cohort of some cell types of a study.

    Parameters
    ----------
    learnt
        Cell type -> what its results tell; all of the same levels.

    Returns
    -------
    counts
        AnnData, cells × genes, `X` int32 CSR; obs ``sample_id, cell_type`` and the tested factor.
    tables
        ``samples``, the sheet; ``truth``, a row per gene, cell type and level beyond the reference: ``gene, cell_type, level,
        log2fc, donor_sd, dispersion, mean`` (`donor_sd` on the natural log scale, in that level; `mean` per 10,000).

    Raises
    ------
    NestdeError
        Options that cannot be, or cell types that were compared by different factors.
    """
    import anndata as ad
    import pandas as pd
    from scipy import sparse

    asked.check()
    first = next(iter(learnt.values()))
    faults = Faults()
    for name, each in learnt.items():
        if (each.term, each.levels) != (first.term, first.levels):
            faults.add(
                f"{name} was compared by {each.term} ({', '.join(each.levels)}), {first.cell_type} by {first.term}."
            )
    faults.raise_if_any()
    names = [*sorted({gene for each in learnt.values() for gene in each.genes}), REST]
    place = {gene: i for i, gene in enumerate(names)}
    blocks, frames, truths = [], [], []
    level_of: dict[str, str] = {}
    for kind, (name, each) in enumerate(sorted(learnt.items())):
        genes = genes_like(each, asked, np.random.default_rng([asked.seed, _GENES, kind]))
        samples = draw_samples(each, asked, np.random.default_rng([asked.seed, _SAMPLES, kind]))
        columns = np.array([place[gene] for gene in [*each.genes, REST]])
        numbers = dict.fromkeys(range(len(each.levels)), 0)
        for at, (level, cells) in enumerate(samples):
            numbers[level] += 1
            sample = f"{each.levels[level]}_{numbers[level]:03d}"
            level_of[sample] = each.levels[level]
            counts = sparse.csr_matrix(
                draw_counts(each, genes, level, cells, np.random.default_rng([asked.seed, _CELLS, kind, at]))
            ).tocoo()
            blocks.append(
                sparse.csr_matrix(
                    (counts.data, (counts.row, columns[counts.col])), (len(cells), len(names)), np.int32
                )
            )
            frames.append(pd.DataFrame({"sample_id": sample, "cell_type": name}, index=range(len(cells))))
        truths += [_truth(each, genes, level) for level in range(1, len(each.levels))]
    obs = pd.concat(frames, ignore_index=True)
    obs.index = pd.Index([f"cell{i + 1}" for i in range(len(obs))])
    obs[first.term] = obs["sample_id"].map(level_of)
    for column in obs:
        obs[column] = obs[column].astype("category")
    sheet = pd.DataFrame({"sample_id": list(level_of), first.term: list(level_of.values())})
    adata = ad.AnnData(sparse.vstack(blocks, format="csr"), obs, pd.DataFrame(index=names))
    return adata, {"samples": sheet, "truth": pd.concat(truths, ignore_index=True)}


def _truth(learnt: Learnt, genes: LikeGenes, level: int) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(
        {
            "gene": learnt.genes,
            "cell_type": learnt.cell_type,
            "level": learnt.levels[level],
            "log2fc": genes.log2fc[level],
            "donor_sd": genes.donor_sd[:, level],
            "dispersion": genes.dispersion,
            "mean": learnt.mean,
        }
    ).round(6)


def write_like(learnt: Mapping[str, Learnt], asked: Asked, folder: str | Path) -> None:
    """Simulate and write ``counts.h5ad, samples.tsv, truth.tsv`` into `folder`."""
    adata, tables = simulate_like(learnt, asked)
    folder = Path(folder)
    with atomic(folder / "counts.h5ad") as temporary:
        adata.write_h5ad(temporary, compression="gzip", compression_opts=9)
    for name, table in tables.items():
        write_tsv(table, folder / f"{name}.tsv")
