"""What a Snakefile asks for: its studies, each with a results folder and a configuration of its own.

The rules say it, not a name that is known beforehand: a Snakefile may put results elsewhere (Snakemake's pathvars) and
may hold several studies (modules).
"""

import contextlib
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nestde.io.layout import MANIFEST
from nestde.run.rules import StudyError
from nestde.study.config import Config, sections


@dataclass(frozen=True, eq=False)
class Asked:
    """A study of a Snakefile.

    Parameters
    ----------
    folder
        Its results folder, as the rules name it.
    config
        Its configuration.
    image
        The container that its rules name, whatever the configuration says: a Snakefile of one's own may name another, or none.
    """

    folder: Path
    config: Config
    image: str | None = None

    @property
    def manifest(self) -> Path:
        """The manifest of its results."""
        return self.folder / MANIFEST


def asked_of(args: Namespace) -> list[Asked]:
    """Return every study that a Snakefile makes a manifest of; as `rules_of`."""
    manifests = [
        rule for rule in rules_of(args) if (rule.shellcmd or "").lstrip().startswith("nestde manifest ")
    ]
    return [
        Asked(
            Path(str(rule.output.manifest)).parent, sections(rule.params.settings(None)), rule.container_img
        )
        for rule in manifests
    ]


def rules_of(args: Namespace) -> list[Any]:
    """Read a Snakefile, and return its rules as Snakemake has them: `name`, `input`, `output`, `params`, `shellcmd`.

    Parameters
    ----------
    args
        Options of Snakemake, parsed.

    Raises
    ------
    StudyError
        If the Snakefile cannot be read for a fault of a study.
    Exception
        As Snakemake raised it, if for another cause.
    """
    from snakemake.api import SnakemakeApi
    from snakemake.cli import parse_config
    from snakemake.settings.types import (
        ConfigSettings,
        OutputSettings,
        Quietness,
        ResourceSettings,
        WorkflowSettings,
    )

    quiet = OutputSettings(quiet={Quietness.ALL}, enable_file_logging=False, skip_plugin_handlers=True)
    configuration = ConfigSettings(
        config=parse_config(args.config),
        configfiles=args.configfile,
        config_args=args.config,
        replace_workflow_config=args.replace_workflow_config,
    )
    try:
        # a Snakefile may change the folder
        with TemporaryDirectory() as cache, contextlib.chdir(Path.cwd()), SnakemakeApi(quiet) as api:
            workflow = api.workflow(
                ResourceSettings(cores=1),
                configuration,
                workflow_settings=WorkflowSettings(runtime_source_cache_path=Path(cache)),
                snakefile=args.snakefile,
            )
            # no part of Snakemake's API returns the rules
            return list(workflow._workflow.rules)
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, StudyError):
            cause = cause.__cause__ or cause.__context__
        raise cause or error from None


def study_of(path: Path, asked: Iterable[Asked]) -> Asked | None:
    """Return the study that a file is of: that whose results folder is the innermost around it; None if it is of none."""
    around = [one for one in asked if path.is_relative_to(one.folder)]
    return max(around, key=lambda one: len(one.folder.parts), default=None)
