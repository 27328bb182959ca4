"""Columns of a matrix that are linear combinations of others, named in words."""

from collections.abc import Sequence

import numpy as np

from nestde.arrays import Floats

Combination = dict[str, float]

# A column is a combination of others when less than this share of its (centred) length is its own.
_ALIASED = 1e-8


def aliased(x: Floats, names: Sequence[str]) -> list[tuple[str, Combination]]:
    """Columns that are linear combinations of columns before them.

    Parameters
    ----------
    x
        (n, p) matrix.
    names
        (p,) its column names.

    Returns
    -------
    list of (name, combination)
        `combination` maps names of earlier, independent columns to coefficients, zeros left out; an
        empty one means that the column is zero throughout.
    """
    found: list[tuple[str, Combination]] = []
    kept: list[int] = []
    basis: list[Floats] = []
    constant = np.full(len(x), 1.0 / np.sqrt(max(len(x), 1)))
    has_constant = False
    for j in range(x.shape[1]):
        column = x[:, j]
        own = column.copy()
        for _ in range(2):  # twice is enough (Giraud et al. 2005, Numer Math 101)
            for direction in basis:
                own -= direction * (direction @ own)
        # the spread, not the size, is what counts beside an intercept: counts in millions differ by few
        scale = np.linalg.norm(column - constant * (constant @ column) if has_constant else column)
        length = np.linalg.norm(own)
        if length <= _ALIASED * scale + 1e-14 * np.linalg.norm(column):
            weights = np.linalg.lstsq(x[:, kept], column, rcond=None)[0] if kept else np.zeros(0)
            size = [abs(w) * np.linalg.norm(x[:, k]) for w, k in zip(weights, kept, strict=True)]
            share = 1e-6 * max(np.linalg.norm(column), max(size, default=0.0))
            combination = {
                names[k]: float(np.round(w, 9))
                for w, k, s in zip(weights, kept, size, strict=True)
                if s > share
            }
            found.append((names[j], combination))
        else:
            basis.append(own / length)
            kept.append(j)
            has_constant = has_constant or bool(np.all(column == column[0]) and column[0] != 0)
    return found


def alias_sentence(name: str, combination: Combination) -> str:
    """Say that a column `aliased` found cannot be separated from others, and from which."""
    if not combination:
        return f"formula: {name} is zero in every row. Drop it."
    parts = []
    for other, weight in combination.items():
        size = "" if abs(weight) == 1 and other != "(Intercept)" else f"{abs(weight):.6g}"
        label = "" if other == "(Intercept)" else other
        parts.append(("-" if weight < 0 else "+", " × ".join(filter(None, (size, label)))))
    right = " ".join(f"{sign} {part}" for sign, part in parts).removeprefix("+ ")
    return (
        f"formula: {name} cannot be separated from other columns: {name} = {right} in every row. "
        "No model can tell them apart. Drop one of them."
    )
