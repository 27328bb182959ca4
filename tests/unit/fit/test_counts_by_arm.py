"""The moderated test of counts with a variance for each arm, against glmmTMB at given variances (tests/oracle/by_arm.R) and the general kernels."""

import json

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from makers.counted import cells_of, counts_of
from makers.oracle import FOLDER

from nestde.design.design import build_design
from nestde.fit.counts import by_arm, fits, moderated
from nestde.fit.counts.gene import load
from nestde.fit.counts.general.apart import climb_apart
from nestde.fit.counts.general.moderated import beside
from nestde.fit.counts.general.standin import climb, expand, room_for, standin_of
from nestde.fit.counts.laplace import NEGATIVE_BINOMIAL, POISSON
from nestde.fit.counts.separation import walls_of
from nestde.fit.moderated import arms_of

CASE = np.array([[0.0, 0.0, 1.0]])


@pytest.fixture(scope="module")
def frame():
    return cells_of(sizes=(40, 25, 60, 33, 52, 18, 30, 44))


class Study:
    """Genes, their fits, and what of them the kernels take."""

    def __init__(self, frame, family, counts, formula="~ depth + case + (1 | sample)"):
        self.design = build_design(formula, frame, test=["case"])
        self.model = fits.prepare(self.design, family, frame["offset"].to_numpy())
        self.data = fits.data_of(self.model.cells, scipy.sparse.csc_array(counts))
        self.full = fits.fit(self.model, self.model.full, self.data, threads=1)
        self.arms = arms_of(self.design, "case")
        self.strata = by_arm.in_strata(self.model.full, self.arms)
        self.less = by_arm.in_strata(self.model.without(CASE), self.arms)
        self.ends = by_arm.ends_of(self.full)

    def stand_in(self, g):
        """Of a gene."""
        points, out = self.strata.points, standin_of(self.strata.model)
        kappa, family = self.ends.kappa[g], points.family
        if family == NEGATIVE_BINOMIAL and not np.isfinite(kappa):
            family = POISSON
        lam = self.ends.theta[g, 0] * np.eye(len(self.arms.names))
        gene = load(g, points, self.data)
        expand(
            *(self.strata.model, family, points.cells, gene, self.ends.coefficients[g], kappa, lam),
            *(self.ends.modes[g], out),
        )
        return out

    def heights(self, climbs, g, sds, which):
        """Height, log|H|, log|J| at the SDs of the arms, from the fit."""
        phi, u = which.of(self.strata, self.ends.coefficients[[g]])[0], self.ends.modes[g].copy()
        room, (wall, walls) = room_for(which.model), walls_of(self.full.separated, g + 1, len(phi))
        if which is self.strata:
            room.wall[:] = walls[wall[g]]
        for _ in range(3):  # a climb ends short of the maximum by what it tells
            found = climbs(which.model, self.stand_in(g), np.diag(np.array(sds, float)), phi, u, room)
        return np.array(found)

    def moderated(self, expression, **more):
        return by_arm.moderate(
            self.model, self.data, self.full, [CASE], self.arms, expression, **{"threads": 1} | more
        )


@pytest.mark.parametrize("family", ["poisson", "negative_binomial"])
def test_likelihood_ratios_at_given_variances_are_those_of_glmmtmb(family):
    cells = pd.read_csv(FOLDER / "data" / "counts.csv.gz").astype({"sample": str})
    oracle = json.loads((FOLDER / "by_arm.json").read_text())
    # glmmTMB warned of the others
    genes = [each for each in oracle["genes"] if each["family"] == family]
    study = Study(cells, family, cells[[each["gene"] for each in genes]].to_numpy(), "~ x + case + (1 | sample)")  # fmt: skip
    assert len(genes) > 12
    for g, each in enumerate(genes):
        theirs = np.array(each["loglik"])
        ours = []
        for sds in oracle["sd"]:
            of = [study.heights(climb_apart, g, sds, which) for which in (study.strata, study.less)]
            ours.append([height - 0.5 * logdet for height, logdet, _ in of])
        # the dispersion is that of the fit, theirs the best there: far from the fit, where a variance has no weight, another
        likely = theirs[:, 0] > theirs[:, 0].max() - 10.0
        ours, theirs = np.array(ours)[likely], theirs[likely]
        ratios = 2.0 * (theirs[:, 0] - theirs[:, 1])
        np.testing.assert_allclose(2.0 * (ours[:, 0] - ours[:, 1]), ratios, rtol=0.04, atol=0.02)
        np.testing.assert_allclose(np.diff(ours[:, 0]), np.diff(theirs[:, 0]), rtol=0.04, atol=0.05)


@pytest.mark.parametrize("family", list(fits.FAMILIES))
def test_climbs_where_the_general_kernel_does(frame, family):
    study = Study(frame, family, counts_of(frame, (0.1, 0.5, 3.0)))
    for g in range(3):
        for sds in ((0.0, 0.0), (0.0, 0.4), (0.3, 0.0), (0.2, 0.9), (2.0, 0.1)):
            for which in (study.strata, study.less):
                own, other = (study.heights(climbs, g, sds, which) for climbs in (climb_apart, climb))
                np.testing.assert_allclose(own[0], other[0], rtol=0, atol=1e-8)
                # both are of where the last step begins
                np.testing.assert_allclose(own[1:], other[1:], rtol=0, atol=2e-3)


def test_threads_and_chunks_give_the_same_bytes(frame):
    counts, expression = counts_of(frame, np.geomspace(0.2, 5.0, 40)).toarray(), np.zeros(40)
    whole = Study(frame, "negative_binomial", counts).moderated(expression, threads=2)
    part = Study(frame, "negative_binomial", counts[:, 25:]).moderated(expression[25:], prior=whole.prior)
    for name in ("log_p", "estimate", "se", "lower", "upper"):
        assert np.array_equal(getattr(part.tests[0], name), getattr(whole.tests[0], name)[25:])
    for name, column in whole.columns.items():
        assert np.array_equal(part.columns[name], column[25:])


@pytest.mark.parametrize("family", list(fits.FAMILIES))
def test_an_arm_without_counts_tells_nothing_of_its_variance(frame, family):
    counts = counts_of(frame, np.full(30, 2.0)).toarray()
    counts[frame["case"] == 0, 7] = 0
    study = Study(frame, family, counts)
    assert study.full.coef[7, 2] == np.inf
    found = study.moderated(np.zeros(30))
    (test,) = found.tests
    assert test.log_p[7] < np.log(0.001) and np.isposinf(test.estimate[7])
    # whatever that arm's variance, the other's likelihood is the same
    for other in (0.0, 0.5):
        along = np.array([study.heights(climb_apart, 7, (sd, other), study.strata) for sd in (0.0, 0.5, 2.0)])
        adjusted = along[:, 0] - 0.5 * along[:, 1] - 0.5 * along[:, 2]
        assert np.ptp(adjusted) < 1e-6
    # and the test is about that of one variance for both
    ratio = fits.fit_tests(study.model, study.data, [CASE], study.full, threads=1)[1]
    common = moderated.moderate(
        study.model, study.data, study.full, [CASE], ratio, np.zeros(30), threads=1
    ).tests[0]
    assert 0.5 < test.log_p[7] / common.log_p[7] < 2.0


@pytest.mark.parametrize("arms", [2, 3, 4, 5])
def test_every_point_is_beside_others(arms):
    cells = cells_of(sizes=(20,) * (2 * arms))
    cells["case"] = [f"L{int(name[1:]) % arms}" for name in cells["sample"]]
    design = build_design("~ case + (1 | sample)", cells, test=["case"])
    model, of = fits.prepare(design, "poisson", cells["offset"].to_numpy()), arms_of(design, "case")
    on = by_arm.grid(model, of)
    near = beside(on)
    reached, fresh = np.zeros(len(on.values), bool), np.array([0])
    while len(fresh):
        reached[fresh] = True
        fresh = np.unique(near[fresh][near[fresh] >= 0])
        # neighbours are each other's
        assert all((near[near[k][near[k] >= 0]] == k).any(axis=1).all() for k in fresh)
        fresh = fresh[~reached[fresh]]
    assert reached.all() and on.values.shape[1] == arms
    # of many arms two kinds of variance at a time
    assert max(len(set(row)) for row in on.values.tolist()) == min(arms, 2 if arms > 3 else arms)


def test_a_prior_of_other_arms_is_refused(frame):
    study = Study(frame, "poisson", counts_of(frame, np.full(20, 1.0)))
    prior = study.moderated(np.zeros(20)).prior
    assert prior.grid.arms == study.arms.names
    other = prior.grid.__class__(**{**prior.grid.__dict__, "arms": ("a", "b", "c")})
    with pytest.raises(ValueError, match="3 arms, the tests are of 2"):
        study.moderated(np.zeros(20), prior=type(prior)(other, prior.knots, prior.weights, prior.genes))
