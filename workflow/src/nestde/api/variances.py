"""`nestde.variances`: how sure the variance components of a design are, with as many groups as there are, and with others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from nestde.api.printed import columns, indent
from nestde.arrays import Floats
from nestde.design import design as designs
from nestde.design.design import Design
from nestde.design.effects import INTERCEPT
from nestde.errors import Faults
from nestde.fit import intervals
from nestde.fit.crossproducts import sums_of_responses
from nestde.fit.draws import bootstrap
from nestde.fit.genes import FitModel, fit, prepare
from nestde.fit.record import Fits
from nestde.words import both, several

INDEPENDENT = (
    "Effects of different grouping factors are independent by the model: there is no correlation between {} to be estimated, "
    "only between the effects of one of them."
)


@dataclass(frozen=True, repr=False)
class Certainty:
    """What studies of a design would estimate of its variance components; print it, or take `table`.

    Attributes
    ----------
    table
        A row for each number of groups and component: ``groups, component, group, effect, other, true`` (what studies are
        drawn from), ``lower, upper`` (quantiles of the estimates), ``mean, zero`` (their mean, and the share that is
        exactly 0), ``estimate, profile_lower, profile_upper`` (of the response, where there is one).
    formula
        Of the model.
    level
        Coverage of the limits.
    draws
        Studies that were drawn of each number of groups.
    fitted
        Whether the true values are estimates of the response.
    factors
        Names of the grouping factors.
    """

    table: pd.DataFrame
    formula: str
    level: float
    draws: int
    fitted: bool
    factors: tuple[str, ...]

    @property
    def sentences(self) -> list[str]:
        """One for each component, over all numbers of groups, and what is independent."""
        told = []
        for _, rows in self.table.groupby("component", sort=False):
            first = rows.iloc[0]
            if np.isnan(first.true):
                continue  # of effects that do not vary there is no correlation
            parts = list[str]()
            for row in rows.itertuples():
                zero = (
                    f" (as exactly 0 in {row.zero:.0%} of studies)"
                    if row.zero >= 0.005 and not row.other
                    else ""
                )
                what = "it" if parts else f"{_name(first)}, {first.true:.3g},"
                parts.append(
                    f"{'with' if parts else 'With'} {row.groups} {what} will be estimated between {row.lower:.2g} and "
                    f"{row.upper:.2g}{zero}"
                )
            told.append("; ".join(parts) + ".")
        if len(self.factors) > 1:
            told.append(INDEPENDENT.format(both([_groups(name) for name in self.factors])))
        return told

    def __str__(self) -> str:
        shown = [
            ["groups", "component", "true", "estimated between", "mean", "exactly 0", "profile interval"]
        ]
        for row in self.table.itertuples():
            shown.append(
                [
                    row.groups,
                    row.component,
                    f"{row.true:.4g}",
                    f"{row.lower:.4g} and {row.upper:.4g}",
                    f"{row.mean:.4g}",
                    "" if row.other or not row.group else f"{row.zero:.1%}",
                    ""
                    if np.isnan(row.profile_lower)
                    else f"{row.profile_lower:.4g} to {row.profile_upper:.4g}",
                ]
            )
        if self.table["profile_lower"].isna().all():
            shown = [row[:-1] for row in shown]
        told = f"{self.level:.0%} of {self.draws:,} drawn studies"
        return "\n".join(
            [
                f"Variance components by REML: {self.formula}",
                f"Standard deviations and correlations; {told}"
                + (", drawn from what was estimated" if self.fitted else ""),
                "",
                indent(columns(shown, left=2)),
                "",
                *self.sentences,
            ]
        )

    __repr__ = __str__


def _groups(factor: str) -> str:
    """``images within animals`` of animal:image."""
    return " within ".join(several(part) for part in reversed(factor.split(":")))


def _name(row: "pd.Series[float]") -> str:
    if not row.group:
        return "the residual SD"
    where = f"between {_groups(row.group)}"
    if row.other:
        return f"the correlation of {row.effect} and {row.other} {where}"
    return f"the SD {where}" if row.effect == INTERCEPT else f"the SD of the slope of {row.effect} {where}"


def variances(
    formula: str,
    frame: pd.DataFrame,
    *,
    sd: Mapping[str, Sequence[float]] | None = None,
    sigma: float | None = None,
    groups: Mapping[str, Sequence[int]] | None = None,
    draws: int = 1000,
    level: float = 0.95,
    levels: dict[str, list[object]] | None = None,
    seed: int = 1,
    threads: int | None = None,
) -> Certainty:
    """Say how far estimates of a design's variance components stray, by studies drawn from its law and fitted by REML.

    Parameters
    ----------
    formula
        lme4's grammar; with a response unless `sd` and `sigma` are given.
    frame
        One row per observation: the design, and the response.
    sd
        Grouping factor -> supposed SD of each of its effects, which are drawn without correlation; None takes the estimates.
    sigma
        Supposed residual SD.
    groups
        One grouping column -> other numbers of its groups. Studies of more groups repeat those of `frame` in turn, with all
        that is in them; those of fewer take some, spread evenly over the order in which they come.
    draws
        Studies of each size.
    level
        Coverage of limits.
    levels
        As for `nestde.lmm`.
    seed
        Equal seeds give equal studies.
    threads
        None takes all; results do not depend on it.

    Raises
    ------
    NestdeError
        All that is wrong with what is given.
    """
    built = designs.build_design(formula, frame, levels=levels)
    _check(built, frame, sd, sigma, groups or {}, draws, level)
    model = prepare(built)
    own: Fits | None = None
    profiles: list[intervals.Component] = []
    if sd is None:
        y = designs.response(built.formula, frame)
        sums = sums_of_responses(built, model.basis, model.leaf, y[:, None])
        own = fit(model, sums, np.eye(built.x.shape[1]), True, threads=threads)
        faults = Faults()
        if own.status[0] in ("not_testable", "failed"):
            faults.add(f'"{built.formula.text}" has no fit: {own.reason[0]}.')
        faults.raise_if_any()
        profiles = intervals.profile(model, sums, own, level)
        factors, residual = [part[:1] for part in own.factors], float(own.sigma[0])
    else:
        assert sigma is not None
        residual = float(sigma)
        factors = [np.diag(np.array(sd[factor.name], float) / residual)[None] for factor in built.random]
    tables = [
        _drawn(model, factors, residual, _said(built, built.random[-1].name), draws, level, seed, threads)
    ]
    for name, numbers in (groups or {}).items():
        for number in numbers:
            other = designs.build_design(formula, with_groups(frame, name, number), levels=levels)
            tables.append(
                _drawn(prepare(other), factors, residual, _said(other, name), draws, level, seed, threads)
            )
    for table in tables:
        for what in ("estimate", "profile_lower", "profile_upper"):
            table[what] = np.nan
    for place, each in enumerate(profiles):
        tables[0].loc[place, ["estimate", "profile_lower", "profile_upper"]] = (
            each.estimate,
            each.lower,
            each.upper,
        )
    return Certainty(
        table=pd.concat(tables, ignore_index=True),
        formula=built.formula.text,
        level=level,
        draws=draws,
        fitted=own is not None,
        factors=tuple(factor.name for factor in reversed(built.random)),
    )


def _check(
    built: Design,
    frame: pd.DataFrame,
    sd: Mapping[str, Sequence[float]] | None,
    sigma: float | None,
    groups: Mapping[str, Sequence[int]],
    draws: int,
    level: float,
) -> None:
    """Refuse what cannot be, all of it at once."""
    faults = Faults()
    known = {factor.name: factor for factor in built.random}
    if not known:
        faults.add(built.formula.ungrouped())
    if (sd is None) != (sigma is None):
        faults.add("sd and sigma: give both, or neither, and they are estimated from the response.")
    for name, factor in known.items():
        if sd is not None and name not in sd:
            faults.add(f"sd: {name} has none. Give an SD for each of {both(list(factor.effects))}.")
    for name, values in (sd or {}).items():
        if name not in known:
            faults.add(f"sd: {name} is no grouping factor of the formula; there are {both(list(known))}.")
        elif len(values) != len(known[name].effects):
            faults.add(
                f"sd: {name} has {len(known[name].effects)} effects, {both(list(known[name].effects))}, and {len(values)} SDs."
            )
        if any(not 0 <= value < np.inf for value in values):
            faults.add(f"sd: {name} has {', '.join(f'{value:g}' for value in values)}. An SD is 0 or larger.")
    if sigma is not None and not 0 < sigma < np.inf:
        faults.add(f"sigma: {sigma:g} is not above 0.")
    for name, numbers in groups.items():
        if name not in known or name not in frame:
            whole = [each for each in known if each in frame]
            faults.add(f"groups: {name} is no column that groups the rows; there is {both(whole) or 'none'}.")
        for number in numbers:
            if number < 2:
                faults.add(f"groups: {number} of {name} are too few to differ.")
    if draws < 100:
        faults.add(f"draws: {draws} are too few for limits; give 100 or more.")
    if not 0 < level < 1:
        faults.add(f"level: {level:g} does not lie between 0 and 1.")
    faults.raise_if_any()


def with_groups(frame: pd.DataFrame, name: str, number: int) -> pd.DataFrame:
    """The rows of a study with another number of groups of a column: whole groups repeated in turn, or some of them.

    >>> frame = pd.DataFrame({"a": ["p", "q", "q"], "x": [1, 2, 3]})
    >>> with_groups(frame, "a", 3)["a"].tolist(), with_groups(frame, "a", 3)["x"].tolist()
    (['1', '2', '2', '3'], [1, 2, 3, 1])
    """
    there = frame[frame[name].notna()]
    order = pd.unique(there[name].astype(object))
    whole, rest = divmod(number, len(order))
    some = np.arange(rest) * len(order) // max(rest, 1)
    chosen = [*(list(range(len(order))) * whole), *some.tolist()]
    rows = {place: there[there[name].astype(object) == group] for place, group in enumerate(order)}
    width = len(str(number))
    parts = [rows[place].assign(**{name: f"{i + 1:0{width}d}"}) for i, place in enumerate(chosen)]
    return pd.concat(parts, ignore_index=True)


def _said(built: Design, name: str) -> str:
    """How many groups of a factor there are."""
    (factor,) = (each for each in built.random if each.name == name)
    return f"{len(factor.levels):,} {_groups(name)}"


def _drawn(
    model: FitModel,
    factors: Sequence[Floats],
    sigma: float,
    said: str,
    number: int,
    level: float,
    seed: int,
    threads: int | None,
) -> pd.DataFrame:
    """Rows of a table: what studies of a design estimate where the truth is known."""
    found = bootstrap(model, factors, sigma, number, seed, threads=threads)
    truth = intervals.values_of(model.design, factors, np.array([sigma]))
    rows = [
        {
            "groups": said,
            "component": each.of.name,
            "group": each.of.group,
            "effect": each.of.effect,
            "other": each.of.other,
            "true": each.of.estimate,
            "lower": each.of.lower,
            "upper": each.of.upper,
            "mean": each.mean,
            "zero": each.zero,
        }
        for each in intervals.quantiles(truth, found, level)
    ]
    return pd.DataFrame(rows)
