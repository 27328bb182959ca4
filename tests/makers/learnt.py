"""A study as its results tell it, made up: for cohorts like it and for plans."""

import numpy as np

from nestde.simulate.learnt import Learnt
from nestde.simulate.moments import moments


def learnt(genes: int = 300, donors: int = 8, cells: int = 60, sd: float = 0.25) -> Learnt:
    """Genes that are all there are, whose donors differ by `sd` on the natural logarithm's scale, in cells of 3,000 counts."""
    random = np.random.default_rng(4)
    mean = np.exp(random.normal(0.0, 1.0, genes))
    mean *= 1e4 / mean.sum()
    dispersion = np.full(genes, 0.3)
    size = 0.3 * np.exp(random.normal(0.0, 0.2, 2 * donors * cells))
    known = moments(size)
    expression, sigma = known.at(mean, dispersion)
    order = np.argsort(expression)
    psi = (sd * known.slope(mean, dispersion) / sigma) ** 2
    nodes = np.quantile(psi, np.linspace(0, 1, 20))
    knots = np.quantile(expression, [0.1, 0.5, 0.9])
    weights = np.zeros((3, 20))
    for row, part in zip(weights, np.array_split(order, 3), strict=True):
        np.add.at(row, np.abs(psi[part, None] - nodes).argmin(axis=1), 1.0)
    return Learnt(
        cell_type="T",
        term="diagnosis",
        levels=("Control", "AD"),
        genes=np.array([f"G{i:03d}" for i in range(genes)], object),
        mean=mean,
        expression=expression,
        sigma=sigma,
        knots=knots,
        nodes=nodes[:, None],
        weights=weights / weights.sum(axis=1, keepdims=True),
        axes=("sample_id",),
        total=size * 1e4,
        size_factor=size,
        sample=np.repeat(np.arange(2 * donors), cells),
        level=np.repeat([0, 1], donors),
    )
