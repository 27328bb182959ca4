"""How often a sample with another batch's label is told, and how often one is without reason.

    python tests/bench/batch_swaps.py [--draws 400]

Profiles of 500 genes: donors (SD 1), batches (SD as in the table), noise of counting (SD 0.5); half of the samples of each batch
are of a second arm, in which a tenth of the genes differ (SD 1).
"""

import argparse

import numpy as np

from nestde.expression.elsewhere import elsewhere


def drawn(rng: np.random.Generator, n: int, batches: int, sd: float) -> tuple[np.ndarray, np.ndarray]:
    """Distances of n samples, and the batch of each."""
    batch = np.arange(n) % batches
    arm = np.arange(n) // batches % 2
    change = rng.normal(0, 1, 500) * (rng.uniform(size=500) < 0.1)
    y = rng.normal(0, 1, (n, 500)) + rng.normal(0, 0.5, (n, 500)) + rng.normal(0, sd, (batches, 500))[batch]
    y += arm[:, None] * change
    return np.sqrt(((y[:, None] - y[None]) ** 2).sum(axis=2)), batch


def main() -> None:
    """Print a row for each number of samples and batches."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=400)
    draws = parser.parse_args().draws
    print(
        "| samples, batches | SD of batches | told, one exchanged with its neighbour's label | the right one | told where none is |"
    )
    print("|---|---|---|---|---|")
    rng = np.random.default_rng(1)
    for n, batches in ((10, 2), (12, 2), (12, 3), (24, 2), (24, 3)):
        for sd in (0.0, 0.25, 0.5, 1.0):
            told = right = wrong = 0
            for _ in range(draws):
                distance, batch = drawn(rng, n, batches, sd)
                names = [str(i) for i in range(n)]
                wrong += bool(elsewhere(names, distance, list(map(str, batch))))
                i = int(rng.integers(n))
                moved = batch.copy()
                moved[i] = (batch[i] + 1) % batches
                found = elsewhere(names, distance, list(map(str, moved)))
                told += bool(found)
                right += [each.sample for each in found] == [str(i)]
            print(
                f"| {n}, {batches} | {sd:g} | {told / draws:.3f} | {right / draws:.3f} | {wrong / draws:.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
