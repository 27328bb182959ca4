"""The command `nestde`: a subcommand parses, calls one function, and maps our errors to exit code 2."""

import argparse
import ast
import errno
import importlib
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from nestde import __version__, processor
from nestde.cli import plain
from nestde.errors import NestdeError, printable
from nestde.logs import STOPPED, fitted, telling
from nestde.provenance.digests import recording

# In the order in which a person meets them; the steps of the workflow come last.
COMMANDS = {
    "init": "start",
    "run": "start",
    "check": "start",
    "de": "start",
    "plan": "start",
    "report": "start",
    "verify": "start",
    "completion": "start",
    "simulate": "start",
    "variance": "start",
    "power": "start",
    "ingest": "step",
    "qc": "step",
    "matrix": "step",
    "pseudobulk": "step",
    "pseudobulk-de": "step",
    "composition": "step",
    "enrich": "step",
    "design": "step",
    "kernels": "step",
    "statistics": "step",
    "fit": "step",
    "moderate": "step",
    "calibrate": "step",
    "gather": "step",
    "crosscheck": "step",
    "also": "step",
    "summary": "step",
    "manifest": "step",
}

# No room, over quota, larger than a file may be, a fault of the disk: of these no step is guilty.
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; return its exit code: 0, 2 where input or the installation is at fault, 1 where the disk is full."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="nestde",
        description="Single-cell differential expression with mixed models, from raw counts to a report.",
        epilog=_overview() if argv[:1] in ([], ["-h"], ["--help"]) else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-V", "--version", action="version", version=f"nestde {__version__}")
    parser.add_argument("command", choices=list(COMMANDS), metavar="COMMAND")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    if not argv:
        parser.print_help()
        return 0
    chosen = parser.parse_args(argv[:1])
    # Only the module of this command is imported: `nestde fit` need not know what `nestde summary` needs.
    module = importlib.import_module(_module(chosen.command))
    command = parser_of(chosen.command)
    arguments, others = command.parse_known_args(argv[1:])
    if getattr(module, "FORWARDS", False):
        arguments.forwarded = others
    elif others:
        command.error(f"unknown: {' '.join(others)}")
    try:
        with ExitStack() as step:
            if COMMANDS[chosen.command] == "step":
                step.enter_context(telling(chosen.command))
            if COMMANDS[chosen.command] == "step" or chosen.command == "check":  # which is a rule's, too
                step.enter_context(recording())
            return module.main(arguments) or 0
    except NestdeError as error:
        for sentence in error.faults:
            said = fitted(f"nestde {chosen.command}: {printable(sentence)}", sys.stderr, "  ")
            print(said, file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        package = (error.name or "nestde").partition(".")[0]
        if package == "nestde":
            raise
        print(
            f"nestde {chosen.command}: needs {package}, which is not installed here: Python users get along without what the "
            "workflow needs. Install it with: pip install 'nestde[workflow]'",
            file=sys.stderr,
        )
        return 2
    except OSError as error:
        if (
            isinstance(error, FileExistsError | NotADirectoryError | PermissionError)
            or error.errno == errno.EROFS
        ):
            where = printable(str(error.filename))
            print(f"nestde {chosen.command}: {where}: {error.strerror}.", file=sys.stderr)
            return 2
        if error.errno not in _OF_THE_DISK:
            raise
        print(
            f"nestde {chosen.command}: {os.strerror(error.errno)}. See to the disk of the results (or of the temporary "
            "folder): its room, your quota and limits, its health. Then run again: nothing half-written was kept.",
            file=sys.stderr,
        )
        return 1


def entry() -> None:
    """Entry point of the installed command; a reader that hangs up, such as `head`, is no fault."""
    plain.use()
    processor.hold()
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        status = 130
    sys.exit(status)


class Help(argparse.HelpFormatter):
    """Fills the paragraphs of a docstring to the terminal's width; what is indented stays as it is."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = text.strip().split("\n\n")
        return "\n\n".join(
            part
            if re.search("^ |\\\\$", part, re.MULTILINE)
            else super(Help, self)._fill_text(part, width, indent)
            for part in paragraphs
        )


def parser_of(command: str) -> argparse.ArgumentParser:
    """The options of a command."""
    module = importlib.import_module(_module(command))
    parser = argparse.ArgumentParser(
        prog=f"nestde {command}",
        description=module.__doc__,
        formatter_class=Help,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    return parser


def first_line(command: str) -> str:
    """The first line of a command's docstring, read without importing it."""
    source = Path(__file__).with_name(f"{command.replace('-', '_')}.py")
    return (ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or "").splitlines()[0]


def _module(command: str) -> str:
    return f"nestde.cli.{command.replace('-', '_')}"


def _overview() -> str:
    """List the subcommands by the first line of their docstrings."""
    lines = {"start": ["commands:"], "step": ["steps of the workflow (rules call them):"]}
    for command, kind in COMMANDS.items():
        told = f"{command:<14} {first_line(command)}"
        wide = shutil.get_terminal_size().columns - 2
        lines[kind] += textwrap.wrap(told, wide, initial_indent="  ", subsequent_indent=" " * 17)
    return "\n".join([*lines["start"], "", *lines["step"]])
