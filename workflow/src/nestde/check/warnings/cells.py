"""Warnings of cells: those that are in no test, and how many each sample has."""

from collections.abc import Iterator

import numpy as np

from nestde.cells.depth import ratios, span
from nestde.check.advice import DEEPER, depth_words, lacks_depth
from nestde.check.depth import median_totals
from nestde.check.faults import Answer
from nestde.check.found import Warned
from nestde.check.labels import alike
from nestde.check.study import Study, labels_of
from nestde.check.terms import ordered_levels, tested_variables
from nestde.check.wording import both, count
from nestde.errors import a_few

UNEQUAL = 10  # times as many cells in one sample as in another
OVER_MEDIAN = 4  # times as many cells in one sample as in the median one


def unnamed(study: Study, answer: Answer) -> Iterator[Warned]:
    """Cells that belong to no sample."""
    if study.unnamed:
        yield Warned(
            "cells_without_sample",
            "Cells of no sample are left out",
            f"{count(study.unnamed, 'cell')} of {study.unnamed + len(study.sample):,} in {study.data} have no value of "
            f"{study.config.input.sample_key} (input.sample_key).",
        )


def depth_apart(study: Study, answer: Answer) -> Iterator[Warned]:
    """Cells of one arm that are counted deeper, where nothing in the formula takes that up."""
    if not lacks_depth(study.formula, study.config.model.family):
        return
    totals = median_totals(study)
    for name in tested_variables(study):
        variable = study.variables[name]
        if not variable.factor or not variable.between:
            continue
        labels = labels_of(variable.values)
        samples = np.array(study.samples, object)
        of = {level: list(samples[labels == level]) for level in ordered_levels(study, name, labels)}
        apart = {cell_type: ratios(values, of) for cell_type, values in totals.items()}
        deep = sorted(
            (kind for kind in apart if span(apart[kind]) >= DEEPER), key=lambda kind: -span(apart[kind])
        )
        if deep:
            others = [f"{kind} (× {span(apart[kind]):.2f})" for kind in deep[1:]]
            also = f" Levels differ in {a_few(others)}, too." if others else ""
            yield Warned(
                "depth_differs",
                f"Depth differs by {name}",
                f"{deep[0]}: {depth_words(apart[deep[0]])}{also} (By the totals of some cells of each sample, before quality control.)",
            )


def untyped(study: Study, answer: Answer) -> Iterator[Warned]:
    """Cells that are in no test: those without a type, and those whose type is spelt like one that is tested."""
    key, numbers = study.config.input.cell_type_key, np.bincount(study.cell_type.codes + 1)
    if numbers[0]:
        yield Warned(
            "cells_without_type",
            "Cells without a cell type are in no test",
            f"{count(int(numbers[0]), 'cell')} of {len(study.sample):,} in {study.data} have no value of {key} "
            "(input.cell_type_key).",
        )
    for group in alike(map(str, study.cell_type.remove_unused_categories().categories)):
        tested = [name for name in group if name in study.config.cell_types]
        if tested:
            named = [f"{name!r} ({count(len(study.cells_of(name)), 'cell')})" for name in group]
            yield Warned(
                "types_spelt_alike",
                f"Cell types are spelt like {both(tested)}",
                f"{key} has {both(named)}, which are taken for different types; cell_types names "
                f"{both([repr(name) for name in tested])}.",
            )


def unequal(study: Study, answer: Answer) -> Iterator[Warned]:
    """Samples with many times as many cells as others."""
    parts = []
    for report in answer.cell_types:
        cells = sorted((number, name) for name, number in report.cells_per_sample.items())
        numbers = [number for number, _ in cells]
        if len(cells) > 1 and numbers[-1] >= min(UNEQUAL * numbers[0], OVER_MEDIAN * np.median(numbers)):
            (least, poor), (most, rich) = cells[0], cells[-1]
            parts.append(f"{report.cell_type}: {least:,} in {poor}, {most:,} in {rich}")
    if parts:
        yield Warned(
            "unequal_cells",
            "Cells per sample differ strongly",
            f"{'; '.join(parts[:6])}{' …' if len(parts) > 6 else ''}. The mixed model weighs samples by their cells, the less "
            "so the more samples differ from each other; the stated size of the likelihood ratio test is for equal weights.",
        )
