"""What a job of each rule takes: memory by what it reads, which Snakemake asks for, and CPU time, which the forecast adds up."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Of what was measured, so that what is asked for is enough and not twice as much (tests/bench/scale.py, workflow/docs/scale.md).
MARGIN = 1.3
SNAKEMAKE = 300  # MB of the two Snakemakes that run a job on a cluster, within what the job asks for


def asked(mb: float) -> float:
    """Return the MB to ask for where a process takes `mb`."""
    return MARGIN * mb + SNAKEMAKE


@dataclass(frozen=True)
class Need:
    """Memory of a job's process, MB.

    Attributes
    ----------
    base
        Python, libraries and compiled code.
    per_mb
        For each MB of its input,
    most
        of which so many are held at a time, where files are read in blocks,
    beyond
        and for each MB of the whole: what is known of each cell or gene.
    per_sample
        For each sample of the study: sums over its cells, for every gene.
    """

    base: float
    per_mb: float = 0.0
    most: float = math.inf
    beyond: float = 0.0
    per_sample: float = 0.0

    def memory(self, mb: float, samples: int = 0) -> float:
        """Return the MB to be asked for by a job that reads `mb`."""
        held = self.base + self.per_mb * min(mb, self.most) + self.beyond * mb + self.per_sample * samples
        return asked(held)


# Of a table of profiles the report holds half of the columns, as numbers.
PROFILES = 1 / 6
# Sparse counts take 8 bytes a value in our own files, 2 to 4 in compressed ones.
NEEDS = {
    "check": Need(235, beyond=0.06),
    "admit": Need(235, beyond=0.06),
    "ingest": Need(225, 5.5, most=78, beyond=0.1),
    "ingest_whole": Need(205, 14),
    "qc": Need(225, 2.9),
    "qc_doublets": Need(420, 9),
    # of a sample's own file, as it comes
    "qc_own": Need(215, 4.6, most=70, beyond=2),
    "qc_own_doublets": Need(420, 12.5),
    "qc_own_whole": Need(215, 16),
    "qc_own_whole_doublets": Need(420, 20),
    "matrix": Need(230, 1.25, most=512, beyond=0.02, per_sample=0.1),
    "pseudobulk": Need(210, 0.5, most=120, beyond=0.02, per_sample=1),
    "pseudobulk_de": Need(310, 8),
    "design": Need(231, 4),
    "kernels": Need(535),
    "statistics": Need(320, 1.2, most=64, beyond=0.1, per_sample=0.3),
    "fit": Need(340, 3),
    "moderate": Need(400, 5),
    "calibrate": Need(430, 8),
    "gather": Need(300, 1.4),
    "crosscheck": Need(260, 1.5),
    "also": Need(430, 8),
    "composition": Need(340, 10),
    "enrich": Need(440, 8),
    "summary": Need(350, 3.5, most=250, beyond=1),
    "multiqc": Need(220, 8),
    "manifest": Need(60, 8),
}


@dataclass(frozen=True)
class Cost:
    """CPU seconds of a job on a core of its own.

    Attributes
    ----------
    start
        Whatever it does: Python, libraries.
    values, cells, genes, profiles
        For each million counts that are not zero, cells, genes, and genes times samples that it is about.
    samples
        For each thousand samples, or files of theirs, that it goes through.
    """

    start: float
    values: float = 0.0
    cells: float = 0.0
    genes: float = 0.0
    profiles: float = 0.0
    samples: float = 0.0

    def seconds(
        self, values: float = 0, cells: float = 0, genes: float = 0, profiles: float = 0, samples: float = 0
    ) -> float:
        """Return the seconds of a job."""
        of_work = self.values * values + self.cells * cells + self.genes * genes + self.profiles * profiles
        return self.start + of_work / 1e6 + self.samples * samples / 1e3


COSTS = {
    "check": Cost(2.6, cells=3.5, samples=11.0),
    "admit": Cost(2.6, cells=3.5, samples=11.0),
    "ingest": Cost(1.3, values=0.07),
    "qc": Cost(0.8, values=0.055),
    "qc_doublets": Cost(5.0, values=0.5),
    "matrix": Cost(1.2, values=0.075, samples=14.0),
    "pseudobulk": Cost(1.3, values=0.01, profiles=2.0),
    "pseudobulk_de": Cost(2.0, profiles=2.5),
    "design": Cost(1.45, cells=5.0),
    "kernels": Cost(2.0),
    "statistics": Cost(1.5, values=0.018, samples=3.5),
    "fit": Cost(1.5),
    "moderate": Cost(1.9, genes=10.0, profiles=2.5),
    "calibrate": Cost(2.8, genes=300.0, profiles=15.0),
    "gather": Cost(2.0, genes=70.0),
    "crosscheck": Cost(1.8, cells=45.0, samples=15.0),
    "also": Cost(4.0, genes=4000.0),
    "composition": Cost(1.4),
    "enrich": Cost(7.0, genes=700.0),
    "summary": Cost(4.0, genes=200.0),
    "multiqc": Cost(1.7, genes=4.0),
    "manifest": Cost(1.5, genes=10.0, profiles=1.8),
}


def need_of_own(whole: bool, doublets: bool) -> str:
    """Which of `NEEDS` a job of quality control has that reads a sample's own file, as a `whole` or in blocks."""
    return "qc_own" + "_whole" * whole + "_doublets" * doublets


def memory(rule: str, samples: int = 0, share: float = 1.0) -> Callable[..., int]:
    """Return what gives a job's MB from its input, times the attempt, as Snakemake calls it: of a `share` of the input.

    Input that is not there yet counts nothing: of a job whose input its own group makes, Snakemake would otherwise
    ask nothing at all. Other jobs are asked again when their input is there.
    """

    def amount(wildcards: Any, input: Any, attempt: int) -> int:
        from nestde.study.samples import size_of

        return int(NEEDS[rule].memory(share * size_of(input) / 1e6, samples) * attempt)

    return amount
