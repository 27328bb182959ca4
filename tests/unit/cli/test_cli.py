import errno
import os
import subprocess
import sys

import pytest

from nestde import __version__
from nestde.cli import COMMANDS, main


def test_every_command_has_help(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    told = " ".join(capsys.readouterr().out.split())
    for command in COMMANDS:
        with pytest.raises(SystemExit) as end:
            main([command, "--help"])
        assert end.value.code == 0
        first = capsys.readouterr().out.split("\n\n")[1].split(". ")[0]
        assert f" {command} {' '.join(first.split())}" in told


@pytest.mark.parametrize("width", [60, 100])
def test_help_has_room_on_the_terminal(capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    assert main([]) == 0
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    told = capsys.readouterr().out
    described = told[told.index("commands:") :].split("options:")[0].splitlines()
    assert max(map(len, described)) <= width and "--cores" in told


def test_help_imports_nothing_heavy():
    code = "import sys; from nestde.cli import main\ntry: main(['fit', '--help'])\nexcept SystemExit: pass\n"
    code += "print([name for name in ('numpy', 'pandas', 'anndata', 'numba') if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[-1] == "[]"


def test_version_and_unknown_options(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"nestde {__version__}\n"
    with pytest.raises(SystemExit) as end:
        main(["check", "--explian"])
    assert end.value.code == 2
    assert "unknown: --explian" in capsys.readouterr().err


def test_faults_are_sentences_and_exit_code_2(tmp_path, capsys):
    assert main(["check", "--configfile", str(tmp_path / "none.yaml")]) == 2
    told = capsys.readouterr().err
    assert told.startswith("nestde check: ") and "cannot be read" in told and "Traceback" not in told


@pytest.mark.parametrize(
    ("number", "status", "says"),
    [
        (errno.EROFS, 2, "nestde check: results/x: Read-only file system."),
        (errno.EDQUOT, 1, "nestde check: Disk quota exceeded. See to the disk"),
        (errno.ENOSPC, 1, "nestde check: No space left on device. See to the disk"),
        (errno.EFBIG, 1, "nestde check: File too large. See to the disk"),
        (errno.EIO, 1, "nestde check: Input/output error. See to the disk"),
    ],
)
def test_a_disk_that_takes_nothing_is_a_sentence(monkeypatch, capsys, number, status, says):
    def fail(_):
        raise OSError(number, os.strerror(number), "results/x")

    monkeypatch.setattr("nestde.cli.check.main", fail)
    assert main(["check"]) == status
    assert capsys.readouterr().err.startswith(says)


def test_what_the_workflow_needs_and_is_not_installed_is_a_sentence(tmp_path):
    """In a process of its own: modules that other tests have imported would be found."""
    code = "import sys; sys.modules['snakemake_interface_logger_plugins'] = None; from nestde.cli import main; sys.exit(main(['run']))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 2
    assert done.stderr.startswith(
        "nestde run: needs snakemake_interface_logger_plugins, which is not installed"
    )
    assert "pip install 'nestde[workflow]'" in done.stderr
