"""What is explained: every variable, the nesting, the model, the degrees of freedom, and why the test is sound."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from nestde.check.donors import donors_of
from nestde.check.faults import Answer
from nestde.check.found import Explained, GroupCount, ModelFound, Nesting, NestingNode, VariableFound
from nestde.check.interactions import conditions
from nestde.check.replicates import ICC, estimated_icc
from nestde.check.study import Study, Variable, labels_of
from nestde.check.terms import grouping_of, ordered_levels, tested_variables
from nestde.check.wording import both, cost, count, number, one_group, several, several_groups
from nestde.design.compared import Compared
from nestde.design.effects import INTERCEPT, RandomEffects
from nestde.design.formula import variables_of
from nestde.errors import a_few
from nestde.fit.family import family


def variables(study: Study) -> tuple[VariableFound, ...]:
    """One row per covariate: what it is for, what kind it is, where it varies, its values."""
    tested = tested_variables(study)
    fixed = variables_of(study.formula.fixed)
    groups = {name for term in study.formula.random for name in term.factors}
    slopes = {name for term in study.formula.random for name in variables_of(term.effects)}
    rows = []
    for name, variable in study.variables.items():
        roles = [
            *(["tested"] if name in tested else ["adjusted for"] if name in fixed else []),
            *(["groups cells"] if name in groups else []),
            *(["random slope"] if name in slopes else []),
        ]
        if roles:
            rows.append(
                VariableFound(
                    variable=name,
                    role=", ".join(roles),
                    kind="factor" if _is_factor(study, variable) else "number",
                    varies="between samples" if variable.between else "between cells of a sample",
                    values=_values(study, variable),
                    origin=variable.origin,
                )
            )
    return tuple(rows)


def _is_factor(study: Study, variable: Variable) -> bool:
    groups = {name for term in study.formula.random for name in term.factors}
    only_groups = variable.name in groups and variable.name not in variables_of(study.formula.fixed)
    return variable.factor or variable.name in study.config.model.levels or only_groups


def _values(study: Study, variable: Variable) -> str:
    there = variable.values
    if variable.origin == "quality control":
        return "measured later"
    if variable.between:
        there = there.iloc[np.unique(study.sample)]
    unit = "sample" if variable.between else "cell"
    if not _is_factor(study, variable):
        low, middle, high = (
            number(float(value)) for value in np.nanquantile(there.to_numpy(float), [0, 0.5, 1])
        )
        return f"{low} to {high}, median {middle}"
    labels = labels_of(there).remove_unused_categories()
    numbers = dict(
        zip(labels.categories, np.bincount(labels.codes, minlength=len(labels.categories)), strict=True)
    )
    order = ordered_levels(study, variable.name, labels)
    if len(order) > 6:
        each = sorted(numbers.values())
        size = f"{each[0]:,}" if each[0] == each[-1] else f"{each[0]:,} to {each[-1]:,}"
        return f"{len(order)} levels of {size} {unit if each[-1] == 1 else f'{unit}s'}"
    return ", ".join(f"{level} ({count(int(numbers[level]), unit)})" for level in order)


def nesting(study: Study) -> Nesting:
    """How cells lie in samples, samples in groups, groups in what is tested: a tree with counts, and its drawing."""
    units = _units(study)
    parts, crossed = [], {}
    name = next(
        (n for n in tested_variables(study) if study.variables[n].between and study.variables[n].factor), None
    )
    if name is not None:
        labels = labels_of(study.variables[name].values)
        of = labels.codes[study.sample]
        for level in ordered_levels(study, name, labels):
            rows = np.flatnonzero(of == labels.categories.get_loc(level))
            if len(rows):
                parts.append(_node(study, f"{name} {level}", rows, units))
        crossed = {unit: _in_several(group, of) for unit, group in units.items()}
    root = _node(study, "study", np.arange(len(study.sample)), units, parts)
    return Nesting(root, _drawing(root, crossed))


def _in_several(group: NDArray[np.int64], of: NDArray[np.int64]) -> int:
    """How many groups have cells in several parts."""
    pairs = np.unique(group * (of.max() + 1) + of)
    return int(np.count_nonzero(np.bincount(pairs // (of.max() + 1)) > 1))


def _units(study: Study) -> dict[str, NDArray[np.int64]]:
    """Grouping factors that hold whole samples, coarsest first, the sample last: name -> group of each cell."""
    units = {}
    for term in study.formula.random:
        if term.group != "sample_id" and all(study.variables[name].between for name in term.factors):
            units[term.group] = grouping_of(study, term.factors)
    for name in tested_variables(study):
        for donors in donors_of(study, name):
            units[donors.name] = donors.codes[study.sample]
    units = dict(sorted(units.items(), key=lambda item: len(np.unique(item[1]))))
    return {**units, "sample_id": study.sample}


def _node(
    study: Study,
    label: str,
    rows: NDArray[np.int64],
    units: dict[str, NDArray[np.int64]],
    parts: Sequence[NestingNode] = (),
) -> NestingNode:
    cells = np.bincount(study.sample[rows])
    cells = cells[cells > 0]
    return NestingNode(
        label=label,
        groups=tuple(GroupCount(name, len(np.unique(group[rows]))) for name, group in units.items()),
        cells=len(rows),
        cells_per_sample=(int(cells.min()), float(np.median(cells)), int(cells.max())),
        children=tuple(parts),
    )


def _drawing(root: NestingNode, crossed: dict[str, int]) -> str:
    """The tree in characters."""

    def line(node: NestingNode) -> str:
        names = [_unit_count(entry.unit, entry.number) for entry in node.groups]
        low, middle, high = node.cells_per_sample
        spread = f"{low:,}" if low == high else f"{low:,} to {high:,}, median {middle:,.0f},"
        return f"{node.label}: {' → '.join([*names, count(node.cells, 'cell')])} ({spread} a sample)"

    lines = [line(root)]
    for i, child in enumerate(root.children):
        lines.append(f"{'└─' if i == len(root.children) - 1 else '├─'} {line(child)}")
    for name, shared in crossed.items():
        if shared:
            total = next(entry.number for entry in root.groups if entry.unit == name)
            lines.append(f"   {name} is crossed: {shared} of {total} {several(name)} are in several of these")
    return "\n".join(lines)


def _unit_count(name: str, total: int) -> str:
    return count(total, "sample" if name == "sample_id" else name)


def model(study: Study, answer: Answer) -> ModelFound:
    """The model as an equation in plain text, and in a sentence."""
    terms = []
    for i, name in enumerate(answer.design.coef_names):
        terms.append("β0" if name == "(Intercept)" else f"β{i}·{name}")
    variances = []
    random = RandomEffects.of(answer.design.random)
    for factor in random:
        for effect in factor.effects:
            alone = effect == INTERCEPT
            terms.append(f"u[{factor.name}]" if alone else f"u[{factor.name}, {effect}]·{effect}")
        variances.append(f"u[{factor.name}] ~ N(0, {factor.spread}[{factor.name}])")
    scale = family(study.config.model.family).scale
    left, right = scale.response, " + ".join(scale.right(terms))
    text = f"{left} = {right},   {',  '.join([*variances, scale.spread])}"
    tests, named = [], set(tested_variables(study))
    for test in study.config.model.test:
        found = conditions(study, answer.design, test)
        tests.append(f"{test} {both(found)}" if found else test)
        named.update(condition.other for condition in found)
    adjusted = [name for name in variables_of(study.formula.fixed) if name not in named]
    words = f"Is the expression of a gene related to {both(tests)}"
    words += f", at equal {both(adjusted)}" if adjusted else ""
    groups = ", and ".join(factor.words for factor in random)
    words += f", where {groups}?" if groups else "?"
    return ModelFound(study.formula.text, ", ".join(study.config.model.test), text, words)


def explanations(study: Study, answer: Answer) -> tuple[Explained, ...]:
    """The long form: answers to the doubts that come with such a study."""
    found: list[Explained] = []
    told: set[tuple[str, str]] = set()
    for test in answer.tests:
        named = test.term in answer.design.contrasts
        names, unit = study.variables_in(test.term), test.unit
        of_names = names[0] if len(names) == 1 else f"combination of {both(names)}"
        name = of_names if named else test.term
        if (name, unit) in told:
            continue  # a contrast stands on what others of these levels stand on
        told.add((name, unit))
        what = several_groups(unit)
        if unit and _between(study, test.term):
            found.append(
                Explained(
                    f"Why {name} is not confounded with {unit}",
                    f"Each {unit} has one {name}, so {unit} determines {name}. As a fixed effect {unit} would leave nothing to "
                    f"{name}. As a random effect it does not: its effects are not free but drawn from one normal distribution "
                    f"around the mean of their {name}, and their spread is estimated from the {what} of one {name}, which differ "
                    f"although their {name} is the same. {name} is nested, not confounded: it is tested between {what}, against "
                    f"how much {what} differ anyway.",
                )
            )
        if unit and test.lrt_size is not None:
            found.append(
                Explained(
                    f"What {test.groups} {what} can say",
                    f"{cost(test)} The likelihood ratio takes the variance between {what} as if it were known; it is estimated, "
                    f"with {test.df} degrees of freedom. More cells help little, more {what} do. Likelihoods are compared "
                    "after maximum likelihood (ML), not REML, as REML likelihoods of different fixed effects are of different data.",
                )
            )
            low, high = (np.sqrt(test.df / stats.chi2.isf(q, test.df)) for q in (0.025, 0.975))
            cells = test.cells_per_group[1]
            least, most, zero = estimated_icc(test.df, max(test.groups * (cells - 1), 1.0), cells, ICC)
            found.append(
                Explained(
                    "How well the variances are known",
                    f"With {test.df} degrees of freedom the standard deviation between {what} is known to within a factor of "
                    f"{low:.2f} to {high:.2f} (95\u00a0%) even if every {one_group(unit)} had no end of cells. With {cells:g} cells of "
                    f"each, an intraclass correlation of {ICC:g} will be estimated between {least:.2g} and {most:.2g}, and as exactly "
                    f"0 in {100 * zero:.2g}\u00a0% of genes. A single gene's "
                    "estimate may lie far from the truth, or at zero; that is no fault of the fit. Over many genes it evens out.",
                )
            )
    found += [_of_contrast(name, compared) for name, compared in answer.design.contrasts.items()]
    found += _pairing(study)
    found += _nested_labels(study)
    refused = [report for report in answer.cell_types if not report.estimable]
    fine = [report.cell_type for report in answer.cell_types if report.estimable]
    text = f"{both(study.config.model.test)} can be tested in {a_few(fine, 12)}."
    for report in refused:
        text += f" Not in {report.cell_type}: {report.reason} Its genes become rows with that reason."
    for report in answer.cell_types:
        for contrast, why in report.untested.items():
            text += f" {contrast} not in {report.cell_type}: {why}."
    found.append(Explained("What can be tested in which cell type", text))
    return tuple(found)


def _of_contrast(name: str, compared: Compared) -> Explained:
    parts = [
        f"{share:+.4g} × the mean at {', '.join(f'{column} {value}' for column, value in point)}"
        for point, share in zip(compared.points, compared.shares, strict=True)
    ]
    return Explained(
        f"What {name} is",
        f"A contrast: {', '.join(parts)}, whatever else of the model is equal. It is one linear hypothesis on the same fit as every "
        "other test, in which all samples tell of the variances, those of other levels too; it has its own rows and its own "
        "false discovery rate.",
    )


def _between(study: Study, term: str) -> bool:
    names = study.variables_in(term)
    return all(study.variables[name].between for name in names)


def _pairing(study: Study) -> list[Explained]:
    """Donors with samples of several levels, in the formula."""
    found = []
    for name in tested_variables(study):
        for donors in donors_of(study, name):
            if 2 * donors.crossed < donors.groups:
                continue
            if donors.name in study.formula.variables:
                text = (
                    f"{donors.crossed} of {donors.groups} {several(donors.name)} have samples of several {several(name)}: {name} "
                    f"is compared within each {donors.name}, where what is particular to the {donors.name} cancels. The formula "
                    f"uses this, as it has {donors.name}."
                )
                found.append(Explained("A paired design", text))
    return found


def _nested_labels(study: Study) -> list[Explained]:
    """Grouping factors whose labels repeat within another's groups: crossed by their names, nested perhaps in truth."""
    found = []
    terms = {term.factors for term in study.formula.random}
    for fine in terms:
        for coarse in terms:
            if len(fine) > 1 or len(coarse) > 1 or fine == coarse:
                continue
            a, b = grouping_of(study, fine), grouping_of(study, coarse)
            pairs = len(np.unique(np.column_stack([a, b]), axis=0))
            if pairs > max(a.max(), b.max()) + 1 and a.max() < b.max():
                found.append(
                    Explained(
                        f"{fine[0]} and {coarse[0]} are crossed",
                        f"The same {fine[0]} occurs in several {several(coarse[0])}. If these are different ones that were numbered "
                        f"alike, as images 1, 2, 3 of each animal, write (1 | {coarse[0]}/{fine[0]}): each {fine[0]} within its "
                        f"{coarse[0]} is then a group of its own.",
                    )
                )
    return found
