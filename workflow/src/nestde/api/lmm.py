"""`nestde.lmm`: one response, one linear mixed model, printed the way a person expects; `nestde.lrt` compares two."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nestde.api.printed import columns, indent, p_value, references_of, unsaid_references, variance_rows
from nestde.api.result import FitsOfOne, Result
from nestde.arrays import Floats
from nestde.design import design as designs
from nestde.design.design import Design, RandomFactor
from nestde.errors import NestdeError
from nestde.fit.containment import containment
from nestde.fit.crossproducts import Sums, sums_of_responses
from nestde.fit.genes import FitModel, fit, modes, prepare
from nestde.fit.inference import f_tests
from nestde.fit.log_sf import log_chi2_sf, log_f_sf
from nestde.fit.record import Fits, Record

if TYPE_CHECKING:
    from nestde.api.glmm import GLMMResult

# Of a column of the smaller model, what the larger cannot explain must be below this share.
_ROUNDING = 1e-8


def lmm(
    formula: str,
    frame: pd.DataFrame,
    *,
    reml: bool = True,
    levels: dict[str, list[object]] | None = None,
    threads: int | None = None,
) -> "LMMResult":
    """Fit a linear mixed model to one response.

    Parameters
    ----------
    formula
        lme4's grammar, with a response: ``y ~ diet*x + (x | animal/image)``.
    frame
        One row per observation.
    reml
        REML, for unbiased variances and t tests; False for ML, which likelihood-ratio tests of fixed effects want.
    levels
        Factor -> its levels, reference first. Others take sorted order, as in R; printed, the fit says which that is.
    threads
        Threads to fit with; None takes all.

    Raises
    ------
    NestdeError
        All that is wrong with the formula on these data, or why the response cannot be fitted.
    """
    design = designs.build_design(formula, frame, levels=levels)
    y = designs.response(design.formula, frame)
    model = prepare(design)
    sums = sums_of_responses(design, model.basis, model.leaf, y[:, None])
    fits = fit(model, sums, np.eye(len(design.coef_names)), reml, threads=threads)
    if fits.status[0] in ("not_testable", "failed"):
        raise NestdeError(f'"{design.formula.text}" has no fit: {fits.reason[0]}.')
    notes = unsaid_references(design, frame, levels or {})
    return LMMResult(design, y, fits, notes, model, sums)


@dataclass(frozen=True, repr=False)
class LMMResult(Result):
    """A fitted linear mixed model; print it, or take what you need.

    Attributes
    ----------
    design
        X, random factors, names.
    y
        (n,) the response.
    fits
        The engine's fit, of this one response.
    notes
        Factors whose reference may not be the one that was meant.
    """

    design: Design
    y: Floats
    fits: Fits
    notes: tuple[str, ...]
    _model: FitModel = field(compare=False)
    _sums: Sums = field(compare=False)

    @property
    def _fits(self) -> FitsOfOne:
        return self.fits

    @property
    def family(self) -> str:
        """What the response is taken for."""
        return "gaussian"

    @property
    def shift(self) -> Floats:
        """(n,) what is added to the linear predictor beside what is fitted."""
        return np.zeros(self.design.n)

    @property
    def theta(self) -> Floats:
        """Relative covariance parameters, as lme4 orders them within each factor of `design.random`."""
        found: Floats = self.fits.theta[0]
        return found

    @property
    def sigma(self) -> float:
        """Residual SD."""
        return float(self.fits.sigma[0])

    @property
    def record(self) -> Record:
        """How the optimum was found."""
        return self.fits.record

    @property
    def random_effects_covariance(self) -> dict[str, pd.DataFrame]:
        """Factor -> covariance of its effects."""
        return {
            factor.name: pd.DataFrame(
                self.sigma**2 * part[0] @ part[0].T, list(factor.effects), list(factor.effects)
            )
            for factor, part in zip(self.design.random, self.fits.factors, strict=True)
        }

    def conditional_modes(self) -> dict[str, pd.DataFrame]:
        """Factor -> groups × effects: the predicted random effects (BLUPs)."""
        return {
            factor.name: pd.DataFrame(part[0], list(factor.levels), list(factor.effects))
            for factor, part in zip(
                self.design.random, modes(self._model, self._sums, self.fits), strict=True
            )
        }

    def t_tests(self, method: str | None = None) -> pd.DataFrame:
        """Fixed effects with standard errors, degrees of freedom, t and two-sided p.

        Parameters
        ----------
        method
            ``satterthwaite`` (the default for REML), ``kenward_roger`` or ``containment``, which is what ML has.

        Raises
        ------
        NestdeError
            The method is unknown, or Satterthwaite's or Kenward and Roger's are asked of an ML fit.
        """
        coef = self.fits.coef[0]
        if method not in (None, "satterthwaite", "kenward_roger", "containment"):
            raise NestdeError(f"t_tests: {method} is none of satterthwaite, kenward_roger, containment.")
        if self.fits.reml:
            rows = [row[None] for row in np.eye(len(coef))]
            tests = [getattr(test, method or "satterthwaite") for test in f_tests(self.fits, rows)]
            se = np.array([test.se[0, 0] for test in tests])
            df = np.array([test.df_residual[0] for test in tests])
        elif method in (None, "containment"):
            se, df = self.fits.se[0], containment(self.design)
        else:
            raise NestdeError(f"t_tests: {method} degrees of freedom are of REML fits. Fit with reml=True.")
        t = coef / se
        p = np.exp(log_f_sf(t**2, 1, df))
        return pd.DataFrame(
            {"estimate": coef, "se": se, "df": df, "t": t, "p": p}, index=list(self.design.coef_names)
        )

    def __str__(self) -> str:
        kind = "REML" if self.fits.reml else "maximum likelihood"
        method = "Satterthwaite" if self.fits.reml else "containment"
        groups = "; ".join(f"{factor.name} {len(factor.levels):,}" for factor in self.design.random)
        record = self.record
        ended = f"{self.status}" + (f" ({self.fits.reason[0]})" if self.fits.reason[0] else "")
        return "\n".join(
            [
                f"Linear mixed model fitted by {kind}",
                f"Formula: {self.design.formula.text}",
                "",
                f"logLik {self.loglik:.4f}   AIC {self.aic:.2f}   BIC {self.bic:.2f}   "
                f"{'REML criterion' if self.fits.reml else 'deviance'} {self.deviance:.4f}",
                f"Observations {self.design.n:,}" + (f"   Groups: {groups}" if groups else ""),
                "",
                "Random effects",
                indent(self._variances()),
                "",
                f"Fixed effects (degrees of freedom: {method})",
                indent(_fixed(self.t_tests())),
                *references_of(self.design, self.notes),
                "",
                f"Fit: {ended}; {record.evaluations[0]} evaluations, "
                f"gradient {record.gradient[0]:.1e}, optima met {record.optima[0]}",
            ]
        )

    __repr__ = __str__

    def _variances(self) -> str:
        rows = variance_rows(self.design, [self.sigma * part[0] for part in self.fits.factors])
        rows.append(["Residual", "", f"{self.sigma**2:.5g}", f"{self.sigma:.5g}", ""])
        return columns([["group", "effect", "variance", "SD", "corr"], *rows], left=2)


@dataclass(frozen=True)
class LRT:
    """Likelihood-ratio test of two nested models.

    Attributes
    ----------
    statistic
        Twice the difference of the log-likelihoods.
    df
        Difference of the numbers of parameters.
    p, log_p
        Upper tail of χ², and its natural log, which is finite where p is 0.
    note
        What to know when reading it; '' if nothing.
    """

    statistic: float
    df: int
    p: float
    log_p: float
    note: str

    def __str__(self) -> str:
        p = f"{self.p:.4g}" if self.p > 0 else f"10^{self.log_p / np.log(10):.1f}"
        line = f"Likelihood-ratio test: chi2 = {self.statistic:.4f}, df = {self.df}, p = {p}"
        return f"{line}\n{self.note}" if self.note else line


def lrt(full: "LMMResult | GLMMResult", reduced: "LMMResult | GLMMResult") -> LRT:
    """Compare two nested models of the same response by their likelihoods.

    Parameters
    ----------
    full, reduced
        Both from `nestde.lmm`, by ML; or by REML, if their fixed effects are the same. Or both from `nestde.glmm`, of one
        family.

    Raises
    ------
    NestdeError
        The comparison has no meaning: other data, REML with different fixed effects, models not nested.
    """
    if not np.array_equal(full.y, reduced.y):
        raise NestdeError(
            f"lrt: the models are of different data ({full.design.n:,} and {reduced.design.n:,} observations"
            f"{', with other values' if full.design.n == reduced.design.n else ''}). Fit both to the same rows."
        )
    if full.family != reduced.family:
        raise NestdeError(
            f"lrt: the models are of different families, {full.family} and {reduced.family}; their likelihoods differ by more "
            "than what is left out. Fit both by the same."
        )
    if not np.array_equal(full.shift, reduced.shift):
        raise NestdeError("lrt: the models have not the same offset. Give both the same.")
    if full.fits.reml != reduced.fits.reml:
        raise NestdeError("lrt: one model is fitted by REML and the other by ML. Refit both with reml=False.")
    within = _spans(full.design.x, reduced.design.x)
    same_x = within and full.design.x.shape[1] == reduced.design.x.shape[1]
    if full.fits.reml and not same_x:
        raise NestdeError(
            "lrt: both models are fitted by REML and their fixed effects differ. REML's likelihood is that of the data "
            "after the fixed effects are taken out, so with different fixed effects it is of different data and cannot be "
            "compared. Refit both with reml=False."
        )
    df = full.fits.df - reduced.fits.df
    random_within = _random_within(full.design, reduced.design)
    if not within or not random_within or df <= 0:
        if _spans(reduced.design.x, full.design.x) and _random_within(reduced.design, full.design) and df < 0:
            raise NestdeError("lrt: the first model is nested in the second. Give the larger model first.")
        what = "fixed effects" if not within else "random effects" if not random_within else "parameters"
        raise NestdeError(
            "lrt: the models have the same parameters; there is nothing to test."
            if df == 0 and within and random_within
            else f"lrt: the second model is not nested in the first: its {what} are not all in the first. "
            "Compare such models by AIC or BIC."
        )
    statistic = max(2.0 * (full.loglik - reduced.loglik), 0.0)
    log_p = float(log_chi2_sf(statistic, df))
    note = ""
    if _variances(full.design) > _variances(reduced.design):
        note = "A variance is tested at the edge of its range, zero: p is too large, for one variance by a factor of two."
    return LRT(statistic, df, float(np.exp(log_p)), log_p, note)


def _spans(x: Floats, columns: Floats) -> bool:
    """Whether the columns are combinations of those of x."""
    size = np.linalg.norm(columns, axis=0)
    q, _ = np.linalg.qr(x)
    unit = columns / np.where(size > 0, size, 1.0)
    return bool(np.all(np.abs(unit - q @ (q.T @ unit)) <= _ROUNDING))


def _random_within(full: Design, reduced: Design) -> bool:
    """Whether each random effect of `reduced`, and each correlation, is one of `full`."""
    return all(any(_factor_within(larger, factor) for larger in full.random) for factor in reduced.random)


def _factor_within(full: RandomFactor, reduced: RandomFactor) -> bool:
    if not np.array_equal(full.codes, reduced.codes) or not _spans(full.z, reduced.z):
        return False
    if not set(reduced.effects) <= set(full.effects):
        # another basis of the same effects, such as 0 + f for f: only without the restriction to no correlation
        return len(set(full.blocks)) == 1
    place = [full.effects.index(effect) for effect in reduced.effects]
    return all(
        full.blocks[place[i]] == full.blocks[place[j]]
        for i in range(len(place))
        for j in range(i)
        if reduced.blocks[i] == reduced.blocks[j]
    )


def _variances(design: Design) -> int:
    return sum(len(factor.effects) for factor in design.random)


def _fixed(table: pd.DataFrame) -> str:
    rows = [
        [str(name), f"{row.estimate:.6g}", f"{row.se:.4g}", f"{row.df:.1f}", f"{row.t:.3f}", p_value(row.p)]
        for name, row in table.iterrows()
    ]
    return columns([["", "estimate", "SE", "df", "t", "p"], *rows], left=1)
