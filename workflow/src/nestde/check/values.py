"""Values that are not what the formula takes them to be: numbers read as labels, labels as numbers, one label as two."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nestde.check.found import Warned
from nestde.check.labels import (
    alike,
    is_comma_number,
    is_dressed_number,
    is_number,
    measures,
    missing_words,
    names_ids,
    names_labels,
)
from nestde.check.study import Study, Variable, labels_of
from nestde.check.wording import both, count, number
from nestde.design.expressions import quoted
from nestde.design.formula import variables_of
from nestde.errors import Faults, a_few

MANY = 6  # levels that a factor may have, though its labels are numbers with a unit
WHOLE = 2  # values of a number that is a factor in any case

Numbers = dict[str, NDArray[np.int64]]


def check_values(study: Study, variable: Variable, faults: Faults) -> None:
    """Note what is wrong with the values of a covariate that the formula reads or that is tested."""
    if not variable.factor:
        _check_slope(study, variable, faults)
        return
    if np.asarray(variable.values).dtype.kind == "b" or variable.name == "sample_id":
        return
    found = _rows_of_labels(study, variable)
    listed = study.config.model.levels.get(variable.name, [])
    fixed = variable.name in _fixed(study)
    if (
        fixed
        and not listed
        and not study.formula.codes(variable.name)
        and _check_numbers(study, variable, found, faults)
    ):
        return
    words = [label for label in missing_words(found) if label not in listed]
    if words:
        faults.add(
            f"{variable.origin}: {variable.name} is {_shown(words)} {_where(study, variable, found, words)}, which reads like a "
            "missing value and would be a level of its own. Leave the field empty if the value is missing, or name all levels in "
            "model.levels if it is one."
        )
    for group in alike(found):
        if not set(group) <= set(listed):
            faults.add(
                f"{variable.origin}: {_alike(study, variable, found, group)} Write them in one way, or name both in model.levels."
            )


def warnings_of_values(study: Study) -> Iterator[Warned]:
    """Levels that are listed in the configuration, and still look like a missing value or like each other."""
    for name, variable in study.variables.items():
        if not variable.factor or np.asarray(variable.values).dtype.kind == "b":
            continue
        found = _rows_of_labels(study, variable)
        listed = study.config.model.levels.get(name, [])
        words = [label for label in missing_words(found) if label in listed]
        if words:
            yield Warned(
                "missing_as_level",
                f"{name} has a level that reads like a missing value",
                f"{name} is {_shown(words)} {_where(study, variable, found, words)}. As model.levels names it, it is compared like "
                "any other level.",
            )
        for group in alike(found):
            if set(group) <= set(listed) or name == "sample_id":
                yield Warned(
                    "labels_alike",
                    f"{name} has labels that look alike",
                    _alike(study, variable, found, group),
                )


def _fixed(study: Study) -> set[str]:
    """Covariates that have coefficients or random slopes."""
    return {name for term in study.formula.terms() for name in term.variables}


def _rows_of_labels(study: Study, variable: Variable) -> Numbers:
    """Label -> the rows of samples (or cells) that have it; samples without a cell have no say."""
    labels = labels_of(variable.values)
    there = np.isin(np.arange(len(labels)), study.sample) if variable.between else np.ones(len(labels), bool)
    order = np.argsort(labels.codes, kind="stable")
    order = order[there[order]]
    ends = np.searchsorted(labels.codes[order], np.arange(len(labels.categories) + 1))
    rows = {str(label): order[ends[i] : ends[i + 1]] for i, label in enumerate(labels.categories)}
    return {label: of for label, of in rows.items() if len(of)}


def _where(study: Study, variable: Variable, found: Numbers, labels: list[str]) -> str:
    rows = np.concatenate([found[label] for label in labels])
    of_samples = rows if variable.between else study.sample[rows]
    samples = a_few([study.samples[row] for row in np.unique(of_samples)])
    return f"in {samples}" if variable.between else f"in {count(len(rows), 'cell')} of {samples}"


def _shown(labels: list[str]) -> str:
    return both([f'"{label}"' for label in labels[:5]])


def _alike(study: Study, variable: Variable, found: Numbers, group: list[str]) -> str:
    unit = "sample" if variable.between else "cell"
    # what cannot be seen is spelt out
    named = [
        f"{ascii(label) if not label.isascii() else repr(label)} ({count(len(found[label]), unit)})"
        for label in group
    ]
    return f"{variable.name} has labels that look alike and are taken for different levels: {both(named)}."


def _check_numbers(study: Study, variable: Variable, found: Numbers, faults: Faults) -> bool:
    """Note a column of numbers, most of which or a few of which cannot be read as such; True if it is one."""
    plain = [label for label in found if is_number(label)]
    if len(plain) == len(found):
        return False  # told where the design is built
    comma = [label for label in found if is_comma_number(label)]
    dressed = [
        label for label in found if is_dressed_number(label) and label not in plain and label not in comma
    ]
    words = missing_words(found)
    others = set(found) - {*plain, *comma, *dressed, *words}
    numbers = len(plain) + len(comma)
    units = len(study.samples) if variable.between else 25
    dressed_only = not numbers and len(dressed) > max(MANY, units / 2)
    if (
        numbers + len(dressed) < 2
        or not (numbers or dressed_only)
        or len(others) * 5 > numbers + len(dressed)
    ):
        return False
    odd = [label for label in found if label not in plain]
    faults.add(
        f"{variable.origin}: {variable.name} holds numbers, but {_shown(odd)}{' …' if len(odd) > 5 else ''} "
        f"{_where(study, variable, found, odd)} cannot be read as one, so each of its {len(found)} values would be a level of its "
        "own. Write numbers with a point and without units or signs, and leave the field empty where the value is missing; "
        f"if they are labels, write C({quoted(variable.name)}), or name the levels in model.levels."
    )
    return True


def _check_slope(study: Study, variable: Variable, faults: Faults) -> None:
    """Note whole numbers that are named like ids and would get one slope."""
    name = variable.name
    alone = any(
        factor.kind == "name" and factor.value == name
        for term in study.formula.terms()
        for factor in term.factors
    )
    if not (alone and names_ids(name)) or name in study.config.model.levels:
        return
    values = np.unique(variable.values.dropna().to_numpy(float))
    if len(values) <= WHOLE or not (values == np.floor(values)).all():
        return
    column = quoted(name)
    first, last = number(values[0]), number(values[-1])
    faults.add(
        f"model.formula: {name} holds {len(values)} whole numbers ({first} to {last}) and is named like ids, but as a number it "
        f"gets one slope, from {first} to {last}. Write C({column}), which gives each its own coefficient, or (1 | {column}), which "
        f"gives them a variance; if it is a quantity, write I({column}).{study.formula.at(name)}"
    )


def numbers_like_labels(study: Study) -> Iterator[Warned]:
    """Whole numbers that group samples, or are named like what does, and may be labels."""
    for name in variables_of(study.formula.fixed):
        variable = study.variables[name]
        if variable.factor or name in study.config.model.levels or study.formula.codes(name):
            continue
        if measures(name) or not (variable.between or names_labels(name)):
            continue
        values = variable.values.iloc[np.unique(study.sample)] if variable.between else variable.values
        numbers = values.value_counts()
        grouping = names_labels(name) or numbers.min() > 1
        if len(numbers) > WHOLE and grouping and all(float(value).is_integer() for value in numbers.index):
            column = quoted(name)
            yield Warned(
                "numbers_like_labels",
                f"{name} is taken as a number",
                f"{name} has the values {a_few([number(value) for value in sorted(numbers.index)], 12)} and gets one slope. If they "
                f"are labels, write C({column}) in model.formula, or name the levels in model.levels.",
            )
