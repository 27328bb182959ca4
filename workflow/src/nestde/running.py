"""How a study is run: checked, its folder locked, what is damaged or foreign found, and then Snakemake.

The only module that calls Snakemake.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import socket
import subprocess
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nestde.errors import Faults, NestdeError, a_few
from nestde.template import workflow_dir

if TYPE_CHECKING:
    from nestde.config import Config

LOCK = Path(".snakemake/nestde.lock")
LOCKS = Path(".snakemake/locks")
METADATA = Path(".snakemake/metadata")
MANIFEST = Path("results/manifest.json")
# Options with which Snakemake tells or tidies, and runs no job.
UTILITIES = (
    "archive", "cleanup_metadata", "cleanup_shadow", "conda_cleanup_envs", "conda_create_envs_only", "containerize",
    "container_cleanup_images", "d3dag", "dag", "delete_all_output", "delete_temp_output", "detailed_summary", "filegraph",
    "generate_unit_tests", "lint", "list_changes", "list_conda_envs", "list_input_changes", "list_params_changes",
    "list_rules", "list_target_rules", "list_untracked", "print_compilation", "report", "rulegraph", "summary", "touch",
    "unlock",
)  # fmt: skip


def run(configfile: str | None, directory: Path, profile: str, extra: Sequence[str]) -> None:
    """Check a study, then be Snakemake in its folder. Exits as Snakemake does.

    A study is what `configfile` says (run with the shipped workflow), or else what the Snakefile in the
    folder says, or else config/config.yaml there. A folder that a killed run has left locked is unlocked:
    our own lock, which the kernel drops with the last process of a run, tells that no `nestde run` is at work there,
    the list of processes that no other Snakemake is, and Slurm that no job of a killed run is.

    Raises
    ------
    NestdeError
        With all that the design check refuses; where another run is at work in the folder; or where the results are
        not those of a run here: changed by hand, or of another configuration.
    """
    from snakemake.cli import args_to_api, parse_args
    from snakemake.exceptions import print_exception

    from nestde.check import check_study
    from nestde.config import read

    if not directory.is_dir():
        raise NestdeError(f"{directory}: there is no such folder.")
    profile_dir = find_profile(profile, directory)
    if configfile:
        configfile = str(Path(configfile).resolve())
    os.chdir(directory)
    config, told = read(configfile or "config/config.yaml")
    faults = Faults()
    for sentence in check_study(config, told).faults:
        faults.add(sentence)
    with faults.noting():
        for sentence in _faults_of_counts(config):
            faults.add(sentence)
    if set("{}") & set(str(Path.cwd())):
        faults.add(
            f"{Path.cwd()}: braces in the path of a study are wildcards to Snakemake. Move or rename the folder."
        )
    if Path("results").is_symlink() and not Path("results").exists():
        faults.add(
            f"results: is a link to {Path('results').readlink()}, which is not there. Make that folder, or remove the link."
        )
    faults.raise_if_any()
    if configfile is None and Path("Snakefile").is_file():
        study = ["--snakefile", "Snakefile"]
    else:
        study = [
            "--snakefile",
            str(workflow_dir() / "Snakefile"),
            "--configfile",
            configfile or "config/config.yaml",
        ]
    # Rules call `nestde` and `multiqc` by name: those of this environment, activated or not.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    parser, args = parse_args([*study, "--profile", str(profile_dir), *extra])
    tells = any(getattr(args, name, None) for name in UTILITIES)
    runs = not tells and not args.dryrun
    killed = runs and _take_folder(study, args)
    if not tells:
        _remake(config, args.dryrun)
    sys.stdout.flush()
    try:
        success = args_to_api(args, parser)
    except Exception as error:
        print_exception(error)
        success = False
    if not success or not runs or not _is_complete():
        sys.exit(0 if success else 1)
    _tell_of_strangers()
    if killed and not args.notemp:
        _snakemake([*study, "--cores", "1", "--quiet", "--delete-temp-output"])


def _snakemake(arguments: Sequence[str]) -> int:
    """Run Snakemake as a process of its own; return its exit code."""
    sys.stdout.flush()
    return subprocess.run([sys.executable, "-m", "snakemake", *arguments], check=False).returncode


def _is_complete() -> bool:
    """Whether the manifest is the youngest of all files: no job is left that needs an intermediate.

    Snakemake removes one when the last job that needs it has ended. One that was to go at the moment of a kill stays.
    """
    from nestde.damage import made

    files = made(METADATA)
    return files.get(MANIFEST, 0) >= max(files.values(), default=1)


def _tell_of_strangers() -> None:
    """Name what an earlier configuration has left, as the tables of a cell type that is no longer asked for."""
    from nestde.provenance import read_manifest
    from nestde.verify import strange

    left = strange(MANIFEST.parent, read_manifest(MANIFEST))
    if left:
        print(
            f"results/ holds files that are not of this run: {a_few(left)}. Remove them, lest they be taken for its results."
        )


def _remake(config: "Config", dry: bool) -> None:
    """Remove what cannot be read, and say so: Snakemake remakes what is missing, not what is there.

    Raises
    ------
    NestdeError
        If results were changed since they were made, or are of another run: the next manifest would tell of them as
        if they were ours.
    """
    from nestde.damage import changed, damaged, made

    files = made(METADATA)
    for path, why in damaged(files):
        print(f"{path}: is damaged ({why}). The run removes it and makes it again.")
        if not dry:
            path.unlink()
    if dry:
        return
    if not METADATA.is_dir():
        _refuse_others(config)
    faults = Faults()
    for path in changed(files, MANIFEST):
        faults.add(
            f"{path}: was changed after the run that made it. Move it out of results/, or remove it: "
            "`nestde run` then makes it again."
        )
    faults.raise_if_any()


def _refuse_others(config: "Config") -> None:
    """Refuse results that Snakemake has no record of, unless their manifest tells of these inputs and settings.

    It would take any file of the right name for what this configuration gives.
    """
    from nestde.provenance import parse_configuration, read_manifest
    from nestde.verify import other_inputs, other_settings, strange

    folder = MANIFEST.parent
    told = read_manifest(MANIFEST) if MANIFEST.is_file() else {"results": {}}
    differ = strange(folder, told)
    if MANIFEST.is_file():
        ours = {key: value for key, value in parse_configuration(config.text()).items() if key != "chunks"}
        others = [*other_settings(ours, told["configuration"]), *other_inputs(folder, told, told)]
        differ = [difference.name for difference in others] + differ
    if differ:
        raise NestdeError(
            f"results/: is of a run of which this folder has no record (.snakemake), and which differs in "
            f"{a_few(differ)}. Move results/ away, and run again."
        )


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


def _take_folder(study: Sequence[str], args: Namespace) -> bool:
    """Make sure that no other run is at work here, or will be; return whether the last one was killed."""
    if args.executor == "slurm" and not shutil.which("sbatch"):
        raise NestdeError(
            "--profile: asks for Slurm, and there is no sbatch on this machine. Run it on a login node of the cluster, or "
            "without --profile."
        )
    locks = _take_lock()
    killed = any(LOCKS.glob("*"))
    if killed:
        _unlock(study, locks)
    return killed


def _take_lock() -> bool:
    """Hold a lock on the working directory for as long as this process lives; return whether the file system has locks."""
    LOCK.parent.mkdir(exist_ok=True)
    handle = os.open(LOCK, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise NestdeError(
            f"{Path.cwd()}: another `nestde run` is at work in this folder. Wait for it, or stop it."
        ) from error
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            raise
        return False  # some cluster file systems have none; Snakemake's own lock is left
    if not any(LOCKS.glob("*")):
        os.truncate(handle, 0)
        os.write(handle, socket.gethostname().encode())
    return True


def _unlock(study: Sequence[str], locks: bool) -> None:
    """Remove the lock of Snakemake that a killed run has left; refuse where that run, or a job of it, may be at work."""
    host = LOCK.read_text()
    at_work = [path.parent.name for path in Path("/proc").glob("[0-9]*/cwd") if _is_snakemake_here(path)]
    if not locks or host != socket.gethostname() or at_work:
        where = f"as process {a_few(at_work)}" if at_work else f"on {host or 'an unknown machine'}"
        raise NestdeError(
            f"{Path.cwd()}: is locked by Snakemake, {where}. Wait for it, or stop it; if it is gone, free the folder "
            "with `nestde run --unlock`."
        )
    queued = _jobs_in_queue()
    if queued:
        raise NestdeError(
            f"{Path.cwd()}: the last run was killed, but its jobs are in Slurm's queue still: {a_few(queued)}. Wait for "
            f"them, or `scancel {' '.join(queued)}`; then run again."
        )
    if _snakemake([*study, "--cores", "1", "--unlock"]) != 0:
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


def _jobs_in_queue() -> list[str]:
    """Slurm's numbers of the jobs that a run in this folder has submitted and that have not ended."""
    if not shutil.which("squeue"):
        return []
    told = subprocess.run(
        ["squeue", "--me", "--noheader", "--format=%F|%k|%Z"], capture_output=True, text=True, check=False
    )
    jobs = [line.strip().split("|", 2) for line in told.stdout.splitlines() if line.count("|") > 1]
    # the plugin notes the rule as the comment
    here = {
        int(job) for job, comment, folder in jobs if comment.startswith("rule_") and folder == str(Path.cwd())
    }
    return [str(job) for job in sorted(here)]
