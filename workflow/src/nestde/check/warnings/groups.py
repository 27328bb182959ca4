"""Warnings of random terms: lacking, absorbing what is tested, of few groups, slow."""

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nestde.check.crowded import slow_crossing
from nestde.check.donors import crossed_levels, donors_of
from nestde.check.faults import Answer
from nestde.check.found import Warned
from nestde.check.replicates import ICC
from nestde.check.study import Study, labels_of
from nestde.check.terms import columns_of_group, grouping_of
from nestde.check.wording import (
    both,
    containment_of_slopes,
    cost,
    count,
    several,
)
from nestde.fit.family import family


def no_groups(study: Study, answer: Answer) -> Iterator[Warned]:
    """Samples compared as if their cells were independent."""
    for test in answer.tests:
        if test.ignores_samples and test.lrt_size is not None:
            cells = np.bincount(study.sample)
            yield Warned(
                "cells_as_samples",
                f"{test.term} is tested as if cells were samples",
                f"{test.term} differs between samples, but no random term of {study.formula.text} groups the cells of a "
                f"sample. With {np.median(cells[cells > 0]):,.0f} cells per sample and an intraclass correlation of {ICC:g}, "
                f"{100 * test.lrt_size:.0f}\u00a0% of genes without any difference would have p < 0.05. Add (1 | sample_id).",
            )


def no_slope(study: Study, answer: Answer) -> Iterator[Warned]:
    """Cells of one sample compared, as if the effect were the same in each sample."""
    for test in answer.tests:
        within = [name for name in study.variables_in(test.term) if not study.variables[name].between]
        if not test.unit and within:
            yield Warned(
                "no_random_slope",
                f"The effect of {both(within)} is taken to be the same in each sample",
                f"{both(within)} varies within samples, and {test.term} is tested against the scatter of cells. Where the effect "
                "differs from sample to sample, p-values are too small, the more so the more cells there are. Add a random "
                f"slope: ({' + '.join(within)} | sample_id).",
            )


def scattered_cells(study: Study, answer: Answer) -> Iterator[Warned]:
    """Cells of one sample compared by a family that does not know how they scatter."""
    of = family(study.config.model.family)
    for test in answer.tests:
        within = [name for name in study.variables_in(test.term) if not study.variables[name].between]
        if of.within and within:
            yield Warned(
                "family_of_samples_alone",
                f"{test.term} varies within samples, which {of.name} cannot test",
                f"{both(within)} varies within samples. {of.within}",
            )


def containment(study: Study, answer: Answer) -> Iterator[Warned]:
    """The p-value of choice takes cells for replicates.

    The workflow's check is not told of the p-value, or another one would cost every step again: its report warns.
    """
    inference = getattr(study.config, "inference", None)
    if inference is not None and inference.p_value == "containment":
        yield from containment_of_slopes(study.formula, study.config.model.compared)


def absorbed(study: Study, answer: Answer) -> Iterator[Warned]:
    """A random effect of batches takes up what is tested."""
    for test, factor in itertools.product(answer.tests, answer.design.random):
        names = study.variables_in(test.term)
        if len(names) != 1 or not study.variables[names[0]].between or not study.variables[names[0]].factor:
            continue
        groups, of = _of_samples(study, factor.name, names[0])
        if groups is None:
            continue
        # of all samples, as `groups` are, also of those without a cell of the types that are tested
        number_of_groups = len(np.unique(groups))
        if number_of_groups > 0.7 * len(groups):
            continue
        crossed = crossed_levels(groups, of)
        if _donor_like(study, factor.name, names[0]):
            continue
        if crossed == 0:
            yield Warned(
                "batch_absorbs_test",
                f"{factor.name} as a random effect absorbs {test.term}",
                f"Each {factor.name} has samples of one {test.term}, so {test.term} is tested between the "
                f"{len(factor.levels)} {several(factor.name)} (degrees of freedom: {test.df}) and not between the "
                f"{len(groups)} samples. {cost(test)} Sequence several {several(names[0])} in each {factor.name}, if you can.",
            )
        elif crossed < number_of_groups:
            variable = study.variables[names[0]]
            labels = labels_of(variable.values)
            there = np.unique(study.sample)
            whole = []
            for group in np.unique(groups):
                inside = of[groups == group]
                if len(np.unique(inside)) == 1:
                    level = labels.categories[inside[0]]
                    whole.append(
                        f"{_group_name(study, factor.name, there[groups == group][0])} only {level} ({len(inside)})"
                    )
            yield Warned(
                "batches_of_one_level",
                f"Some {several(factor.name)} have one {test.term}",
                f"{factor.name} {both(whole[:5])}: as a random effect, such a {factor.name} takes up most of what its samples say "
                f"of {test.term}; the test rests on the {count(crossed, factor.name)} with several {several(names[0])}.",
            )


def _of_samples(study: Study, factor: str, name: str) -> tuple[NDArray[np.int64] | None, NDArray[np.int64]]:
    """Group and level of each sample that has cells; None if the factor does not group whole samples."""
    names = columns_of_group(study, factor)
    if not all(part in study.variables and study.variables[part].between for part in names):
        return None, np.empty(0, np.int64)
    first = np.unique(study.sample, return_index=True)[1]
    groups = np.unique(grouping_of(study, names)[first], return_inverse=True)[1]
    return groups, np.asarray(labels_of(study.variables[name].values).codes[study.sample[first]], np.int64)


def _group_name(study: Study, factor: str, row: int) -> str:
    return ":".join(str(study.variables[part].values.iloc[row]) for part in columns_of_group(study, factor))


def _donor_like(study: Study, factor: str, tested: str) -> bool:
    return any(donors.name == factor for donors in donors_of(study, tested))


def few_groups(study: Study, answer: Answer) -> Iterator[Warned]:
    """Variances between a handful of groups."""
    for factor in answer.design.random:
        if len(factor.levels) < 5:
            yield Warned(
                "few_groups",
                f"{factor.name} has few groups",
                f"A variance between {len(factor.levels)} groups of {factor.name} is hardly known, and often estimated as zero. "
                f"With fewer than 5, {factor.name} is better a fixed effect, unless it is what is tested between.",
            )


def slow(study: Study, answer: Answer) -> Iterator[Warned]:
    """Crossed factors of which a fit takes long."""
    found = slow_crossing(answer.design, family(study.config.model.family))
    if found:
        yield found
