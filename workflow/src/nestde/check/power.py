"""What can be estimated from some cells: the design as it will be fitted, and what its tests rest on."""

from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.cells.roster import Entry, Fewest, Roster, call
from nestde.check.found import LevelCount, TermTest, TypeFound
from nestde.check.replicates import (
    ICC,
    ICCS,
    Replicates,
    contrast_variance,
    lrt_size,
    lrt_size_at,
    mean_weights,
    size_without_groups,
    smallest_effect,
)
from nestde.check.separation import why_not
from nestde.check.study import Study, labels_of
from nestde.check.terms import (
    columns_of_group,
    grouping_of,
    ordered_levels,
    tested_variables,
    varies_within,
)
from nestde.check.wording import both, count, stands_on
from nestde.design.columns import materialise, prepare
from nestde.design.design import Design, RandomFactor, build_design
from nestde.design.formula import Formula, factors_of, parse
from nestde.design.replication import Lone, lone_samples
from nestde.design.terms import terms_of
from nestde.errors import NestdeError
from nestde.fit.family import family
from nestde.words import as_sentence

# Cells of each sample that are tried first: if the columns are independent in these, they are in all cells.
FIRST_CELLS = 20


def design_of_rows(study: Study, rows: NDArray[np.int64]) -> tuple[Design, NDArray[np.int64]]:
    """Build the design from a few cells of each sample if these suffice, else from all; and return which.

    Raises
    ------
    NestdeError
        The formula cannot be fitted to these cells.
    """
    model = study.config.model
    few = few_cells(study, rows)
    for chosen in (few, rows):
        try:
            return build_design(
                study.formula, study.frame(chosen), test=model.test, levels=_levels(study, study.formula)
            ), chosen
        except NestdeError:
            if chosen is rows:
                raise
    raise AssertionError("unreachable")


def few_cells(study: Study, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first cells of each sample, and one of each level of each factor."""
    sample = study.sample[rows]
    starts = np.flatnonzero(np.diff(sample, prepend=-1))
    place = np.arange(len(rows)) - np.repeat(starts, np.diff(np.append(starts, len(rows))))
    wanted = [np.flatnonzero(place < FIRST_CELLS)]
    for variable in study.variables.values():
        if variable.factor and not variable.between:
            wanted.append(np.unique(labels_of(variable.values).codes[rows], return_index=True)[1])
    return rows[np.unique(np.concatenate(wanted))]


def lone_of(study: Study, formula: Formula, rows: NDArray[np.int64]) -> list[Lone]:
    """Samples that are alone of their kind in what is tested (see `replication`); none where that cannot be evaluated.

    Parameters
    ----------
    formula
        The model's, or what can be read of it.

    Returns
    -------
    list
        Rows are those of the study.
    """
    tests = [test for test in study.config.model.test if _is_readable(test)]
    terms = terms_of(formula.fixed)
    tested = [term for test in tests for term in terms_of(f"0 + {test}") if term in terms]
    kinds = {
        factor
        for term in terms
        for part in tested
        if set(part.factors) <= set(term.factors)
        for factor in term.factors
    }
    formula = parse(
        f"~ {' + '.join(['1', *(str(term) for term in terms if term.factors and set(term.factors) <= kinds)])}"
    )
    whole = np.ones(len(rows), bool)
    for name in formula.variables:
        variable = study.variables[name]
        whole &= ~variable.values.isna().to_numpy(bool)[study.sample[rows] if variable.between else rows]
    if not kinds or not whole.any():
        return []
    few = few_cells(study, rows[whole])
    frame = study.frame(few)
    try:
        prepared, _ = prepare(formula, frame, _levels(study, formula))
        matrix, indices, coded = materialise(formula.fixed, prepared)
    except NestdeError:  # told where the design is built
        return []
    columns = {str(term): places for term, places in indices.items()}
    sample = frame["sample_id"].cat.codes.to_numpy(np.int64)
    found = lone_samples(formula, tests, matrix.to_numpy(float), columns, coded, frame, sample)
    return [replace(lone, row=int(few[lone.row])) for lone in found]


def _is_readable(test: str) -> bool:
    try:
        return not parse(f"~ 0 + {test}").random
    except NestdeError:
        return False


def _levels(study: Study, formula: Formula) -> dict[str, list[str]]:
    """The configured levels of the columns that a formula reads."""
    return {name: order for name, order in study.config.model.levels.items() if name in formula.variables}


def tests_of(
    study: Study, design: Design, few: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[TermTest, ...]:
    """For each tested term, what it rests on and what that costs.

    Parameters
    ----------
    design, few
        As `design_of_rows` gives them.
    rows
        All cells.
    """
    return tuple(_test(study, design, few, rows, term) for term in study.config.model.test)


def _test(
    study: Study, design: Design, few: NDArray[np.int64], rows: NDArray[np.int64], term: str
) -> TermTest:
    columns = list(design.tests[term])
    unit = _unit(study, design, term)
    if unit is None:
        return _test_of_cells(study, design, rows, term, columns)
    coarser, between, places = _columns_of_groups(study, design, unit, term)
    rank = int(np.linalg.matrix_rank(coarser)) if coarser.shape[1] else 0
    replicates = Replicates(
        unit.name,
        len(unit.levels),
        len(unit.levels) - rank,
        len(unit.levels) - int(np.linalg.matrix_rank(between)),
        len(columns),
    )
    cells = _cells_per_group(study, design, unit, few, rows)
    size = (replicates.dimension, replicates.df, replicates.columns)
    typical = float(len(cells) / np.sum(1 / cells))  # harmonic mean: that of the variances of means
    effects: dict[str, dict[str, float]] = {}
    for column, place in zip(columns, places, strict=True):
        if replicates.df > 0:
            effects[design.coef_names[column]] = {
                f"{icc:g}": float(
                    f"{smallest_effect(contrast_variance(between, place, mean_weights(cells, icc)), replicates.df):.4g}"
                )
                for icc in ICCS
            }
    return TermTest(
        **asdict(replicates),
        term=term,
        lrt_size=_rounded(lrt_size(*size)),
        lrt_size_by_icc={f"{icc:g}": _rounded(lrt_size_at(*size, typical, icc)) for icc in ICCS},
        smallest_effect=effects,
        per_unit=" and ".join(_numbers(design.coef_names[columns[0]])),
        cells_per_group=(int(cells.min()), float(np.median(cells)), int(cells.max())),
        text=stands_on(term, replicates.unit, replicates.groups, replicates.df, len(rows)),
    )


def _numbers(coefficient: str) -> list[str]:
    """Numbers that a coefficient is a slope of: age of ``diagnosis[AD]:age``."""
    return [part for part in coefficient.split(":") if "[" not in part and part != "(Intercept)"]


def _columns_of_groups(
    study: Study, design: Design, unit: RandomFactor, term: str
) -> tuple[Floats, Floats, list[int]]:
    """What the means (or slopes) of the groups of a factor depend on, one row per group.

    Returns
    -------
    coarser
        Indicators of the groups of coarser random factors.
    between
        `coarser`, and the fixed effects that are constant within groups.
    places
        The tested columns among them.
    """
    first = np.unique(unit.codes, return_index=True)[1]
    coarser = np.zeros((len(first), 0))
    slope = _slope(study, term, unit, design)
    if slope == term and slope not in unit.effects:  # a factor: one contrast per group and level
        return coarser, np.ones((len(first), 1)), [0] * len(design.tests[term])
    if slope:
        of_row = unit.z[:, unit.effects.index(slope)]
        order = np.lexsort((-np.abs(of_row), unit.codes))
        row = order[np.unique(unit.codes[order], return_index=True)[1]]
        terms = [name for name in design.terms if _slope(study, name, unit, design) == slope]
        inside = [column for name in terms for column in design.terms[name]]
        between = design.x[row][:, inside] / of_row[row][:, None]
        return coarser, between, [inside.index(column) for column in design.tests[term]]
    for factor in design.random:
        if len(factor.levels) < len(unit.levels) and unit.nested_in(factor):
            coarser = np.hstack([coarser, np.eye(len(factor.levels))[factor.codes[first]]])
    inside = [
        column for name, places in design.terms.items() if _constant(study, name, unit) for column in places
    ]
    between = np.hstack([coarser, design.x[first][:, inside]])
    return coarser, between, [coarser.shape[1] + inside.index(column) for column in design.tests[term]]


def _slope(study: Study, term: str, factor: RandomFactor, design: Design) -> str:
    """The random slope of a factor that a term has, alone or times what is constant within groups; '' if none."""
    names = [design.coef_names[column] for column in (design.tests | design.terms)[term]]
    if any(name in factor.effects for name in names if name != "(Intercept)"):
        return names[0] if names[0] in factor.effects and len(names) == 1 else term
    parts = factors_of(term)
    for part in parts:
        others = [other for other in parts if other != part]
        if part in factor.effects and others and all(_constant(study, other, factor) for other in others):
            return part
    return ""


def _test_of_cells(
    study: Study, design: Design, rows: NDArray[np.int64], term: str, columns: list[int]
) -> TermTest:
    """A term that varies within every group is tested against the scatter of cells, whether or not it should be."""
    finest = design.random[0] if design.random else None
    dimension = len(rows) - (len(finest.levels) if finest else 0)
    inside = [
        places for name, places in design.terms.items() if not (finest and _constant(study, name, finest))
    ]
    df = dimension - sum(map(len, inside))
    between = all(
        name in study.variables and study.variables[name].between for name in study.variables_in(term)
    )
    per_sample = np.bincount(study.sample[rows])
    size = size_without_groups(float(np.median(per_sample[per_sample > 0])), ICC) if between else lrt_size(
        dimension, df, len(columns)
    )  # fmt: skip
    return TermTest(
        **asdict(Replicates("", len(rows), dimension, df, len(columns))),
        term=term,
        lrt_size=_rounded(size),
        text=stands_on(term, "", len(rows), df, len(rows)),
        ignores_samples=between,
    )


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 5)


def _unit(study: Study, design: Design, term: str) -> RandomFactor | None:
    """The factor whose groups are the replicates of a term.

    It is the coarsest within whose groups the term is constant, or whose random slope it has.
    """
    slope = [factor for factor in design.random if _slope(study, term, factor, design)]
    constant = [factor for factor in design.random if _constant(study, term, factor)]
    return min(slope or constant, key=lambda factor: len(factor.levels), default=None)


def _constant(study: Study, term: str, factor: RandomFactor) -> bool:
    """Whether all that a fixed term reads is constant within the groups of a factor."""
    factors = columns_of_group(study, factor.name)
    names = study.variables_in(term)
    return all(name in factors or not varies_within(study, name, factors) for name in names)


def _cells_per_group(
    study: Study, design: Design, unit: RandomFactor, few: NDArray[np.int64], rows: NDArray[np.int64]
) -> Floats:
    """Cells of each group of a factor."""
    groups = grouping_of(study, columns_of_group(study, unit.name))
    place = np.full(int(groups.max()) + 1, -1)
    place[groups[few]] = unit.codes
    inside = place[groups[rows]]
    return np.bincount(inside[inside >= 0], minlength=len(unit.levels)).astype(float)


def cell_type_report(study: Study, cell_type: str) -> TypeFound:
    """Say what can be estimated in one cell type; where nothing can, why not."""
    mine, every = (
        np.bincount(study.sample[chosen], minlength=len(study.samples))
        for chosen in (study.cells_of(cell_type), slice(None))
    )
    roster = roster_of_type(study, mine, mine, every)
    kept = np.isin(study.samples, roster.tested)
    rows = study.cells_of(cell_type)
    rows = rows[kept[study.sample[rows]]]
    cells = np.bincount(study.sample[rows], minlength=len(study.samples))
    tests: tuple[TermTest, ...] = ()
    reason = as_sentence(roster.untestable())
    if not reason:
        reason, tests = _tests_or_reason(study, rows)
    return TypeFound(
        cell_type=cell_type,
        reason=reason,
        samples=int(kept.sum()),
        cells=len(rows),
        left_out=roster.left_out,
        levels_left_out=tuple(
            roster.level_words(factor, level)
            for factor, levels in roster.lone_levels().items()
            for level in levels
        ),
        levels=levels_of(study, rows) if kept.any() else (),
        cells_per_sample={study.samples[row]: int(cells[row]) for row in np.flatnonzero(kept)},
        tests=tests,
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


def _tests_or_reason(study: Study, rows: NDArray[np.int64]) -> tuple[str, tuple[TermTest, ...]]:
    """What the tests in some cells stand on; and why they cannot be made, '' if they can."""
    lone = _few_samples(study, lone_of(study, study.formula, rows))
    try:
        design, few = design_of_rows(study, rows)
    except NestdeError as error:
        found = why_not(study, study.formula, rows, error)
        return lone or " ".join(
            " ".join(sentence.removeprefix("model.formula: ").split()) for sentence in found
        ), ()
    tests = tests_of(study, design, few, rows)
    reason = " ".join(filter(None, map(no_replicates, tests))) or lone
    return reason or family(study.config.model.family).why_not(design), tests


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


def no_replicates(test: TermTest) -> str:
    """Say that no degree of freedom is left for a test, if so."""
    if test.df > 0:
        return ""
    unit = "samples" if test.unit == "sample_id" else f"groups of {test.unit}"
    return (
        f"{test.term} is tested between {unit}: the {test.groups} that there are, are all taken up by the formula's "
        f"coefficients, so nothing is left to tell how much {unit} differ anyway. Drop covariates, or add {unit}."
    )


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
