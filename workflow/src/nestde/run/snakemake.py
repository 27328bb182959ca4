"""How a study is run: checked, its folder locked, what is damaged or foreign found, and then Snakemake.

With `nestde.run.lock` and `nestde.run.asked`, all that calls Snakemake.
"""

import io
import os
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from nestde.check import check_study
from nestde.errors import Faults, NestdeError, a_few, printable
from nestde.logs import fitted
from nestde.provenance.digests import is_changed
from nestde.provenance.manifest import changed_by_hand, parse_configuration, read_manifest
from nestde.provenance.verify import other_inputs, other_settings, strange
from nestde.run import progress
from nestde.run.asked import Asked, asked_of, study_of
from nestde.run.closing import say
from nestde.run.intact import damaged, made, records
from nestde.run.lock import snakemake, take_folder
from nestde.run.rules import StudyError
from nestde.study.config import Config, read
from nestde.study.schema import schema
from nestde.study.template import workflow_dir
from nestde.study.yamlread import read_yaml

METADATA = Path(".snakemake/metadata")
INCOMPLETE = Path(".snakemake/incomplete")
# Jobs, and seconds: Snakemake's default of --max-jobs-per-timespan.
_USUAL_LIMIT = (100, 1)
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
    folder says (which may hold several, each with a results folder of its own), or else config/config.yaml there. A
    folder that a killed run has left locked is unlocked: our own lock, which the kernel drops with the last process of
    a run, tells that no `nestde run` is at work there, the list of processes that no other Snakemake is, and Slurm that
    no job of a killed run is.

    Raises
    ------
    NestdeError
        With all that the design check refuses; where another run is at work in the folder; or where the results are
        not those of a run here: changed by hand, or of another configuration.
    """
    from snakemake.cli import args_to_api
    from snakemake.exceptions import print_exception

    if not directory.is_dir():
        raise NestdeError(f"{directory}: there is no such folder.")
    profile_dir = find_profile(profile, directory)
    if configfile:
        configfile = str(Path(configfile).resolve())
    os.chdir(directory)
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
    # Jobs and their files are in UTF-8, whatever the locale.
    os.environ["PYTHONUTF8"] = "1"
    parser, args = _parsed([*study, "--profile", str(profile_dir), *extra])
    asked = _checked(args)
    _has_image(asked, args)
    tells = any(getattr(args, name, None) for name in UTILITIES)
    runs = not tells and not args.dryrun
    if runs:
        progress.use(args)
        _lift_limit(args)
    killed = runs and take_folder(study, args)
    if not tells:
        _remake(asked, args.dryrun)
    sys.stdout.flush()
    began = time.monotonic()
    stopped = _note_stops()
    try:
        success = args_to_api(args, parser)
    except Exception as error:
        print_exception(error)
        success = False
    if runs and not success:
        print(
            "Stopped. What has ended is kept; the same command goes on where it was."
            if stopped
            else "Mend what is said above, and run the same command again: it goes on where it was.",
            file=sys.stderr,
        )
    if not success or not runs:
        sys.exit(0 if success else 1)
    complete = [one for one in asked if _is_complete(one, asked)]
    for one in complete:
        _tell_of_strangers(one)
    if killed and complete == asked and not args.notemp:
        snakemake([*study, "--cores", "1", "--quiet", "--delete-temp-output"])
    say(((one.folder, one.config) for one in complete), time.monotonic() - began)


def _note_stops() -> list[int]:
    """Return a list that a Ctrl-C or a request to end is noted in, for Snakemake to act upon."""
    stopped: list[int] = []

    def stop(number: int, frame: Any) -> None:
        stopped.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    return stopped


def _checked(args: Namespace) -> list[Asked]:
    """Return the studies of the Snakefile, found sound; exit where Snakemake cannot read it."""
    from snakemake.exceptions import print_exception

    file = args.configfile[0] if args.configfile else Path("config/config.yaml")
    if args.configfile or _is_study(file):
        config, told = read(file)
        if told:  # Snakemake would name the first, and not the file
            _raise_faults([(config, told)])
    try:
        asked = asked_of(args)
    except StudyError as error:
        _raise_faults([read(error.given)])
        raise
    except Exception as error:
        print_exception(error)
        sys.exit(1)
    _raise_faults([(one.config, []) for one in asked], [one.folder for one in asked])
    return asked


def _has_image(asked: Sequence[Asked], args: Namespace) -> None:
    """Raise a NestdeError where steps are to run in a container and there is none: Snakemake would run them outside and not say so."""
    from snakemake.settings.types import DeploymentMethod

    if DeploymentMethod.APPTAINER not in args.software_deployment_method:
        return
    images, faults = [one.image for one in asked], Faults()
    if not all(images):
        faults.add(
            "--sdm apptainer: the rules name no image for steps to run in. Build one (envs/nestde.def) and give it as `container` of the "
            "configuration (which a workflow/ of an earlier version does not hand on), or leave the option out."
        )
    for image in dict.fromkeys(filter(None, images)):
        if "://" not in image and not Path(image).exists():
            faults.add(
                f"container: {image}: there is no such file. Build it (envs/nestde.def), or name another image."
            )
    faults.raise_if_any()


def _is_study(file: Path) -> bool:
    """Whether a file configures a study: a Snakefile of several has sections of its own for them, or other files."""
    return file.exists() and bool(read_yaml(file).values.keys() & schema("config")["properties"].keys())


def _raise_faults(studies: Iterable[tuple[Config, list[str]]], folders: Iterable[Path] = ()) -> None:
    """Print what the check warns of, unless anything is wrong: raise all that is wrong with the studies (their configuration, as `nestde.study.config.read` tells of it), or where they are."""
    faults, warnings = Faults(), Faults()
    for config, told in studies:
        check = check_study(config, told)
        for sentence in check.faults:
            faults.add(sentence)
        accepted = None if check.faults else check.accepted
        for warned in accepted.warnings if accepted else ():
            warnings.add(f"Warning: {warned.title}. {warned.text}")
        with faults.noting():
            for sentence in _faults_of_counts(config):
                faults.add(sentence)
    if set("{}") & set(str(Path.cwd())):
        faults.add(
            f"{Path.cwd()}: braces in the path of a study are wildcards to Snakemake. Move or rename the folder."
        )
    for folder in (part for whole in folders for part in (*reversed(whole.parents), whole)):
        if folder.is_symlink() and not folder.exists():
            faults.add(
                f"{folder}: is a link to {folder.readlink()}, which is not there. Make that folder, or remove the link."
            )
    faults.raise_if_any()
    for sentence in warnings.sentences:
        print(fitted(printable(sentence), sys.stdout, "  "))


def _is_complete(one: Asked, asked: Sequence[Asked]) -> bool:
    """Whether a study's manifest is the youngest of its files: no job is left that needs an intermediate.

    Snakemake removes one when the last job that needs it has ended. One that was to go at the moment of a kill stays.
    """
    times = {path: time for path, time in made(METADATA).items() if study_of(path, asked) is one}
    return times.get(one.manifest, 0) >= max(times.values(), default=1)


def _tell_of_strangers(one: Asked) -> None:
    """Name what an earlier configuration has left, as the tables of a cell type that is no longer asked for."""
    left = strange(one.folder, read_manifest(one.manifest))
    if left:
        print(
            f"{one.folder}/ holds files that are not of this run: {a_few(left)}. Remove them, lest they be taken for its results."
        )


def _remake(asked: Sequence[Asked], dry: bool) -> None:
    """Remove what cannot be read, and say so: Snakemake remakes what is missing, not what is there.

    Raises
    ------
    NestdeError
        If results were changed since they were made, or are of another run: the next manifest would tell of them as
        if they were ours.
    """
    # what the Snakefile does not ask for (any more) is not made again
    files = {path: time for path, time in made(METADATA).items() if study_of(path, asked)}
    for path, why in damaged(files):
        print(f"{path}: is damaged ({why}). The run removes it and makes it again.")
        if not dry:
            path.unlink()
    if dry:
        return
    recorded = {study_of(path, asked) for folder in (METADATA, INCOMPLETE) for path, _ in records(folder)}
    faults = Faults()
    for one in asked:
        if one not in recorded:
            for sentence in _of_others(one):
                faults.add(sentence)
    unfinished = {path for path, _ in records(INCOMPLETE)}
    for one in asked:
        for path in files:
            ours = study_of(path, asked) is one and path not in unfinished and path.is_file()
            if ours and is_changed(path):
                faults.add(changed_by_hand(path, one.folder))
    faults.raise_if_any()


def _of_others(one: Asked) -> Iterator[str]:
    """Say that results that Snakemake has no record of are not ours, unless their manifest tells of these inputs and settings.

    It would take any file of the right name for what this configuration gives.
    """
    has_manifest = one.manifest.is_file()
    told = read_manifest(one.manifest) if has_manifest else {"results": {}}
    differ = strange(one.folder, told)
    if has_manifest:
        ours = {
            key: value for key, value in parse_configuration(one.config.text()).items() if key != "chunks"
        }
        others = [*other_settings(ours, told["configuration"]), *other_inputs(one.folder, told, told)]
        differ = [difference.name for difference in others] + differ
    if differ:
        yield (
            f"{one.folder}/: is of a run of which this folder has no record (.snakemake), and which differs in "
            f"{a_few(differ)}. Move {one.folder}/ away, and run again."
        )


def _faults_of_counts(config: "Config") -> list[str]:
    """Open every input that is there and look at its first cells; return what is wrong with any, and print what is doubtful."""
    from nestde.cells.ingest import peek
    from nestde.study.samples import read_samples, source_paths

    faults: list[str] = []
    try:
        paths = set(source_paths(config, read_samples(config.samples)).values())
    except NestdeError:
        return faults  # the check has said so
    for path in sorted(paths):
        try:
            if Path(path).exists():
                doubt = peek(path, config.input)
                if doubt:
                    print(f"Note: {doubt}")
        except NestdeError as error:
            faults += error.faults
    return faults


def _parsed(arguments: Sequence[str]) -> tuple[Any, Namespace]:
    """Snakemake's parser and what it makes of arguments; what it says meanwhile, of the profile, only where it gives up."""
    from snakemake.cli import parse_args

    said = io.StringIO()
    try:
        with redirect_stderr(said):
            parser, args = parse_args(arguments)
    except BaseException:
        sys.stderr.write(said.getvalue())
        raise
    return parser, args


def _lift_limit(args: Namespace) -> None:
    """Have no limit of jobs begun in a second where only Snakemake's default sets one.

    With a limit each look for jobs to begin sets a clock to look once more a second later: after hundreds of jobs there are
    hundreds of looks a second, at hundreds of files each.
    """
    limit = args.max_jobs_per_timespan
    if limit is not None and (limit.max_jobs, limit.timespan) == _USUAL_LIMIT:
        args.max_jobs_per_timespan = None


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
