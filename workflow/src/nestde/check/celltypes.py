"""What can be estimated in each cell type: its samples, its levels, its tests; where nothing can, why not."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nestde.cells.roster import Entry, Fewest, Roster, call
from nestde.check.found import LevelCount, TermTest, TypeFound
from nestde.check.power import design_of_rows, lone_of, no_replicates, tests_of
from nestde.check.replicates import ICC
from nestde.check.seen import COUNTED, Seen
from nestde.check.separation import why_not
from nestde.check.study import Study, labels_of
from nestde.check.terms import ordered_levels, tested_variables
from nestde.check.wording import both, count
from nestde.design.replication import Lone
from nestde.errors import NestdeError
from nestde.fit.family import family
from nestde.words import as_sentence


def cell_type_report(study: Study, cell_type: str, seen: Seen | None = None) -> TypeFound:
    """Say what can be estimated in one cell type, of cells as they came or were seen left; where nothing can, why not."""
    came, every = (
        np.bincount(study.sample[chosen], minlength=len(study.samples))
        for chosen in (study.cells_of(cell_type), slice(None))
    )
    left, every = seen.left(study, cell_type) if seen else (came, every)
    roster = roster_of_type(study, left, came, every, COUNTED if seen else "")
    kept = np.isin(study.samples, roster.tested)
    rows = study.cells_of(cell_type)
    rows = rows[kept[study.sample[rows]]]
    tests: tuple[TermTest, ...] = ()
    untested: Mapping[str, str] = {}
    reason = as_sentence(roster.untestable())
    if not reason:
        reason, tests, untested = _tests_or_reason(study, rows, roster)
    return TypeFound(
        cell_type=cell_type,
        reason=reason,
        samples=int(kept.sum()),
        cells=int(left[kept].sum()),
        left_out=roster.left_out,
        levels_left_out=tuple(
            roster.level_words(factor, level)
            for factor, levels in roster.lone_levels().items()
            for level in levels
        ),
        levels=levels_of(study, rows) if kept.any() else (),
        cells_per_sample={study.samples[row]: int(left[row]) for row in np.flatnonzero(kept)},
        tests=tests,
        untested={} if reason else untested,
        lrt_size=None if reason else tests[0].lrt_size,
        smallest_effect=None if reason else tests[0].effect_at(ICC),
    )


def roster_of_type(
    study: Study,
    left: NDArray[np.int64],
    came: NDArray[np.int64],
    every: NDArray[np.int64],
    counted: str = "",
) -> Roster:
    """Say of each sample whether it will be tested in a cell type.

    Parameters
    ----------
    left, came, every
        (samples,) its cells of the type that are left and that came, and those of any type that are left.
    counted
        When: ``after quality control``; '' where it is taken to keep all cells.
    """
    config = study.config
    levels: dict[str, NDArray[np.object_]] = {}
    factors: dict[str, list[str]] = {}
    for name in tested_variables(study):
        variable = study.variables[name]
        if variable.between and (variable.factor or name in config.model.levels):
            labels = labels_of(variable.values)
            levels[name] = np.asarray(labels.astype(object))
            factors[name] = ordered_levels(study, name, labels)
    entries = [
        Entry(
            sample,
            int(left[row]),
            int(came[row]),
            int(every[row]),
            {name: str(of[row]) for name, of in levels.items() if of[row] == of[row]},
        )
        for row, sample in enumerate(study.samples)
    ]
    return call(
        entries,
        factors,
        of_type=Fewest("model.min_cells", config.model.min_cells),
        in_all=Fewest("qc.min_cells_per_sample", config.qc.min_cells_per_sample),
        counted=counted,
    )


def _tests_or_reason(
    study: Study, rows: NDArray[np.int64], roster: Roster
) -> tuple[str, tuple[TermTest, ...], Mapping[str, str]]:
    """Why there are no tests in some cells, '' if there are; what they stand on; contrasts that there are none of, and why."""
    lone = _few_samples(study, lone_of(study, study.formula, rows))
    try:
        design, few = design_of_rows(study, rows)
        design = roster.explain(design, study.config.model)
    except NestdeError as error:
        found = why_not(study, study.formula, rows, error)
        return (
            lone
            or " ".join(" ".join(sentence.removeprefix("model.formula: ").split()) for sentence in found),
            (),
            {},
        )
    tests = tests_of(study, design, few, rows)
    reason = " ".join(filter(None, map(no_replicates, tests))) or lone
    if not tests:
        reason = " ".join(f"{contrast}: {why}." for contrast, why in design.untested.items())
    return reason or family(study.config.model.family).why_not(design), tests, design.untested


def _few_samples(study: Study, lone: list[Lone]) -> str:
    """Say that what is tested has kinds with one sample in a cell type; '' if it has none."""
    if not lone:
        return ""
    kinds = both(
        [
            entry.levels[0] if len(entry.levels) == 1 and study.variables[entry.names[0]].factor else entry
            for entry in lone
        ]
    )
    enough = f"{count(study.config.model.min_cells, 'cell')} of this type or more"
    return f"{lone[0].test} cannot be tested: {kinds} {'has' if len(lone) == 1 else 'have'} 1 sample with {enough}; 2 are the least."


def levels_of(study: Study, rows: NDArray[np.int64]) -> tuple[LevelCount, ...]:
    """Samples and cells of each level of each tested factor, reference first."""
    found = []
    for name in tested_variables(study):
        variable = study.variables[name]
        if not variable.factor and name not in study.config.model.levels:
            continue
        labels = labels_of(variable.values)
        of_cell = labels.codes[study.sample[rows] if variable.between else rows]
        for level in ordered_levels(study, name, labels):
            inside = of_cell == labels.categories.get_loc(level)
            found.append(
                LevelCount(name, level, len(np.unique(study.sample[rows][inside])), int(inside.sum()))
            )
    return tuple(found)
