"""How a study is started from the shipped workflow, and what the rules need to know of it."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from nestde import __version__
from nestde.errors import NestdeError, a_few
from nestde.io.files import slugs
from nestde.io.layout import is_made, kept
from nestde.provenance import digests
from nestde.run.needs import NEEDS, PROFILES, memory, need_of_own
from nestde.study.template import template_dir


class StudyError(NestdeError):
    """Faults of a study's configuration or sample sheet, and the configuration as Snakemake read it."""

    def __init__(self, faults: Iterable[str], given: Mapping[str, Any]):
        super().__init__(faults)
        self.given = given


class WorkflowStudy:
    """What the rules need to know of a study before any job runs: names as slugs, inputs, settings.

    Parameters
    ----------
    given
        The configuration as Snakemake read it.

    Raises
    ------
    StudyError
        With every fault of the configuration and the sample sheet.
    """

    def __init__(self, given: Mapping[str, Any]):
        from nestde.cells.roster import Comparison, admitted
        from nestde.design.cellwise import Cellwise
        from nestde.study.config import load
        from nestde.study.samples import (
            covariates_of,
            digest,
            is_small,
            read_samples,
            source_paths,
        )

        try:
            self.config = load(given)
            sheet = read_samples(self.config.samples)
            paths = source_paths(self.config, sheet)
        except NestdeError as error:
            raise StudyError(error.faults, given) from error
        self._samples = self._compared = self._cellwise = ""
        with suppress(NestdeError):  # of a formula at fault the check tells
            model, whole = (
                self.config.model,
                sheet.assign(counts=[paths[name] for name in sheet["sample_id"]]),
            )
            self._samples = digest(admitted(whole, model))
            self._compared = Comparison.of(model).text()
            self._cellwise = Cellwise.of(model.formula, model.levels, covariates_of(sheet)).text()
        self.also = self.config.model.also
        samples, sources = slugs(paths), slugs(paths.values())
        self.samples = {samples[sample]: sources[path] for sample, path in paths.items()}
        self.sources = {slugged: path for path, slugged in sources.items()}
        times = Counter(self.samples.values())
        self.shared = {source for source in self.sources if times[source] > 1}
        self._cell_types = {slugged: name for name, slugged in slugs(self.config.cell_types).items()}
        self.cell_types = list(self._cell_types)
        self.metadata = [self.config.input.cell_metadata] if self.config.input.cell_metadata else []
        self.data = self._inputs_of(self.sources)
        self.inputs = [self.config.samples, *self.data]
        self.gene_sets = [path for path in [self.config.enrich.gene_sets] if path]
        # The samples of a small study share one QC job.
        self.qc_job = "every_sample" if is_small(paths.values()) else "{sample}"

    def __getattr__(self, name: str) -> Any:
        """Say what is wrong where rules of another version, copied into a study before, ask for what there no longer is."""
        if name.startswith("_"):
            raise AttributeError(name)
        from snakemake.exceptions import WorkflowError

        raise WorkflowError(
            f"The rules in workflow/ are of another version than the nestde that is installed ({__version__}), which has no "
            f"'{name}'. Take the folders workflow/ and envs/ that `nestde init NEW` writes, or install the version that they are of."
        )

    def settings(self, *sections: str) -> Callable[[Any], str]:
        """Return what gives the sections of the configuration that a rule depends on, as JSON.

        A function, because Snakemake would take braces in a plain text, as in a pattern of genes, for wildcards.
        """
        text = self.config.text(*sections)
        return lambda wildcards: text

    def whole(self, wildcards: Any, input: Any) -> str:
        """Return the whole configuration as JSON, whose changes Snakemake does not follow: it takes it for derived from the input."""
        return self.config.text()

    def stamp(self, wildcards: Any) -> str:
        """Return what changes with the content of any input.

        Snakemake asks only whether an input is younger than what was made of it: one that was replaced by an older
        file is not, and one that was only touched is.
        """
        return _stamp(self.inputs)

    def stamp_of_data(self, wildcards: Any) -> str:
        """As `stamp`, without the sample sheet."""
        return _stamp(self.data)

    def stamp_of_sheet(self, wildcards: Any) -> str:
        """As `stamp`, of the sample sheet alone."""
        return _stamp([self.config.samples])

    def stamp_of_source(self, wildcards: Any) -> str:
        """As `stamp`, of the files of one source."""
        return _stamp(self.inputs_of_source(wildcards))

    def stamp_of_job(self, wildcards: Any) -> str:
        """As `stamp`, of the files that hold the samples of a QC job."""
        return _stamp(self._inputs_of(self.sources_of_job(wildcards)))

    def counted(self, wildcards: Any) -> str:
        """Return what changes with anything that kept cells and their counts are made of."""
        made_of = [_stamp(self.data), self._samples, self.config.text("seed", "input", "qc")]
        return hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:16]

    def name_of(self, wildcards: Any) -> str:
        """The cell type of a slug."""
        return self._cell_types[wildcards.cell_type]

    def compared(self, wildcards: Any) -> str:
        """Return what is compared, as JSON: which samples are in a test depends on it."""
        return self._compared

    def cellwise(self, wildcards: Any) -> str:
        """Return what of the formula varies within samples, as JSON."""
        return self._cellwise

    def samples_told(self, wildcards: Any) -> str:
        """Return what changes with the samples, their files, or what else `admitted` has of them."""
        return self._samples

    def each_sample(self, pattern: str) -> str | list[str]:
        """Return what a QC job writes for each of its samples: the pattern, or in a small study a path for each sample."""
        if self.qc_job == "{sample}":
            return pattern
        return [pattern.replace("{sample}", sample) for sample in self.samples]

    def samples_of_job(self, wildcards: Any) -> list[str]:
        """Slugs of the samples of a QC job."""
        return [wildcards.sample] if hasattr(wildcards, "sample") else list(self.samples)

    def sources_of_job(self, wildcards: Any) -> list[str]:
        """Slugs of the files that hold them."""
        return sorted({self.samples[sample] for sample in self.samples_of_job(wildcards)})

    def shared_of_job(self, wildcards: Any) -> list[str]:
        """Those that hold other samples of the sheet, too."""
        return [source for source in self.sources_of_job(wildcards) if source in self.shared]

    def own_of_job(self, wildcards: Any) -> list[str]:
        """Return the files of the others, which a QC job reads itself."""
        own = [source for source in self.sources_of_job(wildcards) if source not in self.shared]
        return self._inputs_of(own) if own else []

    def memory(self, rule: str) -> Callable[..., int]:
        """Return what gives the MB of a job from its input (`needs.memory`).

        Of a cell type's matrix it is not known yet which share of the counts it is: that of one that is twice as common as
        all are in the mean is taken.
        """
        share = min(1.0, 2 / len(self.cell_types)) if rule == "matrix" else 1.0
        return memory(rule, len(self.samples), share)

    def memory_of_ingest(self, wildcards: Any, input: Any, attempt: int) -> int:
        """MB of a job that reads a file: formats that can be read only as a whole take more."""
        rule = "ingest_whole" if self._is_whole(wildcards.source) else "ingest"
        return memory(rule)(wildcards, input, attempt)

    def memory_of_qc(self, wildcards: Any, input: Any, attempt: int) -> int:
        """MB of a QC job, by the size of a sample: of its own file, or of its share of one that holds several."""
        from nestde.study.samples import size_of

        doublets = self.config.qc.enabled and self.config.qc.doublets != "never"
        asked = []
        for source in self.sources_of_job(wildcards):
            if source in self.shared:
                beside = list(self.samples.values()).count(source)
                there = [path for path in input if Path(path).stem == source]
                asked.append(NEEDS["qc_doublets" if doublets else "qc"].memory(size_of(there) / 1e6 / beside))
            else:
                need = NEEDS[need_of_own(self._is_whole(source), doublets)]
                asked.append(need.memory(size_of([self.sources[source]]) / 1e6))
        return int(max(asked) * attempt)

    def memory_of_summary(self, wildcards: Any, input: Any, attempt: int) -> int:
        """MB of the job that reads the tables of results, of those of profiles half of the columns."""
        from nestde.study.samples import size_of

        profiles = [f"pseudobulk/{cell_type}.tsv" for cell_type in self.cell_types]
        wide = size_of(path for path in input if str(path).endswith(tuple(profiles)))
        held = size_of(input) - (1 - PROFILES) * wide
        return int(NEEDS["summary"].memory(held / 1e6) * attempt)

    def memory_of_manifest(self, wildcards: Any, input: Any, attempt: int) -> int:
        """MB of the job that reads every table of results, by the largest of them."""
        from nestde.study.samples import size_of

        tables = [size_of([path]) for path in input if str(path).endswith(".tsv")]
        return int(NEEDS["manifest"].memory(max(tables, default=0) / 1e6) * attempt)

    def _is_whole(self, source: str) -> bool:
        """Whether a file can only be read as a whole."""
        from nestde.io.formats import sniff

        path = Path(self.sources[source])
        with suppress(NestdeError):  # of a file that is none the check tells
            return path.exists() and sniff(path).whole
        return False

    def inputs_of_source(self, wildcards: Any) -> list[str]:
        """Return the files that one source is read from."""
        return self._inputs_of([wildcards.source])

    def _inputs_of(self, sources: Iterable[str]) -> list[str]:
        from nestde.study.samples import inputs_of

        return [*chain.from_iterable(inputs_of(self.sources[source]) for source in sources), *self.metadata]

    def results(self, folder: str) -> list[str]:
        """Every result that is kept and told of in the manifest, in that folder."""
        paths = kept(self.samples, self.cell_types, self.config.asked_for, self.also)
        return [f"{folder}/{path}" for path in paths]

    def on_request(self, pattern: str) -> list[str]:
        """Expand a pattern of results over the cell types, or to nothing where the configuration does not ask for them."""
        made = is_made(pattern.removeprefix("<results>/"), self.config.asked_for)
        return [pattern.replace("{cell_type}", cell_type) for cell_type in self.cell_types if made]


def _stamp(paths: Iterable[str]) -> str:
    told = sorted(f"{path}\0{digests.stamp(path)}" for path in paths)
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def near(path: str) -> str:
    """Return a path relative to the study's folder, if it lies in it: the folder may be moved, and nothing has changed."""
    whole = Path(path).resolve()
    return str(whole.relative_to(Path.cwd()) if whole.is_relative_to(Path.cwd()) else whole)


def by_input(base: int, per_mb: float) -> Callable[..., int]:
    """What a job asks for in minutes: `base`, and `per_mb` for each MB of its input, times the attempt.

    Of input that is not there yet see `needs.memory`.
    """

    def amount(wildcards: Any, input: Any, attempt: int) -> int:
        from nestde.study.samples import size_of

        return int((base + per_mb * size_of(input) / 1e6) * attempt)

    return amount


def init(folder: Path, *, example: bool = True) -> list[Path]:
    """Copy the template into a folder; return what was written.

    Parameters
    ----------
    example
        Whether to copy the example's data, and the configuration that points to them.

    Raises
    ------
    NestdeError
        If a file that would be written is there already: nothing is written then.
    """
    template = template_dir()
    wanted = [template / "Snakefile"]
    for part in ("config", "envs", "workflow"):
        wanted += sorted(path for path in (template / part).rglob("*") if path.is_file())
    wanted = [
        path
        for path in wanted
        if "src" not in path.relative_to(template).parts
        and "__pycache__" not in path.parts
        and template / "config/examples" not in path.parents  # `nestde init --example` has them
    ]
    if not example:
        theirs = {template / "config" / name for name in ("config.yaml", "samples.tsv")}
        wanted = [
            path
            for path in wanted
            if path not in theirs and (template / "config/example") not in path.parents
        ]
    targets = [folder / path.relative_to(template) for path in wanted]
    there = [str(path) for path in targets if path.exists()]
    there += [
        str(path) for path in (folder / "config/config.yaml", folder / "config/samples.tsv") if path.exists()
    ]
    if there:
        raise NestdeError(
            f"{folder}: is not empty of what a study starts with: {a_few(there)}. Choose a new folder."
        )
    for source, target in zip(wanted, targets, strict=True):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return targets
