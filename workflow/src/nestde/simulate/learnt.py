"""What a fitted study tells of its genes and cells, for cohorts like it and for the next one: read from its results."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats, Integers
from nestde.errors import NestdeError
from nestde.io.layout import RESULTS
from nestde.logs import log
from nestde.simulate.moments import Moments, moments

_BESIDE = ("term", "expression", "weight")


@dataclass(frozen=True)
class Learnt:
    """One cell type of a study: G genes with a fit, n cells of S samples.

    Attributes
    ----------
    cell_type, term
        What was fitted, and which test's prior is taken.
    levels
        Levels of the tested factor, the reference first.
    genes
        (G,) names.
    mean
        (G,) counts per 10,000.
    expression
        (G,) mean of y, with which the prior changes.
    sigma
        (G,) SD of y within samples.
    knots, nodes, weights
        The prior: (K,) mean expression, (C, D) variances as multiples of the residual variance, (K, C).
    axes
        (D,) what each variance is of: ``sample_id``, or with arms ``sample_id [AD]``.
    total, size_factor, sample
        (n,) counts of each cell, what they are divided by, and its sample.
    level
        (S,) level of each sample, an index into `levels`.
    """

    cell_type: str
    term: str
    levels: tuple[str, ...]
    genes: NDArray[np.object_]
    mean: Floats
    expression: Floats
    sigma: Floats
    knots: Floats
    nodes: Floats
    weights: Floats
    axes: tuple[str, ...]
    total: Floats
    size_factor: Floats
    sample: Integers
    level: Integers

    @property
    def cells(self) -> Integers:
        """(S,) cells of each sample."""
        return np.bincount(self.sample, minlength=len(self.level))

    def donors(self) -> tuple[int, int]:
        """Samples of the first two levels."""
        number = np.bincount(self.level, minlength=2)
        return int(number[0]), int(number[1])

    def moments(self) -> Moments:
        """How counts become y in these cells."""
        return moments(self.size_factor)

    @property
    def by_level(self) -> bool:
        """Whether each level has a variance of its own."""
        return all(axis.endswith("]") for axis in self.axes)

    def draw_variances(self, expression: Floats, random: np.random.Generator) -> Floats:
        """Draw the variances of some genes from the prior at their mean expression: (genes, D), in residual variances."""
        return self.variances_at(expression, random.random((2, len(expression))))

    def variances_at(self, expression: Floats, uniform: Floats) -> Floats:
        """What `draw_variances` gives for (2, genes) numbers between 0 and 1."""
        position = np.interp(expression, self.knots, np.arange(len(self.knots)))
        knot = np.floor(position + uniform[0]).astype(int)
        cumulated = np.cumsum(self.weights, axis=1)
        cumulated /= cumulated[:, -1:]
        node = (uniform[1][:, None] > cumulated[np.minimum(knot, len(self.knots) - 1)]).sum(axis=1)
        # sums end at 1, less a rounding
        found: Floats = self.nodes[np.minimum(node, len(self.nodes) - 1)]
        return found

    def evenly(self, number: int) -> tuple[Integers, Floats]:
        """Genes and their variances, as many as asked: over mean expression and the prior there as evenly as can be, in random order.

        Numbers between 0 and 1 are multiples of 1/g and 1/g², g³ = g + 1, less their integers: of all such pairs of sequences
        the most even one in two dimensions (Roberts 2018, the R₂ sequence). Drawn by chance, 8,000 genes of 2,000 move a plan's power
        by as much again as the counts that are drawn for them.

        Returns
        -------
        genes
            (number,) indices.
        variances
            (number, D), in residual variances.
        """
        at = np.arange(number)
        order = np.argsort(self.expression, kind="stable")
        chosen = order[((at + 0.5) * len(order) / number).astype(np.int64)]
        g = 1.32471795724474602596
        uniform = (0.5 + np.outer([1 / g, 1 / g**2], at)) % 1.0
        variances = self.variances_at(self.expression[chosen], uniform)
        mixed = np.random.default_rng(number).permutation(number)
        return chosen[mixed], variances[mixed]


def learn(folder: str | Path, cell_type: str | None = None, term: str | None = None) -> Learnt:
    """Read what a run found of a cell type.

    Parameters
    ----------
    folder
        Its results.
    cell_type
        The only one if not given.
    term
        The first tested term that is a factor if not given.

    Raises
    ------
    NestdeError
        The folder holds no results, not of that cell type, or none that a prior was fitted to.
    """
    from nestde.cells.covariates import read_measured
    from nestde.design.testable import NotTestable, load_design
    from nestde.fit.family.linear import ENGINE
    from nestde.fit.statistics import load
    from nestde.io.files import read_json, read_tsv

    folder = Path(folder)
    names = cell_types(folder)
    if cell_type is None and len(names) == 1:
        (cell_type,) = names
    if cell_type not in names:
        what = "has results of none" if not names else f"has {', '.join(names)}"
        raise NestdeError(f"{folder}: which cell type? It {what}. Name one of them.")
    paths = {
        kind: folder / RESULTS[kind].format(cell_type=names[cell_type])
        for kind in RESULTS
        if "{cell_type}" in RESULTS[kind] and "{family}" not in RESULTS[kind]
    }
    design = load_design(paths["design"])
    if isinstance(design, NotTestable):
        raise NestdeError(f"{folder}: {cell_type} was not tested: {design.reason}.")
    statistics = load(paths["statistics"])
    if statistics.family.engine != ENGINE:
        raise NestdeError(
            f"{folder}: {cell_type} was fitted by model.family {statistics.family.name}; cohorts and plans are made from fits of the linear "
            "mixed model. Run the study with model.family: gaussian in another folder, or give numbers instead."
        )
    prior = read_tsv(paths["prior"], text=["term"])
    if prior.empty:
        reasons = [why for of in read_json(paths["reasons"]).values() for why in of.values()]
        raise NestdeError(
            f"{folder}: no prior of variances was fitted to {cell_type}{': ' + reasons[0] if reasons else ''}. Give numbers instead."
        )
    factors = [name for name in dict.fromkeys(prior["term"]) if name in design.levels]
    term = term or (factors[0] if factors else str(prior["term"].iloc[0]))
    if term not in factors:
        raise NestdeError(
            f"{folder}: {term} is no tested factor of {cell_type}; there is {', '.join(factors) or 'none'}."
        )
    of_term = prior[prior["term"] == term].dropna(axis=1, how="all")
    axes = tuple(name for name in of_term if name not in _BESIDE)
    if any(axis.endswith((" corr", " (Intercept)")) for axis in axes):
        raise NestdeError(
            f"{folder}: {cell_type} has random slopes, of which no cohort can be made yet. Give numbers instead."
        )
    of_level = [
        next((axis for axis in axes if axis.endswith(f" [{level}]")), "") for level in design.levels[term]
    ]
    if all(of_level):
        axes = tuple(of_level)
    if not np.isfinite(of_term[["expression", "weight", *axes]].to_numpy(float)).all():
        raise NestdeError(f"{paths['prior']}: has values that are no numbers. Run the study again.")
    knots = of_term["expression"].unique()
    nodes = of_term[of_term["expression"] == knots[0]][list(axes)].to_numpy(float)
    table = read_tsv(paths["de"], text=["gene", "gene_id", "term", "status", "reason", "level", "against"])
    table = table[(table["term"] == term) & table["status"].isin(["ok", "singular"])].drop_duplicates("gene")
    place = {str(gene): i for i, gene in enumerate(statistics.genes)}
    table = table[table["gene"].isin(place) & (table["sigma"] > 0)]
    if table.empty:
        raise NestdeError(f"{folder}: no gene of {cell_type} has a fit. Give numbers instead.")
    means = table[[name for name in table if name.startswith("mean_")]].to_numpy(float).mean(axis=1)
    measured = read_measured(paths["covariates"])
    finest = design.random[0]
    samples = len(finest.levels)
    columns = list(design.tests[term])
    level = np.zeros(samples, np.int64)
    for j, column in enumerate(columns):
        of_cells = design.x[:, column] > 0
        level[np.unique(finest.codes[of_cells])] = j + 1
    return Learnt(
        cell_type=cell_type,
        term=term,
        levels=design.levels[term],
        genes=table["gene"].to_numpy(object),
        mean=means,
        expression=statistics.mean[[place[gene] for gene in table["gene"]]],
        sigma=table["sigma"].to_numpy(float),
        knots=np.asarray(knots, float),
        nodes=nodes,
        weights=of_term["weight"].to_numpy(float).reshape(len(knots), len(nodes)),
        axes=axes,
        total=measured["total_counts"].to_numpy(float),
        size_factor=measured["size_factor"].to_numpy(float),
        sample=finest.codes.astype(np.int64),
        level=level,
    )


def cell_types(folder: str | Path) -> dict[str, str]:
    """Cell types that a folder has results of, and their slugs."""
    from nestde.io.files import read_json

    pattern = RESULTS["terms"].format(cell_type="*")
    found = {}
    for path in sorted(Path(folder).glob(pattern)):
        found[str(read_json(path)["cell_type"])] = path.stem
    return found


def learn_all(folder: str | Path, names: Sequence[str] | None = None) -> dict[str, Learnt]:
    """Read what a run found of some cell types; of all that have a prior if none is named, and why others are left out is logged.

    Raises
    ------
    NestdeError
        There is none, or one that was named has none.
    """
    if names is not None:
        return {name: learn(folder, name) for name in names}
    found, reasons = dict[str, Learnt](), list[str]()
    for name in cell_types(folder):
        try:
            found[name] = learn(folder, name)
        except NestdeError as error:
            reasons += error.faults
    if not found:
        raise NestdeError(
            "\n".join(reasons) or f"{folder}: has results of no cell type. Is it the results folder of a run?"
        )
    for reason in reasons:
        log.warning("It is left out: %s", reason)
    return found
