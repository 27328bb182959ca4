"""Cohorts with known truth: counts of cells nested in samples nested in a diagnosis.

The counts of gene g in cell c of sample s, of cell type k, are a gamma-Poisson mixture:

    y ~ Poisson(μ · Gamma(1/φ_g, φ_g)),
    log μ = log depth_c + log p_kg + β_kg[diagnosis_s] + b_kgs + batch_g[batch_s] + γ_g (saturation_c − 0.7)

with b_kgs ~ N(0, donor_sd_kg²), the donor's own deviation, which is what a test between diagnoses must beat.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.errors import Faults
from nestde.io.files import atomic, write_tsv

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd


MITOCHONDRIAL = tuple(
    f"MT-{name}"
    for name in ("ND1", "ND2", "ND3", "ND4", "ND4L", "ND5", "ND6", "CO1", "CO2", "CO3", "ATP6", "ATP8", "CYB")
)
RIBOSOMAL = ("RPS3", "RPS6", "RPS18", "RPS27A", "RPL3", "RPL10", "RPL13", "RPL32")
HAEMOGLOBIN = ("HBA1", "HBB")
NAMED = MITOCHONDRIAL + RIBOSOMAL + HAEMOGLOBIN

# Shares and spreads seen in droplet data; none of them is an option, so that a seed names one cohort.
QUALITY = {"good": 0.93, "few_counts": 0.02, "high_mt": 0.02, "doublet": 0.03}
MT_SHARE, MT_CELLS = 0.04, 150.0  # mean and precision of the Beta distribution of the mitochondrial share
SATURATION_MEAN = 0.7
NO_DONOR_VARIANCE_SHARE = 0.15
BATCH_SD = 0.05  # natural log

# One random stream for each part, so that one option does not change what it has nothing to do with.
SHEET, GENES, SAMPLE = range(3)


@dataclass(frozen=True)
class Cohort:
    """What is to be simulated.

    Parameters
    ----------
    donors
        Donors (one sample each) per diagnosis.
    cells
        Cells per donor over all cell types; with `unequal`, their median.
    genes
        Genes, the 13 mitochondrial ones and a few ribosomal and haemoglobin genes among them.
    depth
        Median counts of a cell.
    cell_types, diagnoses
        Names; the first diagnosis is the reference.
    batches
        Batches, balanced over diagnosis; with `alias_batch` each diagnosis is a batch of its own, a study
        that no model can save.
    de_share
        Share of genes that differ, drawn anew for each cell type and diagnosis.
    unequal
        Cells per donor spread log-normally (SD 0.7), at least 20.
    seed
        The same seed and options give the same bytes.
    """

    donors: int = 12
    cells: int = 100
    genes: int = 700
    depth: int = 3000
    cell_types: tuple[str, ...] = ("Neuron", "Astrocyte")
    diagnoses: tuple[str, ...] = ("Control", "AD")
    batches: int = 3
    de_share: float = 0.15
    unequal: bool = False
    alias_batch: bool = False
    seed: int = 1

    def check(self) -> None:
        """Raise `NestdeError` with every option that cannot be."""
        faults = Faults()
        bounds = {"donors": 1, "cells": 1, "depth": 1, "batches": 1, "genes": len(NAMED) + 1}
        for name, least in bounds.items():
            if getattr(self, name) < least:
                faults.add(f"--{name} {getattr(self, name)}: must be at least {least}.")
        for option, names, least in (("cell-types", self.cell_types, 1), ("diagnoses", self.diagnoses, 2)):
            if len(set(names)) < len(names) or len(names) < least:
                faults.add(f"--{option} {' '.join(names)}: give at least {least}, each a name of its own.")
        if not 0 <= self.de_share <= 1:
            faults.add(f"--de-share {self.de_share}: must lie between 0 and 1.")
        if self.seed < 0:
            faults.add(f"--seed {self.seed}: must not be negative.")
        faults.raise_if_any()

    def command(self) -> str:
        """The command line that makes this cohort, every option told."""
        words = ["nestde", "simulate", "OUT"]
        for name, value in vars(self).items():
            option = f"--{name.replace('_', '-')}"
            if isinstance(value, bool):
                words += [option] if value else []
            else:
                words += [option, *(value if isinstance(value, tuple) else [str(value)])]
        return shlex.join(words)


@dataclass(frozen=True)
class SimulatedGenes:
    """The truth about the genes: K cell types, L diagnoses beyond the reference, G genes, B batches."""

    names: tuple[str, ...]
    profile: Floats  # (K, G) share of a reference cell's counts; rows sum to about 1
    dispersion: Floats  # (G,) φ: variance = μ + φ μ²
    donor_sd: Floats  # (K, G) natural log
    saturation_slope: Floats  # (G,) natural log per unit of saturation
    log2fc: Floats  # (K, L, G)
    batch: Floats  # (B, G) natural log


def draw_sheet(cohort: Cohort) -> "pd.DataFrame":
    """Draw the samples: ``sample_id, diagnosis, sex, age, batch``; sex and batch balanced over diagnosis."""
    import pandas as pd

    random = np.random.default_rng([cohort.seed, SHEET])
    kinds = len(cohort.diagnoses)
    width = max(2, len(str(kinds * cohort.donors)))
    rows = []
    for number in range(kinds * cohort.donors):
        donor, kind = divmod(number, kinds)
        rows.append(
            {
                "sample_id": f"S{number + 1:0{width}d}",
                "diagnosis": cohort.diagnoses[kind],
                "sex": "FM"[donor // cohort.batches % 2],
                "age": int(random.integers(62, 91)),
                "batch": f"B{(kind if cohort.alias_batch else donor % cohort.batches) + 1}",
            }
        )
    return pd.DataFrame(rows)


def draw_genes(cohort: Cohort, batches: int) -> SimulatedGenes:
    """Draw means, dispersions, donor variances and effects for every gene and cell type."""
    random = np.random.default_rng([cohort.seed, GENES])
    kinds, levels, genes = len(cohort.cell_types), len(cohort.diagnoses) - 1, cohort.genes
    width = max(4, len(str(genes)))
    names = NAMED + tuple(f"G{number:0{width}d}" for number in range(1, genes - len(NAMED) + 1))

    base = random.normal(0.0, 1.6, genes)
    ribosomal = slice(len(MITOCHONDRIAL), len(MITOCHONDRIAL) + len(RIBOSOMAL))
    base[ribosomal] = random.normal(2.0, 0.3, len(RIBOSOMAL))
    marker = random.random((kinds, genes)) < 0.2
    log_profile = base + np.where(marker, random.normal(0.0, 1.5, (kinds, genes)), 0.0)
    log_profile[:, : len(MITOCHONDRIAL)] = random.normal(0.0, 0.5, len(MITOCHONDRIAL))
    profile = np.exp(log_profile)
    mitochondrial = np.arange(genes) < len(MITOCHONDRIAL)
    for part, share in ((mitochondrial, MT_SHARE), (~mitochondrial, 1 - MT_SHARE)):
        profile[:, part] *= share / profile[:, part].sum(axis=1, keepdims=True)

    donor_sd = np.exp(random.normal(np.log(0.15), 0.5, (kinds, genes)))
    donor_sd[random.random((kinds, genes)) < NO_DONOR_VARIANCE_SHARE] = 0.0
    log2fc = np.zeros((kinds, levels, genes))
    for kind in range(kinds):
        for level in range(levels):
            log2fc[kind, level] = draw_effects(random, profile[kind], mitochondrial, cohort.de_share)
    profile *= 2.0 ** (-log2fc.mean(axis=1) / 2)  # half of an effect lies in the reference
    return SimulatedGenes(
        names=names,
        profile=profile,
        dispersion=0.1 + np.exp(random.normal(np.log(0.3), 0.6, genes)),
        donor_sd=donor_sd,
        saturation_slope=np.where(random.random(genes) < 0.2, random.normal(0.0, 1.0, genes), 0.0),
        log2fc=log2fc,
        batch=random.normal(0.0, BATCH_SD, (batches, genes)),
    )


def draw_effects(
    random: np.random.Generator,
    profile: Floats,
    spared: NDArray[np.bool_],
    share: float,
    sizes: tuple[float, float] = (0.4, 1.6),
) -> Floats:
    """Effects of some `sizes` on the log2 scale for a share of genes, the rest 0.

    The signs are chosen from the most to the least abundant gene so that gains and losses cancel: else the
    total of a cell would move with diagnosis, and normalising by it would move every null gene. With half of
    each effect in the reference, a gene gains p (2^(e/2) − 2^(−e/2)), and as many genes go up as go down.
    """
    chosen = np.flatnonzero((random.random(len(profile)) < share) & ~spared)
    size = random.uniform(*sizes, len(chosen))
    effects = np.zeros(len(profile))
    gained = 0.0
    for at in np.argsort(-profile[chosen], kind="stable"):
        sign = -1.0 if gained > 0 else 1.0
        effects[chosen[at]] = sign * size[at]
        gained += profile[chosen[at]] * sign * np.sinh(size[at] * np.log(2.0) / 2)
    return effects


def draw_sample(
    cohort: Cohort, genes: SimulatedGenes, number: int, diagnosis: int, batch: int
) -> tuple[NDArray[np.int32], "pd.DataFrame"]:
    """Draw the cells of one sample.

    Parameters
    ----------
    number
        The sample's row in the sheet; it alone picks the random stream.
    diagnosis, batch
        Their places among the diagnoses (0 is the reference) and the batches.

    Returns
    -------
    counts
        (cells, genes) raw counts.
    cells
        ``barcode, cell_type, sequencing_saturation, kind``; kind is good, few_counts, high_mt or doublet.
    """
    import pandas as pd

    random = np.random.default_rng([cohort.seed, SAMPLE, number])
    n, kinds = cohort.cells, len(cohort.cell_types)
    if cohort.unequal:
        n = max(20, round(n * np.exp(random.normal(0.0, 0.7))))
    deviation = genes.donor_sd * random.normal(size=genes.donor_sd.shape)
    if diagnosis:
        deviation = deviation + np.log(2.0) * genes.log2fc[:, diagnosis - 1]
    centre = SATURATION_MEAN + random.normal(0.0, 0.04)

    quality = random.choice(list(QUALITY), n, p=list(QUALITY.values()))
    cell_type = random.integers(kinds, size=n)
    saturation = np.round(np.clip(centre + random.normal(0.0, 0.05, n), 0.3, 0.98), 4)

    def singlets(cell_type: NDArray[np.int64]) -> NDArray[np.int32]:
        depth = cohort.depth * np.exp(random.normal(0.0, 0.3, n))
        depth[quality == "few_counts"] *= 0.08
        mt = random.beta(MT_SHARE * MT_CELLS, (1 - MT_SHARE) * MT_CELLS, n)
        mt[quality == "high_mt"] = random.uniform(0.3, 0.7, n)[quality == "high_mt"]
        mean = depth[:, None] * genes.profile[cell_type]
        mean *= np.exp(deviation[cell_type] + genes.batch[batch])
        mean *= np.exp(np.outer(saturation - SATURATION_MEAN, genes.saturation_slope))
        mean[:, : len(MITOCHONDRIAL)] *= (mt / MT_SHARE)[:, None]
        mean[:, len(MITOCHONDRIAL) :] *= ((1 - mt) / (1 - MT_SHARE))[:, None]
        shape = 1.0 / genes.dispersion
        return random.poisson(mean * random.gamma(shape, genes.dispersion, mean.shape)).astype(np.int32)

    counts = singlets(cell_type)
    partner = singlets(random.integers(kinds, size=n))
    counts[quality == "doublet"] += partner[quality == "doublet"]
    barcodes = random.choice(np.array(list("ACGT")), (n, 16))
    cells = pd.DataFrame(
        {
            "barcode": ["".join(row) + "-1" for row in barcodes],
            "cell_type": [cohort.cell_types[kind] for kind in cell_type],
            "sequencing_saturation": saturation,
            "kind": quality,
        }
    )
    return counts, cells


def simulate(cohort: Cohort) -> tuple["ad.AnnData", dict[str, "pd.DataFrame"]]:
    """Simulate a cohort.

    Returns
    -------
    counts
        AnnData, cells × genes, `X` int32 CSR raw counts; obs ``sample_id, cell_type, sequencing_saturation``
        and the sample's covariates; ``uns["simulation"]`` holds the command and the seed.
    tables
        ``samples``: the sheet. ``truth``: a row per gene, cell type and diagnosis beyond the reference
        (``gene, cell_type, level, log2fc, donor_sd, dispersion, share, saturation_slope``; `donor_sd` and
        `saturation_slope` on the natural log scale, `share` the gene's share of a reference cell's counts).
        ``truth_cells``: the cells that are not good (``sample_id, cell, kind``).

    Raises
    ------
    NestdeError
        Options that cannot be, all of them.
    """
    import anndata as ad
    import pandas as pd
    from scipy import sparse

    cohort.check()
    sheet = draw_sheet(cohort)
    batches = sorted(sheet["batch"].unique())
    genes = draw_genes(cohort, len(batches))
    blocks, frames = [], []
    for number, row in enumerate(sheet.itertuples(index=False)):
        counts, cells = draw_sample(
            cohort, genes, number, cohort.diagnoses.index(row.diagnosis), batches.index(row.batch)
        )
        blocks.append(sparse.csr_matrix(counts))
        frames.append(cells)
    cells = pd.concat(frames, ignore_index=True)
    cells["sample_id"] = np.repeat(sheet["sample_id"].to_numpy(), [len(frame) for frame in frames])
    cells["cell"] = cells["sample_id"] + "_" + cells["barcode"]

    obs = cells.merge(sheet, on="sample_id", validate="many_to_one").set_index("cell")
    obs.index.name = None
    obs = obs[["sample_id", "cell_type", "sequencing_saturation", *sheet.columns.drop("sample_id")]]
    for column in obs.select_dtypes(["object", "string"]):
        obs[column] = obs[column].astype("category")
    adata = ad.AnnData(
        X=sparse.vstack(blocks, format="csr"),
        obs=obs,
        var=pd.DataFrame(index=list(genes.names)),
        uns={"simulation": {"command": cohort.command(), "seed": cohort.seed}},
    )
    tables = {
        "samples": sheet,
        "truth": _truth(cohort, genes),
        "truth_cells": cells.loc[cells["kind"] != "good", ["sample_id", "cell", "kind"]],
    }
    return adata, tables


def _truth(cohort: Cohort, genes: SimulatedGenes) -> "pd.DataFrame":
    import pandas as pd

    return pd.concat(
        pd.DataFrame(
            {
                "gene": genes.names,
                "cell_type": cell_type,
                "level": level,
                "log2fc": genes.log2fc[kind, place],
                "donor_sd": genes.donor_sd[kind],
                "dispersion": genes.dispersion,
                "share": genes.profile[kind],
                "saturation_slope": genes.saturation_slope,
            }
        ).round(6)
        for kind, cell_type in enumerate(cohort.cell_types)
        for place, level in enumerate(cohort.diagnoses[1:])
    )


def write(cohort: Cohort, folder: str | Path) -> None:
    """Simulate and write ``counts.h5ad, samples.tsv, truth.tsv, truth_cells.tsv`` into `folder`."""
    adata, tables = simulate(cohort)
    folder = Path(folder)
    with atomic(folder / "counts.h5ad") as temporary:
        adata.write_h5ad(temporary, compression="gzip", compression_opts=9)
    for name, table in tables.items():
        write_tsv(table, folder / f"{name}.tsv")
