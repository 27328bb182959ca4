"""A locale that lacks a character of ours, or of the data, stops no command."""

import codecs
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nestde.cli import plain


@pytest.fixture(autouse=True)
def registered():
    codecs.register_error(plain.NAME, plain.degrade)


@pytest.mark.parametrize(
    ("encoding", "text", "shown"),
    [
        ("latin-1", "24 samples → 576 cells ≤ 5 %", "24 samples -> 576 cells <= 5 %"),
        ("latin-1", "χ² at 0.05·x, é", "chi² at 0.05·x, é"),
        ("ascii", "├─ diagnosis Zoë: 12 × σ²", "|- diagnosis Zoe: 12 x sigma2"),
        ("ascii", "脳", "\\u8133"),
        ("cp1252", "…–", "…–"),
    ],
)
def test_what_cannot_be_encoded_is_written_otherwise(encoding, text, shown):
    assert text.encode(encoding, plain.NAME).decode(encoding) == shown


def test_a_command_writes_to_a_terminal_of_latin_1():
    code = "import sys; sys.argv = ['nestde', '--help']; from nestde import cli; cli.COMMANDS; cli.entry()"
    env = {**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-c", f"from nestde.cli import plain; plain.use(); print('→ ≤'); {code}"],
        env=env, capture_output=True, check=False, cwd=Path(__file__).parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode("latin-1").startswith("-> <=\nusage: nestde")
