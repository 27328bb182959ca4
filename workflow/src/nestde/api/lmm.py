"""`nestde.lmm`: one response, one linear mixed model, printed the way a person expects."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from nestde.api.printed import Part, Summary, p_value, references_of, unsaid_references, variance_rows
from nestde.api.result import FitsOfOne, Result, check_level
from nestde.arrays import Floats
from nestde.design import design as designs
from nestde.design.design import Design
from nestde.errors import NestdeError
from nestde.fit.containment import containment, containment_of
from nestde.fit.crossproducts import Sums, sums_of_responses
from nestde.fit.draws import bootstrap
from nestde.fit.genes import FitModel, fit, modes, prepare
from nestde.fit.inference import f_tests
from nestde.fit.intervals import estimates, profile, quantiles
from nestde.fit.log_sf import log_f_sf
from nestde.fit.record import Fits, Record

METHODS = ("satterthwaite", "kenward_roger", "containment")


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
    read = frame[list(design.formula.variables)]
    return LMMResult(design, y, fits, np.zeros(design.n), notes, read, model, sums)


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
    shift
        (n,) what is added to the linear predictor beside what is fitted: nothing.
    notes
        Factors whose reference may not be the one that was meant.
    frame
        The rows that were fitted, of the columns that the formula reads right of the ``~``.
    """

    design: Design
    y: Floats
    fits: Fits
    shift: Floats
    notes: tuple[str, ...]
    frame: pd.DataFrame
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

    def _modes(self) -> list[Floats]:
        return [part[0] for part in modes(self._model, self._sums, self.fits)]

    def _mean(self, link: Floats) -> Floats:
        return link

    def _shift_of(self, frame: pd.DataFrame) -> Floats:
        return np.zeros(len(frame))

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
        return self._coefficients(method)

    def _tested(self, rows: Sequence[Floats], method: str | None) -> pd.DataFrame:
        if method not in (None, *METHODS):
            raise NestdeError(f"method: {method} is none of {', '.join(METHODS)}.")
        estimate = np.array([(row @ self.fits.coef[0])[0] for row in rows])
        if self.fits.reml:
            tests = [getattr(test, method or "satterthwaite") for test in f_tests(self.fits, rows)]
            se = np.array([test.se[0, 0] for test in tests])
            df = np.array([test.df_residual[0] for test in tests])
        elif method in (None, "containment"):
            se = np.array([np.sqrt((row @ self.fits.vcov[0] @ row.T)[0, 0]) for row in rows])
            each = containment(self.design)
            df = np.array([float(containment_of(row, each)) for row in rows])
        else:
            raise NestdeError(f"method: {method} degrees of freedom are of REML fits. Fit with reml=True.")
        t = estimate / se
        p = np.exp(log_f_sf(t**2, 1, df))
        return pd.DataFrame({"estimate": estimate, "se": se, "df": df, "t": t, "p": p})

    def conf_int(
        self,
        level: float = 0.95,
        *,
        method: str | None = None,
        of: Literal["coefficients", "variances"] = "coefficients",
        draws: int = 1000,
        seed: int = 1,
    ) -> pd.DataFrame:
        """Confidence intervals, of the fixed effects or of the variance components.

        Parameters
        ----------
        level
            Coverage, between 0 and 1.
        method
            Of coefficients, whose limits are estimate ± quantile of t × standard error, the degrees of freedom: as `contrast` takes it. Of
            variances ``profile`` (the likelihood's, lme4's default) or ``bootstrap`` (quantiles of fits to responses drawn from this one).
        of
            What.
        draws, seed
            Of the bootstrap.

        Returns
        -------
        pandas.DataFrame
            ``lower`` and ``upper`` of each coefficient; or of each SD and correlation, named as lme4 names them (``sd_(Intercept)|animal``,
            ``cor_x.(Intercept)|animal``, ``sigma``), with its ``estimate``. Bates et al. (2015, J Stat Softw 67(1)), section 5.1.

        Raises
        ------
        NestdeError
            The level is no share, or there is no such method.
        """
        if of == "coefficients":
            return super().conf_int(level, method=method)
        check_level(level)
        if method in (None, "profile"):
            found = profile(self._model, self._sums, self.fits, level)
        elif method == "bootstrap":
            drawn = bootstrap(
                *(self._model, [part[:1] for part in self.fits.factors], self.sigma, draws, seed),
                reml=self.fits.reml,
            )
            found = [each.of for each in quantiles(estimates(self.fits), drawn, level)]
        else:
            raise NestdeError(
                f"method: {method} is neither profile nor bootstrap, as intervals of variances are."
            )
        return pd.DataFrame(
            [(each.estimate, each.lower, each.upper) for each in found],
            index=[each.name for each in found],
            columns=["estimate", "lower", "upper"],
        )

    def summary(self) -> Summary:
        """What is printed: likelihood, variances, fixed effects with t tests, reference levels, how the fit ended."""
        kind = "REML" if self.fits.reml else "maximum likelihood"
        method = "Satterthwaite" if self.fits.reml else "containment"
        groups = "; ".join(f"{factor.name} {len(factor.levels):,}" for factor in self.design.random)
        ended = self.status + (f" ({self.fits.reason[0]})" if self.fits.reason[0] else "")
        criterion = "REML criterion" if self.fits.reml else "deviance"
        variances = variance_rows(self.design, [self.sigma * part[0] for part in self.fits.factors])
        variances.append(["Residual", "", f"{self.sigma**2:.5g}", f"{self.sigma:.5g}", ""])
        return Summary(
            (
                Part((f"Linear mixed model fitted by {kind}", f"Formula: {self.design.formula.text}")),
                Part(
                    (
                        f"logLik {self.loglik:.4f}   AIC {self.aic:.2f}   BIC {self.bic:.2f}   {criterion} {self.deviance:.4f}",
                        f"Observations {self.design.n:,}" + (f"   Groups: {groups}" if groups else ""),
                    )
                ),
                Part(("Random effects",), (["group", "effect", "variance", "SD", "corr"], *variances), 2),
                Part(
                    (f"Fixed effects (degrees of freedom: {method})",),
                    _fixed(self.t_tests()),
                    foot=references_of(self.design, self.notes),
                ),
                Part((f"Fit: {ended}",)),
            )
        )


def _fixed(table: pd.DataFrame) -> tuple[list[str], ...]:
    rows = [
        [str(name), f"{row.estimate:.6g}", f"{row.se:.4g}", f"{row.df:.1f}", f"{row.t:.3f}", p_value(row.p)]
        for name, row in table.iterrows()
    ]
    return (["", "estimate", "SE", "df", "t", "p"], *rows)
