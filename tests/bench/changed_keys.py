"""What a changed key of the configuration does again: a table, from dry runs on a study that has been run.

    python tests/bench/changed_keys.py STUDY

STUDY is the example cohort, run to its end. Nothing in it is changed: each row is a dry run in a copy.
"""

import contextlib
import io
import os
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry

NAME = "heard"
Settings = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """A change, in words and done in the folder of a study."""

    words: str
    make: Callable[[Path], None]


def key(path: str, value: Any) -> Change:
    """A key of the configuration, ``section.key``, with another value."""

    def make(study: Path) -> None:
        file = study / "config/config.yaml"
        settings = yaml.safe_load(file.read_text(encoding="utf-8"))
        section, _, name = path.rpartition(".")
        (settings.setdefault(section, {}) if section else settings)[name] = value
        file.write_text(yaml.safe_dump(settings), encoding="utf-8")

    return Change(f"`{path}`", make)


def _touch(study: Path) -> None:
    os.utime(study / "config/example/counts.h5ad", (4e9, 4e9))


def _other_content(study: Path) -> None:
    with (study / "config/example/counts.h5ad").open("ab") as handle:
        handle.write(b"\0")


def _new_column(study: Path) -> None:
    sheet = pd.read_csv(study / "config/samples.tsv", sep="\t")
    sheet.assign(rin=range(len(sheet))).to_csv(study / "config/samples.tsv", sep="\t", index=False)


SAMPLES = "~ sequencing_saturation * diagnosis + (1 | sample_id)"
CELLS = "~ sequencing_saturation + pct_counts_mt + diagnosis + (1 | sample_id)"
CHANGES = [
    key("title", "Another"),
    key("chunks", 3),
    Change("an input touched, or copied over itself", _touch),
    Change("a covariate added to the sheet", _new_column),
    Change("a cell type added", key("cell_types", ["Neuron", "Astrocyte", "Microglia"]).make),
    Change("a cell type dropped", key("cell_types", ["Neuron"]).make),
    key("inference.fdr", 0.1),
    key("inference.p_value", "kenward_roger"),
    key("inference.crosscheck_tolerance", 1e-3),
    key("inference.crosscheck_genes", 7),
    key("calibration.relabellings", 7),
    Change("`model.formula`: terms of samples", key("model.formula", SAMPLES).make),
    Change("`model.formula`: terms of cells", key("model.formula", CELLS).make),
    key("pseudobulk.min_counts", 7),
    key("genes.min_samples", 4),
    key("qc.min_genes", 250),
    key("seed", 7),
    Change("the content of an input", _other_content),
]


ORDER = (
    "check", "sheet", "admit", "ingest", "qc", "matrix", "pseudobulk", "pseudobulk_de", "kernels", "design", "statistics",
    "fit", "moderate", "calibrate", "gather", "crosscheck", "summary", "multiqc", "manifest",
)  # fmt: skip


class LogHandler(LogHandlerBase):
    """Hears which jobs are to run."""

    writes_to_stream = writes_to_file = needs_rulegraph = False
    has_filter = has_formatter = True
    jobs: list[tuple[str, str]] = []  # noqa: RUF012 (Snakemake makes the instance)

    def __post_init__(self) -> None:
        """Begin."""
        LogHandler.jobs.clear()

    def emit(self, record: Any) -> None:
        """Note a job and the cell type that it is of."""
        if getattr(record, "event", None) == LogEvent.JOB_INFO:
            LogHandler.jobs.append((record.rule_name, (record.wildcards or {}).get("cell_type", "")))


def jobs_of_a_dry_run(study: Path) -> dict[str, list[str]]:
    """Rules that would run in a folder, each with the cell types that it would run for."""
    from snakemake.cli import args_to_api, parse_args

    if not LoggerPluginRegistry().is_installed(NAME):
        LoggerPluginRegistry().register_plugin(NAME, sys.modules[__name__])
    noise = io.StringIO()
    with contextlib.chdir(study), contextlib.redirect_stderr(noise), contextlib.redirect_stdout(noise):
        parser, args = parse_args(["--cores", "1", "--dry-run", "--logger", NAME, "--quiet", "all"])
        assert args_to_api(args, parser)
    found: dict[str, list[str]] = defaultdict(list)
    for rule, cell_type in LogHandler.jobs:
        found[rule].append(cell_type)
    return {rule: sorted({each for each in found[rule] if each}) for rule in ORDER if rule in found}


def jobs_after(study: Path, change: Change) -> dict[str, list[str]]:
    """As `jobs_of_a_dry_run`, in a copy of a study in which something is changed."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch, "study")
        shutil.copytree(study, copy)
        change.make(copy)
        return jobs_of_a_dry_run(copy)


def rows(study: Path) -> Iterator[str]:
    """The table."""
    yield "| changed | run again |"
    yield "|---|---|"
    every = jobs_after(study, Change("", lambda folder: shutil.rmtree(folder / "results")))
    for change in CHANGES:
        found = jobs_after(study, change)
        said = [
            f"{rule} ({', '.join(of)})" if of and set(of) != set(every.get(rule, [])) else rule
            for rule, of in found.items()
        ]
        told = "all" if set(found) | {"kernels", "sheet"} >= set(every) else ", ".join(said)
        yield f"| {change.words} | {told or 'nothing'} |"


if __name__ == "__main__":
    print("\n".join(rows(Path(sys.argv[1]))))
