"""A study as it is proposed for data: what was told, what was guessed, and the story of it for a person to correct."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nestde.cells.fitting import Change
from nestde.errors import a_few

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN = "FILL_IN"  # what stands in the configuration for what could not be guessed


@dataclass(frozen=True)
class Told:
    """What is not to be guessed: names of columns, of a level, of a layer."""

    sample: str | None = None
    test: str | None = None
    reference: str | None = None
    cell_type: str | None = None
    donor: str | None = None
    layer: str | None = None
    gene: str | None = None


@dataclass(frozen=True)
class Guess:
    """What was guessed: names of columns of obs, and what follows from them; '' or None for what could not be.

    Attributes
    ----------
    others
        Role -> columns that would fit it too.
    covariates
        Columns of samples that a formula may want, each with what speaks against it, or ''.
    keep
        Column -> values of the cells to keep: singlets, where others were called.
    remarks
        What a person has to know.
    unknown
        What has to be filled in, in sentences.
    qc, forecast
        Bounds that fit the data where the defaults do not, and what quality control would remove with them.
    """

    data: Path
    layer: str
    gene: str | None
    sample: str
    diagnosis: str
    cell_type: str
    levels: tuple[str, ...]
    cell_types: tuple[str, ...]
    formula: str
    sheet: "pd.DataFrame"
    others: dict[str, list[str]] = field(default_factory=dict)
    covariates: dict[str, str] = field(default_factory=dict)
    keep: dict[str, list[str]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    qc: tuple[Change, ...] = ()
    forecast: tuple[str, ...] = ()

    def story(self) -> str:
        """Say in a few lines what was guessed, for a person to correct."""
        of = (
            f"{self.diagnosis}: {', '.join(self.levels)} (reference: {self.levels[0]})"
            if self.levels
            else "?"
        )
        lines = [
            f"Guessed from {self.data}; check it:",
            f"  samples     column {self.sample}: {len(self.sheet)}" if self.sample else "  samples     ?",
            f"  diagnosis   column {of}" if self.levels else "  diagnosis   ?",
            f"  cell types  column {self.cell_type}: {a_few(self.cell_types, 8)}"
            if self.cell_type
            else "  cell types  ?",
            f"  raw counts  {self.layer}",
            f"  genes       {f'named by the column {self.gene} of var' if self.gene else 'as var names them'}",
            f"  model       {self.formula}",
        ]
        lines += [
            f"  other columns that could be the {role}: {a_few(names, 8)}"
            for role, names in self.others.items()
        ]
        if self.covariates:
            told = [f"{name}{f' ({why})' if why else ''}" for name, why in self.covariates.items()]
            lines.append(f"  covariates of samples that the formula may want: {', '.join(told)}")
        lines += [
            f"  qc.{change.key}: {'null' if change.value is None else change.value} ({change.why})"
            for change in self.qc
        ]
        lines += [f"  note: {remark}" for remark in self.remarks]
        lines += [f"  {line}" for line in self.forecast]
        return "\n".join([*lines, *(f"  To be filled in: {sentence}" for sentence in self.unknown)])
