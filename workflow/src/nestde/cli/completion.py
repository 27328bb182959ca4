"""Print what completes commands and options in a shell: bash, zsh or fish.

In ~/.bashrc: `source <(nestde completion bash)`; in ~/.zshrc, after compinit: `source <(nestde completion zsh)`; for fish:
`nestde completion fish > ~/.config/fish/completions/nestde.fish`.
"""

import argparse
import shlex

BASH = """_nestde() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} words=""
  if [ "$COMP_CWORD" -eq 1 ]; then words={commands}
  else case "${{COMP_WORDS[1]}}" in
{cases}
  esac; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _nestde nestde
"""
# zsh runs what bash has.
ZSH = "autoload -U +X bashcompinit && bashcompinit\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("shell", choices=["bash", "zsh", "fish"], help="whose")


def main(args: argparse.Namespace) -> None:
    """Print it."""
    from nestde.cli import COMMANDS, first_line, parser_of

    # steps are for rules
    parsers = {command: parser_of(command) for command, kind in COMMANDS.items() if kind == "start"}
    if args.shell == "fish":
        print("complete -c nestde -f -n __fish_use_subcommand -s V -l version -d 'its version'")
        for command, parser in parsers.items():
            told = _quoted(first_line(command))
            print(f"complete -c nestde -f -n __fish_use_subcommand -a {command} -d {told}")
            for action in parser._actions:
                print(*_fish(command, action), sep="")
        return
    cases = "\n".join(
        f"    {command}) words={shlex.quote(' '.join(_words(parser)))};;"
        for command, parser in parsers.items()
    )
    script = BASH.format(commands=shlex.quote(" ".join([*parsers, "--help", "--version"])), cases=cases)
    print((ZSH if args.shell == "zsh" else "") + script, end="")


def _words(parser: argparse.ArgumentParser) -> list[str]:
    """Options, and what can stand without one."""
    options = [option for action in parser._actions for option in action.option_strings]
    choices = [
        str(each) for action in parser._actions if not action.option_strings for each in action.choices or ()
    ]
    return [*options, *choices]


def _fish(command: str, action: argparse.Action) -> list[str]:
    """One option of a command, as fish has it."""
    if not action.option_strings and not action.choices:
        return [f"# {command}: {action.dest}"]
    parts = [f"complete -c nestde -n '__fish_seen_subcommand_from {command}'"]
    for option in action.option_strings:
        parts.append(f" -l {option[2:]}" if option.startswith("--") else f" -s {option[1:]}")
    if action.choices:
        parts.append(f" -a {_quoted(' '.join(map(str, action.choices)))}")
    if action.option_strings and action.nargs != 0:
        parts.append(" -r")
    return [*parts, f" -d {_quoted(action.help or '')}"]


def _quoted(text: str) -> str:
    """Text in single quotes, as fish reads them."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
