"""The configuration and sheet that a study starts with, written from what was guessed; what was not is marked."""

import json
import os
from pathlib import Path
from typing import Any

from nestde.cells.proposal import UNKNOWN, Guess
from nestde.design.expressions import quoted
from nestde.errors import a_few, shortened
from nestde.io.files import write_sheet, write_text

MARK = "# <- fill in"


def write(guess: Guess, folder: Path) -> None:
    """Write ``config.yaml`` and ``samples.tsv`` into the folder ``config`` of a study."""
    write_text(configuration(guess, folder.resolve().parent), folder / "config.yaml")
    write_sheet(guess.sheet, folder / "samples.tsv")


def configuration(guess: Guess, study: Path) -> str:
    """Text of ``config.yaml``: every key that was guessed, with what else it might be as a comment."""
    data = guess.data.resolve()
    where = os.path.relpath(data, study) if data.is_relative_to(study) else str(data)
    lines = [
        f"# Written by nestde init from {json.dumps(guess.data.name, ensure_ascii=False)}: columns are guesses, check them.",
        "# Every key is described in config/README.md.",
        f"title: {_yaml(guess.data.stem)}",
        "samples: config/samples.tsv",
        _or_unknown("cell_types", list(guess.cell_types), [UNKNOWN]),
        "input:",
        f"  counts: {_yaml(where)}",
        f"  layer: {_yaml(guess.layer)}",
        _or_unknown("  sample_key", guess.sample, UNKNOWN),
        *_others(guess, "sample"),
        _or_unknown("  cell_type_key", guess.cell_type, UNKNOWN),
        *_others(guess, "cell type"),
        f"  gene_key: {_yaml(guess.gene)}",
        f"  keep: {_yaml(guess.keep)}" if guess.keep else "",
        "qc:",
        *(f"  {change.key}: {_yaml(change.value)} # {_plain(change.why)}" for change in guess.qc),
        "  doublets: auto # Scrublet in samples of 500 cells or more"
        if not any(change.key == "doublets" for change in guess.qc)
        else "",
        "genes:",
        "  min_cells_share: 0.02 # test genes detected in 2 % of a cell type's cells …",
        "  min_samples: 3 # … and in 3 samples",
        "model:",
        f"  formula: {_yaml(guess.formula)}{'' if guess.diagnosis else f' {MARK}'}",
        *_covariates(guess),
        _or_unknown("  test", [quoted(guess.diagnosis)] if guess.diagnosis else [], [UNKNOWN]),
        *_others(guess, "diagnosis"),
    ]
    if guess.levels:
        lines += ["  levels:", f"    {_yaml(guess.diagnosis)}: {_yaml(list(guess.levels))} # reference first"]
    lines += [
        "inference:",
        "  p_value: auto # the moderated test wherever it applies; all p-values stand beside each other in the tables",
        "  fdr: 0.05",
    ]
    return "\n".join(line for line in lines if line) + "\n"


def _or_unknown(key: str, value: Any, unknown: Any) -> str:
    return f"{key}: {_yaml(value)}" if value else f"{key}: {_yaml(unknown)} {MARK}"


def _others(guess: Guess, role: str) -> list[str]:
    names = guess.others.get(role, [])
    return [f"  # also fits: {_plain(a_few(names, 8))}"] if names else []


def _covariates(guess: Guess) -> list[str]:
    """Comments on the covariates that there are, with a formula of those that can be estimated."""
    if not guess.covariates or not guess.diagnosis:
        return []
    good = [quoted(name) for name, why in guess.covariates.items() if not why]
    lines = [f"  # left out: {_plain(name)} ({_plain(why)})" for name, why in guess.covariates.items() if why]
    if good:
        left, tilde, right = guess.formula.partition("~ ")
        formula = f"{left}{tilde}{' + '.join([*good, right])}"
        lines.append(f"  # with the covariates of the sheet: {_plain(formula)}")
    return lines


def _plain(text: str) -> str:
    """Text for a comment: on one line."""
    return shortened(text) if len(text) <= 80 else " ".join(shortened(part) for part in text.split())


def _yaml(value: Any) -> str:
    """JSON is YAML, and quotes what needs to be quoted."""
    return json.dumps(value, ensure_ascii=False)
