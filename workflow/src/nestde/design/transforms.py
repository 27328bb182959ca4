"""The functions that a formula may call: the list at the foot is all that there is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nestde.arrays import Floats
from nestde.design import bases, literals
from nestde.design.values import Columns, Factor, Value, factor_of, finite, numbers, truth
from nestde.errors import a_few


@dataclass(frozen=True)
class Transform:
    """One function of the list.

    Attributes
    ----------
    apply
        Takes the values of the data arguments, and the settings by name.
    data
        Fewest and most arguments that are arithmetic on columns; they come first.
    settings
        Name -> how its literal is read; in the order in which they may be given without name.
    defaults
        Of the settings.
    learns
        Whether it takes something from all values, such as their mean, and so is told `learn` (see `evaluate`).
    """

    apply: Callable[..., Value]
    data: tuple[int, int] = (1, 1)
    settings: Mapping[str, literals.Reader] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    learns: bool = False


def _make_factor(
    value: Value, contrasts: tuple[str, str | None] = ("treatment", None), levels: list[str] | None = None
) -> Factor:
    kind, base = contrasts
    found = factor_of(value, levels)
    if base is not None and kind == "SAS":
        order = [name for name in found.labels.categories if name != base]
        found = factor_of(found, [*order, base]) if base in found.labels.categories else _relevel(found, base)
    elif base is not None:
        found = _relevel(found, base)
    return Factor(found.labels, kind)


def _relevel(value: Value, ref: str) -> Factor:
    found = factor_of(value)
    there = list(found.labels.categories)
    if ref not in there:
        raise ValueError(f"{ref} is none of the levels {a_few(there)}")
    return factor_of(found, [ref, *(name for name in there if name != ref)])


def _cut(
    value: Value,
    breaks: list[float],
    labels: list[str] | None,
    right: bool,
    lowest: bool,
    learn: int | None,
) -> Factor:
    import pandas as pd

    place, names = bases.cut(finite(value), breaks, labels or [], right, lowest, learn)
    if (place < 0).any():
        raise ValueError(
            f"{np.sum(place < 0):,} of {len(place):,} values are in no interval of {a_few(names)}; add -Inf or Inf to the breaks"
        )
    there = sorted(set(place))
    return Factor(
        pd.Categorical.from_codes(np.searchsorted(there, place), categories=[names[i] for i in there])
    )


def _scale(
    value: Value, center: bool | float, scale: bool | float, ddof: float = 1.0, learn: int | None = None
) -> Floats:
    """R's ``scale``: without centring, the SD is about 0."""
    x = finite(value)
    if center is not False:
        x = x - (x[:learn].mean() if center is True else center)
    if scale is not False:
        known = x[:learn]
        x = x / (np.sqrt((known**2).sum() / (len(known) - ddof)) if scale is True else scale)
    return x


def _splines(kind: str) -> Callable[..., Columns]:
    """Formulaic's splines, which are R's ``bs`` and patsy's ``cr`` and ``cc``."""

    def apply(value: Value, learn: int | None, **settings: Any) -> Columns:
        from formulaic import transforms as formulaics

        whole = settings.pop("intercept", False)
        bounds = dict(zip(("lower_bound", "upper_bound"), settings.pop("boundary", []), strict=False))
        chosen = {name: given for name, given in settings.items() if given not in (None, [])}
        if whole:
            chosen["include_intercept"] = True
        x, state = finite(value), dict[str, Any]()
        found = formulaics.TRANSFORMS[kind](x[:learn], **chosen, **bounds, _state=state)
        if learn is not None:
            found = formulaics.TRANSFORMS[kind](x, **chosen, **bounds, _state=state)
        return Columns(np.column_stack([np.asarray(column) for key, column in found.items()]), whole)

    return apply


def _elementwise(function: Callable[..., Any], data: tuple[int, int] = (1, 1)) -> Transform:
    return Transform(lambda *values: np.asarray(function(*map(numbers, values))), data)


_KNOTS = {"df": literals.count, "knots": literals.numbers}
_NUMPY = ("log", "log1p", "log2", "log10", "exp", "expm1", "exp2", "sqrt", "cbrt", "square", "abs", "sign", "floor", "ceil",
          "sin", "cos", "tan", "arcsinh", "tanh")  # fmt: skip
TRANSFORMS: dict[str, Transform] = {
    "I": Transform(lambda value: value),
    **{f"{prefix}{name}": _elementwise(getattr(np, name)) for name in _NUMPY for prefix in ("", "np.")},
    "asinh": _elementwise(np.arcsinh),
    "pmin": _elementwise(np.minimum, (2, 2)),
    "pmax": _elementwise(np.maximum, (2, 2)),
    "np.minimum": _elementwise(np.minimum, (2, 2)),
    "np.maximum": _elementwise(np.maximum, (2, 2)),
    "np.power": _elementwise(np.power, (2, 2)),
    "ifelse": Transform(lambda test, yes, no: np.where(truth(test), numbers(yes), numbers(no)), (3, 3)),
    "C": Transform(_make_factor, settings={"contrasts": literals.contrasts, "levels": literals.levels}),
    "factor": Transform(_make_factor, settings={"levels": literals.levels}),
    "as.factor": Transform(_make_factor),
    "relevel": Transform(_relevel, settings={"ref": literals.level}),
    "cut": Transform(
        _cut,
        settings={
            "breaks": literals.numbers,
            "labels": literals.levels,
            "lowest": literals.flag,
            "right": literals.flag,
        },
        defaults={"labels": None, "right": True, "lowest": False},
        learns=True,
    ),
    "scale": Transform(
        _scale,
        settings={"center": literals.amount, "scale": literals.amount, "ddof": literals.number},
        defaults={"center": True, "scale": True},
        learns=True,
    ),
    "standardize": Transform(
        _scale,
        settings={"center": literals.amount, "scale": literals.amount, "ddof": literals.number},
        defaults={"center": True, "scale": True, "ddof": 0.0},
        learns=True,
    ),
    "center": Transform(lambda value, learn: _scale(value, True, False, learn=learn), learns=True),
    "poly": Transform(
        lambda value, degree, raw, learn: Columns(bases.poly(finite(value), degree, raw, learn)),
        settings={"degree": literals.count, "raw": literals.flag},
        defaults={"degree": 1, "raw": False},
        learns=True,
    ),
    "ns": Transform(
        lambda value, **given: Columns(bases.ns(finite(value), **given), given["intercept"]),
        settings={**_KNOTS, "intercept": literals.flag, "boundary": literals.numbers},
        defaults={"df": None, "knots": [], "intercept": False, "boundary": []},
        learns=True,
    ),
    "bs": Transform(
        _splines("bs"),
        settings={
            **_KNOTS,
            "degree": literals.count,
            "intercept": literals.flag,
            "boundary": literals.numbers,
        },
        learns=True,
    ),
    **{
        kind: Transform(_splines(kind), settings={**_KNOTS, "boundary": literals.numbers}, learns=True)
        for kind in ("cr", "cs", "cc")
    },
}
FACTORS = frozenset(["C", "factor", "as.factor", "relevel"])
