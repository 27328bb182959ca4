"""What a study will take, before it is run: jobs, CPU time, memory and disk of each rule, and the number of gene chunks.

A few genes of the largest cell type are fitted, with the design of all its cells and as many counts as are
quickly read, and timed. The rest is what `needs` says of each rule, or what was learnt from a run (`learnt`).
"""

import math
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
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
from nestde.fit.methods import AUTO, method
from nestde.io.files import read_tsv
from nestde.io.formats import open_source, sniff
from nestde.run.needs import COSTS, NEEDS, PROFILES, asked, need_of_own
from nestde.run.progress import span
from nestde.size_factors import PER
from nestde.study.config import Config
from nestde.study.samples import is_small, size_of

if TYPE_CHECKING:
    from scipy.sparse import csc_matrix

GENES, FEW = 128, 8  # timed; of a p-value that takes long
PATIENCE = 60.0  # seconds to time them, if a gene takes long
VALUES = 5_000_000  # non-zeros read to time them
VALUE = 8e-6  # MB that a count takes in our files, where it is not zero
EACH_JOB = 0.08  # CPU seconds that Snakemake takes for each job, beside those that it takes to begin
BEGIN = 6.0
# rules that wait for each other: no more cores make a run shorter than a job of each
CHAIN = (
    "admit", "ingest", "qc", "matrix", "statistics", "calibrate", "gather", "summary", "multiqc", "manifest",
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """What the jobs of one rule take.

    Attributes
    ----------
    rule
        Its name.
    jobs
        How many.
    cpu, longest
        Seconds of all of them, and of the longest.
    memory
        MB that the largest asks for.
    disk
        MB that they write.
    """

    rule: str
    jobs: int
    cpu: float
    longest: float
    memory: float
    disk: float


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
    chunks
        Number of gene chunks of each cell type that lets the longest take about the minutes asked for.
    steps
        Each rule, with that many chunks.
    foreseen
        What quality control would remove, and what could not be tested for it.
    """

    samples: int
    files: int
    cells: int
    timed: str
    seconds_per_gene: float
    fits: dict[str, tuple[int, int, float]]
    chunks: int
    steps: tuple[Step, ...]
    foreseen: Foreseen

    @property
    def jobs(self) -> dict[str, int]:
        """Rule -> number of jobs."""
        return {step.rule: step.jobs for step in self.steps}

    @property
    def cpu(self) -> float:
        """CPU seconds of all jobs and of Snakemake."""
        return BEGIN + sum(step.cpu + EACH_JOB * step.jobs for step in self.steps)

    def wall(self, cores: float) -> float:
        """Seconds on so many cores: those that wait for each other, and a fair share of the others."""
        longest = {step.rule: step.longest for step in self.steps}
        waits = BEGIN + sum(longest[rule] for rule in CHAIN)
        return waits + max(0.0, self.cpu - waits) / cores

    def learnt(self, used: Mapping[str, "Used"], then: "Plan") -> "Plan":
        """Return it with each rule's time and memory times what a run took, over what `then` forecast of that run."""
        forecast = {step.rule: step for step in then.steps}
        steps = []
        for step in self.steps:
            was = forecast[step.rule]
            if step.rule in used and was.jobs:
                told = used[step.rule]
                # of jobs that were too short to be measured nothing is learnt
                time = told.cpu / max(told.jobs, 1) / (was.cpu / was.jobs) if told.jobs else 1.0
                held = asked(told.memory) / was.memory if told.memory else 1.0
                step = replace(
                    step, cpu=step.cpu * time, longest=step.longest * time, memory=step.memory * held
                )
            steps.append(step)
        return replace(self, steps=tuple(steps))

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
        yield f"{'rule':<13}  {'jobs':>6}  {'CPU minutes':>11}  {'longest job':>11}  {'memory, MB':>10}  {'disk, MB':>9}"
        for step in self.steps:
            yield (
                f"{step.rule:<13}  {step.jobs:>6,}  {step.cpu / 60:>11.1f}  {span(step.longest):>11}  "
                f"{step.memory:>10,.0f}  {step.disk:>9,.0f}"
            )
        yield ""
        yield f"chunks   {self.chunks} (chunks: {self.chunks} in the configuration, or --set-scatter genes={self.chunks})"
        yield f"jobs     {sum(self.jobs.values()):,}"
        yield f"memory   {max(step.memory for step in self.steps):,.0f} MB for the largest job"
        yield f"disk     {sum(step.disk for step in self.steps) / 1000:,.1f} GB, intermediates among them"
        yield f"CPU      {self.cpu / 3600:.2g} hours"
        cores = [1, *dict.fromkeys((2, os.cpu_count() or 1, 16))]
        yield "takes    " + ", ".join(
            f"{span(self.wall(n))} on {n} core{'s' * (n > 1)}" for n in sorted(set(cores))
        )
        yield f"         on a cluster {span(self.wall(200))}, and what {len(CHAIN)} jobs after each other wait in the queue"


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
    read = _excerpt(study, design.n, genes_to_time(design, fitted, config.inference.p_value))
    per_gene = _seconds(config, design, read) / read.counts.shape[1]
    fits = {name: (cells, read.genes, per_gene * read.genes) for name, cells in sizes.items()}
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
        chunks=chunks,
        steps=tuple(_steps(study, read, fits, chunks)),
        foreseen=known,
    )


@dataclass(frozen=True)
class _Excerpt:
    """Counts that are quickly read: genes of every abundance, the cells repeated to the number wanted."""

    counts: "csc_matrix"
    size_factor: Floats
    genes: int  # that would be tested
    every_gene: int
    values_per_cell: float


def _seconds(config: Config, design: Design, read: _Excerpt) -> float:
    """CPU seconds that the fits of the excerpt's genes take: what a table takes however few genes it has is no part of it."""
    every = read.counts.shape[1]
    taken: dict[int, list[float]] = {}
    half = max(1, every // 2)
    # the first time, what is compiled is compiled; of the others the quicker, as half of the genes differs by little from all
    for genes in (every, every, half, every, half):
        names = [str(gene) for gene in range(genes)]
        some = read.counts[:, np.linspace(0, every - 1, genes).astype(int)]
        statistics = family(config.model.family).sum_up(
            grain_of(design), some, read.size_factor, names, threads=1
        )
        began = time.process_time()
        fit_table(design, statistics, config.model.test, config.inference.p_value, 1)
        taken.setdefault(genes, []).append(time.process_time() - began)
    whole, part = min(taken[every][1:]), min(taken[half][-2:])
    further = (whole - part) * every / max(1, every - half)
    # of few genes, or fast ones, the difference may be lost in the clock's noise
    return further if 0.0 < further < whole else whole


def genes_to_time(design: Design, family: Family, headline: str = AUTO) -> int:
    """Number of genes that are timed: fewer where each takes long, by crossed factors of many levels or the headline."""
    per_gene = family.fits * family.seconds_per_fit(design)
    most = FEW if method(headline, family.engine).on_request else GENES
    return max(2, min(most, int(PATIENCE / max(per_gene, 1e-9))))


def _excerpt(study: Study, cells: int, genes: int) -> _Excerpt:
    """Read the first cells of the first file, and some genes of every abundance."""
    config = study.config
    path = next(iter(study.paths.values()))
    source = open_source(path, layer=config.input.layer, gene_key=config.input.gene_key)
    block = next(source.blocks(VALUES))[1].astype(np.int32)
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
    return _Excerpt(counts, total[rows] / PER, len(tested), block.shape[1], block.nnz / block.shape[0])


def _steps(
    study: Study, read: _Excerpt, fits: Mapping[str, tuple[int, int, float]], chunks: int
) -> Iterator[Step]:
    """What each rule takes, by the size of its jobs."""
    config = study.config
    files = Counter(study.paths.values())
    sizes = {path: size_of([path]) / 1e6 for path in files}
    per_cell, genes, samples = read.values_per_cell, read.every_gene, len(study.paths)
    of_sample = np.bincount(study.sample[study.sample >= 0], minlength=samples)
    of_file = Counter(dict.fromkeys(files, 0))
    for sample, cells in zip(study.samples, of_sample.tolist(), strict=True):
        of_file[study.paths[sample]] += cells
    of_type = {name: cells for name, (cells, _, _) in fits.items()}
    every, types, profiles = len(study.sample), len(fits), genes * samples
    whole = VALUE * per_cell * every
    doublets = config.qc.enabled and config.qc.doublets != "never"
    together = is_small(study.paths.values())

    def step(
        rule: str,
        work: Iterable[Mapping[str, float]],
        mb: float,
        disk: float = 0.0,
        like: str = "",
        beside: float = 0.0,
    ) -> Step:
        seconds = [COSTS[like or rule].seconds(**job) + beside for job in work]
        memory = NEEDS[like or rule].memory(mb, samples)
        return Step(rule, len(seconds), sum(seconds), max(seconds, default=0.0), memory, disk)

    cells_of_types = [{"cells": float(n), "samples": float(samples)} for n in of_type.values()]
    genes_of_types = [{"genes": float(read.genes), "profiles": float(read.genes * samples)} for _ in of_type]
    values_of_types = [
        {"values": per_cell * n, "profiles": float(profiles), "samples": float(samples)}
        for n in of_type.values()
    ]
    largest = VALUE * per_cell * max(of_type.values())
    sums = VALUE * read.genes * samples * 2
    table = 6e-4 * read.genes + 1.2e-4 * genes  # MB of a cell type's table of results
    tables = table * types
    pseudobulk = values_of_types if config.pseudobulk.enabled else []
    sheets = [{"cells": float(every), "samples": float(len(files))}]
    yield step("check", sheets, sum(sizes.values()))
    yield step("sheet", sheets, sum(sizes.values()), like="admit")
    yield step("admit", sheets, sum(sizes.values()))
    shared = [path for path, n in files.items() if n > 1]
    in_memory = {path for path in files if sniff(path).whole}
    yield step(
        "ingest", [{"values": per_cell * of_file[path]} for path in shared], max((sizes[path] for path in shared), default=0.0),
        VALUE * per_cell * sum(of_file[path] for path in shared), "ingest_whole" if in_memory & {*shared} else "",
    )  # fmt: skip
    like = "qc_doublets" if doublets else "qc"
    # a sample's own file is read by the job that controls it
    both = 1 + COSTS["ingest"].values / COSTS[like].values
    jobs = [
        {"values": per_cell * n * (1 if study.paths[sample] in shared else both)}
        for sample, n in zip(study.samples, of_sample.tolist(), strict=True)
    ]
    if together:
        jobs = [{"values": sum(job["values"] for job in jobs)}]
    controlled = step("qc", jobs, VALUE * per_cell * float(of_sample.max()) if shared else 0.0, whole, like)
    own = max(
        (
            NEEDS[need_of_own(path in in_memory, doublets)].memory(mb)
            for path, mb in sizes.items()
            if path not in shared
        ),
        default=0.0,
    )
    yield replace(controlled, memory=max(controlled.memory, own))
    yield step("matrix", values_of_types, largest, VALUE * per_cell * sum(of_type.values()))
    yield step("pseudobulk", pseudobulk, whole, 37e-6 * profiles * len(pseudobulk))
    yield step("pseudobulk_de", pseudobulk, 17e-6 * profiles, 1.4e-4 * genes * len(pseudobulk))
    yield step("design", cells_of_types, 2e-4 * max(of_type.values()), 5e-5 * every)
    yield step("kernels", [{}], 0)
    yield step("statistics", values_of_types, largest, sums * types)
    per_chunk = [seconds / chunks for _, _, seconds in fits.values()] * chunks
    yield Step(
        "fit",
        len(per_chunk),
        sum(per_chunk) + COSTS["fit"].start * len(per_chunk),
        max(per_chunk) + COSTS["fit"].start,
        NEEDS["fit"].memory(sums),
        table * types,
    )
    yield step("moderate", genes_of_types, sums, table * types)
    yield step("calibrate", genes_of_types, sums, table * types)
    yield step("gather", [{"genes": float(genes * types)}], 1.5 * tables, 1.4 * tables)
    yield step(
        "also", genes_of_types * len(config.model.also), largest, table * types * len(config.model.also)
    )
    yield step("composition", [{}], 4e-3 * len(of_sample), 1e-4 * len(of_sample) * types)
    yield step("enrich", genes_of_types if "enrich" in config.asked_for else [], sums, 1.0)
    yield step("crosscheck", cells_of_types, VALUE * 0.1 * max(of_type.values()))
    # two columns of the profiles' table for each sample
    wide = 20e-6 * profiles if pseudobulk else 0.0
    read_by_summary = tables + len(pseudobulk) * (PROFILES * wide + 1.4e-4 * genes)
    shown = 0.12 * tables + 2.0
    yield step("summary", [{"genes": float(genes * types)}], read_by_summary, shown)
    yield step("multiqc", [{"genes": float(genes * types)}], shown, shown)
    fields = {"genes": float(genes * types), "profiles": float(profiles * len(pseudobulk))}
    yield step("manifest", [fields], max(table, wide), 0)


@dataclass(frozen=True)
class Used:
    """What the jobs of a rule took in a run: those that were measured, their CPU seconds, the most memory (MB)."""

    jobs: int
    cpu: float
    memory: float


def used(benchmarks: Path) -> dict[str, Used]:
    """Read what each rule took from the tables that Snakemake wrote in a run.

    Raises
    ------
    NestdeError
        There is none.
    """
    import pandas as pd

    tables: dict[str, list[pd.DataFrame]] = {}
    for path in sorted(benchmarks.rglob("*.tsv")):
        rule = path.relative_to(benchmarks).with_suffix("").parts[0]
        tables.setdefault(rule, []).append(read_tsv(path, text=["h:m:s"]))
    if not tables:
        raise NestdeError(
            f"{benchmarks}: holds no benchmark of a run. Give the folder benchmarks/ of a study that was run."
        )
    found = {}
    for rule, parts in tables.items():
        table = pd.concat(parts)
        # what ended before it was looked at has NA
        cpu, memory = (
            pd.to_numeric(table[name], errors="coerce").dropna() for name in ("cpu_time", "max_rss")
        )
        found[rule] = Used(len(cpu), float(cpu.sum()), float(memory.max()) if len(memory) else 0.0)
    return found
