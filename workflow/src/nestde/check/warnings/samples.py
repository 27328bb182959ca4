"""Warnings of samples: too few, left out, alone; and what few samples cost."""

from collections.abc import Iterator

import numpy as np

from nestde.check.advice import FEW_SAMPLES
from nestde.check.celltypes import levels_of
from nestde.check.faults import Answer
from nestde.check.found import Warned
from nestde.check.study import Study, labels_of
from nestde.check.terms import ordered_levels, tested_variables
from nestde.check.wording import (
    both,
    cost,
    count,
    several_groups,
)
from nestde.design.formula import variables_of
from nestde.errors import a_few

ADVISED = 6  # samples per level: below it the true size of the LRT exceeds 0.08
LARGE = 0.09  # a true size that is warned of, however many samples there are


def left_out(study: Study, answer: Answer) -> Iterator[Warned]:
    """Samples that quality control will leave out of every test, even if it keeps all of their cells."""
    least = study.config.qc.min_cells_per_sample
    cells = np.bincount(study.sample, minlength=len(study.samples))
    poor = [f"{study.samples[row]} ({cells[row]:,})" for row in np.flatnonzero(cells < least)]
    if poor:
        yield Warned(
            "samples_left_out",
            "Samples with too few cells are left out",
            f"{count(len(poor), 'sample')} with fewer than {count(least, 'cell')} (qc.min_cells_per_sample): {a_few(poor)}.",
        )


def few_samples(study: Study, answer: Answer) -> Iterator[Warned]:
    """Tested levels with few samples, and tests with few degrees of freedom."""
    for test in answer.tests:
        for name in study.variables_in(test.term):
            variable = study.variables[name]
            if not variable.factor or not variable.between or not test.unit:
                continue
            labels = labels_of(variable.values)
            there = np.isin(np.arange(len(study.samples)), study.sample)
            numbers = {
                level: int((there & (labels == level)).sum()) for level in ordered_levels(study, name, labels)
            }
            few = [f"{level} has {number}" for level, number in numbers.items() if 0 < number < ADVISED]
            if few:
                yield Warned(
                    "few_samples",
                    f"Few samples per {name}",
                    f"{_few_words(few)} {cost(test)} {FEW_SAMPLES}",
                )
                break
        else:
            if test.unit and test.lrt_size is not None and test.lrt_size > LARGE:
                yield Warned(
                    "few_degrees_of_freedom",
                    f"Few degrees of freedom for {test.term}",
                    f"Coefficients take up {test.groups - test.df} of the {test.groups} {several_groups(test.unit)}; "
                    f"{test.df} degrees of freedom are left. {cost(test)} {FEW_SAMPLES}",
                )


def _few_words(few: list[str]) -> str:
    unit = "sample" if few[-1].endswith(" 1") else "samples"
    return f"{both(few)} {unit}; {ADVISED} or more are advised."


def cell_types(study: Study, answer: Answer) -> Iterator[Warned]:
    """Cell types that cannot be tested, or rest on fewer samples than the study."""
    of_reason: dict[str, list[str]] = {}
    for report in answer.cell_types:
        if not report.estimable:
            of_reason.setdefault(report.reason, []).append(report.cell_type)
    names = [name for several in of_reason.values() for name in several]
    if len(names) == 1:
        yield Warned(
            "type_not_testable",
            f"{names[0]} cannot be tested",
            f"{next(iter(of_reason))} Its genes are in the tables, as not testable.",
        )
    elif names:
        reasons = " ".join(f"{both(several)}: {reason}" for reason, several in of_reason.items())
        yield Warned(
            "type_not_testable",
            f"{len(names)} cell types cannot be tested",
            f"{reasons} Their genes are in the tables, as not testable.",
        )
    without = [
        f"{report.cell_type}: {words}" for report in answer.cell_types for words in report.levels_left_out
    ]
    if without:
        yield Warned(
            "level_left_out",
            "Levels are left out of some cell types",
            f"With one sample, nothing tells a level from its sample; the other levels are compared. {'. '.join(without)}.",
        )
    fewer = []
    for report in answer.cell_types:
        few = [entry for entry in report.levels if 0 < entry.samples < ADVISED]
        whole = {
            (entry.variable, entry.level): entry.samples
            for entry in levels_of(study, np.arange(len(study.sample)))
        }
        few = [entry for entry in few if whole[entry.variable, entry.level] >= ADVISED]
        if report.estimable and few:
            parts = both([f"{entry.samples} of {entry.variable} {entry.level}" for entry in few])
            fewer.append(f"{report.cell_type} ({parts}; true size {report.lrt_size:.3f})")
    if fewer:
        yield Warned(
            "few_samples_of_type",
            "Few samples in some cell types",
            f"Fewer than {ADVISED} samples of a level have {count(study.config.model.min_cells, 'cell')} or more of: "
            f"{a_few(fewer)}. The true size is that of the likelihood ratio test at a nominal 0.05.",
        )


def lonely(study: Study, answer: Answer) -> Iterator[Warned]:
    """Levels of a covariate that one sample has."""
    there = np.unique(study.sample)
    for name in variables_of(study.formula.fixed):
        variable = study.variables[name]
        if not variable.factor or not variable.between or name in tested_variables(study):
            continue
        labels = labels_of(variable.values.iloc[there]).remove_unused_categories()
        numbers = np.bincount(labels.codes, minlength=len(labels.categories))
        single = [str(label) for label, number in zip(labels.categories, numbers, strict=True) if number == 1]
        if single:
            yield Warned(
                "level_of_one_sample",
                f"A {name} of one sample",
                f"{name} {both(single[:5])}: has one sample, which says nothing of {both(tested_variables(study))}, "
                f"as a coefficient of its own explains it. Leave {name} out, or take it together with another."
                if len(single) == 1
                else f"{name} {a_few(single)}: have one sample each, which say nothing of {both(tested_variables(study))}, as "
                f"coefficients of their own explain them. Leave {name} out, or take several together.",
            )
