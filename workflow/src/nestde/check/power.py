"""What can be estimated from some cells: the design as it will be fitted, and what its tests rest on."""

from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.check.found import TermTest
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
from nestde.check.study import Study, labels_of
from nestde.check.terms import (
    columns_of_group,
    grouping_of,
    varies_within,
)
from nestde.check.wording import stands_on
from nestde.design.columns import materialise, prepare
from nestde.design.design import Design, RandomFactor, build_design
from nestde.design.formula import Formula, factors_of, parse
from nestde.design.named import is_named
from nestde.design.replication import Lone, lone_samples
from nestde.design.terms import terms_of
from nestde.design.testable import without_lone_contrasts
from nestde.errors import NestdeError

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
            frame = study.frame(chosen)
            design = without_lone_contrasts(
                build_design(study.formula, frame, test=model.test, levels=_levels(study, study.formula)),
                frame,
            )
            if not design.untested or chosen is rows:
                return design, chosen
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
    tests = [test for test in study.config.model.test if _is_term(test, study.formula)]
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


def _is_term(test: str, formula: Formula) -> bool:
    try:
        return not is_named(test, formula) and not parse(f"~ 0 + {test}").random
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
    return tuple(_test(study, design, few, rows, term) for term in design.tests)


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
        len(design.tested(term)),
    )
    cells = _cells_per_group(study, design, unit, few, rows)
    size = (replicates.dimension, replicates.df, replicates.columns)
    typical = float(len(cells) / np.sum(1 / cells))  # harmonic mean: that of the variances of means
    effects: dict[str, dict[str, float]] = {}
    for name, of_columns in _directions(design, term).items():
        if replicates.df > 0:
            direction = np.zeros(between.shape[1])
            np.add.at(direction, places, of_columns)
            effects[name] = {
                f"{icc:g}": float(
                    f"{smallest_effect(contrast_variance(between, direction, mean_weights(cells, icc)), replicates.df):.4g}"
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


def _directions(design: Design, term: str) -> dict[str, Floats]:
    """What is estimated of a term, by name: weights of its columns."""
    columns = list(design.tests[term])
    if term in design.contrasts:
        return {term: design.contrasts[term].weights[columns]}
    return dict(zip([design.coef_names[column] for column in columns], np.eye(len(columns)), strict=True))


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
    parts = factors_of(study.config.model.about(term))
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
    df, rows_tested = dimension - sum(map(len, inside)), len(design.tested(term))
    between = all(
        name in study.variables and study.variables[name].between for name in study.variables_in(term)
    )
    per_sample = np.bincount(study.sample[rows])
    size = size_without_groups(float(np.median(per_sample[per_sample > 0])), ICC) if between else lrt_size(
        dimension, df, rows_tested
    )  # fmt: skip
    return TermTest(
        **asdict(Replicates("", len(rows), dimension, df, rows_tested)),
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


def no_replicates(test: TermTest) -> str:
    """Say that no degree of freedom is left for a test, if so."""
    if test.df > 0:
        return ""
    unit = "samples" if test.unit == "sample_id" else f"groups of {test.unit}"
    return (
        f"{test.term} is tested between {unit}: the {test.groups} that there are, are all taken up by the formula's "
        f"coefficients, so nothing is left to tell how much {unit} differ anyway. Drop covariates, or add {unit}."
    )
