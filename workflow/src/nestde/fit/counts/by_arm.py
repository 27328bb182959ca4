"""The moderated test of count models with one random intercept whose variance is an own one in each arm of what is tested.

Patients vary more than controls, and a variance that is common to both makes the test too bold where the arm that varies more has
the fewer cells. Likelihoods are the stand-ins of `nestde.fit.counts.general`, whose random effects may have several variances.
"""

from collections.abc import Sequence

import numpy as np

from nestde.arrays import Floats
from nestde.fit import grid as grids
from nestde.fit.counts.columns import Columns
from nestde.fit.counts.gene import Data
from nestde.fit.counts.general.gene import GeneralEnds
from nestde.fit.counts.general.moderated import DENSITY, SIZE, Setting, beside, nearest, places, tested
from nestde.fit.counts.general.profile import Lattice
from nestde.fit.counts.general.strata import GeneralColumns, Points, Strata
from nestde.fit.counts.intercept import InterceptModel
from nestde.fit.counts.moderated import CountModerated, sd_cox_reid
from nestde.fit.counts.record import CountFits
from nestde.fit.grid import Arms, Grid
from nestde.fit.prior import Prior


def grid(model: InterceptModel, arms: Arms) -> Grid:
    """Lay out the variances of the arms at which a posterior is summed."""
    (factor,), names = model.design.random, [f"{model.design.random[0].name} [{name}]" for name in arms.names]
    groups = np.bincount(arms.arm).tolist()
    return grids.lay_out([factor], names, [SIZE] * len(names), groups, DENSITY, arms)


def moderate(
    model: InterceptModel,
    data: Data,
    full: CountFits,
    contrasts: Sequence[Floats],
    arms: Arms,
    expression: Floats,
    prior: Prior | None = None,
    threads: int | None = None,
) -> CountModerated:
    """Test contrasts of the coefficients for all genes of a cell type; see `nestde.fit.counts.moderated.moderate`.

    Parameters
    ----------
    arms
        Of what is tested, see `nestde.fit.moderated.arms_of`.

    Raises
    ------
    ValueError
        The prior given has another number of arms.
    """
    if prior is not None and len(prior.grid.arms) != len(arms.names):
        raise ValueError(
            f"the prior given is of {len(prior.grid.arms)} arms, the tests are of {len(arms.names)}"
        )
    on = grid(model, arms) if prior is None else prior.grid
    values, _, number = places(on)
    variance = np.nan_to_num(full.ends.variance)
    setting = Setting(
        grid=on,
        lattice=Lattice(on.factors[0][:, :, 0] * np.eye(len(arms.names)), beside(on)),
        full=in_strata(model.full, arms),
        without=lambda rows: in_strata(model.without(rows), arms),
        ends=ends_of(full),
        start=number[tuple(nearest(axis, variance) for axis in values)],
        variances=on.values,
    )
    tests, means, prior = tested(setting, data, full, contrasts, expression, prior, threads)
    columns = dict(zip((f"variance_moderated_{name}" for name in arms.names), means.T, strict=True))
    if len(arms.names) == 2:
        columns["variance_ratio_moderated"] = means[:, 1] / means[:, 0]
    columns["sd_cox_reid"] = sd_cox_reid(model, data, full, threads)
    return CountModerated(tests, columns, prior)


def in_strata(columns: Columns, arms: Arms) -> GeneralColumns:
    """The same columns as those of a general model whose strata and random effects are the groups, with a row of Λ for each arm."""
    of = columns.model
    (groups, constant), covariates, number = of.z.shape, len(of.reach), len(arms.names)
    fixed = np.zeros((groups, 1 + covariates, constant + covariates))
    fixed[:, 0, :constant] = of.z
    fixed[:, 1:, constant:] = np.eye(covariates)
    effect = np.zeros((groups, 1 + covariates, 1))
    effect[:, 0] = 1.0
    each = np.arange(groups + 1)
    strata = Strata(
        pair=of.pair,
        triple=np.zeros((0, 0, 0), np.int64),
        reach=of.reach,
        fixed=fixed,
        effect=effect,
        place=each[:-1, None].copy(),
        strata=each,
        first=each,
        slot=arms.arm,
        lead=each[:-1],
        tail=each[1:],
        constant=constant,
        element=np.zeros((number, 1, 1), np.int64),
        shift=np.arange(number),
        apart=True,
    )
    return GeneralColumns(
        strata, Points(of.family, of.cells, of.nodes, of.served, of.pair), columns.q, columns.back
    )


def ends_of(full: CountFits) -> GeneralEnds:
    """Fits as those of a general model."""
    ends, sd = full.ends, np.sqrt(full.ends.variance)[:, None]
    modes = np.divide(ends.mode, sd, out=np.zeros_like(ends.mode), where=sd > 0)
    return GeneralEnds(
        ends.loglik, ends.promise, ends.evaluations, ends.coefficients, ends.covariance, sd, ends.kappa, modes
    )
