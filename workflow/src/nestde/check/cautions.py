"""What is warned of and carried into the report: the study can be answered, but not as well as it seems."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nestde.check.absent import absent_genes, absent_with_levels
from nestde.check.advice import FEW_SAMPLES
from nestde.check.crowded import slow_crossing
from nestde.check.donors import crossed_levels, donors_of
from nestde.check.faults import Answer
from nestde.check.interactions import conditions
from nestde.check.labels import alike
from nestde.check.measured import of_the_users, unused_doublets
from nestde.check.power import ICC, levels_of
from nestde.check.replicates import generalised_vif
from nestde.check.study import Study, labels_of
from nestde.check.terms import columns_of_group, grouping_of, ordered_levels, tested_variables
from nestde.check.values import numbers_like_labels, warnings_of_values
from nestde.check.wording import both, containment_of_slopes, count, number, per_unit, several, several_groups
from nestde.design.formula import variables_of
from nestde.errors import a_few
from nestde.fit.family import family

ADVISED = 6  # samples per level: below it the true size of the LRT exceeds 0.08
LARGE = 0.09  # a true size that is warned of, however many samples there are
UNEQUAL = 10  # times as many cells in one sample as in another
GVIF = 5.0  # squared GVIF^(1/(2 df)), as the usual bound on a variance inflation factor
SPREAD = (1e-3, 1e3)  # standard deviations that need no standardising

Warning_ = dict[str, str]


def warnings_of(study: Study, answer: Answer) -> list[Warning_]:
    """All warnings, the gravest first."""
    checks = (
        absent_with_levels, _no_groups, of_the_users, _no_slope, _containment, _conditional, _unnamed, _untyped, _left_out, _few_samples, _cell_types, _absorbed, _unpaired, _crossing, _repeated, _few_groups, _one_sided, _lonely,
        absent_genes, unused_doublets, _collinear, _labels, _scales, _unequal, _slow,
    )  # fmt: skip
    return [{"title": title, "text": text} for check in checks for title, text in check(study, answer)]


Found = Iterator[tuple[str, str]]


def _no_groups(study: Study, answer: Answer) -> Found:
    """Samples compared as if their cells were independent."""
    for test in answer.tests:
        if test.get("ignores_samples"):
            cells = np.bincount(study.sample)
            yield (
                f"{test['term']} is tested as if cells were samples",
                f"{test['term']} differs between samples, but no random term of {study.formula.text} groups the cells of a "
                f"sample. With {np.median(cells[cells > 0]):,.0f} cells per sample and an intraclass correlation of {ICC:g}, "
                f"{100 * test['lrt_size']:.0f}\u00a0% of genes without any difference would have p < 0.05. Add (1 | sample_id).",
            )


def cost(test: dict[str, Any]) -> str:
    """What a test's replication costs: the true size of its LRT and the smallest effect it sees."""
    effect = max((by_icc[f"{ICC:g}"] for by_icc in test["smallest_effect"].values()), default=None)
    sees = (
        f" The smallest effect that it finds with a power of 80\u00a0% (t test at 0.05) is {effect:.2g} standard deviations "
        f"between {several_groups(test['unit'])}{per_unit(test)} (at an intraclass correlation of {ICC:g})."
        if effect is not None
        else ""
    )
    here = test["lrt_size_by_icc"].get(f"{ICC:g}")
    at_icc = f" ({100 * here:.1f}\u00a0% at an intraclass correlation of {ICC:g})" if here is not None else ""
    return (
        f"At a nominal 0.05 the χ² likelihood ratio test is wrong in up to {100 * test['lrt_size']:.1f}\u00a0% of genes without any "
        f"difference{at_icc}, not in 5\u00a0%.{sees}"
    )


def _unnamed(study: Study, answer: Answer) -> Found:
    if study.unnamed:
        yield (
            "Cells of no sample are left out",
            f"{count(study.unnamed, 'cell')} of {study.unnamed + len(study.sample):,} in {study.data} have no value of "
            f"{study.config.input.sample_key} (input.sample_key).",
        )


def _untyped(study: Study, answer: Answer) -> Found:
    """Cells that are in no test: those without a type, and those whose type is spelt like one that is tested."""
    key, numbers = study.config.input.cell_type_key, np.bincount(study.cell_type.codes + 1)
    if numbers[0]:
        yield (
            "Cells without a cell type are in no test",
            f"{count(int(numbers[0]), 'cell')} of {len(study.sample):,} in {study.data} have no value of {key} "
            "(input.cell_type_key).",
        )
    for group in alike(map(str, study.cell_type.remove_unused_categories().categories)):
        tested = [name for name in group if name in study.config.cell_types]
        if tested:
            named = [f"{name!r} ({count(len(study.cells_of(name)), 'cell')})" for name in group]
            yield (
                f"Cell types are spelt like {both(tested)}",
                f"{key} has {both(named)}, which are taken for different types; cell_types names "
                f"{both([repr(name) for name in tested])}.",
            )


def _left_out(study: Study, answer: Answer) -> Found:
    """Samples that quality control will leave out of every test, even if it keeps all of their cells."""
    least = study.config.qc.min_cells_per_sample
    cells = np.bincount(study.sample, minlength=len(study.samples))
    poor = [f"{study.samples[row]} ({cells[row]:,})" for row in np.flatnonzero(cells < least)]
    if poor:
        yield (
            "Samples with too few cells are left out",
            f"{count(len(poor), 'sample')} with fewer than {count(least, 'cell')} (qc.min_cells_per_sample): {a_few(poor)}.",
        )


def _few_samples(study: Study, answer: Answer) -> Found:
    for test in answer.tests:
        for name in study.variables_in(test["term"]):
            variable = study.variables[name]
            if not variable.factor or not variable.between or not test["unit"]:
                continue
            labels = labels_of(variable.values)
            there = np.isin(np.arange(len(study.samples)), study.sample)
            numbers = {
                level: int((there & (labels == level)).sum()) for level in ordered_levels(study, name, labels)
            }
            few = [f"{level} has {number}" for level, number in numbers.items() if 0 < number < ADVISED]
            if few:
                yield f"Few samples per {name}", f"{_few_words(few)} {cost(test)} {FEW_SAMPLES}"
                break
        else:
            if test["unit"] and test["lrt_size"] is not None and test["lrt_size"] > LARGE:
                yield (
                    f"Few degrees of freedom for {test['term']}",
                    f"Coefficients take up {test['groups'] - test['df']} of the {test['groups']} {several_groups(test['unit'])}; "
                    f"{test['df']} degrees of freedom are left. {cost(test)} {FEW_SAMPLES}",
                )


def _few_words(few: list[str]) -> str:
    unit = "sample" if few[-1].endswith(" 1") else "samples"
    return f"{both(few)} {unit}; {ADVISED} or more are advised."


def _no_slope(study: Study, answer: Answer) -> Found:
    """Cells of one sample compared, as if the effect were the same in each sample."""
    for test in answer.tests:
        within = [name for name in study.variables_in(test["term"]) if not study.variables[name].between]
        if not test["unit"] and within:
            yield (
                f"The effect of {both(within)} is taken to be the same in each sample",
                f"{both(within)} varies within samples, and {test['term']} is tested against the scatter of cells. Where the effect "
                "differs from sample to sample, p-values are too small, the more so the more cells there are. Add a random "
                f"slope: ({' + '.join(within)} | sample_id).",
            )


def _containment(study: Study, answer: Answer) -> Found:
    """The p-value of choice takes cells for replicates.

    The workflow's check is not told of the p-value, or another one would cost every step again: its report warns.
    """
    inference = getattr(study.config, "inference", None)
    if inference is not None and inference.p_value == "containment":
        yield from containment_of_slopes(study.formula, study.config.model.test)


def _conditional(study: Study, answer: Answer) -> Found:
    """A main effect beside its interaction: tested in the reference of the other variable, or where that is 0."""
    for test in answer.tests:
        found = conditions(study, answer.design, test["term"])
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
        yield (
            f"{term} is tested {both(found)} only",
            f"model.formula has {both(others)}, so the coefficient of {term} is its effect {both(where)}. To ask whether {term} "
            f"matters anywhere, test {' + '.join([term, *others])}; to ask whether its effect differs, test {others[-1]}. To test "
            f"{term} elsewhere, {both(more)}.",
        )


def _cell_types(study: Study, answer: Answer) -> Found:
    """Cell types that cannot be tested, or rest on fewer samples than the study."""
    for report in answer.cell_types:
        if not report["estimable"]:
            yield (
                f"{report['cell_type']} cannot be tested",
                f"{report['reason']} Its genes are in the tables, as not testable.",
            )
    fewer = []
    for report in answer.cell_types:
        few = [entry for entry in report["levels"] if 0 < entry["samples"] < ADVISED]
        whole = {
            (entry["variable"], entry["level"]): entry["samples"]
            for entry in levels_of(study, np.arange(len(study.sample)))
        }
        few = [entry for entry in few if whole[entry["variable"], entry["level"]] >= ADVISED]
        if report["estimable"] and few:
            parts = both([f"{entry['samples']} of {entry['variable']} {entry['level']}" for entry in few])
            fewer.append(f"{report['cell_type']} ({parts}; true size {report['lrt_size']:.3f})")
    if fewer:
        yield (
            "Few samples in some cell types",
            f"Fewer than {ADVISED} samples of a level have {count(study.config.model.min_cells, 'cell')} or more of: "
            f"{a_few(fewer)}. The true size is that of the likelihood ratio test at a nominal 0.05.",
        )


def _absorbed(study: Study, answer: Answer) -> Found:
    """A random effect of batches takes up what is tested."""
    for test, factor in itertools.product(answer.tests, answer.design.random):
        names = study.variables_in(test["term"])
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
            yield (
                f"{factor.name} as a random effect absorbs {test['term']}",
                f"Each {factor.name} has samples of one {test['term']}, so {test['term']} is tested between the "
                f"{len(factor.levels)} {several(factor.name)} (degrees of freedom: {test['df']}) and not between the "
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
            yield (
                f"Some {several(factor.name)} have one {test['term']}",
                f"{factor.name} {both(whole[:5])}: as a random effect, such a {factor.name} takes up most of what its samples say "
                f"of {test['term']}; the test rests on the {count(crossed, factor.name)} with several {several(names[0])}.",
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


def _unpaired(study: Study, answer: Answer) -> Found:
    """Donors with samples of several levels that the formula does not know of."""
    for name in tested_variables(study):
        for donors in donors_of(study, name):
            if donors.name in study.formula.variables or 2 * donors.crossed < donors.groups:
                continue
            fixed = study.formula.fixed
            yield (
                f"The pairing by {donors.name} is not used",
                f"{donors.crossed} of {donors.groups} {several(donors.name)} have samples of several {several(name)}: {name} could be "
                f"compared within each {donors.name}, where what is particular to the {donors.name} cancels. Write "
                f"~ {fixed} + (1 | {donors.name}) + (1 | sample_id); or, with {donors.name} as a fixed effect, "
                f"~ {donors.name} + {fixed} + (1 | sample_id).",
            )


def _crossing(study: Study, answer: Answer) -> Found:
    """Donors of which some, not all, have samples of several levels."""
    for name in tested_variables(study):
        for donors in donors_of(study, name):
            used = donors.name in study.formula.variables
            if used and 0 < donors.crossed < donors.groups:
                yield (
                    f"{several(donors.name).capitalize()} are partly crossed with {name}",
                    f"{donors.crossed} of {donors.groups} {several(donors.name)} have samples of several {several(name)}; the "
                    f"others have one. Within-{donors.name} comparisons rest on the {donors.crossed}; as a random effect, "
                    f"(1 | {donors.name}), the others still count, as a fixed effect they do not.",
                )


def _repeated(study: Study, answer: Answer) -> Found:
    """Donors with several samples that the formula does not know of."""
    for name in tested_variables(study):
        for donors in donors_of(study, name):
            if donors.name in study.formula.variables or donors.crossed * 2 >= donors.groups:
                continue
            yield (
                f"Samples of one {donors.name} are taken as independent",
                f"The {donors.samples} samples are of {donors.groups} {several(donors.name)}, and model.formula does not know "
                f"of it: samples of one {donors.name} resemble each other. Add (1 | {donors.name}).",
            )


def _few_groups(study: Study, answer: Answer) -> Found:
    for factor in answer.design.random:
        if len(factor.levels) < 5:
            yield (
                f"{factor.name} has few groups",
                f"A variance between {len(factor.levels)} groups of {factor.name} is hardly known, and often estimated as zero. "
                f"With fewer than 5, {factor.name} is better a fixed effect, unless it is what is tested between.",
            )


def _one_sided(study: Study, answer: Answer) -> Found:
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
            yield (
                f"{other} does not vary within {name}",
                f"{other} is {both(constant)}. What is due to {other} is then known from the other {several(name)} alone, and is "
                f"taken to be the same in these.",
            )


def _lonely(study: Study, answer: Answer) -> Found:
    there = np.unique(study.sample)
    for name in variables_of(study.formula.fixed):
        variable = study.variables[name]
        if not variable.factor or not variable.between or name in tested_variables(study):
            continue
        labels = labels_of(variable.values.iloc[there]).remove_unused_categories()
        numbers = np.bincount(labels.codes, minlength=len(labels.categories))
        single = [str(label) for label, number in zip(labels.categories, numbers, strict=True) if number == 1]
        if single:
            yield (
                f"A {name} of one sample",
                f"{name} {both(single[:5])}: has one sample, which says nothing of {both(tested_variables(study))}, "
                f"as a coefficient of its own explains it. Leave {name} out, or take it together with another."
                if len(single) == 1
                else f"{name} {a_few(single)}: have one sample each, which say nothing of {both(tested_variables(study))}, as "
                f"coefficients of their own explain them. Leave {name} out, or take several together.",
            )


def _collinear(study: Study, answer: Answer) -> Found:
    terms = {
        term: list(columns)
        for term, columns in answer.design.terms.items()
        if term != "1" and ":" not in term
    }
    vif = generalised_vif(answer.design.x, terms) if "1" in answer.design.terms else {}
    for term, (value, worst, correlation) in vif.items():
        if value > GVIF and not any(v > value and w == term for v, w, _ in vif.values()):
            yield (
                f"{term} and {worst} are nearly collinear",
                f"The generalised variance inflation factor of {term}, per coefficient, is {value:,.1f} (Fox & Monette 1992): its "
                f"standard error is {np.sqrt(value):.1f} times what it would be alone. It goes most with {worst} (correlation "
                f"{correlation:.2f}). The two are hard to tell apart; think about leaving one out.",
            )


def _labels(study: Study, answer: Answer) -> Found:
    """Whole numbers that may be labels, and labels that may be one."""
    yield from numbers_like_labels(study)
    yield from warnings_of_values(study)


def _scales(study: Study, answer: Answer) -> Found:
    odd = []
    for name in variables_of(study.formula.fixed):
        variable = study.variables[name]
        if variable.factor or variable.origin == "quality control":
            continue
        spread = float(np.nanstd(variable.values.to_numpy(float)))
        if spread and not SPREAD[0] <= spread <= SPREAD[1]:
            odd.append(f"{name} (standard deviation {spread:.3g})")
    if odd:
        yield (
            "Covariates on an unhandy scale",
            f"{both(odd)}: a coefficient is the change per unit, here very small or very large. Fits and p-values do not "
            "depend on it; for coefficients that can be read, divide by the standard deviation, or change the unit.",
        )


def _unequal(study: Study, answer: Answer) -> Found:
    parts = []
    for report in answer.cell_types:
        cells = sorted((number, name) for name, number in report["cells_per_sample"].items())
        if len(cells) > 1 and cells[-1][0] >= UNEQUAL * cells[0][0]:
            (least, poor), (most, rich) = cells[0], cells[-1]
            parts.append(f"{report['cell_type']}: {least:,} in {poor}, {most:,} in {rich}")
    if parts:
        yield (
            "Cells per sample differ strongly",
            f"{'; '.join(parts[:6])}{' …' if len(parts) > 6 else ''}. The mixed model weighs samples by their cells, the less "
            "so the more samples differ from each other; the stated size of the likelihood ratio test is for equal weights.",
        )


def _slow(study: Study, answer: Answer) -> Found:
    """Crossed factors of which a fit takes long."""
    found = slow_crossing(answer.design, family(study.config.model.family))
    if found:
        yield found
