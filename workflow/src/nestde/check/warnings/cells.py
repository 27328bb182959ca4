"""Warnings of cells: those that are in no test, and how many each sample has."""

from collections.abc import Iterator

import numpy as np

from nestde.check.faults import Answer
from nestde.check.found import Warned
from nestde.check.labels import alike
from nestde.check.study import Study
from nestde.check.wording import both, count

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
