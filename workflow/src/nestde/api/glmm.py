"""`nestde.glmm`: one response of counts, one mixed model, printed as `nestde.lmm` prints."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse
from scipy.special import expit

from nestde.api.printed import Part, Summary, p_value, references_of, unsaid_references, variance_rows
from nestde.api.result import FitsOfOne, Result
from nestde.arrays import Floats
from nestde.design import design as designs
from nestde.design.design import Design
from nestde.errors import Faults, NestdeError, a_few
from nestde.fit.counts.fits import FAMILIES, data_of, fit_tests, prepare
from nestde.fit.counts.gene import Data
from nestde.fit.counts.record import CountFits, CountModel
from nestde.fit.counts.tests import log_p_of_ratio, residual_df

_KINDS = {
    "poisson": "Poisson mixed model (log link)",
    "negative_binomial": "Negative binomial mixed model (log link)",
    "bernoulli": "Bernoulli mixed model (logit link)",
}


def glmm(
    formula: str,
    frame: pd.DataFrame,
    *,
    family: str = "negative_binomial",
    offset: str | None = None,
    levels: dict[str, list[object]] | None = None,
) -> "GLMMResult":
    """Fit a mixed model of counts, or of what is 0 or 1, to one response, by maximum likelihood (Laplace's approximation).

    Parameters
    ----------
    formula
        lme4's grammar, with a response: ``count ~ diagnosis + (1 | donor/sample)``.
    frame
        One row per observation.
    family
        ``poisson``, ``negative_binomial`` (variance μ + dispersion · μ²) or ``bernoulli``.
    offset
        Column that is added to the linear predictor, such as the logarithm of each cell's total counts.
    levels
        Factor -> its levels, reference first, as in `nestde.lmm`.

    Raises
    ------
    NestdeError
        All that is wrong with the formula on these data, or why the response cannot be fitted.
    """
    if family not in FAMILIES:
        raise NestdeError(f"family: {family} is none of {', '.join(FAMILIES)}.")
    design = designs.build_design(formula, frame, levels=levels)
    y = designs.response(design.formula, frame)
    faults = Faults()
    _check_response(design, y, family, faults)
    shift = _offset_of(frame, offset, faults)
    faults.raise_if_any()
    model = prepare(design, family, shift)
    data = data_of(model.cells, scipy.sparse.csc_array(y[:, None]))
    fits, _ = fit_tests(model, data, [], threads=1)
    if fits.status[0] in ("not_testable", "failed"):
        raise NestdeError(f'"{design.formula.text}" has no fit: {fits.reason[0]}.')
    notes = unsaid_references(design, frame, levels or {})
    read = frame[list(design.formula.variables)]
    return GLMMResult(design, y, fits, offset, shift, notes, read, model, data)


def _check_response(design: Design, y: Floats, family: str, faults: Faults) -> None:
    """Note what is no count, or neither 0 nor 1."""
    wrong = (y < 0) | (y != np.floor(y)) | ((y > 1) if family == "bernoulli" else False)
    if wrong.any():
        want = "0 or 1" if family == "bernoulli" else "whole numbers from 0 on"
        found = a_few([f"{y[row]:g} in row {row + 1}" for row in np.flatnonzero(wrong)])
        advice = "" if family == "bernoulli" else " Give raw counts; what normalises them is the offset."
        faults.add(
            f"{design.formula.response}: the {family} family wants {want}, and there is {found}.{advice}"
        )


def _offset_of(frame: pd.DataFrame, offset: str | None, faults: Faults) -> Floats:
    """The (n,) offset; 0 if there is none."""
    if offset is None:
        return np.zeros(len(frame))
    if offset not in frame:
        faults.add(
            f"offset: there is no column {offset}; there are {a_few([str(c) for c in frame.columns], 12)}."
        )
        return np.zeros(len(frame))
    values: Floats = pd.to_numeric(frame[offset], errors="coerce").to_numpy(float)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        found = a_few([f"{frame[offset].iloc[row]} in row {row + 1}" for row in wrong])
        faults.add(
            f"offset: {offset} wants finite numbers, and there is {found}. An offset is a logarithm: of total counts, "
            "these must not be 0."
        )
    return values


class CountRecord(NamedTuple):
    """How the optimum was found.

    Attributes
    ----------
    evaluations
        Of the likelihood.
    promise
        By which a Newton step from the end would raise the log-likelihood.
    """

    evaluations: int
    promise: float


@dataclass(frozen=True, repr=False)
class GLMMResult(Result):
    """A fitted mixed model of counts; print it, or take what you need.

    Attributes
    ----------
    design
        X, random factors, names.
    y
        (n,) the response.
    fits
        The engine's fit, of this one response.
    offset
        Column that was added to the linear predictor.
    shift
        (n,) what it holds.
    notes
        Factors whose reference may not be the one that was meant.
    frame
        The rows that were fitted, of the columns that the formula reads right of the ``~``.
    """

    design: Design
    y: Floats
    fits: CountFits
    offset: str | None
    shift: Floats
    notes: tuple[str, ...]
    frame: pd.DataFrame
    _model: CountModel = field(compare=False)
    _data: Data = field(compare=False)

    @property
    def _fits(self) -> FitsOfOne:
        return self.fits

    @property
    def family(self) -> str:
        """Of `nestde.glmm`."""
        return self.fits.family

    @property
    def sd(self) -> float:
        """SD of the first random effect, in `design.random`: the intercept's, where there is but one."""
        return float(self.fits.sd()[0][0, 0])

    @property
    def random_effects_covariance(self) -> dict[str, pd.DataFrame]:
        """Factor -> covariance of its effects."""
        return {
            factor.name: pd.DataFrame(part[0] @ part[0].T, list(factor.effects), list(factor.effects))
            for factor, part in zip(self.design.random, self.fits.factors, strict=True)
        }

    @property
    def dispersion(self) -> float:
        """Of a count of mean μ the variance, given its group, is μ + dispersion · μ²; 0 but for the negative binomial."""
        return float(self.fits.dispersion[0])

    @property
    def record(self) -> CountRecord:
        """How the optimum was found."""
        return CountRecord(int(self.fits.evaluations[0]), float(self.fits.ends.promise[0]))

    def _modes(self) -> list[Floats]:
        return [part[0] for part in self.fits.modes]

    def _mean(self, link: Floats) -> Floats:
        return np.asarray(expit(link) if self.family == "bernoulli" else np.exp(link))

    def _shift_of(self, frame: pd.DataFrame) -> Floats:
        faults = Faults()
        shift = _offset_of(frame, self.offset, faults)
        faults.raise_if_any()
        return shift

    def _tested(self, rows: Sequence[Floats], method: str | None) -> pd.DataFrame:
        if method is not None:
            raise NestdeError("method: a count model has one test, the likelihood ratio as F.")
        _, ratios = fit_tests(self._model, self._data, rows, threads=1)
        estimate, se = np.array([self.fits.effect(row[0]) for row in rows])[:, :, 0].T
        return pd.DataFrame(
            {
                "estimate": estimate,
                "se": se,
                "ratio": np.exp(estimate),
                "lrt": [ratio.stat[0] for ratio in ratios],
                "df": [residual_df(self.design, row)[1] for row in rows],
                "p": [
                    np.exp(log_p_of_ratio(self.design, row, ratio.stat)[0])
                    for row, ratio in zip(rows, ratios, strict=True)
                ],
            }
        )

    def tests(self) -> pd.DataFrame:
        """Each coefficient with its standard error, e^estimate, and its likelihood ratio against F.

        χ² or z would be too bold with few groups: 0.09 to 0.12 instead of 0.05 with 3 against 3 samples.
        """
        return self._coefficients()

    def summary(self) -> Summary:
        """What is printed: likelihood, variances, fixed effects with tests, reference levels, how the fit ended."""
        fits = self.fits
        groups = "; ".join(f"{factor.name} {len(factor.levels):,}" for factor in self.design.random)
        ended = self.status + (f" ({fits.reason[0]})" if fits.reason[0] else "")
        size = f"{self.dispersion:.5g}"
        dispersion = Part((f"Dispersion {size}: a count of mean m has variance m + {size} m^2",))
        variances = variance_rows(self.design, [part[0] for part in fits.factors])
        return Summary(
            (
                Part(
                    (
                        f"{_KINDS[self.family]} fitted by maximum likelihood (Laplace's approximation)",
                        f"Formula: {self.design.formula.text}"
                        + (f"   Offset: {self.offset}" if self.offset else ""),
                    )
                ),
                Part(
                    (
                        f"logLik {self.loglik:.4f}   AIC {self.aic:.2f}   BIC {self.bic:.2f}   deviance {self.deviance:.4f}",
                        f"Observations {self.design.n:,}   Groups: {groups}",
                    )
                ),
                Part(("Random effects",), (["group", "effect", "variance", "SD", "corr"], *variances), 2),
                *([dispersion] if self.family == "negative_binomial" else []),
                Part(
                    ("Fixed effects (likelihood ratio as F; ratio is e^estimate)",),
                    _fixed(self.tests()),
                    foot=references_of(self.design, self.notes),
                ),
                Part((f"Fit: {ended}",)),
            )
        )


def _fixed(table: pd.DataFrame) -> tuple[list[str], ...]:
    rows = [
        [
            str(name),
            f"{row.estimate:.6g}",
            f"{row.se:.4g}",
            f"{row.ratio:.4g}",
            f"{row.lrt:.3f}",
            f"{row.df:.0f}",
            p_value(row.p),
        ]
        for name, row in table.iterrows()
    ]
    return (["", "estimate", "SE", "ratio", "LRT", "df", "p"], *rows)
