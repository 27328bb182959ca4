"""The question of Mathys et al. (2019), asked of a simulated cohort: 24 donors, six cell types, three models side by side.

    python tests/bench/mathys.py

Mathys and others compared cell types of 24 donors with Alzheimer's disease and 24 without by a Poisson mixed model (and a rank test of
cells). Here 12 and 12 donors are simulated, whose differences are known, with 480 cells each; the tables of workflow/docs/mathys.md
are what this prints.
"""

import time

import numpy as np
import pandas as pd

import nestde
from nestde.simulate import Cohort, simulate

TYPES = ("Ex", "In", "Ast", "Oli", "Opc", "Mic")
MODELS = {"Poisson": "poisson", "negative binomial": "negative_binomial", "linear": "gaussian"}


def main():
    adata, truth = simulate(
        Cohort(donors=12, cells=480, genes=1000, cell_types=TYPES, de_share=0.05, seed=2019)
    )
    effect = truth["truth"].set_index(["cell_type", "gene"])["log2fc"]
    differs = effect != 0
    tables, seconds = {}, {}
    for label, family in MODELS.items():
        begin = time.process_time()
        tables[label] = nestde.de(
            adata,
            "~ diagnosis + (1 | sample_id)",
            test="diagnosis",
            cell_type_key="cell_type",
            levels={"diagnosis": ["Control", "AD"]},
            family=family,
        )
        seconds[label] = time.process_time() - begin
    print("| cell type | " + " | ".join(f"{label}: found, false" for label in MODELS) + " | found by all |")
    print("|---|" + "---|" * (len(MODELS) + 1))
    for name in TYPES:
        found, cells = [], []
        for table in tables.values():
            mine = table[table["cell_type"] == name]
            hits = set(mine.loc[mine["padj"] <= 0.05, "gene"])
            found.append(hits)
            cells.append(f"{len(hits)}, {sum(not differs[name, gene] for gene in hits)}")
        print(f"| {name} | {' | '.join(cells)} | {len(set.intersection(*found))} |")
    whole = pd.concat(
        {label: table.set_index(["cell_type", "gene"]) for label, table in tables.items()}, axis=1
    )
    known = whole.loc[:, (slice(None), "pvalue")].notna().all(axis=1)
    effect = effect.reindex(whole.index)
    null = known & (effect == 0)
    print(
        "\n| model | χ² p ≤ .05 of null genes | headline p ≤ .05 | correlation of effects with the truth's | CPU s |\n|---|---|---|---|---|"
    )
    for label in MODELS:
        of = whole[label]
        finite = known & np.isfinite(of["coef"].astype(float))
        print(
            f"| {label} | {(of.loc[null, 'pvalue_lrt'] <= 0.05).mean():.3f} | {(of.loc[null, 'pvalue'] <= 0.05).mean():.3f} |"
            f" {np.corrcoef(of.loc[finite, 'coef'].astype(float), effect[finite])[0, 1]:.2f} | {seconds[label]:.0f} |"
        )


if __name__ == "__main__":
    main()
