"""Warnings of donors with several samples: pairing that is not used, and samples that are not independent."""

from collections.abc import Iterator

import numpy as np

from nestde.check.celltypes import levels_of
from nestde.check.donors import donors_of
from nestde.check.faults import Answer
from nestde.check.found import Warned
from nestde.check.study import Study
from nestde.check.terms import tested_variables
from nestde.check.wording import several


def unpaired(study: Study, answer: Answer) -> Iterator[Warned]:
    """Donors with samples of several levels that the formula does not know of; the price of each way to use them."""
    every = np.arange(len(study.sample))
    for name in tested_variables(study):
        for donors in donors_of(study, name):
            if donors.name in study.formula.variables or 2 * donors.crossed < donors.groups:
                continue
            fixed = study.formula.fixed
            fixed_effect = f"~ {fixed} + {donors.name} + (1 | sample_id)"
            random = f"~ {fixed} + (1 | {donors.name}) + (1 | sample_id)"
            levels = sum(entry.variable == name and entry.samples > 0 for entry in levels_of(study, every))
            before = donors.samples - levels
            left = before - donors.groups + 1
            advice = (
                f"Write {fixed_effect}: {several(donors.name)} take {donors.groups - 1} of {before} degrees of freedom, {left} are "
                f"left, and pseudobulk and the cross-check pair in the same way. {random} has the same price and takes longer."
                if donors.crossed == donors.groups and left > 0
                else f"Write {random}, to which {several(donors.name)} with samples of one {name} still count; {fixed_effect} rests on "
                "the others."
            )
            yield Warned(
                "pairing_unused",
                f"The pairing by {donors.name} is not used",
                f"{donors.crossed} of {donors.groups} {several(donors.name)} have samples of several {several(name)}: {name} could be "
                f"compared within each {donors.name}, where what is particular to the {donors.name} cancels. {advice}",
            )


def crossing(study: Study, answer: Answer) -> Iterator[Warned]:
    """Donors of which some, not all, have samples of several levels."""
    for name in tested_variables(study):
        for donors in donors_of(study, name):
            used = donors.name in study.formula.variables
            if used and 0 < donors.crossed < donors.groups:
                yield Warned(
                    "partly_crossed",
                    f"{several(donors.name).capitalize()} are partly crossed with {name}",
                    f"{donors.crossed} of {donors.groups} {several(donors.name)} have samples of several {several(name)}; the "
                    f"others have one. Within-{donors.name} comparisons rest on the {donors.crossed}; as a random effect, "
                    f"(1 | {donors.name}), the others still count, as a fixed effect they do not.",
                )


def repeated(study: Study, answer: Answer) -> Iterator[Warned]:
    """Donors with several samples that the formula does not know of."""
    for name in tested_variables(study):
        for donors in donors_of(study, name):
            if donors.name in study.formula.variables or donors.crossed * 2 >= donors.groups:
                continue
            yield Warned(
                "donors_repeated",
                f"Samples of one {donors.name} are taken as independent",
                f"The {donors.samples} samples are of {donors.groups} {several(donors.name)}, and model.formula does not know "
                f"of it: samples of one {donors.name} resemble each other. Add (1 | {donors.name}).",
            )
