"""How a study is started from the shipped workflow, and how it is run.

The only module that knows of Snakemake.
"""

import contextlib
import fcntl
import os
import re
import shutil
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nestde.errors import Faults, NestdeError, a_few
from nestde.files import slug
from nestde.template import template_dir, workflow_dir

if TYPE_CHECKING:
    from nestde.config import Config

LOCK = ".snakemake/nestde.lock"


class Study:
    """What the rules need to know of a study before any job runs: names as slugs, inputs, settings.

    Parameters
    ----------
    given
        The configuration as Snakemake read it.

    Raises
    ------
    NestdeError
        With every fault of the configuration and the sample sheet.
    """

    def __init__(self, given: Mapping[str, Any]):
        from nestde.config import load
        from nestde.samples import is_small, read_samples, source_paths

        self.config = load(given)
        paths = source_paths(self.config, read_samples(self.config.samples))
        self.samples = {slug(sample): slug(path) for sample, path in paths.items()}
        self.sources = {slug(path): path for path in paths.values()}
        self.cell_types = [slug(cell_type) for cell_type in self.config.cell_types]
        self.metadata = [self.config.input.cell_metadata] if self.config.input.cell_metadata else []
        self.inputs = [
            self.config.samples,
            *chain.from_iterable(map(_inputs_of, self.sources.values())),
            *self.metadata,
        ]
        # The samples of a small study share one QC job.
        self.qc_job = "every_sample" if is_small(paths.values()) else "{sample}"

    def settings(self, *sections: str) -> Callable[[Any], str]:
        """Return what gives the sections of the configuration that a rule depends on, as JSON.

        A function, because Snakemake would take braces in a plain text, as in a pattern of genes, for wildcards.
        """
        text = self.config.text(*sections)
        return lambda wildcards: text

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

    def inputs_of_source(self, wildcards: Any) -> list[str]:
        """Return the files that one source is read from."""
        return [*_inputs_of(self.sources[wildcards.source]), *self.metadata]

    def pseudobulk(self, pattern: str) -> list[str]:
        """Expand a path pattern over the cell types, or to nothing where pseudobulk is switched off."""
        cell_types = self.cell_types if self.config.pseudobulk.enabled else []
        return [pattern.replace("{cell_type}", cell_type) for cell_type in cell_types]


def _inputs_of(path: str) -> list[str]:
    """Files of a path of counts; a folder of very many (zarr) stands for itself."""
    from nestde.samples import files_of

    files = files_of(path)
    return [str(file) for file in files] if 0 < len(files) <= 100 else [path]


def by_input(base: int, per_mb: float) -> Callable[..., int]:
    """What a job asks for (MB of memory, or minutes): `base`, and `per_mb` for each MB of its input, times the attempt.

    Input that is not there yet counts nothing: of a job whose input its own group makes, Snakemake would otherwise
    ask nothing at all. Other jobs are asked again when their input is there.
    """

    def amount(wildcards: Any, input: Any, attempt: int) -> int:
        from nestde.samples import size_of

        return int((base + per_mb * size_of(input) / 1e6) * attempt)

    return amount


def init(folder: Path) -> list[Path]:
    """Copy the template into a folder; return what was written.

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
        if "src" not in path.relative_to(template).parts and "__pycache__" not in path.parts
    ]
    targets = [folder / path.relative_to(template) for path in wanted]
    there = [str(path) for path in targets if path.exists()]
    if there:
        raise NestdeError(
            f"{folder}: is not empty of what a study starts with: {a_few(there)}. Choose a new folder."
        )
    for source, target in zip(wanted, targets, strict=True):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return targets


def run(configfile: str | None, directory: Path, profile: str, extra: Sequence[str]) -> None:
    """Check a study, then be Snakemake in its folder. Exits as Snakemake does.

    A study is what `configfile` says (run with the shipped workflow), or else what the Snakefile in the
    folder says, or else config/config.yaml there. A folder that a killed run has left locked is unlocked:
    our own lock, which the kernel drops with the last process of a run, tells that no `nestde run` is at work there, and
    the list of processes that no other Snakemake is.

    Raises
    ------
    NestdeError
        With all that the design check refuses; where another run is at work in the folder; or where results were
        changed by hand.
    """
    from nestde.check import check_study
    from nestde.config import load

    if not directory.is_dir():
        raise NestdeError(f"{directory}: there is no such folder.")
    profile_dir = find_profile(profile, directory)
    if configfile:
        configfile = str(Path(configfile).resolve())
    os.chdir(directory)
    config = load(configfile or "config/config.yaml")
    faults = Faults()
    for sentence in (*check_study(config).faults, *_faults_of_counts(config)):
        faults.add(sentence)
    faults.raise_if_any()
    if configfile is None and Path("Snakefile").is_file():
        snakefile, config_args = "Snakefile", []
    else:
        snakefile = str(workflow_dir() / "Snakefile")
        config_args = ["--configfile", configfile or "config/config.yaml"]
    # Rules call `nestde` and `multiqc` by name: those of this environment, activated or not.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = [sys.executable, "-m", "snakemake", "--snakefile", snakefile, *config_args]
    dry = any(re.fullmatch("--dry-?run|-[a-zA-Z]*n[a-zA-Z]*", word) for word in extra)
    killed = False
    if "--unlock" not in extra:
        _take_lock()
        killed = any(Path(".snakemake/locks").glob("*"))
        if killed:
            _unlock(command)
        _remake(dry)
    sys.stdout.flush()
    status = _snakemake([*command[3:], "--profile", str(profile_dir), *extra])
    tidy = killed and not dry and not {"--notemp", "--nt"} & set(extra)
    if tidy and status == 0 and _is_complete():
        os.execv(sys.executable, [*command, "--cores", "1", "--quiet", "--delete-temp-output"])
    sys.exit(status)


def _snakemake(arguments: Sequence[str]) -> int:
    """Run Snakemake in this process, so that a signal finds it; return its exit code."""
    from snakemake.cli import main

    try:
        main(list(arguments))
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def _is_complete() -> bool:
    """Whether the manifest is the youngest of all files: no job is left that needs an intermediate.

    Snakemake removes one when the last job that needs it has ended. One that was to go at the moment of a kill stays.
    """
    from nestde.damage import made

    files = made(Path(".snakemake/metadata"))
    return files.get(Path("results/manifest.json"), 0) >= max(files.values(), default=1)


def _remake(dry: bool) -> None:
    """Remove what cannot be read, and say so: Snakemake remakes what is missing, not what is there.

    Raises
    ------
    NestdeError
        If results were changed since they were made: the next manifest would tell of them as if they were ours.
    """
    from nestde.damage import changed, damaged, made

    files = made(Path(".snakemake/metadata"))
    for path, why in damaged(files):
        print(f"{path}: is damaged ({why}). The run removes it and makes it again.")
        if not dry:
            path.unlink()
    if dry:
        return
    faults = Faults()
    for path in changed(files, Path("results/manifest.json")):
        faults.add(
            f"{path}: was changed after the run that made it. Move it out of results/, or remove it: "
            "`nestde run` then makes it again."
        )
    faults.raise_if_any()


def _faults_of_counts(config: "Config") -> list[str]:
    """Open every input that is there and look at its first cells; return what is wrong with any."""
    from nestde.ingest import peek
    from nestde.samples import read_samples, source_paths

    faults: list[str] = []
    try:
        paths = set(source_paths(config, read_samples(config.samples)).values())
    except NestdeError:
        return faults  # the check has said so
    for path in sorted(paths):
        try:
            if Path(path).exists():
                peek(path, config.input)
        except NestdeError as error:
            faults += error.faults
    return faults


def find_profile(name: str, directory: Path) -> Path:
    """Folder of a profile: a path, or the name of one of the study's or of a shipped one.

    Snakemake would ignore an unknown one.
    """
    shipped = workflow_dir() / "profiles"
    for folder in (Path(name), directory / "workflow/profiles" / name, shipped / name):
        if any((folder / file).is_file() for file in ("profile.yaml", "config.yaml")):
            return folder.resolve()
    known = sorted(path.name for path in shipped.iterdir())
    raise NestdeError(
        f"--profile {name}: there is no such profile. Shipped are {a_few(known)}; or give a folder with profile.yaml."
    )


def _take_lock() -> None:
    """Hold a lock on the working directory for as long as this process, or Snakemake in its place, lives."""
    Path(".snakemake").mkdir(exist_ok=True)
    handle = os.open(LOCK, os.O_CREAT | os.O_RDWR, 0o644)
    os.set_inheritable(handle, True)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise NestdeError(
            f"{Path.cwd()}: another `nestde run` is at work in this folder. Wait for it, or stop it."
        ) from error
    if not any(Path(".snakemake/locks").glob("*")):
        os.truncate(handle, 0)
        os.write(handle, socket.gethostname().encode())


def _unlock(command: Sequence[str]) -> None:
    """Remove the lock of Snakemake that a killed run has left; refuse where that run may still be at work."""
    host = Path(LOCK).read_text()
    at_work = [path.parent.name for path in Path("/proc").glob("[0-9]*/cwd") if _is_snakemake_here(path)]
    if host != socket.gethostname() or at_work:
        where = f"as process {a_few(at_work)}" if at_work else f"on {host or 'an unknown machine'}"
        raise NestdeError(
            f"{Path.cwd()}: is locked by Snakemake, {where}. Wait for it, or stop it; if it is gone, free the folder "
            "with `nestde run --unlock`."
        )
    if os.spawnv(os.P_WAIT, sys.executable, [*command, "--cores", "1", "--unlock"]) != 0:
        raise NestdeError(
            f"{Path.cwd()}: is locked by a run that was killed, and Snakemake cannot unlock it."
        )


def _is_snakemake_here(cwd: Path) -> bool:
    """Whether the process whose /proc/<pid>/cwd this is is a Snakemake in our working directory."""
    with contextlib.suppress(OSError):
        words = cwd.with_name("cmdline").read_bytes().split(b"\0")
        snakemake = any(Path(os.fsdecode(word)).name == "snakemake" for word in words[:4])
        return snakemake and cwd.resolve() == Path.cwd()
    return False
