"""Completions for shells, made of the parsers."""

import shutil
import subprocess

import pytest

from nestde.cli import COMMANDS, main


def script(shell, capsys):
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


def complete(text, *words):
    code = f"{text}\nCOMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _nestde; echo ${{COMPREPLY[@]}}"
    return subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_bash_completes_commands_and_their_options(capsys):
    text = script("bash", capsys)
    assert complete(text, "nestde", "che") == ["check"]
    assert complete(text, "nestde", "run", "--co") == ["--configfile", "--cores"]
    assert complete(text, "nestde", "completion", "f") == ["fish"]
    assert {"-d", "--directory"} <= set(complete(text, "nestde", "verify", "-"))


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_each_command_of_a_person_is_told_to_other_shells(shell, capsys, tmp_path):
    text = script(shell, capsys)
    for command, kind in COMMANDS.items():
        assert (command in text.split() or f"    {command})" in text) or kind == "step"
    assert "--cores" in text or "-l cores" in text
    if shutil.which(shell):  # it reads it
        (tmp_path / "script").write_text(text)
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)


def test_commands_of_a_study_take_its_folder(capsys):
    for command in ("run", "check", "plan", "verify", "report"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert "-d DIR" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["-V"])
    assert capsys.readouterr().out.startswith("nestde ")
