"""Data as labs meet them: the layouts of public files, made with known genes, so that `init` can be tried on each."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

MT = ["MT-ND1", "MT-ND2", "MT-CO1", "MT-CO2", "MT-ATP6", "MT-CYB"]
Y = ["RPS4Y1", "DDX3Y", "UTY", "KDM5D"]
DIFFER = 15  # genes of each cell type that do


def made(
    sheet: pd.DataFrame,
    types: Mapping[str, Sequence[int]],
    *,
    tested: str,
    genes: int = 300,
    depth: float = 2000,
    seed: int = 0,
) -> ad.AnnData:
    """Counts of samples that differ, and by level of a column in the genes D0 to D14.

    Parameters
    ----------
    sheet
        One row per sample: ``sample`` and covariates; XIST and the genes of Y follow a column ``sex`` of F and M, else donors
        are of both in turn; with ``donor`` samples of one donor are alike.
    types
        Cell type -> its cells in each sample.
    tested
        The column of the sheet whose levels, but the first, have D0 … doubled.
    depth
        Median counts of a cell.
    """
    rng = np.random.default_rng(seed)
    names = np.array([f"D{i}" for i in range(DIFFER)] + ["XIST", *Y, *MT, "HBB", "RPS6"], object)
    names = np.concatenate([names, [f"GENE{i}" for i in range(genes - len(names))]])
    base = rng.gamma(0.6, 1.0, genes) + 0.02
    base[: DIFFER + 5] = 1.0
    base[DIFFER + 5 : DIFFER + 11] = base.sum() * 0.03 / 6
    levels = list(dict.fromkeys(sheet[tested]))
    of_donor = {
        donor: rng.normal(0, 0.25, genes) for donor in dict.fromkeys(sheet.get("donor", sheet["sample"]))
    }
    counts, obs = [], []
    for number, row in enumerate(sheet.to_dict("records")):
        mean = base * np.exp(of_donor[row.get("donor", row["sample"])] + rng.normal(0, 0.1, genes))
        mean[:DIFFER] *= 2.0 ** (row[tested] != levels[0])
        sex = row.get("sex", ("F", "M")[list(of_donor).index(row.get("donor", row["sample"])) % 2])
        mean[DIFFER] *= 1.0 if sex == "F" else 0.01
        mean[DIFFER + 1 : DIFFER + 5] *= 1.0 if sex == "M" else 0.0
        for at, (name, cells) in enumerate(types.items()):
            n = cells[number]
            of_type = mean * np.exp(np.random.default_rng(at).normal(0, 0.4, genes))
            size = depth * rng.lognormal(0, 0.35, n)
            counts.append(
                rng.poisson(size[:, None] * of_type / of_type.sum() * rng.gamma(4, 0.25, (n, genes)))
            )
            obs.append(pd.DataFrame({**{key: [value] * n for key, value in row.items()}, "type": name}))
    frame = pd.concat(obs, ignore_index=True)
    frame.index = pd.Index([f"cell{i:06}" for i in range(len(frame))])
    order = rng.permutation(len(frame))
    found = ad.AnnData(sp.csr_matrix(np.concatenate(counts).astype(np.float32)), obs=frame)
    found.var_names = list(names)
    return found[order].copy()


def sheet_of(per_level: Mapping[str, int], name: str = "diagnosis") -> pd.DataFrame:
    """Samples of some levels: sample, the level, sex in turn, age."""
    levels = [level for level, number in per_level.items() for _ in range(number)]
    n = len(levels)
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "sample": [f"P{i + 1:02}" for i in range(n)],
            name: levels,
            "sex": [("F", "M")[i % 2] for i in range(n)],
            "age": rng.integers(55, 90, n),
        }
    )


def with_ids(data: ad.AnnData, column: str, twice: int = 0) -> ad.AnnData:
    """Name genes by Ensembl ids, with the symbols in a column of var; the last `twice` genes have one symbol in pairs."""
    symbols = list(data.var_names)
    for i in range(1, 2 * twice, 2):
        symbols[-i] = symbols[-i - 1]
    data.var[column] = symbols
    data.var_names = [f"ENSG{i:011}" for i in range(data.n_vars)]
    return data


def normalised(data: ad.AnnData) -> Any:
    """log1p of counts per 10,000, as `X` often is."""
    total = np.maximum(np.asarray(data.X.sum(axis=1)).ravel(), 1)
    found = sp.diags(1e4 / total) @ data.X
    return sp.csr_matrix(found.log1p(), dtype=np.float32)


def cellxgene() -> ad.AnnData:
    """CELLxGENE: ids with feature_name, X normalised and counts in raw, donor_id and disease, ontology columns."""
    sheet = sheet_of({"normal": 6, "Alzheimer disease": 6}, "disease").rename(columns={"sample": "donor_id"})
    data = made(
        sheet.assign(sample=sheet["donor_id"]),
        {"microglial cell": [60] * 12, "oligodendrocyte": [80] * 12},
        tested="disease",
    )
    data.obs = data.obs.drop(columns="sample").rename(columns={"type": "cell_type"})
    data.obs["sex"] = data.obs["sex"].map({"F": "female", "M": "male"})
    data.obs["development_stage"] = data.obs.pop("age").astype(str) + "-year-old stage"
    data.obs["assay"] = "10x 3' v3"
    data.obs["suspension_type"] = "nucleus"
    data.obs["tissue"] = "prefrontal cortex"
    data.obs["self_reported_ethnicity"] = "unknown"
    data.obs["is_primary_data"] = True
    for name in ("cell_type", "disease", "sex", "assay"):
        data.obs[f"{name}_ontology_term_id"] = data.obs[name].map(
            lambda value: f"X:{zlib.crc32(value.encode()) % 9999:04}"
        )
    data = with_ids(data, "feature_name", twice=2)
    data.var["feature_is_filtered"] = False
    data.raw = data
    data.X = normalised(data)
    return data


def seurat() -> ad.AnnData:
    """Seurat, converted: orig.ident, nCount_RNA, `Disease Status`, `Cell Type`; X scaled, counts in a layer of another name."""
    data = made(
        sheet_of({"Control": 5, "Case": 5}, "Disease Status").rename(columns={"sample": "sample"}),
        {"CD4 T cells": [70] * 10, "B cells": [60] * 10},
        tested="Disease Status",
    )
    data.obs = data.obs.rename(columns={"sample": "orig.ident", "type": "Cell Type"})
    data.obs["nCount_RNA"] = np.asarray(data.X.sum(axis=1)).ravel()
    data.obs["nFeature_RNA"] = np.diff(data.X.indptr)
    data.obs["percent.mt"] = np.random.default_rng(0).uniform(0, 5, data.n_obs)
    data.obs["RNA_snn_res.0.8"] = (np.arange(data.n_obs) % 7).astype(str)
    data.obs["seurat_clusters"] = data.obs["RNA_snn_res.0.8"]
    data.layers["RNA_raw"] = data.X.copy()
    data.X = normalised(data)
    return data


def panel() -> ad.AnnData:
    """A panel of few genes by id: no mitochondrial gene, about 150 counts a cell."""
    data = made(
        sheet_of({"Control": 6, "AD": 6}),
        {"bin": [60] * 12, "bmem": [50] * 12},
        tested="diagnosis",
        genes=260,
        depth=150,
    )
    data = data[:, [not name.startswith("MT-") for name in data.var_names]].copy()
    data.obs = data.obs.rename(columns={"sample": "sample_id", "type": "cell_type"})
    return with_ids(data, "gene_symbols")


def full_length() -> ad.AnnData:
    """Full-length reads of few cells: 12 donors, a million counts a cell, few cells of a type."""
    data = made(
        sheet_of({"adult": 8, "fetal": 4}, "age_group"),
        {"neurons": [18, 14, 16, 22, 12, 15, 17, 13, 26, 25, 29, 24], "astrocytes": [9, 8, 12, 11, 10, 7, 12, 9] + [0] * 4},
        tested="age_group",
        depth=800_000,
    )  # fmt: skip
    data.obs = data.obs.rename(columns={"sample": "donor", "type": "celltype"})
    return data


def three_levels() -> ad.AnnData:
    """Control, MCI and AD, with a type of which MCI has too few samples, and one that AD has none of."""
    data = made(
        sheet_of({"Control": 5, "MCI": 5, "AD": 5}),
        {
            "Neuron": [60] * 15,
            "Pericyte": [30] * 5 + [30, 3, 2, 0, 1] + [25] * 5,
            "T cell": [20] * 10 + [0] * 5,
        },
        tested="diagnosis",
    )
    data.obs = data.obs.rename(columns={"sample": "sample_id", "type": "cell_type"})
    return data


def paired() -> ad.AnnData:
    """Every donor untreated and treated, samples named by both."""
    donors = [f"d{i}" for i in range(6)]
    sheet = pd.DataFrame(
        {
            "sample": [f"{donor}_{stim}" for stim in ("ctrl", "stim") for donor in donors],
            "donor": donors * 2,
            "stim": ["ctrl"] * 6 + ["stim"] * 6,
        }
    )
    data = made(sheet, {"B cells": [60] * 12}, tested="stim")
    data.obs = data.obs.rename(columns={"sample": "sample_id", "type": "cell_type"})
    return data


def coded() -> ad.AnnData:
    """Diagnosis coded 0 and 1, sex 1 and 2, donors as numbers."""
    sheet = sheet_of({"0": 5, "1": 5})
    sheet["diagnosis"] = sheet["diagnosis"].astype(int)
    data = made(sheet, {"Neuron": [70] * 10}, tested="diagnosis")
    data.obs["sample"] = data.obs["sample"].str[1:].astype(int)
    data.obs["sex"] = data.obs["sex"].map({"M": 1, "F": 2})
    data.obs = data.obs.rename(columns={"sample": "projid", "type": "cell_type"})
    return data


LAYOUTS: dict[str, Callable[[], ad.AnnData]] = {
    make.__name__: make for make in (cellxgene, seurat, panel, full_length, three_levels, paired, coded)
}


def write(name: str, folder: Path) -> Path:
    """Write a layout as h5ad; return its path."""
    data = LAYOUTS[name]()
    for column in data.obs.select_dtypes("object"):
        data.obs[column] = data.obs[column].astype("category")
    path = Path(folder) / f"{name}.h5ad"
    data.write_h5ad(path)
    return path
