"""Designs of the page *Which model do I want?*: small studies without counts, each with the model that the page shows.

`PYTHONPATH=tests python tests/makers/designs.py` writes what the check says of each into the page.
"""

import contextlib
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import yaml

from makers.studies import Study

PAGE = Path(__file__).parents[2] / "workflow/docs/models.md"
CELLS = 60  # of each type in each sample
# A section: its heading, the model of the configuration, what the check says of it.
SECTION = re.compile(
    r"^## (.+?)\n(?:(?!^## ).)*?```yaml\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL | re.MULTILINE
)


def two_groups(study: Study) -> None:
    """12 donors, a sample each."""


def two_samples_a_donor(study: Study) -> None:
    """6 donors of two samples each."""
    study.sheet["donor"] = [f"D{i // 4 * 2 + i % 2 + 1}" for i in range(len(study.sheet))]


def paired(study: Study) -> None:
    """6 donors, each before and after."""
    study.sheet["donor"] = [f"D{i // 2 + 1}" for i in range(len(study.sheet))]
    study.sheet["condition"] = ["before", "after"] * 6


def repeated(study: Study) -> None:
    """6 donors at three visits."""
    study.sheet["donor"] = [f"D{i // 3 + 1}" for i in range(len(study.sheet))]
    study.sheet["visit"] = ["week 0", "week 4", "week 12"] * (len(study.sheet) // 3)


def confounded(study: Study) -> None:
    """Every batch has one diagnosis only."""
    study.sheet["batch"] = study.sheet["diagnosis"].map({"Control": "B1", "AD": "B2"})


# By the page's headings.
DESIGNS: dict[str, tuple[Callable[[Study], None], tuple[str, ...]]] = {
    "Two groups of donors": (two_groups, ("Control", "AD")),
    "Several samples of a donor": (two_samples_a_donor, ("Control", "AD")),
    "Paired: each donor before and after": (paired, ("Control", "AD")),
    "Repeated: each donor at several visits": (repeated, ("Control", "AD", "MCI")),
    "Batches": (two_groups, ("Control", "AD")),
    "A batch that is the diagnosis": (confounded, ("Control", "AD")),
    "Three levels": (two_groups, ("Control", "MCI", "AD")),
    "An effect that differs between groups": (two_groups, ("Control", "AD")),
    "Counts": (two_groups, ("Control", "AD")),
}


def answer(heading: str, model: str) -> str:
    """What `nestde check` says of a design under a model, in a folder of its own: faults, or the short form."""
    from nestde.check.render import terminal

    change, levels = DESIGNS[heading]
    study = Study(levels=levels, cells=CELLS)
    change(study)
    study.config |= yaml.safe_load(model) | {"cell_types": ["Neuron"], "qc": {"min_cells_per_sample": 10}}
    study.obs = pd.DataFrame(study.obs[study.obs["cell_type"] == "Neuron"])
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        found = study.check()
    faults = [f"nestde check: {sentence}" for sentence in found.faults]
    return "\n".join(faults) if faults else terminal(found.accepted, explain=False)


def written(text: str) -> str:
    """The page with what the check says now."""

    def section(found: re.Match[str]) -> str:
        return found[0].replace(f"```text\n{found[3]}```", f"```text\n{answer(found[1], found[2])}\n```")

    return SECTION.sub(section, text)


if __name__ == "__main__":
    os.environ["COLUMNS"] = "110"
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
