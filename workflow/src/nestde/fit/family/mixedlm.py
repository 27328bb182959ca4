"""statsmodels' MixedLM, the reference in this process for linear mixed models."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.fit.family.family import CrossReference

if TYPE_CHECKING:
    from statsmodels.regression.mixed_linear_model import MixedLM

    from nestde.design.design import Design

# Of the dense matrices of crossed and nested factors: a fit takes about 10 microseconds for each entry.
MOST_ENTRIES = 1_000_000
# Methods, and at which multiple of the residual variance they start; None: where statsmodels does, which is far off for most genes.
METHODS = (("bfgs", None), ("powell", None), ("powell", 0.05))
TOLERANCES = {
    "bfgs": {"gtol": 1e-8},
    "powell": {"xtol": 1e-8, "ftol": 1e-12},
}
_AGREE = 1e-6  # of two log-likelihoods
# Where a single variance is looked for, as a multiple of the residual one, and how exactly its logarithm.
_RANGE, _WITHIN = (1e-6, 1e4), 1e-6


def mixedlm(response: Callable[[Floats, Floats], Floats]) -> CrossReference:
    """The reference for a response: what it makes of (n,) counts and size factors, by other means than the fits do."""

    def refit(
        design: "Design", term: str, by: str, counts: Floats, size_factor: Floats
    ) -> tuple[float, float, Floats]:
        y = response(counts, size_factor)
        structure = _structure(design)
        assert not isinstance(structure, str), structure
        full, coef = _refit(structure, y, design.x)
        if by == "REML":
            coef = _refit(structure, y, design.x, reml=True)[1]
        reduced, _ = _refit(structure, y, design.x @ design.without(term))
        return full, reduced, coef

    return CrossReference(
        name="statsmodels",
        sentence=(
            "statsmodels' MixedLM maximises the same likelihood by another route. Log-likelihoods (full and reduced model) and "
            "coefficients should agree."
        ),
        kind="one grouping factor, or several, nested or crossed; effects of one factor at most are correlated",
        why_not=why_not,
        refit=refit,
    )


@dataclass(frozen=True)
class _Structure:
    """Random effects as MixedLM takes them.

    Attributes
    ----------
    groups
        (n,) rows of different groups are independent.
    effects
        (n, k) correlated effects of these groups, of mean square 1; None where there are none.
    components
        Effects of one variance each: name, (n,) group of each row, (n,) what multiplies its effect.
    """

    groups: NDArray[np.int64]
    effects: Floats | None
    components: tuple[tuple[str, NDArray[np.int32], Floats], ...]

    @property
    def entries(self) -> int:
        """Entries of the dense matrices of its components."""
        return sum(
            int(np.bincount(self.groups) @ _groups_within(self.groups, codes))
            for _, codes, _ in self.components
        )


def _groups_within(groups: NDArray[np.int64], codes: NDArray[np.int32]) -> NDArray[np.int64]:
    """How many different codes the rows of each group have."""
    pairs = np.unique(groups * (int(codes.max()) + 1) + codes)
    return np.bincount(pairs // (int(codes.max()) + 1))


def _structure(design: "Design") -> _Structure | str:
    """Groups and components of a design, or why MixedLM has none such.

    Where all factors are nested in one, its groups are independent, which spares MixedLM nearly all of the work. Else all
    rows are one group, in which every factor is a component.
    """
    coarsest = min(design.random, key=lambda factor: len(factor.levels))
    others = [factor for factor in design.random if factor is not coarsest]
    nested = all(factor.nested_in(coarsest) for factor in others)
    groups = coarsest.codes.astype(np.int64) if nested else np.zeros(design.n, np.int64)
    together = nested and len(set(coarsest.blocks)) == 1
    components = []
    for factor in others if together else design.random:
        if len(set(factor.blocks)) < len(factor.blocks):
            return (
                f"statsmodels' MixedLM, our reference, has correlated effects of one grouping factor within which all others are "
                f"nested, not of {factor.name} here"
            )
        components += [
            (f"{factor.name} {name}", factor.codes, z)
            for name, z in zip(factor.effects, factor.z.T, strict=True)
        ]
    # of the same size whatever unit a slope's covariate is in, as statsmodels takes variances below 1e-10 for 0
    effects = coarsest.z / np.sqrt(np.mean(coarsest.z**2, axis=0))
    found = _Structure(groups, effects if together else None, tuple(components))
    if found.entries > MOST_ENTRIES:
        return (
            f"statsmodels' MixedLM, our reference, would need hours for {design.n:,} cells and random effects of "
            f"{' and '.join(factor.name for factor in design.random)}: its matrices have {found.entries:,} entries, and "
            f"{MOST_ENTRIES:,} are waited for"
        )
    return found


def why_not(design: "Design") -> str:
    """Say why statsmodels cannot be the reference for a design; '' if it can."""
    found = _structure(design)
    return found if isinstance(found, str) else ""


def _model(structure: _Structure, y: Floats, x: Floats) -> "MixedLM":
    from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec

    components = None
    if structure.components:
        rows = [structure.groups == group for group in np.unique(structure.groups)]
        matrices, columns = [], []
        for _, codes, z in structure.components:
            of_groups = [(codes[mine][:, None] == np.unique(codes[mine])) * z[mine, None] for mine in rows]
            matrices.append(of_groups)
            columns.append([[str(column) for column in range(matrix.shape[1])] for matrix in of_groups])
        components = VCSpec([name for name, _, _ in structure.components], columns, matrices)
    return MixedLM(y, x, groups=structure.groups, exog_re=structure.effects, exog_vc=components)


def _refit(structure: _Structure, y: Floats, x: Floats, reml: bool = False) -> tuple[float, Floats]:
    """Fit with one method; where that does not converge with others, until two agree, and without each of the components.

    What statsmodels warns of is seen in the result. Its default, lbfgs, can end at a variance of exactly zero, where it reports
    a log-likelihood of +inf; of several components where some are zero, it has none at all: that is the model without them.
    """
    if not structure.components and structure.effects is None:
        return _plain(y, x, reml)
    model = _model(structure, y, x)
    if not structure.components and model.k_re == 1:
        return _one_variance(model, y, x, reml)
    best, coef, sure = -np.inf, np.full(x.shape[1], np.nan), False
    for method, variance in METHODS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                start = None if variance is None else _start(model, structure, y, x, variance)
                fit = model.fit(start_params=start, reml=reml, method=method, **TOLERANCES[method])
                loglik = float(fit.llf)
            except (np.linalg.LinAlgError, ValueError):
                continue
        sure = abs(loglik - best) < _AGREE or (
            fit.converged and (method == "bfgs" or not structure.components)
        )
        if best < loglik < np.inf:
            best, coef = loglik, np.asarray(fit.fe_params)
        if sure:
            return best, coef
    parts = range(len(structure.components))
    fewer = [
        replace(structure, components=tuple(structure.components[j] for j in parts if j != i)) for i in parts
    ]
    if structure.components and structure.effects is not None:
        fewer.append(replace(structure, effects=None))
    found = [(best, coef), *(_refit(less, y, x, reml) for less in fewer)]
    return max(found, key=lambda pair: pair[0])


def _one_variance(model: "MixedLM", y: Floats, x: Floats, reml: bool) -> tuple[float, Floats]:
    """Search along statsmodels' likelihood, which has everything but the variance profiled out, in half the time of its own."""
    from scipy.optimize import minimize_scalar
    from statsmodels.regression.mixed_linear_model import MixedLMParams

    loglik, coef = _plain(y, x, reml)
    if not np.isfinite(loglik):
        return loglik, coef
    model.reml, model.cov_pen, model.fe_pen = reml, None, None  # as its `fit` begins

    def at(log_variance: float) -> float:
        covariance = np.array([[np.exp(log_variance)]])
        return -float(model.loglike(MixedLMParams.from_components(np.zeros(x.shape[1]), cov_re=covariance)))

    found = minimize_scalar(at, bounds=np.log(_RANGE), method="bounded", options={"xatol": _WITHIN})
    if -found.fun <= loglik:
        return loglik, coef
    return -float(found.fun), np.asarray(model.get_fe_params(np.array([[np.exp(found.x)]]), np.zeros(0))[0])


def _plain(y: Floats, x: Floats, reml: bool) -> tuple[float, Floats]:
    """Without random effects: least squares."""
    from statsmodels.regression.linear_model import OLS

    if not np.isfinite(y).all():
        return -np.inf, np.full(x.shape[1], np.nan)
    fit = OLS(y, x).fit()
    if not reml:
        return float(fit.llf), np.asarray(fit.params)
    df = len(y) - x.shape[1]
    of_x = float(np.linalg.slogdet(x.T @ x)[1])
    return -0.5 * (df * (np.log(2 * np.pi * fit.ssr / df) + 1) + of_x), np.asarray(fit.params)


def _start(model: "MixedLM", structure: _Structure, y: Floats, x: Floats, variance: float) -> Any:
    """Start with all variances at some multiple of the residual one."""
    from statsmodels.regression.mixed_linear_model import MixedLMParams

    return MixedLMParams.from_components(
        fe_params=np.linalg.lstsq(x, y, rcond=None)[0],
        cov_re=variance * np.eye(model.k_re),
        vcomp=np.full(len(structure.components), variance),
    )
