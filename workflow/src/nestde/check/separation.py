"""Fixed effects that no model can tell apart, said in the language of levels: which batch has only which diagnosis."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.check.study import Study, labels_of
from nestde.check.terms import ordered_levels, tested_variables
from nestde.check.wording import both, number, several
from nestde.design.aliasing import aliased
from nestde.design.columns import materialise, prepare
from nestde.design.formula import Formula, column_of, factors_of
from nestde.errors import NestdeError

if TYPE_CHECKING:
    import pandas as pd

Combination = dict[str, float]

NO_MODEL = "No model can tell the two apart."


def why_not(study: Study, formula: Formula, rows: NDArray[np.int64], error: NestdeError) -> list[str]:
    """Say why a design cannot be built: by what is dependent, if that is it, else by what the builder said."""
    try:
        found = separation_faults(study, formula, rows)
    except NestdeError:
        found = []
    if found:
        return found
    named = ("formula", "test", "levels")
    return [f"model.{said}" if said.startswith(named) else f"model.formula: {said}" for said in error.faults]


def separation_faults(study: Study, formula: Formula, rows: NDArray[np.int64]) -> list[str]:
    """Say of each set of fixed terms that are linearly dependent in some cells what makes them so.

    Parameters
    ----------
    formula
        The model's, or what can be read of it.

    Raises
    ------
    NestdeError
        The fixed effects cannot be evaluated on these cells.
    """
    frame = study.frame(rows)
    x, names, term_of = _matrix(study, formula, frame)
    per_sample = frame.iloc[np.unique(frame["sample_id"].cat.codes, return_index=True)[1]]
    between = {name for name, variable in study.variables.items() if variable.between}
    sentences: dict[frozenset[str], str] = {}
    for name, combination in aliased(x, names):
        terms = frozenset(term_of[column] for column in [name, *combination] if term_of[column] != "1")
        for group in _pairs(terms or frozenset([term_of[name]]), x, names, term_of):
            if group in sentences:
                continue
            variables = [variable for term in group for variable in study.variables_in(term)]
            unit, table = ("sample", per_sample) if between.issuperset(variables) else ("cell", frame)
            order = [term for term in dict.fromkeys(term_of.values()) if term in group]
            sentences[group] = _sentence(study, order, table, unit, name, combination)
    return list(dict.fromkeys(sentences.values()))


def _matrix(
    study: Study, formula: Formula, frame: "pd.DataFrame"
) -> tuple[Floats, list[str], dict[str, str]]:
    """Fixed-effects matrix, its columns' names, and the term of each."""
    levels = {name: order for name, order in study.config.model.levels.items() if name in formula.variables}
    prepared, _ = prepare(formula, frame, levels)
    matrix, indices, _ = materialise(formula.fixed, prepared)
    names = list(matrix.columns)
    term_of = {names[column]: str(term) for term, columns in indices.items() for column in columns}
    return np.ascontiguousarray(matrix.to_numpy(float)), names, term_of


def _pairs(
    terms: frozenset[str], x: Floats, names: Sequence[str], term_of: dict[str, str]
) -> list[frozenset[str]]:
    """The pairs of these terms that already are dependent; if none is, all of them."""
    place = {name: i for i, name in enumerate(names)}
    ones = np.ones((len(x), 1))
    pairs = []
    for pair in itertools.combinations(sorted(terms), 2):
        columns = [place[name] for name in names if term_of[name] in pair]
        part = np.hstack([ones, x[:, columns]])
        if aliased(part, [str(i) for i in range(part.shape[1])]):
            pairs.append(frozenset(pair))
    return pairs or [terms]


def _sentence(
    study: Study, terms: list[str], table: "pd.DataFrame", unit: str, name: str, combination: Combination
) -> str:
    """One sentence for terms that cannot be separated, the tested one as its subject."""
    tested = tested_variables(study)
    order = sorted(terms, key=lambda term: term not in tested)
    plain = [found for found in map(column_of, order) if found is not None and found in study.variables]
    if len(plain) == len(order) == 2:
        return _pair_sentence(study, plain[0], plain[1], table, unit, name, combination)
    if len(plain) == len(order) == 1:
        value = table[plain[0]].iloc[0]
        return (
            f"model.formula: {plain[0]} is {_show(value)} in every {unit}, so it explains nothing. Drop it."
        )
    interaction = [term for term in order if len(factors_of(term)) > 1]
    if interaction:
        empty = _empty_cells(study, interaction[0], table)
        if empty:
            return (
                f"model.formula: {interaction[0]} cannot be estimated: no {unit} has {both(empty)}. Write + instead of "
                f"* or :, or add {unit}s of that kind."
            )
    return (
        f"model.formula: {order[0]} cannot be separated from {both(order[1:]) if len(order) > 1 else 'other columns'}"
        f"{' together' if len(order) > 2 else ''}: {equation(name, combination)} in every {unit}. "
        "No model can tell them apart. Drop one of them."
    )


def _pair_sentence(
    study: Study, a: str, b: str, table: "pd.DataFrame", unit: str, name: str, combination: Combination
) -> str:
    """Two covariates, at least one of them a factor, or two numbers."""
    factor = {v: study.variables[v].factor or v in study.config.model.levels for v in (a, b)}
    head = f"model.formula: {a} cannot be separated from {b}:"
    if factor[a] and factor[b]:
        return _factors_sentence(study, a, b, table, unit)
    if not factor[a] and not factor[b]:
        return f"{head} {equation(name, combination)} in every {unit}. {NO_MODEL} Drop one of them."
    levels, values = (a, b) if factor[a] else (b, a)
    labels = labels_of(table[levels]).remove_unused_categories()
    said = [f"{number(float(table[values].to_numpy()[labels == level][0]))} in every {level} {unit}"
            for level in ordered_levels(study, levels, labels)]  # fmt: skip
    return f"{head} {values} is {both(said)}. {NO_MODEL} Drop {b}, or have it vary within each {levels if levels == a else a}."


def _factors_sentence(study: Study, a: str, b: str, table: "pd.DataFrame", unit: str) -> str:
    labels_a, labels_b = (labels_of(table[v]).remove_unused_categories() for v in (a, b))
    groups = _components(labels_a.codes, labels_b.codes, len(labels_a.categories), len(labels_b.categories))
    per_level = len(table) / len(labels_b.categories)
    inside = all(
        len(np.unique(labels_a.codes[labels_b.codes == i])) == 1 for i in range(len(labels_b.categories))
    )
    if inside and unit == "sample" and per_level < 2 and len(labels_b.categories) > len(labels_a.categories):
        return _nested_sentence(a, b, len(labels_b.categories))
    parts = []
    order_b = ordered_levels(study, b, labels_b)
    place = {level: i for i, level in enumerate(order_b)}
    groups.sort(key=lambda group: min(place[str(labels_b.categories[i])] for i in group[1]))
    many = any(len(levels_b) > 1 for _, levels_b in groups)
    for i, (levels_a, levels_b) in enumerate(groups[:4]):
        names_b = sorted((str(labels_b.categories[j]) for j in levels_b), key=place.__getitem__)
        names_a = [
            level
            for level in ordered_levels(study, a, labels_a)
            if level in {labels_a.categories[j] for j in levels_a}
        ]
        inside_b = np.isin(labels_b.codes, levels_b)
        size = int(inside_b.sum())
        subject = f"{b if len(names_b) == 1 else several(b)} " if i == 0 else ""
        shown = names_b if len(names_b) <= 4 else [*names_b[:3], f"{len(names_b) - 3} others"]
        verb = ("has " if len(names_b) == 1 else "have ") if i == 0 or many else ""
        tail = f" {unit}s" if i == 0 else ""
        parts.append(f"{subject}{both(shown)} {verb}only {both(names_a)}{tail} ({size:,} of {size:,})")
    if len(groups) > 4:
        parts.append(f"so on in {len(groups)} groups")
    amount = "both" if len(labels_a.categories) == 2 else "several"
    return (
        f"model.formula: {a} cannot be separated from {b}: {both(parts)}. {NO_MODEL} "
        f"Drop {b}, or have {unit}s of {amount} {several(a)} in each {b}."
    )


def _nested_sentence(a: str, b: str, levels: int) -> str:
    """A factor that names samples or donors, as a fixed effect beside what it is nested in."""
    what = "sample" if b == "sample_id" else b
    return (
        f"model.formula: {a} cannot be separated from {b} as a fixed effect: each {what} has one {a}, so the effects of "
        f"{levels} {several(what)} leave nothing that could be due to {a}. As a random effect it is no problem: write "
        f"(1 | {b}); {several(what)} then vary around the mean of their {a}, and {a} is tested between {several(what)}."
    )


def _components(
    a: NDArray[Any], b: NDArray[Any], levels_a: int, levels_b: int
) -> list[tuple[list[int], list[int]]]:
    """Sets of levels of two factors that meet each other and no others; several mean that the factors are aliased."""
    from scipy import sparse

    graph = sparse.coo_array(
        (np.ones(len(a)), (a, levels_a + np.asarray(b, np.int64))), shape=[levels_a + levels_b] * 2
    )
    labels = sparse.csgraph.connected_components(graph.tocsr(), directed=False)[1]
    return [
        (np.flatnonzero(labels[:levels_a] == i).tolist(), np.flatnonzero(labels[levels_a:] == i).tolist())
        for i in range(labels.max() + 1)
    ]


def _empty_cells(study: Study, term: str, table: "pd.DataFrame") -> list[str]:
    """Combinations of levels of an interaction of factors that do not occur: ``diagnosis AD and sex F``."""
    names = [column_of(factor) or "" for factor in factors_of(term)]
    if not all(name in study.variables and study.variables[name].factor for name in names):
        return []
    labels = {name: labels_of(table[name]).remove_unused_categories() for name in names}
    there = set(zip(*(np.asarray(column.astype(object)) for column in labels.values()), strict=True))
    wanted = itertools.product(*(ordered_levels(study, name, column) for name, column in labels.items()))
    empty = [levels for levels in wanted if levels not in there]
    return [
        " with ".join(f"{name} {level}" for name, level in zip(names, levels, strict=True))
        for levels in empty[:3]
    ]


def equation(name: str, combination: Combination) -> str:
    """``age_days = 365.25 × age``."""
    parts = []
    for other, weight in combination.items():
        size = "" if abs(weight) == 1 and other != "(Intercept)" else f"{abs(weight):.6g}"
        label = "" if other == "(Intercept)" else other
        parts.append(("-" if weight < 0 else "+", " × ".join(filter(None, (size, label)))))
    right = " ".join(f"{sign} {part}" for sign, part in parts).removeprefix("+ ") or "0"
    right = f"-{right[2:]}" if right.startswith("- ") else right
    return f"{name} = {right}"


def _show(value: object) -> str:
    return number(float(value)) if isinstance(value, int | float | np.number) else str(value)
