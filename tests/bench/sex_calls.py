"""How often sex is called right, wrong, or of both, from cells of one sex with ambient RNA, and of two; for docs/first_contact.md.

NESTDE_REAL_DATA=… python tests/bench/sex_calls.py
"""

import os
from collections import Counter
from pathlib import Path

import anndata as ad
import numpy as np

from nestde.cells.sexes import called, evidence, in_cells

DRAWS = 500
PER_CELL = (2.3, 0.45)  # counts of XIST and of Y in Zeisel's cells, of which ambient RNA has a share


def main() -> None:
    """Draw samples of cells whose sex one gene tells, and print how they are called."""
    data = ad.read_h5ad(Path(os.environ["NESTDE_REAL_DATA"]) / "zeisel_pseudodonors.h5ad")
    found = in_cells(data.X, data.var_names)
    counts = np.stack([found["XIST"], found["Y"]], axis=1)
    of = {
        "women": np.flatnonzero((counts[:, 0] >= 2) & (counts[:, 1] == 0)),
        "men": np.flatnonzero((counts[:, 1] >= 1) & (counts[:, 0] == 0)),
    }
    rng = np.random.default_rng(0)

    def draw(sex: str, n: int, ambient: float) -> np.ndarray:
        depth = rng.lognormal(0, 0.5, (n, 1))
        return counts[rng.choice(of[sex], n)] + rng.poisson(ambient * depth * PER_CELL, (n, 2))

    def call(cells: np.ndarray) -> str:
        told = evidence({"XIST": cells[:, 0], "Y": cells[:, 1]})
        return called(told["sex_counts"], told["sex_cells"]) or "not told"

    def show(words: str, calls: list[str]) -> None:
        shares = {name: number / len(calls) for name, number in Counter(calls).most_common()}
        print(f"{words}: {shares}")

    for n in (50, 200, 1000):
        for ambient in (0, 0.05, 0.1, 0.2, 0.4):
            for sex in of:
                show(
                    f"{n} {sex}'s cells, ambient {ambient}",
                    [call(draw(sex, n, ambient)) for _ in range(DRAWS)],
                )
        for share in (0.05, 0.1, 0.2, 0.5):
            for sex, other in (("women", "men"), ("men", "women")):
                few = int(share * n)
                calls = [
                    call(np.concatenate([draw(sex, n - few, 0.05), draw(other, few, 0.05)]))
                    for _ in range(DRAWS)
                ]
                show(f"{n} {sex}'s cells, {share} {other}'s, ambient 0.05", calls)


if __name__ == "__main__":
    main()
