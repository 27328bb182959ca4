"""Who is in the test of a cell type: every sample with its cells, tested or where and why it left; all who tell of it read this."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from nestde.design.cellwise import Cellwise
from nestde.design.design import Design
from nestde.design.formula import parse, variables_of
from nestde.errors import a_few
from nestde.io.source import label
from nestde.study.config import Model
from nestde.study.samples import covariates_of
from nestde.words import count

if TYPE_CHECKING:
    import pandas as pd

REPLICATES = 2  # samples of a level below which nothing tells it from its samples
LEVEL = "level"  # what a sample leaves by whose level has too few others


@dataclass(frozen=True)
class Fewest:
    """A least number of cells, and the key that sets it."""

    key: str
    cells: int


@dataclass(frozen=True)
class Comparison:
    """What of a model says who is compared with whom: all else of it may change, and the cells of a test stay.

    Attributes
    ----------
    columns
        Columns that tested terms read -> whether the formula makes a factor of the column, whatever it holds.
    levels
        Those of such columns that the configuration names.
    """

    columns: dict[str, bool]
    levels: dict[str, list[str]]

    @classmethod
    def of(cls, model: Model) -> Self:
        """Read it from the section ``model`` of the configuration."""
        formula = parse(model.formula)
        columns = {name: formula.codes(name) for term in model.compared for name in variables_of(term)}
        return cls(columns, {name: list(levels) for name, levels in model.levels.items() if name in columns})

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what `text` gave."""
        return cls(**json.loads(text))

    def text(self) -> str:
        """All of it as JSON: where equal things are compared, equal text."""
        return json.dumps(asdict(self), sort_keys=True)

    def factors(self, frame: "pd.DataFrame") -> list[str]:
        """Columns of a table that are compared as factors: text, levels that the configuration names, ``C(…)``."""
        return [
            name
            for name, coded in self.columns.items()
            if name in frame and (coded or name in self.levels or frame[name].dtype.kind not in "iuf")
        ]


def admitted(sheet: "pd.DataFrame", model: Model) -> "pd.DataFrame":
    """Samples, their files, and those of their covariates that what is made of counts depends on.

    These are what is compared, and what the formula joins with covariates of cells in one transform.
    """
    names = covariates_of(sheet)
    read = {*Comparison.of(model).columns, *Cellwise.of(model.formula, model.levels, names).of_samples}
    return sheet[["sample_id", "counts", *(name for name in names if name in read)]]


@dataclass(frozen=True)
class Entry:
    """One sample in one cell type.

    Attributes
    ----------
    sample
        Its name.
    cells
        Its cells of this type, those that quality control kept (in the check, which reads no count: those that came).
    came
        Its cells of this type in the data.
    in_all
        Its cells of any type, counted as `cells` are.
    levels
        Tested factor -> its level, where that is known.
    by
        What it left by: the key of a `Fewest`, or `LEVEL`; '' if it is tested.
    why
        The same in words.
    """

    sample: str
    cells: int
    came: int
    in_all: int
    levels: dict[str, str] = field(default_factory=dict)
    by: str = ""
    why: str = ""


@dataclass(frozen=True)
class Roster:
    """All samples of the study in one cell type.

    Attributes
    ----------
    entries
        In the order of the sheet.
    factors
        Tested factor that is constant within samples -> its levels, reference first.
    """

    entries: tuple[Entry, ...]
    factors: dict[str, tuple[str, ...]]

    @property
    def tested(self) -> list[str]:
        """Samples that are tested."""
        return [entry.sample for entry in self.entries if not entry.by]

    @property
    def left_out(self) -> dict[str, str]:
        """Sample -> why it is not tested."""
        return {entry.sample: entry.why for entry in self.entries if entry.by}

    def of_level(self, factor: str, level: str) -> list[Entry]:
        """Samples of a level."""
        return [entry for entry in self.entries if entry.levels.get(factor) == level]

    def numbers(self, factor: str) -> dict[str, int]:
        """Tested samples by level."""
        return {
            level: sum(not entry.by for entry in self.of_level(factor, level))
            for level in self.factors[factor]
        }

    def untestable(self) -> str:
        """Why no test can be made of the samples that are left, with what became of the others; '' if one can."""
        if not self.tested:
            return f"no sample is left to be tested: {gone(self.entries)}"
        for factor in self.factors:
            numbers = self.numbers(factor)
            short = [level for level, number in numbers.items() if number < REPLICATES]
            fine = [level for level in numbers if level not in short]
            if len(fine) >= 2 and self.factors[factor][0] in fine:
                continue
            told = "; ".join(self.level_words(factor, level) for level in short)
            return f"no test of {factor} can be made, for which {REPLICATES} samples of each level are the least: {told}"
        return ""

    def level_words(self, factor: str, level: str) -> str:
        """``fetal has none: of its 4 samples, 4 have fewer than 50 cells after quality control (…)``."""
        entries = self.of_level(factor, level)
        there = [entry.sample for entry in entries if entry.by in ("", LEVEL)]
        has = f"{level} has {f'only {there[0]}' if there else 'none'}"
        left = [entry for entry in entries if entry.by not in ("", LEVEL)]
        if not left:
            return f"{has}, which is all that the study has of it" if there else f"{has} in the study"
        return f"{has}: of its {count(len(entries), 'sample')}, {gone(left)}"

    def lone_levels(self) -> dict[str, list[str]]:
        """Tested factor -> levels that are left out of this type, as they have too few samples."""
        found = {
            factor: [
                level for level in order if any(entry.by == LEVEL for entry in self.of_level(factor, level))
            ]
            for factor, order in self.factors.items()
        }
        return {factor: levels for factor, levels in found.items() if levels}

    def explain(self, design: Design, model: Model) -> Design:
        """A design whose contrasts without a level that has no tested sample tell what became of its samples."""
        reasons = dict(design.untested)
        for contrast in reasons:
            named = model.named(contrast)
            pairs = dict.fromkeys(pair for point in named.weights for pair in point) if named else {}
            gone = [
                self.level_words(factor, level)
                for factor, level in pairs
                if level in self.factors.get(factor, ()) and not self.numbers(factor)[level]
            ]
            if gone:
                reasons[contrast] = "; ".join(gone)
        return replace(design, untested=reasons)

    def content(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {
            "entries": [asdict(entry) for entry in self.entries],
            "factors": {name: list(levels) for name, levels in self.factors.items()},
        }


def roster_of(content: Mapping[str, Any]) -> Roster:
    """Read what `Roster.content` gave."""
    entries = tuple(Entry(**entry) for entry in content["entries"])
    return Roster(entries, {name: tuple(levels) for name, levels in content["factors"].items()})


def call(
    entries: Iterable[Entry],
    factors: Mapping[str, Sequence[str]],
    *,
    of_type: Fewest,
    in_all: Fewest | None = None,
    counted: str = "",
) -> Roster:
    """Say of each sample whether it is tested: it has enough cells, and its level another sample that has.

    A level (not the reference) with too few samples is left out where two others can be compared, so that these are tested.

    Parameters
    ----------
    entries
        Samples with their cells and levels.
    factors
        Tested factor -> its levels, reference first.
    of_type, in_all
        Fewest cells of this type, and of any, that a sample needs.
    counted
        When cells were counted: ``after quality control``.
    """
    when = f" {counted}" if counted else ""
    found = []
    for entry in entries:
        by, why = "", ""
        if in_all and entry.in_all < in_all.cells:
            by = in_all.key
            why = f"{count(entry.in_all, 'cell')}{when}; {by} is {in_all.cells:,}"
        elif entry.cells < of_type.cells:
            by = of_type.key
            before = f" of {entry.came:,}" if entry.came > entry.cells else ""
            why = f"{entry.cells:,}{before} cells of this type{when if before else ''}; {by} is {of_type.cells:,}"
        found.append(replace(entry, by=by, why=why))
    roster = Roster(tuple(found), {name: tuple(levels) for name, levels in factors.items()})
    for factor, order in roster.factors.items():
        numbers = roster.numbers(factor)
        lone = {level for level, number in numbers.items() if 0 < number < REPLICATES}
        compared = [level for level, number in numbers.items() if number >= REPLICATES]
        if not lone or len(compared) < 2 or order[0] not in compared:
            continue
        roster = replace(
            roster,
            entries=tuple(
                replace(
                    entry,
                    by=LEVEL,
                    why=f"the only sample of {factor} {entry.levels[factor]} with enough cells; {REPLICATES} are needed",
                )
                if not entry.by and entry.levels.get(factor) in lone
                else entry
                for entry in roster.entries
            ),
        )
    return roster


def gone(entries: Sequence[Entry]) -> str:
    """What samples left by, each reason once: ``3 have too few cells of this type (model.min_cells): S1 (4), S2 (0), S7 (9)``."""
    by: dict[str, list[Entry]] = {}
    for entry in entries:
        by.setdefault(entry.by, []).append(entry)
    parts = []
    for reason, mine in by.items():
        have = "has" if len(mine) == 1 else "have"
        of_type = reason.endswith("min_cells")
        if of_type and not any(entry.came for entry in mine):
            parts.append(f"{len(mine)} {have} no cell of this type")
            continue
        named = a_few(
            f"{entry.sample} ({_cells(entry.cells if of_type else entry.in_all, entry.came if of_type else 0)})"
            for entry in mine
        )
        with_them = sum(entry.cells for entry in mine)
        lost = "" if of_type or not with_them else f", with {with_them:,} cells of this type"
        what = "cells of this type" if of_type else "cells in all"
        parts.append(f"{len(mine)} {have} too few {what} ({reason}): {named}{lost}")
    return "; ".join(parts)


def _cells(kept: int, came: int) -> str:
    return f"{kept:,} of {came:,}" if came > kept else f"{kept:,}"


def levels_of_samples(
    tables: Mapping[str, "pd.DataFrame"], sheet: "pd.DataFrame", compared: Comparison
) -> tuple[dict[str, tuple[str, ...]], dict[str, dict[str, str]]]:
    """Tested factors that have one level in each sample, and the level of each sample.

    Parameters
    ----------
    tables
        Sample -> covariates of its cells.
    sheet
        One row per sample: its columns win over those of the cells.

    Returns
    -------
    factors
        Factor -> levels, reference first.
    levels
        Sample -> factor -> level; without a factor of which nothing is known.
    """
    of: dict[str, dict[str, str]] = {sample: {} for sample in tables}
    several: set[str] = set()
    rows = dict(zip(sheet["sample_id"].astype(str), range(len(sheet)), strict=True))
    names = compared.factors(sheet)
    for table in tables.values():
        names += [name for name in compared.factors(table) if name not in names]
    for sample, table in tables.items():
        for name in names:
            if name in sheet:
                values = [sheet[name].iloc[rows[sample]]] if sample in rows else []
            else:
                values = list(table[name].dropna().unique()) if name in table else []
            if len(values) > 1:
                several.add(name)
            elif values and values[0] == values[0]:
                of[sample][name] = label(values[0])
    factors = {}
    for name in names:
        if name in several:
            continue
        there = sorted({levels[name] for levels in of.values() if name in levels})
        factors[name] = tuple(map(str, compared.levels.get(name, there)))
    return factors, {
        sample: {name: level for name, level in levels.items() if name in factors}
        for sample, levels in of.items()
    }
