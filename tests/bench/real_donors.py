"""P-values on real donors: where nothing differs by construction, and where the answer is known.

    NESTDE_REAL_DATA=… python tests/bench/real_donors.py null | recall | zeisel  [--splits 35]

null    Kang's B cells: the eight donors of one arm against each other, 4 v 4 (all 35 splits) and 3 v 3 (of all 280, every eighth):
        share of genes with p below .05 / .01 / .001, and genes found at a false-discovery rate of 5 % (BH) in a split.
recall  3 control donors against 3 other stimulated ones, and 4 against the 4 others, unpaired: share of what edgeR finds in all
        eight pairs at its false-discovery rate of .01 that each p-value finds at 5 % (BH), and how many of the genes with
        edgeR's p above .3 it finds.
zeisel  Artificial donors: genes found at 5 % in two cell types that are null and one that is not, and the known genes' FDR.

Beside them PyDESeq2, edgeR and limma-voom on pseudobulk of the same cells and genes; R with the last two is needed.
"""

import argparse
import gzip
import itertools
import os
from collections.abc import Sequence
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse
from beside_pseudobulk import LEVELS, deseq2_test, own_tests, pseudobulk_tests
from scipy import stats

from nestde.design.design import build_design
from nestde.fit.family import family
from nestde.fit.grain import grain_of

REAL = Path(os.environ["NESTDE_REAL_DATA"])
FORMULA = "~ arm + (1 | sample_id)"


class Cells:
    """Cells of some samples: statistics by sample for the mixed model, sums for pseudobulk."""

    def __init__(self, data: ad.AnnData, share: float) -> None:
        counts = scipy.sparse.csc_array(data.X)
        self.sample = data.obs["sample_id"].astype(str).to_numpy()
        self.samples, code = np.unique(self.sample, return_inverse=True)
        sums = np.zeros((len(self.samples), counts.shape[1]))
        for place in range(len(self.samples)):
            sums[place] = counts[code == place].sum(axis=0)
        kept = ((counts > 0).sum(axis=0) >= share * len(code)) & ((sums > 0).sum(axis=0) >= 3)
        self.genes, self.profiles = data.var_names.to_numpy(object)[kept], sums[:, kept].T
        frame = pd.DataFrame({"sample_id": self.sample})
        design = build_design("~ 1 + (1 | sample_id)", frame, test=[])
        factor = np.asarray(counts.sum(axis=1)) / 1e4
        self.statistics = family("gaussian").sum_up(grain_of(design), counts[:, kept], factor, self.genes, 1)

    def test(self, groups: Sequence[dict[str, str]]) -> dict[str, np.ndarray]:
        """(labellings, genes) p-values by each method, of samples to which A or B is given."""
        found: dict[str, list[np.ndarray]] = {}
        for group in groups:
            kept = np.isin(self.sample, list(group))
            frame = pd.DataFrame({"sample_id": self.sample[kept]})
            design = build_design(FORMULA, frame.assign(arm=frame["sample_id"].map(group)), test=["arm"])
            for name, p in own_tests(design, self.statistics.of_cells(kept), "arm").items():
                found.setdefault(name, []).append(p)
            arm, there = (
                np.array([group.get(sample, "") for sample in self.samples]),
                np.isin(self.samples, list(group)),
            )
            found.setdefault("PyDESeq2", []).append(deseq2_test(self.profiles.T[there], arm[there]))
        labels = np.array([[group.get(sample, "-") for sample in self.samples] for group in groups])
        return {name: np.array(p) for name, p in found.items()} | pseudobulk_tests(self.profiles, labels)


def discovered(p: np.ndarray) -> np.ndarray:
    """Genes found at BH 5 %, by labelling."""
    hit = np.zeros(p.shape, bool)
    for row, out in zip(p, hit, strict=True):
        known = np.isfinite(row)
        out[known] = stats.false_discovery_control(row[known]) <= 0.05
    return hit


def kang() -> ad.AnnData:
    """The singlets."""
    data = ad.read_h5ad(REAL / "kang_bcells.h5ad")
    return data[(data.obs["multiplet"] == "singlet").to_numpy()]


def null(limit: int) -> None:
    data = kang()
    print(
        "| donors | splits | genes | p-value | below .05 / .01 / .001 | found in a split: median, most |\n"
        + "|---" * 6
        + "|"
    )
    for arm in ("ctrl", "stim"):
        cells = Cells(data[(data.obs["condition"] == arm).to_numpy()], 0.02)
        for size in (4, 3):
            splits = [
                dict.fromkeys(a, "A") | dict.fromkeys(b, "B")
                for a in itertools.combinations(cells.samples, size)
                for b in itertools.combinations([s for s in cells.samples if s not in a], size)
                if a < b
            ]
            splits = splits if len(splits) <= limit else splits[:: -(-len(splits) // limit)]
            for name, p in cells.test(splits).items():
                sizes = " / ".join(f"{np.nanmean(p < level):.4f}".lstrip("0") for level in LEVELS)
                found = discovered(p).sum(axis=1)
                print(
                    f"| {arm}, {size} v {size} | {len(p)} | {p.shape[1]} | {name} | {sizes} | {np.median(found):g}, {found.max()} |",
                    flush=True,
                )


def recall(limit: int) -> None:
    data = kang()
    cells = Cells(data, 0.02)
    with gzip.open(REAL / "reference/kang_bcells.edgeR_QLF.tsv.gz", "rt") as handle:
        paired = pd.read_csv(handle, sep="\t").drop_duplicates("gene").set_index("gene").reindex(cells.genes)
    theirs, none = (paired["FDR"] <= 0.01).to_numpy(), (paired["PValue"] > 0.3).to_numpy()
    print(
        f"{theirs.sum()} genes of the paired edgeR list at FDR .01, {none.sum()} with its p > .3, of {len(cells.genes)}\n"
    )
    print(
        "| donors | splits | p-value | recall | found with edgeR's p > .3, a split | found, a split |\n"
        + "|---" * 6
        + "|"
    )
    donors = sorted(data.obs["donor"].astype(str).unique())
    for size in (3, 4):
        splits = [
            {f"ctrl{d[1:]}": "A" for d in a} | {f"stim{d[1:]}": "B" for d in b}
            for a in itertools.combinations(donors, size)
            for b in itertools.combinations([d for d in donors if d not in a], size)
        ]
        splits = splits if len(splits) <= limit else splits[:: -(-len(splits) // limit)]
        for name, p in cells.test(splits).items():
            hit = discovered(p)
            print(
                f"| {size} v {size} | {len(p)} | {name} | {hit[:, theirs].mean():.2f} | {hit[:, none].sum(axis=1).mean():.1f} | {hit.sum(axis=1).mean():.0f} |",
                flush=True,
            )


def zeisel(limit: int) -> None:
    data = ad.read_h5ad(REAL / "zeisel_pseudodonors.h5ad")
    known = ["Npy", "Lamp5", "Cck", "Sst", "Crhbp", "Satb1"]
    print(
        f"| cell type | genes | p-value | below .05 / .01 / .001 | found | {' | '.join(known)} |\n"
        + "|---" * (5 + len(known))
        + "|"
    )
    for kind in ("MGL1", "MOL1", "TEINH"):
        part = data[(data.obs["cell_type"] == kind).to_numpy()]
        arm = part.obs.drop_duplicates("sample_id").set_index("sample_id")["condition"].astype(str)
        cells = Cells(part, 0.05)
        for name, p in cells.test(
            [{sample: "B" if arm[sample] == "Case" else "A" for sample in cells.samples}]
        ).items():
            sizes = " / ".join(f"{np.nanmean(p < level):.4f}".lstrip("0") for level in LEVELS)
            fdr = np.full(p.shape[1], np.nan)
            fdr[np.isfinite(p[0])] = stats.false_discovery_control(p[0][np.isfinite(p[0])])
            of_known = pd.Series(fdr, cells.genes).reindex(known)
            print(
                f"| {kind} | {len(fdr)} | {name} | {sizes} | {discovered(p).sum()} | {' | '.join(f'{value:.2g}' for value in of_known)} |",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["null", "recall", "zeisel"])
    parser.add_argument("--splits", type=int, default=35)
    options = parser.parse_args()
    {"null": null, "recall": recall, "zeisel": zeisel}[options.what](options.splits)
