"""What a study will take, before it is run: jobs, hours, memory and the number of gene chunks.

A few genes of the largest cell type are fitted, with the design of all its cells and as many counts as are
quickly read, and timed. The rest is proportion: fits go with genes and cells, other steps with the counts read.
"""

import math
import resource
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nestde.arrays import Floats
from nestde.check.faults import check
from nestde.check.foreseen import Foreseen, foreseen
from nestde.check.seen import remember
from nestde.check.study import Study, read_study
from nestde.design.design import Design
from nestde.design.testable import NotTestable, design_to_test
from nestde.errors import Faults, NestdeError
from nestde.expression.celltype import fit_table
from nestde.fit.family import Family, family
from nestde.fit.grain import grain_of
from nestde.io.formats import open_source
from nestde.size_factors import PER
from nestde.study.config import Config
from nestde.study.samples import is_small

if TYPE_CHECKING:
    from scipy.sparse import csc_matrix

GENES = 64  # timed
PATIENCE = 60.0  # seconds to time them, if a gene takes long
VALUES = 5_000_000  # non-zeros read to time them
START = 5.0  # seconds that a job takes to start, whatever it does (Snakemake, Python, imports)
# how often each count is read and written before the fit: ingest, qc, size factors, matrix, pseudobulk
PASSES = 5


@dataclass(frozen=True)
class Plan:
    """The forecast.

    Attributes
    ----------
    samples, files, cells
        Of the study.
    timed
        Cell type that was timed.
    seconds_per_gene
        Of a gene of that cell type, on one core.
    fits
        Cell type -> number of cells, genes tested, and seconds of fitting, all chunks together.
    reading
        Seconds to read every count as often as the steps before the fit do.
    memory
        MB of a fit job: the peak of this process, which held the design and a slice of counts.
    chunks
        Number of gene chunks of each cell type that lets the longest take about the minutes asked for.
    jobs
        Rule -> number of jobs, with that many chunks.
    foreseen
        What quality control would remove, and what could not be tested for it.
    """

    samples: int
    files: int
    cells: int
    timed: str
    seconds_per_gene: float
    fits: dict[str, tuple[int, int, float]]
    reading: float
    memory: int
    chunks: int
    jobs: dict[str, int]
    foreseen: Foreseen

    @property
    def hours(self) -> float:
        """Hours on one core, all jobs after each other."""
        fitting = sum(seconds for _, _, seconds in self.fits.values())
        return (START * sum(self.jobs.values()) + self.reading + fitting) / 3600

    def story(self) -> Iterator[str]:
        """Say it, line by line."""
        yield f"{self.samples:,} samples in {self.files:,} file{'s' * (self.files != 1)}, {self.cells:,} cells"
        yield ""
        yield from self.foreseen.lines
        yield ""
        yield f"timed {self.timed}: {1000 * self.seconds_per_gene:.2g} ms a gene on one core"
        yield ""
        width = max(9, *map(len, self.fits))
        yield f"{'cell type':<{width}}  {'cells':>10}  {'genes':>7}  {'minutes of fitting':>18}"
        for name, (cells, genes, seconds) in self.fits.items():
            yield f"{name:<{width}}  {cells:>10,}  {genes:>7,}  {seconds / 60:>18.1f}"
        yield ""
        yield f"chunks   {self.chunks} (chunks: {self.chunks} in the configuration, or --set-scatter genes={self.chunks})"
        yield f"jobs     {sum(self.jobs.values())}: " + ", ".join(
            f"{rule} {n}" for rule, n in self.jobs.items()
        )
        yield f"memory   {self.memory:,} MB for a fit"
        yield f"hours    {self.hours:.2g} on one core, all jobs after each other"


def plan(config: Config, minutes: float = 10.0) -> Plan:
    """Forecast a run, and keep what quality control leaves for the check.

    Parameters
    ----------
    config
        The study.
    minutes
        How long the longest fit job should take: on a cluster a job of seconds is mostly overhead.

    Raises
    ------
    NestdeError
        With all that is wrong with the study, if no cell type can be fitted, or `minutes` is not above 0.
    """
    if not minutes > 0:
        raise NestdeError(f"--minutes {minutes:g}: the longest job takes some time. Give a number above 0.")
    faults = Faults()
    study = read_study(config, faults)
    if study is not None:
        check(study, faults)
    faults.raise_if_any()
    if study is None:
        raise NestdeError("the study cannot be read. `nestde check` says why.")
    sizes = {cell_type: len(study.cells_of(cell_type)) for cell_type in config.cell_types}
    largest = max(sizes, key=lambda cell_type: sizes[cell_type])
    model = config.model
    cells = study.frame(study.cells_of(largest))
    fitted = family(model.family)
    design = design_to_test(
        model.formula, cells, test=model.test, levels=model.levels, why_not=fitted.why_not
    )
    if isinstance(design, NotTestable):
        raise NestdeError(f"{largest}: {design.reason}.")
    read = _excerpt(study, design.n, genes_to_time(design, fitted))
    per_gene = _seconds(config, design, read) / read.counts.shape[1]
    fits = {
        name: (cells, read.genes, per_gene * read.genes * cells / design.n) for name, cells in sizes.items()
    }
    chunks = min(max(1, math.ceil(fits[largest][2] / (60 * minutes))), read.genes)
    files = len(set(study.paths.values()))
    known = foreseen(study)
    if known.seen:
        remember(study, known.seen)
    return Plan(
        samples=len(study.paths),
        files=files,
        cells=len(study.sample),
        timed=largest,
        seconds_per_gene=per_gene,
        fits=fits,
        reading=PASSES * read.seconds_per_value * read.values_per_cell * len(study.sample),
        memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        chunks=chunks,
        jobs=_jobs(config, study.paths.values(), chunks),
        foreseen=known,
    )


@dataclass(frozen=True)
class _Excerpt:
    """Counts that are quickly read: genes of every abundance, the cells repeated to the number wanted."""

    counts: "csc_matrix"
    size_factor: Floats
    genes: int  # that would be tested
    values_per_cell: float
    seconds_per_value: float


def _seconds(config: Config, design: Design, read: _Excerpt) -> float:
    """Seconds that the statistics and fits of the excerpt's genes take on one core."""
    names = [str(gene) for gene in range(read.counts.shape[1])]
    seconds = []
    for _ in range(2):  # the first time, what is compiled is compiled
        began = time.perf_counter()
        statistics = family(config.model.family).sum_up(
            grain_of(design), read.counts, read.size_factor, names, threads=1
        )
        fit_table(design, statistics, config.model.test, config.inference.p_value, 1)
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def genes_to_time(design: Design, family: Family) -> int:
    """Number of genes that are timed: fewer where crossed factors have so many levels that each takes seconds."""
    per_gene = family.fits * family.seconds_per_fit(design)
    return max(2, min(GENES, int(PATIENCE / max(per_gene, 1e-9))))


def _excerpt(study: Study, cells: int, genes: int) -> _Excerpt:
    """Read the first cells of the first file, and some genes of every abundance."""
    config = study.config
    path = next(iter(study.paths.values()))
    began = time.perf_counter()
    source = open_source(path, layer=config.input.layer, gene_key=config.input.gene_key)
    block = next(source.blocks(VALUES))[1].astype(np.int32)
    seconds = time.perf_counter() - began
    detected = np.bincount(block.indices[block.data > 0], minlength=block.shape[1])
    tested = np.flatnonzero(detected >= max(1, config.genes.min_cells_share * block.shape[0]))
    if not len(tested):
        raise NestdeError(f"{path}: no gene is in {config.genes.min_cells_share:.0%} of the first cells.")
    by_abundance = tested[np.argsort(detected[tested], kind="stable")]
    spread = by_abundance[np.linspace(0, len(tested) - 1, min(genes, len(tested))).astype(int)]
    rows = np.arange(cells) % block.shape[0]
    counts = block[:, spread][rows].tocsc()
    counts.sort_indices()
    total = np.maximum(np.asarray(block.sum(axis=1), float).ravel(), 1)
    return _Excerpt(
        counts, total[rows] / PER, len(tested), block.nnz / block.shape[0], seconds / max(1, block.nnz)
    )


def _jobs(config: Config, paths: Collection[str], chunks: int) -> dict[str, int]:
    """Jobs of each rule; the cell types have as many chunks as each other."""
    types = len(config.cell_types)
    pseudobulk = types if config.pseudobulk.enabled else 0
    return {
        "check": 1,
        "admit": 1,
        "ingest": len(set(paths)),
        "qc": 1 if is_small(paths) else len(paths),
        "matrix": types,
        "pseudobulk": pseudobulk,
        "pseudobulk_de": pseudobulk,
        "design": types,
        "kernels": 1,
        "statistics": types,
        "fit": types * chunks,
        "moderate": types,
        "calibrate": types,
        "gather": 1,
        "crosscheck": types,
        "summary": 1,
        "multiqc": 1,
        "manifest": 1,
    }
