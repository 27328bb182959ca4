"""How often the test of shares is small where nothing changed: Dirichlet-multinomial samples, for the table in composition.md.

python tests/bench/composition_size.py [STUDIES]
"""

import sys

import numpy as np
import pandas as pd

from nestde.expression import composition
from nestde.study.config import Model

CASES = [(3, 2), (3, 3), (3, 6), (3, 12), (6, 6), (12, 6)]
BOUNDS = (0.05, 0.01, 0.001)
CONCENTRATION = 30.0  # of the Dirichlet: a share of 0.2 has an SD of 0.07 between samples


def main(studies: int) -> None:
    """Print one row for each number of samples and cell types."""
    print(
        "| samples | cell types | " + " | ".join(f"p ≤ {bound:g}" for bound in BOUNDS) + " | any at FDR 5 % |"
    )
    print("|---|---|" + "---|" * (len(BOUNDS) + 1))
    for arm, types in CASES:
        rng = np.random.default_rng(arm * 100 + types)
        names = [f"t{i:02d}" for i in range(types)]
        samples = pd.DataFrame(
            {"sample_id": [f"s{i:02d}" for i in range(2 * arm)], "group": ["a"] * arm + ["b"] * arm}
        )
        model = Model.of({"formula": "~ group + (1 | sample_id)", "test": ["group"], "levels": {}})
        moderated, own, found = [], [], 0
        for _ in range(studies):
            base = rng.dirichlet(np.full(types, 2.0))
            shares = rng.dirichlet(CONCENTRATION * base + 1e-3, 2 * arm)
            counts = np.array([rng.multinomial(rng.integers(300, 5000), p) for p in shares])
            cells = {
                name: dict(zip(names, row.tolist(), strict=True))
                for name, row in zip(samples["sample_id"], counts, strict=True)
            }
            table = composition.test(cells, samples, model).table
            moderated.append(table["pvalue"].to_numpy(float))
            own.append(table["pvalue_unmoderated"].to_numpy(float))
            found += bool((table["padj"] <= 0.05).any())
        sizes = " | ".join(_sizes(np.concatenate(of)) for of in (moderated, own))
        print(f"| {arm} v {arm} | {types} | {sizes} | {found / studies:.3f} |", flush=True)


def _sizes(p: np.ndarray) -> str:
    return " / ".join(f"{(p <= bound).mean():.4f}" for bound in BOUNDS)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
