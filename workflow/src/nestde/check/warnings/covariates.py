"""Warnings of fixed effects: what a coefficient means beside others, and what can be told apart."""

import itertools
from collections.abc import Iterator

import numpy as np

from nestde.check.faults import Answer
from nestde.check.found import Warned
from nestde.check.interactions import conditions
from nestde.check.replicates import generalised_vif
from nestde.check.study import Study, labels_of
from nestde.check.terms import ordered_levels, tested_variables
from nestde.check.values import numbers_like_labels, warnings_of_values
from nestde.check.wording import both, number, several
from nestde.design.formula import variables_of

GVIF = 5.0  # squared GVIF^(1/(2 df)), as the usual bound on a variance inflation factor
SPREAD = (1e-3, 1e3)  # standard deviations that need no standardising


def conditional(study: Study, answer: Answer) -> Iterator[Warned]:
    """A main effect beside its interaction: tested in the reference of the other variable, or where that is 0."""
    for test in answer.tests:
        found = conditions(study, answer.design, test.term)
        if not found:
            continue
        term, others = found[0].term, found[0].interactions
        found = [condition for condition in found if condition.term == term]
        where, more = [], []
        for condition in found:
            if condition.level is not None:
                where.append(f"in {condition.other} {condition.level}, the reference")
                more.append(f"put another {condition.other} first in model.levels")
            else:
                where.append(
                    f"where {condition.other} is 0 (it is {number(condition.low)} to {number(condition.high)})"
                )
                more.append(f"subtract its mean from {condition.other}")
        yield Warned(
            "main_effect_beside_interaction",
            f"{term} is tested {both(found)} only",
            f"model.formula has {both(others)}, so the coefficient of {term} is its effect {both(where)}. To ask whether {term} "
            f"matters anywhere, test {' + '.join([term, *others])}; to ask whether its effect differs, test {others[-1]}. To test "
            f"{term} elsewhere, {both(more)}.",
        )


def one_sided(study: Study, answer: Answer) -> Iterator[Warned]:
    """Covariates that vary in some levels of what is tested, not in all."""
    there = np.isin(np.arange(len(study.samples)), study.sample)
    for name, other in itertools.product(tested_variables(study), variables_of(study.formula.fixed)):
        tested, covariate = study.variables[name], study.variables[other]
        if (
            name == other
            or not (tested.factor and tested.between and covariate.between)
            or other in tested_variables(study)
        ):
            continue
        labels = labels_of(tested.values)
        constant = []
        for level in ordered_levels(study, name, labels):
            values = covariate.values[there & np.asarray(labels == level)]
            if len(values) and values.nunique() == 1:
                constant.append(f"{values.iloc[0]} in all {len(values)} samples of {name} {level}")
        if constant:
            yield Warned(
                "covariate_of_some_levels",
                f"{other} does not vary within {name}",
                f"{other} is {both(constant)}. What is due to {other} is then known from the other {several(name)} alone, and is "
                f"taken to be the same in these.",
            )


def collinear(study: Study, answer: Answer) -> Iterator[Warned]:
    """Terms that go together, so that their coefficients are hardly known."""
    terms = {
        term: list(columns)
        for term, columns in answer.design.terms.items()
        if term != "1" and ":" not in term
    }
    vif = generalised_vif(answer.design.x, terms) if "1" in answer.design.terms else {}
    for term, (value, worst, correlation) in vif.items():
        if value > GVIF and not any(v > value and w == term for v, w, _ in vif.values()):
            yield Warned(
                "nearly_collinear",
                f"{term} and {worst} are nearly collinear",
                f"The generalised variance inflation factor of {term}, per coefficient, is {value:,.1f} (Fox & Monette 1992): its "
                f"standard error is {np.sqrt(value):.1f} times what it would be alone. It goes most with {worst} (correlation "
                f"{correlation:.2f}). The two are hard to tell apart; think about leaving one out.",
            )


def labels(study: Study, answer: Answer) -> Iterator[Warned]:
    """Whole numbers that may be labels, and labels that may be one."""
    yield from numbers_like_labels(study)
    yield from warnings_of_values(study)


def scales(study: Study, answer: Answer) -> Iterator[Warned]:
    """Covariates of very large or very small spread."""
    odd = []
    for name in variables_of(study.formula.fixed):
        variable = study.variables[name]
        if variable.factor or variable.origin == "quality control":
            continue
        spread = float(np.nanstd(variable.values.to_numpy(float)))
        if spread and not SPREAD[0] <= spread <= SPREAD[1]:
            odd.append(f"{name} (standard deviation {spread:.3g})")
    if odd:
        yield Warned(
            "unhandy_scale",
            "Covariates on an unhandy scale",
            f"{both(odd)}: a coefficient is the change per unit, here very small or very large. Fits and p-values do not "
            "depend on it; for coefficients that can be read, divide by the standard deviation, or change the unit.",
        )
