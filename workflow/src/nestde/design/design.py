"""Formula + observations -> `Design`: what the engine needs to know of everything but the response."""

import itertools
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.design.aliasing import alias_sentence, aliased
from nestde.design.columns import grouping, materialise, prepare
from nestde.design.compared import Compared
from nestde.design.expressions import caret
from nestde.design.formula import Formula, RandomTerm, parse
from nestde.design.tests import Matrix, what_is_tested
from nestde.errors import Faults, NestdeError, a_few
from nestde.io.files import atomic

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class RandomFactor:
    """All random effects of one grouping factor.

    Attributes
    ----------
    name
        As lme4 names it: ``sample_id``, ``animal:image``.
    levels
        Labels of the q groups, sorted; those of ``a:b`` are joined by a colon.
    codes
        (n,) group of each row, an index into `levels`.
    effects
        Names of the k random effects: ``(Intercept)``, ``x``.
    z
        (n, k) what multiplies each effect in each row.
    blocks
        (k,) effects with the same number are correlated: ``(1 + x | g)`` (0, 0), ``(1 + x || g)`` (0, 1).
    """

    name: str
    levels: tuple[str, ...]
    codes: NDArray[np.int32]
    effects: tuple[str, ...]
    z: Floats
    blocks: tuple[int, ...]

    def nested_in(self, coarse: "RandomFactor") -> bool:
        """Whether each of its groups lies in one group of the other."""
        pairs = np.unique(self.codes.astype(np.int64) * len(coarse.levels) + coarse.codes)
        return len(pairs) == len(self.levels)


@dataclass(frozen=True)
class Design:
    """The design of a mixed model: fixed-effects matrix, random factors, what is tested.

    Attributes
    ----------
    formula
        The parsed formula.
    x
        (n, p) fixed-effects matrix, of full column rank.
    coef_names
        (p,) R-like names: ``(Intercept)``, ``diagnosis[AD]``, ``diagnosis[AD]:age``.
    terms
        Fixed term as written (``1`` for the intercept) -> its columns of `x`.
    tests
        Tested term, or named contrast -> the columns of `x` that it is about: a term's own.
    levels
        Factor -> its levels that occur, reference first.
    random
        Random factors, most groups first; empty for a model without.
    contrasts
        Those of `tests` that are named contrasts.
    untested
        Named contrast that these rows have no test of -> why not.
    """

    formula: Formula
    x: Floats
    coef_names: tuple[str, ...]
    terms: dict[str, tuple[int, ...]]
    tests: dict[str, tuple[int, ...]]
    levels: dict[str, tuple[str, ...]]
    random: tuple[RandomFactor, ...]
    contrasts: dict[str, Compared] = field(default_factory=dict)
    untested: dict[str, str] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.x.shape[0])

    def tested(self, test: str) -> Floats:
        """Combinations of the coefficients that are 0 where there is nothing to be found, (rows, p)."""
        if test in self.contrasts:
            return self.contrasts[test].weights[None]
        return np.eye(self.x.shape[1])[list(self.tests[test])]

    def without(self, test: str) -> Floats:
        """Combinations of the columns of `x` that span the model in which these are 0, (p, r)."""
        columns = np.eye(self.x.shape[1])
        if test not in self.contrasts:
            return np.delete(columns, self.tests[test], axis=1)
        weights = self.contrasts[test].weights
        most = int(np.abs(weights).argmax())
        return np.delete(columns - np.outer(columns[most], weights / weights[most]), most, axis=1)

    def save(self, path: str | Path) -> None:
        """Write to an .npz file, whole or not at all; equal designs give equal bytes."""
        header = {
            "formula": asdict(self.formula),
            "coef_names": self.coef_names,
            "terms": self.terms,
            "tests": self.tests,
            "levels": self.levels,
            "contrasts": {name: compared.content() for name, compared in self.contrasts.items()},
            "untested": self.untested,
            "random": [
                {"name": f.name, "levels": f.levels, "effects": f.effects, "blocks": f.blocks}
                for f in self.random
            ],
        }
        arrays: dict[str, Any] = {"x": self.x}
        for i, factor in enumerate(self.random):
            arrays |= {f"codes{i}": factor.codes, f"z{i}": factor.z}
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
        with atomic(path) as temporary, temporary.open("wb") as handle:
            np.savez_compressed(handle, **arrays)


def load_design_file(path: str | Path) -> Design:
    """Read a design that `Design.save` wrote.

    Raises
    ------
    NestdeError
        The file is not there or is no design.
    """
    try:
        with Path(path).open("rb") as handle, np.load(handle, allow_pickle=False) as stored:
            header = json.loads(stored["header"].tobytes())
            formula = header["formula"]
            return Design(
                formula=Formula(
                    text=formula["text"],
                    response=formula["response"],
                    fixed=formula["fixed"],
                    random=tuple(
                        RandomTerm(**{**term, "factors": tuple(term["factors"])})
                        for term in formula["random"]
                    ),
                ),
                x=stored["x"],
                coef_names=tuple(header["coef_names"]),
                terms={name: tuple(columns) for name, columns in header["terms"].items()},
                tests={name: tuple(columns) for name, columns in header["tests"].items()},
                levels={name: tuple(levels) for name, levels in header["levels"].items()},
                random=tuple(
                    RandomFactor(
                        name=factor["name"],
                        levels=tuple(factor["levels"]),
                        codes=stored[f"codes{i}"],
                        effects=tuple(factor["effects"]),
                        z=stored[f"z{i}"],
                        blocks=tuple(factor["blocks"]),
                    )
                    for i, factor in enumerate(header["random"])
                ),
                contrasts={name: Compared.of(content) for name, content in header["contrasts"].items()},
                untested=header["untested"],
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise NestdeError(
            f"{path}: no design that nestde can read ({error}). Run `nestde run` again: it makes it again."
        ) from error


def build_design(
    formula: str | Formula,
    frame: "pd.DataFrame",
    *,
    test: Sequence[str] = (),
    levels: Mapping[str, Sequence[object]] | None = None,
) -> Design:
    """Build the design of a formula on the rows of a table; the response need not be there.

    Text, boolean and categorical columns are factors in treatment coding. Their levels, reference
    first, are those of `levels`; else an ordered categorical's own; else sorted. Levels without a
    row are left out.

    Parameters
    ----------
    formula
        Text in lme4's grammar, or parsed.
    frame
        One row per observation. A column ``sample_id``, if there is one, is used to say which samples
        have missing values.
    test
        Fixed terms to be tested; the order of the factors of an interaction does not matter. What takes the
        place of an intercept that the formula leaves out cannot be tested. And named contrasts (see `named`).
    levels
        Factor -> its levels, reference first.

    Raises
    ------
    NestdeError
        All that is wrong with the formula on these data: unknown columns, missing values, columns of `x`
        that are combinations of others, grouping factors that cannot carry a variance, …
    """
    if isinstance(formula, str):
        formula = parse(formula)
    prepared, factor_levels = prepare(formula, frame, levels or {})
    matrix, indices, coded_levels = materialise(formula.fixed, prepared)
    if matrix.shape[1] == 0:
        raise NestdeError(f'formula: the fixed part of "{formula.text}" is empty. Write 1 for an intercept.')
    x, names = np.ascontiguousarray(matrix.to_numpy(float)), tuple(matrix.columns)
    faults = Faults()
    of_terms = Matrix(prepared, x, indices)
    tested = what_is_tested(formula, test, of_terms, levels or {}, faults)
    random = _random(formula, prepared, faults)
    for name, combination in aliased(x, names):
        faults.add(alias_sentence(name, combination))
    if len(x) <= len(names):
        faults.add(f"formula: {len(x)} rows are too few for {len(names)} coefficients.")
    faults.raise_if_any()
    return Design(
        formula=formula,
        x=x,
        coef_names=names,
        terms={str(term): tuple(columns) for term, columns in indices.items()},
        tests=tested.columns,
        levels=coded_levels | factor_levels,
        random=random,
        contrasts=tested.contrasts,
        untested=tested.reasons,
    )


def response(formula: Formula, frame: "pd.DataFrame") -> Floats:
    """Evaluate the left-hand side, such as ``y`` or ``log(y + 1)``, on the rows of a table: (n,).

    Raises
    ------
    NestdeError
        There is no left-hand side, a column is unknown or a value is missing or infinite.
    """
    if formula.response is None:
        raise NestdeError(f'formula: no response stands left of the "~" in "{formula.text}".')
    left = parse(f"~ 0 + I({formula.response})")  # in I() it is arithmetic
    prepared, factors = prepare(left, frame, {})
    if factors:
        raise NestdeError(
            f"formula: the response {formula.response} is not a number.{formula.at(formula.response)}"
        )
    matrix, _, _ = materialise(left.fixed, prepared)
    if matrix.shape[1] != 1:
        raise NestdeError(f"formula: one response is wanted, {formula.response} is {matrix.shape[1]}.")
    return np.ascontiguousarray(matrix.to_numpy(float)[:, 0])


def _random(formula: Formula, prepared: "pd.DataFrame", faults: Faults) -> tuple[RandomFactor, ...]:
    """Random factors, the one with most groups first; terms of one grouping factor merged."""
    merged: dict[tuple[str, ...], RandomFactor] = {}
    for term in formula.random:
        where = caret(formula.text, term.column)
        matrix, blocks = _effects(term, prepared, where)
        key = tuple(sorted(term.factors))
        factor = merged.get(key)
        if factor is None:
            levels, codes = _groups(term.factors, prepared)
            factor = RandomFactor(term.group, levels, codes, (), np.empty((len(prepared), 0)), ())
        effects = tuple(matrix.columns)
        _check_groups(factor, effects, len(prepared), term, where, faults)
        first = len(set(factor.blocks))
        merged[key] = RandomFactor(
            factor.name,
            factor.levels,
            factor.codes,
            factor.effects + effects,
            np.hstack([factor.z, matrix.to_numpy(float)]),
            factor.blocks + tuple(first + block for block in blocks),
        )
    factors = sorted(merged.values(), key=lambda factor: -len(factor.levels))
    for fine, coarse in itertools.combinations(factors, 2):
        shared = set(fine.effects) & set(coarse.effects)
        if shared and len(fine.levels) == len(coarse.levels) and fine.nested_in(coarse):
            faults.add(
                f"formula: {fine.name} and {coarse.name} group the rows in the same way; the variances of "
                f"{a_few(sorted(shared))} cannot be told apart. Drop one of them."
            )
    return tuple(factors)


def _effects(term: RandomTerm, prepared: "pd.DataFrame", where: str) -> tuple["pd.DataFrame", list[int]]:
    """Matrix of a term's effects and, for each, the number of its correlated block."""
    matrix, indices, _ = materialise(term.effects, prepared)
    if matrix.shape[1] == 0:
        raise NestdeError(f'formula: "{term.effects}" leaves no random effect for {term.group}.{where}')
    if term.correlated:
        return matrix, [0] * matrix.shape[1]
    for effect, columns in indices.items():
        factors = [name for name in effect.variables if prepared[name].dtype == "category"]
        if factors or len(columns) > 1:
            # lme4 splits `||` by terms, which leaves the levels of a factor correlated; few expect it
            raise NestdeError(
                f'formula: "||" wants numbers left of the bars; {effect} has several columns, which lme4 '
                f"keeps correlated. Write (1 | {term.group}) + (0 + {effect} | {term.group}) for that, "
                f"or make a 0/1 column for each level.{where}"
            )
    return matrix, list(range(matrix.shape[1]))


def _groups(factors: Sequence[str], prepared: "pd.DataFrame") -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Groups of rows that agree in all factors, sorted: labels, and the group of each row."""
    first, *others = (grouping(prepared[name]) for name in factors)
    codes, labels = first.codes.astype(np.int64), list(first.categories)
    for factor in others:
        categories = factor.categories
        pairs, codes = np.unique(codes * len(categories) + factor.codes, return_inverse=True)
        labels = [f"{labels[pair // len(categories)]}:{categories[pair % len(categories)]}" for pair in pairs]
    return tuple(labels), codes.astype(np.int32)


def _check_groups(
    factor: RandomFactor, effects: Sequence[str], n: int, term: RandomTerm, where: str, faults: Faults
) -> None:
    """What lme4 refuses too, and the same effect given twice."""
    groups = len(factor.levels)
    width = len(effects) if term.correlated else 1
    if groups < 2:
        faults.add(
            f"formula: {factor.name} is the same in every row; a variance needs several groups.{where}"
        )
    elif groups * width >= n:
        faults.add(
            f"formula: {groups:,} groups of {factor.name} with {width} random effects each are too many "
            f"for {n:,} rows; they cannot be told from the residual.{where}"
        )
    twice = sorted(set(effects) & set(factor.effects))
    if twice:
        faults.add(
            f"formula: {factor.name} has the random effect {a_few(twice)} twice; take it out of one term, "
            f"as in (1 | {factor.name}) + (0 + x | {factor.name}).{where}"
        )
