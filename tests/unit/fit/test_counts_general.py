"""Count models with nested, crossed and slope terms, against glmmTMB and lme4 (tests/oracle/counts_general.R) and themselves."""

import json

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from makers.counted import cells_of, counts_of, design_of
from makers.oracle import FOLDER

from nestde.design.design import build_design
from nestde.fit.counts import fits
from nestde.fit.counts.gene import load
from nestde.fit.counts.general.laplace import evaluate_general
from nestde.fit.counts.general.model import general_model
from nestde.fit.counts.tests import residual_df

CASE = np.array([[0.0, 0.0, 1.0]])
# Above this glmmTMB's θ is on its way to infinity, where its likelihood loses digits.
FINITE = 1e5


@pytest.fixture(scope="module")
def cells():
    kinds = {"sample": str, "donor": str, "run": str}
    return pd.read_csv(FOLDER / "data" / "counts_general.csv.gz").astype(kinds)


@pytest.fixture(scope="module", params=["nested", "crossed", "slope", "diagonal"])
def genes(request):
    every = json.loads((FOLDER / "counts_general.json").read_text())["genes"]
    return [gene for gene in every if gene["structure"] == request.param]


def number(value):
    return np.nan if value is None else np.array(value, float)


def fitted(cells, genes, family):
    design = build_design(f"~ x + case + {genes[0]['random']}", cells)
    model = fits.prepare(design, family, cells["offset"].to_numpy())
    counts = scipy.sparse.csc_array(cells[[gene["gene"] for gene in genes]].to_numpy())
    return fits.fit_tests(model, fits.data_of(model.cells, counts), [CASE], threads=1)


@pytest.mark.parametrize("family", list(fits.FAMILIES))
def test_agrees_with_glmmtmb(cells, genes, family):
    full, (ratio,) = fitted(cells, genes, family)
    assert fits.trusted(full.status).all(), full.reason
    assert fits.trusted(ratio.status).all(), ratio.reason
    close = 0
    for g, gene in enumerate(genes):
        end = gene[family]
        if family == "negative_binomial" and end["theta"] > FINITE:
            continue
        told, less = number(end["full"]), number(end["reduced"])
        assert not full.loglik[g] < told - 1e-6, gene["gene"]
        assert not ratio.reduced.loglik[g] < less - 1e-6, gene["gene"]
        warned = [end["warned"]] if isinstance(end["warned"], str) else end["warned"]
        if warned or not abs(full.loglik[g] - told) < 1e-6:
            if all("singular convergence" in words for words in warned):
                close += abs(full.loglik[g] - told) < 1e-5
            continue
        assert abs(ratio.reduced.loglik[g] - less) < 1e-6, gene["gene"]
        away = np.abs(full.coef[g] - number(end["coef"])) / full.se[g]
        assert away.max() < 1e-4, gene["gene"]
        assert np.abs(full.se[g] / number(end["se"]) - 1).max() < 1e-4, gene["gene"]
        sd = np.sort(np.concatenate([part[g] for part in full.sd()]))
        assert np.allclose(sd, np.sort(number(end["sd"])), atol=1e-3), gene["gene"]
        close += 1
    assert close >= 5


def test_is_the_model_of_one_intercept_where_there_is_one():
    frame = cells_of()
    counts = counts_of(frame, (0.1, 0.5, 2.0, 10.0))
    design = design_of(frame)
    for family in fits.FAMILIES:
        offset = frame["offset"].to_numpy()
        own = fits.prepare(design, family, offset)
        general = general_model(design, family, fits.FAMILIES[family], offset)
        data = fits.data_of(own.cells, counts)
        (one, (ratio,)), (other, (again,)) = (
            fits.fit_tests(model, data, [CASE], threads=1) for model in (own, general)
        )
        tested = fits.trusted(one.status)
        assert (other.status == one.status).all()
        assert np.allclose(other.loglik[tested], one.loglik[tested], rtol=0, atol=1e-7)
        assert np.allclose(again.stat[tested], ratio.stat[tested], atol=1e-5)
        assert np.allclose(other.coef[tested], one.coef[tested], atol=1e-4)
        assert np.allclose(other.se[tested], one.se[tested], rtol=1e-3)
        assert np.allclose(other.sd()[0][tested], one.sd()[0][tested], atol=1e-3)
        assert np.allclose(other.modes[0][tested], one.modes[0][tested], atol=1e-3)


@pytest.mark.parametrize("family", list(fits.FAMILIES))
def test_the_gradient_is_that_of_the_likelihood(cells, family):
    design = build_design("~ x + case + (1 + x | donor/sample)", cells)
    prepared = fits.prepare(design, family, cells["offset"].to_numpy())
    model, points = prepared.full.model, prepared.full.points
    data = fits.data_of(prepared.cells, scipy.sparse.csc_array(cells[["nested4"]].to_numpy()))
    gene = load(0, points, data)
    random = np.random.default_rng(1)
    r, thetas = model.fixed.shape[2], 6
    at = np.concatenate([random.normal(0, 0.3, r), [0.0], random.uniform(-0.2, 0.5, thetas)])
    # one variance is zero, where nothing may be divided by it
    at[-1] = 0.0
    modes, gradient = np.zeros(len(model.slot)), np.zeros(len(at))

    def value(x, kappa):
        return evaluate_general(model, points.family, points.cells, gene, x, kappa, modes, gradient)

    kappa = 0.3 if family == "negative_binomial" else 0.0
    value(at, kappa)
    exact, by_difference, h = gradient.copy(), np.zeros(len(at)), 1e-5
    for i in range(len(at)):
        step = h * np.eye(len(at))[i]
        if i == r:
            if family == "negative_binomial":
                by_difference[i] = (value(at, kappa + h) - value(at, kappa - h)) / (2 * h)
        else:
            by_difference[i] = (value(at + step, kappa) - value(at - step, kappa)) / (2 * h)
    exact[r] *= family == "negative_binomial"
    assert np.allclose(exact, by_difference, rtol=1e-6, atol=1e-5 * np.abs(exact).max())


def test_threads_and_chunks_give_the_same_bytes(cells):
    genes = [{"gene": f"slope{i}", "random": "(1 + x | sample)"} for i in range(1, 9)]
    whole, (ratio,) = fitted(cells, genes, "poisson")
    part, (own,) = fitted(cells, genes[3:], "poisson")
    for name in ("loglik", "coef", "se"):
        assert np.array_equal(getattr(part, name), getattr(whole, name)[3:])
    assert np.array_equal(own.stat, ratio.stat[3:])


def test_an_arm_without_counts_has_an_endless_effect(cells):
    frame = cells.assign(none=cells["nested4"] * (cells["case"] == 0))
    full, (ratio,) = fitted(frame, [{"gene": "none", "random": "(1 | donor/sample)"}], "poisson")
    assert full.status[0] in ("ok", "singular")
    assert full.coef[0, 2] == -np.inf
    assert ratio.stat[0] > 1


# to 2e-4: Hessians of several random effects are differences
@pytest.mark.parametrize("random", ["(1 | pair/sample)", "(1 + depth | sample)"])
@pytest.mark.parametrize("family", list(fits.FAMILIES))
def test_beside_an_endless_effect_the_others_are_those_of_the_other_arm_alone(family, random):
    frame = cells_of(sizes=(40, 25, 60, 33, 52, 18, 30, 44, 50, 61, 22, 37))
    number = frame["sample"].str[1:].astype(int)
    frame["pair"] = "P" + (number // 4 * 2 + number % 2).astype(str)
    controls = (frame["case"] == 0).to_numpy()
    counts = counts_of(frame, np.repeat([0.05, 1.0, 20.0, 200.0], 4)).toarray() * controls[:, None]

    def fit(frame, counts, fixed, tested):
        model = fits.prepare(build_design(f"~ {fixed} + {random}", frame), family, frame["offset"].to_numpy())
        data = fits.data_of(model.cells, scipy.sparse.csc_array(counts))
        return fits.fit_tests(model, data, [tested], threads=1)[0]

    full = fit(frame, counts, "depth + case", CASE)
    alone = fit(frame[controls], counts[controls], "depth", np.eye(2)[[1]])
    assert (full.coef[:, 2] == -np.inf).all() and (full.se[:, 2] == np.inf).all()
    # of detection a gene in every cell of the controls has no bound there either
    told = np.isfinite(alone.coef).all(axis=1)
    assert told.sum() >= (8 if family == "bernoulli" else 16)
    assert np.allclose(full.se[told, :2], alone.se[told], rtol=2e-4)
    assert (np.abs(full.coef[told, :2] - alone.coef[told]) < 3e-4 * alone.se[told]).all()


def test_f_counts_the_groups_that_an_effect_is_told_from(cells):
    nested = build_design("~ x + case + (1 | donor/sample)", cells)
    assert residual_df(nested, CASE) == (10, 8)
    slope = build_design("~ x + case + (1 + x | sample)", cells)
    assert residual_df(slope, CASE) == (20, 18)
    assert residual_df(slope, np.array([[0.0, 1.0, 0.0]])) == (20, 19)
    paired = build_design(
        "~ x + late + (1 | donor/sample)", cells.assign(late=cells["sample"].astype(int) % 2)
    )
    assert residual_df(paired, CASE) == (10, 9)
