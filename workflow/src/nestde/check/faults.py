"""All that a study is refused for, gathered: cell types, terms, aliasing, replication."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestde.check.celltypes import cell_type_report
from nestde.check.found import TermTest, TypeFound
from nestde.check.power import design_of_rows, lone_of, no_replicates, tests_of
from nestde.check.seen import Seen
from nestde.check.separation import why_not
from nestde.check.study import Study
from nestde.check.terms import check_terms, fixed_terms
from nestde.check.values import check_values
from nestde.check.wording import count, nearest
from nestde.design.design import Design
from nestde.design.formula import Formula, parse
from nestde.errors import Faults, NestdeError
from nestde.fit.family import family


@dataclass(frozen=True)
class Answer:
    """What can be estimated: in the whole study, and in each cell type (see `estimable`)."""

    design: Design
    tests: tuple[TermTest, ...]
    cell_types: tuple[TypeFound, ...]


def check(study: Study, faults: Faults, seen: Seen | None = None) -> Answer | None:
    """Note the faults of a study that could be read; if there are none, return what can be estimated.

    Parameters
    ----------
    seen
        Cells that quality control leaves, where that is known; else it is taken to keep all.
    """
    _check_cell_types(study, faults)
    check_terms(study, faults)
    rows = study.cells_of(*study.config.cell_types)
    if not len(rows):
        return None
    if faults.sentences:
        formula = _readable(study)
        _check_replicates(study, formula, rows, faults)
        # what else is wrong is said now and not after the next try, as far as it can be seen
        whole = np.ones(len(rows), bool)
        for name in formula.variables:
            variable = study.variables[name]
            missing = variable.values.isna().to_numpy(bool)
            whole &= ~missing[study.sample[rows] if variable.between else rows]
        if whole.any():
            # where they cannot be evaluated, that follows from what was noted
            for sentence in why_not(study, formula, rows[whole], NestdeError([])):
                faults.add(sentence)
        return None
    try:
        design, few = design_of_rows(study, rows)
    except NestdeError as error:
        _check_replicates(study, study.formula, rows, faults)
        for sentence in why_not(study, study.formula, rows, error):
            faults.add(sentence)
        return None
    for contrast, why in design.untested.items():
        faults.add(f"model.test: {contrast}: {why}.")
    tests = tests_of(study, design, few, rows)
    for test in tests:
        sentence = no_replicates(test)
        if sentence:
            faults.add(f"model.formula: {sentence}")
    limit = family(study.config.model.family).why_not(design)
    if limit:
        faults.add(f"model.family: {limit}.")
    if not faults.sentences:
        _check_replicates(study, study.formula, rows, faults)
    if faults.sentences:
        return None
    reports = tuple(cell_type_report(study, cell_type, seen) for cell_type in study.config.cell_types)
    if not any(report.estimable for report in reports):
        reasons = " ".join(f"{report.cell_type}: {report.reason}" for report in reports)
        faults.add(f"model.test: nothing can be tested in any cell type. {reasons}")
    return Answer(design, tests, reports)


def _check_replicates(study: Study, formula: Formula, rows: NDArray[np.int64], faults: Faults) -> None:
    """What is compared has two samples or more of each kind."""
    for lone in lone_of(study, formula, rows):
        variable = study.variables[lone.names[0]]
        alone = len(lone.names) == 1
        kind = "that combination" if not alone else lone.levels[0] if variable.factor else str(lone)
        faults.add(
            f"{variable.origin if alone else 'model.test'}: {lone} has 1 sample ({study.samples[study.sample[lone.row]]}). "
            f"What is particular to it cannot be told from what is particular to {kind}: 2 samples are the least, 6 are "
            "advised. Add samples, or drop it."
        )


def _check_cell_types(study: Study, faults: Faults) -> None:
    """Every configured cell type has a cell."""
    there = study.cell_type.remove_unused_categories()
    numbers = dict(zip(there.categories, np.bincount(there.codes[there.codes >= 0]), strict=False))
    named = [f"{name} ({count(int(number), 'cell')})" for name, number in numbers.items()]
    key = study.config.input.cell_type_key
    for name in study.config.cell_types:
        if name not in numbers:
            near = nearest(name, numbers, "")
            hint = f"{near} " if near.startswith("Did") else ""
            faults.add(
                f"cell_types: no cell of {study.data} is named {name} in the column {key} (input.cell_type_key). {hint}"
                f"There are {', '.join(named[:8]) or 'none'}{' …' if len(named) > 8 else ''}."
            )


def _readable(study: Study) -> Formula:
    """The formula without the terms whose columns are not there or would be refused for themselves."""
    terms = []
    for term in fixed_terms(study.formula):
        names = study.variables_in(term)
        if all(name in study.variables and _varied(study, name) for name in names):
            terms.append(term)
    return parse(f"~ {' + '.join(terms) if '1' in terms else ' + '.join(['0', *terms])}")


def _varied(study: Study, name: str) -> bool:
    variable = study.variables[name]
    levels = study.config.model.levels.get(name)
    values = variable.values.dropna()
    own = Faults()
    check_values(study, variable, own)
    return (
        not own.sentences
        and values.nunique() > 1
        and (levels is None or set(map(str, values.unique())) == set(levels))
    )
