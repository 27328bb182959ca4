"""A mixed model with one random intercept by plain numpy: no nestde, no formula library, dense matrices, a grid of variances."""

import re

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

NAME = r"[A-Za-z]\w*"


def simple(formula):
    """Fixed terms (tuples of names) and the group of ``~ a + b:c + d * e + (1 | g)``; None for any other formula."""
    found = re.fullmatch(rf"~ (.+?) \+ \(1 \| ({NAME})\)", formula)
    if not found or "(" in found[1]:
        return None
    terms = []
    for piece in found[1].split(" + "):
        if re.fullmatch(rf"{NAME}(:{NAME})*", piece):
            terms.append(tuple(piece.split(":")))
        elif re.fullmatch(rf"{NAME} \* {NAME}", piece):
            a, b = piece.split(" * ")
            terms += [(a,), (b,), (a, b)]
        else:
            return None
    return list(dict.fromkeys(terms)), found[2]


def column(values, levels):
    """A column as the documentation says it is read: a number, or labels with their levels, reference first."""
    given = pd.Series(values)
    if levels is None and given.dtype.kind in "iuf":
        return given.to_numpy(float), None
    labels = given.astype(str).str.strip()
    numbers = pd.to_numeric(labels, errors="coerce")
    if levels is None and numbers.notna().all() and pd.Series(values).dtype != bool:
        return numbers.to_numpy(float), None
    return labels.to_numpy(), [level for level in levels or sorted(set(labels)) if level in set(labels)]


def dummies(columns, term):
    """Columns of a term: a number itself, a factor by all its levels, products of these."""
    n = len(next(iter(columns.values()))[0])
    parts = np.ones((n, 1))
    for name in term:
        values, levels = columns[name]
        own = values[:, None] if levels is None else np.stack([values == level for level in levels], 1) * 1.0
        parts = (parts[:, :, None] * own[:, None, :]).reshape(n, -1)
    return parts


def span(matrices):
    """Orthonormal columns with the same span, columns scaled first; an intercept is in it."""
    x = np.concatenate([np.ones((len(matrices[0]), 1)), *matrices], axis=1)
    x = x[:, np.abs(x).max(axis=0) > 0]
    centred = x - np.where(np.ptp(x, axis=0) > 0, x.mean(axis=0), 0)
    u, s, _ = np.linalg.svd(centred / np.linalg.norm(centred, axis=0), full_matrices=False)
    return u[:, s > 1e-9 * s[0]]


class Fit:
    """Maximum likelihood of y = X b + Z u + e over the ratio of the variances, on a grid whose best point is then refined."""

    def __init__(self, x, groups, y):
        z = (groups[:, None] == np.unique(groups)) * 1.0
        self.x, self.y, self.zz = x, y, z @ z.T
        grid = np.concatenate([[0.0], np.geomspace(1e-8, 1e8, 160)])
        at = int(np.argmax([self.loglik_at(ratio) for ratio in grid]))
        self.ratio, self.loglik = grid[at], self.loglik_at(grid[at])
        low, high = np.log(grid[max(at - 1, 1)]), np.log(grid[min(at + 1, 160)])
        found = minimize_scalar(
            lambda log_ratio: -self.loglik_at(np.exp(log_ratio)), bounds=(low, high), method="bounded",
            options={"xatol": 1e-9},
        )  # fmt: skip
        if -found.fun > self.loglik:
            self.ratio, self.loglik = np.exp(found.x), -found.fun

    def solved(self, ratio):
        lower = np.linalg.cholesky(np.eye(len(self.y)) + ratio * self.zz)
        return lower, np.linalg.solve(lower, self.x), np.linalg.solve(lower, self.y)

    def loglik_at(self, ratio):
        lower, x, y = self.solved(ratio)
        rest = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
        n = len(y)
        return -0.5 * n * (1 + np.log(2 * np.pi * (rest @ rest) / n)) - np.log(np.diag(lower)).sum()

    def coef(self, extra):
        """Coefficients of further columns beside X."""
        lower, x, y = self.solved(self.ratio)
        both = np.concatenate([x, np.linalg.solve(lower, extra)], axis=1)
        return np.linalg.lstsq(both, y, rcond=None)[0][x.shape[1] :]
