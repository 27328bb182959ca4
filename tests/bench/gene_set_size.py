"""How often a gene set is called where nothing differs, and how often where it does: for the table in gene_sets.md.

python tests/bench/gene_set_size.py [STUDIES]

Genes of a set share a level that differs from sample to sample, whatever the diagnosis, as genes of a pathway do. Beside nestde's
p-value, that of the same score if genes were independent (decoupler's own).
"""

import sys

import numpy as np
import pandas as pd
from scipy import sparse, stats

from nestde.design import design as designs
from nestde.expression.enrichment import Sets, enrich
from nestde.fit.family.gaussian import FAMILY
from nestde.fit.grain import grain_of

GENES, CELLS, SETS, OF_SET = 800, 40, 20, 25
SHARED = 0.15  # SD between samples, on the log scale, of what genes of a set have in common
EFFECT = 0.3  # log fold change of the genes of true sets
BOUNDS = (0.05, 0.01, 0.001)


def study(arm: int, differing: int, rng: np.random.Generator) -> pd.DataFrame:
    """The table of sets of one study; the first `differing` sets differ."""
    label = np.repeat(["C", "P"], arm)
    frame = pd.DataFrame({"s": [f"S{i:02d}" for i in range(2 * arm)], "d": label})
    level = rng.normal(0.3, 0.6, GENES) + rng.normal(0, 0.15, (2 * arm, GENES))
    own = np.arange(GENES) // OF_SET
    level += np.where(own < SETS, rng.normal(0, SHARED, (2 * arm, own.max() + 1))[:, own], 0)
    level[label == "P"] += np.where(own < differing, EFFECT, 0)
    frame = frame.loc[frame.index.repeat(CELLS)].reset_index(drop=True)
    counts = rng.poisson(np.exp(level)[np.arange(len(frame)) // CELLS]).astype(np.int32)
    design = designs.build_design("~ d + (1 | s)", frame, test=["d"])
    names = [f"G{i}" for i in range(GENES)]
    statistics = FAMILY.sum_up(grain_of(design), sparse.csc_array(counts), np.ones(len(frame)), names)
    sets = {f"T{k:02d}": tuple(names[OF_SET * k : OF_SET * (k + 1)]) for k in range(SETS)}
    return enrich("cells", design, statistics, ["d"], Sets(sets, "gene"), "auto", number=100, threads=1)


def main(studies: int) -> None:
    """Print one row for each number of samples."""
    print(
        "| samples | relabellings | size: nestde | if genes were independent | inflation | true sets, p ≤ .01 | at FDR 5 % |"
    )
    print("|---|---|---|---|---|---|---|")
    for arm in (3, 4, 6, 12):
        rng = np.random.default_rng(arm)
        null = pd.concat([study(arm, 0, rng) for _ in range(studies)])
        true = pd.concat([study(arm, 4, rng) for _ in range(max(studies // 4, 1))])
        true = true[true["gene_set"] < "T04"]
        alone = 2 * stats.t.sf(null["score"].abs(), GENES - 2)
        sizes = [
            " / ".join(f"{(p <= bound).mean():.4f}" for bound in BOUNDS) for p in (null["pvalue"], alone)
        ]
        print(
            f"| {arm} v {arm} | {null['relabellings'].iloc[0]} | {sizes[0]} | {sizes[1]} | {null['inflation'].median():.2f} "
            f"| {(true['pvalue'] <= 0.01).mean():.2f} | {(true['padj'] <= 0.05).mean():.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
