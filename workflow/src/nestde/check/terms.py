"""The formula set against the covariates: are they there, whole, with their levels, and do they vary where they must."""

import contextlib
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nestde.check.contrasts import check_contrast
from nestde.check.study import Study, Variable, labels_of
from nestde.check.values import check_values
from nestde.check.wording import count, nearest, several_groups
from nestde.design.expressions import caret, quoted
from nestde.design.formula import Formula, RandomTerm, of_genes, parse, variables_of
from nestde.design.terms import terms_of
from nestde.errors import Faults, NestdeError, a_few

if TYPE_CHECKING:
    import pandas as pd

NEARLY = 0.9  # share of cells, and of samples, that is taken for all


def check_terms(study: Study, faults: Faults) -> None:
    """Note every fault of formula, tests and levels on these data."""
    if study.formula.ungrouped():
        faults.add(f"model.{study.formula.ungrouped()}")
    check_columns(study, faults)
    check_tests(study, faults)
    _check_pseudobulk(study, faults)
    tested = tested_variables(study)
    for name, variable in study.variables.items():
        used = name in study.formula.variables or name in tested
        if used:
            _check_agreement(study, variable, faults)
        if used and not _check_mixed(study, variable, faults, name in tested):
            _check_missing(study, variable, faults)
            check_values(study, variable, faults)
        _check_levels(study, variable, faults)
    for name in study.config.model.levels:
        if name not in study.variables:
            faults.add(
                f"model.levels: there is no column {name}. {nearest(name, study.known, 'The columns are')}"
            )
    for term in study.formula.random:
        _check_random(study, term, faults)


@lru_cache(maxsize=16)
def tested_variables(study: Study) -> tuple[str, ...]:
    """Covariates in those tested terms that are fixed terms of the formula."""
    terms = set(fixed_terms(study.formula).values())
    names: list[str] = []
    for test in study.config.model.test:
        with contextlib.suppress(NestdeError):  # told in check_tests
            for term, factors in fixed_terms(parse(f"~ 0 + {study.config.model.about(test)}")).items():
                names += study.variables_in(term) if factors in terms else ()
    return tuple(name for name in dict.fromkeys(names) if name in study.variables)


@lru_cache(maxsize=64)
def fixed_terms(formula: Formula) -> dict[str, tuple[str, ...]]:
    """Fixed term as a formula writes it (``1`` is the intercept) -> its factors, sorted."""
    return {str(term): tuple(sorted(map(str, term.factors))) for term in terms_of(formula.fixed)}


def columns_of_group(study: Study, group: str) -> tuple[str, ...]:
    """Columns whose combinations are the groups of a random factor: animal and image of ``animal:image``."""
    return next(term.factors for term in study.formula.random if term.group == group)


def ordered_levels(study: Study, name: str, labels: "pd.Categorical") -> list[str]:
    """Levels of a factor that there are: as configured, else sorted."""
    there = {str(label) for label in labels.categories}
    configured = study.config.model.levels.get(name, [])
    return [*(level for level in configured if level in there), *sorted(there - set(configured))]


def check_columns(study: Study, faults: Faults) -> None:
    """Every column that the formula reads is there, and none is left of the ~, where it would be no response."""
    try:
        of_genes(study.formula.text, study.known)
    except NestdeError as error:
        faults.add(f"model.{error}")
    for name in study.formula.variables:
        if name not in study.variables:
            hint = nearest(name, study.known, "The columns are")
            faults.add(
                f"model.formula: neither {study.config.samples} nor {study.data} has a column {name}. "
                f"{hint}{study.formula.at(name)}"
            )


def check_tests(study: Study, faults: Faults) -> None:
    """Every tested term is a fixed term of the formula."""
    terms = fixed_terms(study.formula)
    levels = {
        name: ordered_levels(study, name, labels_of(variable.values).remove_unused_categories())
        for name, variable in study.variables.items()
        if variable.factor and not variable.values.isna().all()
    }
    for test in study.config.model.test:
        try:
            if check_contrast(study, test, levels, faults):
                continue
            parsed = parse(f"~ 0 + {test}")
            wanted = fixed_terms(parsed)
        except NestdeError as error:
            for sentence in error.faults:
                faults.add(f"model.test: {sentence.removeprefix('formula, ')}")
            continue
        if parsed.random or set(wanted) <= {"1"}:
            what = "a random term" if parsed.random else "the intercept"
            faults.add(
                f"model.test: {test} is {what}; name a fixed term, such as {a_few(sorted(set(terms) - {'1'})) or 'none here'}."
            )
            continue
        for term, factors in wanted.items():
            if factors in terms.values():
                continue
            if any(term == random.group for random in study.formula.random):
                faults.add(
                    f"model.test: {term} is a random term of model.formula; only fixed terms are tested, such as "
                    f"{a_few([name for name in terms if name != '1']) or 'none here'}."
                )
                continue
            of = next((name for name, labels in levels.items() if term in labels), None)
            if of is not None:
                other = next(label for label in levels[of] if label != term)
                faults.add(
                    f"model.test: {term} is a level of {of} and no term: levels are compared, as in {term} - {quoted(other)}."
                )
                continue
            known = [name for name in terms if name != "1"]
            hint = nearest(term, known, "Its fixed terms are")
            faults.add(f'model.test: {term} is not in model.formula, "{study.formula.text}". {hint}')


def _check_pseudobulk(study: Study, faults: Faults) -> None:
    """The pseudobulk formula, if there is one, reads columns that are constant within samples."""
    settings = study.config.pseudobulk
    if not settings.enabled or settings.formula is None:
        return
    try:
        formula = of_genes(settings.formula)
    except NestdeError as error:
        for sentence in error.faults:
            faults.add(f"pseudobulk.{sentence}")
        return
    if formula.random:
        faults.add(
            f"pseudobulk.formula: a profile is a sum over a sample, so it has no random terms. "
            f"Leave ({formula.random[0].effects} | {formula.random[0].group}) out."
        )
    for name in formula.variables:
        variable = study.variables.get(name)
        if variable is None:
            hint = nearest(name, study.known, "The columns are")
            faults.add(f"pseudobulk.formula: there is no column {name}. {hint}{formula.at(name)}")
        elif not variable.between:
            faults.add(
                f"pseudobulk.formula: {name} differs between cells of a sample, so a profile has no value of it. "
                f"Leave it out.{formula.at(name)}"
            )


def _check_agreement(study: Study, variable: Variable, faults: Faults) -> None:
    """A covariate that sheet and data both have is the same in both."""
    if variable.in_data is None or variable.origin != study.config.samples or variable.name == "sample_id":
        return
    name = variable.name
    mine = variable.values.array.take(study.sample)
    theirs = variable.in_data
    if variable.factor or not np.issubdtype(
        theirs.dtype if isinstance(theirs.dtype, np.dtype) else object, np.number
    ):
        said = np.asarray(labels_of(variable.values).astype(object))[study.sample]
        data = np.asarray(labels_of(theirs).astype(object))
        differ = (said != data) & ~labels_of(theirs).isna()
    else:
        said, data = np.asarray(mine, float), theirs.to_numpy(float)
        differ = ~np.isclose(said, data, rtol=1e-6, atol=0, equal_nan=True) & ~np.isnan(data)
    if not differ.any():
        return
    lines = []
    for row in np.unique(study.sample[differ]):
        here = differ & (study.sample == row)
        values, numbers = np.unique(data[here].astype(str), return_counts=True)
        parts = [
            f"{_show(value)} in {count(int(number), 'cell')}"
            for value, number in zip(values, numbers, strict=True)
        ]
        lines.append(
            f"{study.samples[row]} ({_show(variable.values.iloc[row])} in the sheet, {a_few(parts, 2)} of the data)"
        )
    faults.add(
        f"{variable.origin} and {study.data} disagree on {name} in {count(len(lines), 'sample')}: {a_few(lines, 3)}. "
        f"A sample has one {name}: correct the one that is wrong."
    )


def _show(value: object) -> str:
    if isinstance(value, str):
        try:
            return f"{float(value):g}"
        except ValueError:
            return value
    if isinstance(value, float | np.floating):
        return f"{value:g}"
    return str(value)


def _check_mixed(study: Study, variable: Variable, faults: Faults, tested: bool) -> bool:
    """Note a covariate of the data that belongs to the sample, but takes several values in some; True if it does.

    It belongs to the sample if nearly all cells of nearly every sample agree, and not on the same value in all samples;
    a tested factor also if most samples have one value. Else it is meant to vary within samples.
    """
    if variable.between or variable.in_data is None:
        return False
    import pandas as pd

    codes, values = pd.factorize(variable.in_data)
    whole = codes >= 0
    pairs, cells = np.unique(np.column_stack([study.sample[whole], codes[whole]]), axis=0, return_counts=True)
    by_size = np.lexsort((-cells, pairs[:, 0]))
    of_sample, first = np.unique(pairs[by_size, 0], return_index=True)
    largest, total = cells[by_size][first], np.bincount(pairs[:, 0], cells)[of_sample]
    nearly = (largest >= NEARLY * total).mean() >= NEARLY and len(np.unique(pairs[by_size][first, 1])) > 1
    mixed = of_sample[largest < total]
    if not len(mixed) or not (
        nearly or (tested and variable.factor and 2 * len(mixed) <= len(study.samples))
    ):
        return False
    lines = []
    for row in mixed:
        here = pairs[:, 0] == row
        each = sorted(
            (_show(values[code]), int(n)) for code, n in zip(pairs[here, 1], cells[here], strict=True)
        )
        parts = [f"{value} in {count(n, 'cell')}" for value, n in each]
        lines.append(f"{study.samples[row]} ({a_few(parts, 3)})")
    number = "1 sample has" if len(lines) == 1 else f"{len(lines)} samples have"
    other = int((total - largest).sum())
    share = f" ({count(other, 'cell')} of {int(total.sum()):,} in all)" if len(lines) > 3 else ""
    faults.add(
        f"{study.data}: {number} more than one {variable.name}{share}: {a_few(lines, 3)}. A sample belongs to one "
        f"{variable.name}: correct it, or write the right values into {study.config.samples}."
    )
    return True


def _check_missing(study: Study, variable: Variable, faults: Faults) -> None:
    """No cell lacks a covariate, and no number is infinite."""
    name = variable.name
    missing = variable.values.isna().to_numpy(bool)
    remedy = f"Fill it in, drop the {{}}, or leave {name} out of the formula."
    if missing.any():
        if variable.between:
            cells = int(np.isin(study.sample, np.flatnonzero(missing)).sum())
            samples = [study.samples[row] for row in np.flatnonzero(missing)]
            faults.add(
                f"{variable.origin}: {name} has no value for {count(len(samples), 'sample')} ({count(cells, 'cell')}): "
                f"{a_few(samples)}. {remedy.format('samples')}"
            )
        else:
            rows, numbers = np.unique(study.sample[missing], return_counts=True)
            samples = [
                f"{study.samples[row]} ({number:,})" for row, number in zip(rows, numbers, strict=True)
            ]
            faults.add(
                f"{variable.origin}: {name} has no value in {missing.sum():,} of {count(len(missing), 'cell')}, in "
                f"{count(len(samples), 'sample')}: {a_few(samples)}. {remedy.format('cells')}"
            )
    if not variable.factor:
        rows = np.flatnonzero(np.isinf(variable.values.to_numpy(float)))
        if len(rows):
            what = "sample" if variable.between else "cell"
            where = np.unique(rows if variable.between else study.sample[rows])
            named = a_few([study.samples[row] for row in where])
            faults.add(
                f"{variable.origin}: {name} is infinite in {count(len(rows), what)}, in {named}. {remedy.format(f'{what}s')}"
            )


def _check_levels(study: Study, variable: Variable, faults: Faults) -> None:
    """Configured levels are those of the data; a tested factor has two of them."""
    name, unit = variable.name, "sample" if variable.between else "cell"
    values = variable.values
    if variable.between:  # samples without a cell, which is a fault of its own, have no say
        values = values[np.isin(np.arange(len(values)), study.sample)]
    configured = study.config.model.levels.get(name)
    if not variable.factor and configured is None:
        return
    labels = labels_of(values).remove_unused_categories()
    if not len(labels.categories):  # told as missing
        return
    numbers = dict(
        zip(labels.categories, np.bincount(labels.codes[labels.codes >= 0], minlength=0), strict=False)
    )
    there = ", ".join(f"{label} ({count(int(number), unit)})" for label, number in list(numbers.items())[:6])
    for i, level in enumerate(configured or []):
        if level not in numbers:
            what = "the reference level" if i == 0 else "the level"
            near = nearest(level, numbers, "")
            hint = f" {near}" if near.startswith("Did") else ""
            faults.add(
                f"model.levels: no {unit} has {what} {level} of {name}; there are {there}.{hint} "
                "Levels must be written as in the data."
            )
    strange = [label for label in numbers if configured is not None and label not in configured]
    if strange:
        named = [f"{label} ({count(int(numbers[label]), unit)})" for label in strange]
        faults.add(
            f"model.levels: {name} has values that are not among its levels ({a_few(configured or [])}): {a_few(named)}. "
            "Add them, or leave them out by input.keep."
        )
    if name in tested_variables(study):
        if len(numbers) < 2:
            only = next(iter(numbers))
            faults.add(f"model.test: {name} is {only} in every {unit}; there is nothing to compare it with.")
    elif len(numbers) == 1 and name in variables_of(study.formula.fixed):
        faults.add(
            f"model.formula: {name} is {next(iter(numbers))} in every {unit}, so it explains nothing. Drop it."
            f"{study.formula.at(name)}"
        )


def _check_random(study: Study, term: RandomTerm, faults: Faults) -> None:
    """A grouping factor has several groups, fewer than cells; a slope varies within the groups."""
    where = caret(study.formula.text, term.column)
    if any(name not in study.variables or study.variables[name].values.isna().any() for name in term.factors):
        return
    rows = study.cells_of(*study.config.cell_types)
    if not len(rows):
        return
    groups = grouping_of(study, term.factors)
    number = len(np.unique(groups[rows]))
    name = term.group
    if number == 1:
        faults.add(
            f"model.formula: {name} is the same in every cell, so ({term.effects} | {name}) has no variance between groups "
            f"to estimate. Group by a column with several values, such as sample_id.{where}"
        )
        return
    if number >= len(rows):
        faults.add(
            f"model.formula: {name} has as many groups as there are cells ({number:,}), so they cannot be told from the "
            f"scatter of cells. Group by sample_id, not by barcode.{where}"
        )
        return
    for slope in variables_of(term.effects):
        variable = study.variables.get(slope)
        if variable is None or variable.values.isna().any():
            continue
        if not varies_within(study, slope, term.factors):
            faults.add(
                f"model.formula: {slope} does not vary within {name}: each {name} has one {slope}, so there is no slope "
                f"of it that could differ between {several_groups(name)}. Write (1 | {name}).{where}"
            )


@lru_cache(maxsize=16)
def grouping_of(study: Study, factors: tuple[str, ...]) -> NDArray[np.int64]:
    """Group of each cell of the study by the combination of some covariates, from 0."""
    key = np.zeros(len(study.sample), np.int64)
    for name in factors:
        codes = _codes(study, study.variables[name])
        _, key = np.unique(key * (int(codes.max()) + 2) + codes, return_inverse=True)
    return key


def _codes(study: Study, variable: Variable) -> NDArray[np.int64]:
    import pandas as pd

    codes, _ = pd.factorize(variable.values)
    found: NDArray[np.int64] = codes[study.sample] if variable.between else codes
    return found


@lru_cache(maxsize=64)
def varies_within(study: Study, name: str, factors: tuple[str, ...]) -> bool:
    """Whether a covariate takes several values among the cells of any group of `grouping_of`."""
    codes, groups = _codes(study, study.variables[name]), grouping_of(study, factors)
    least = np.full(int(groups.max()) + 1, np.iinfo(np.int64).max)
    most = np.full(len(least), -1)
    np.minimum.at(least, groups, codes)
    np.maximum.at(most, groups, codes)
    return bool((least < most).any())
