"""Hurdle models: lme4's fits of detecting cells, the engine of linear models, and what becomes of genes that have one part only."""

import json

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import scipy.stats
from makers.counted import cells_of, counts_of, design_of
from makers.oracle import FOLDER

from nestde.design.contrasts import contrasts
from nestde.design.design import build_design
from nestde.fit.compiled import spread
from nestde.fit.family import family
from nestde.fit.genes import fit_responses
from nestde.fit.hurdle.combine import cauchy
from nestde.fit.hurdle.curve import profile_some
from nestde.fit.methods import method

HURDLE = family("hurdle")


@pytest.fixture(scope="module")
def oracle():
    """Genes of counts.R with lme4's fits of both parts, and ours."""
    cells = pd.read_csv(FOLDER / "data" / "counts.csv.gz").astype({"sample": str})
    design = build_design("~ x + case + (1 | sample)", cells, test=["case"])
    genes = json.loads((FOLDER / "hurdle.json").read_text())["genes"]
    of_detection = {gene["gene"]: gene for gene in json.loads((FOLDER / "counts.json").read_text())["genes"]}
    out = []
    for offset in ("offset", "wide"):
        some = [gene for gene in genes if gene["offset"] == offset]
        counts = scipy.sparse.csc_array(cells[[gene["gene"] for gene in some]].to_numpy())
        fitted = HURDLE.sum_up(None, counts, np.exp(cells[offset].to_numpy()), range(len(some))).fitted(
            design, 1
        )
        out += [(gene, of_detection[gene["gene"]], fitted, g) for g, gene in enumerate(some)]
    return out


def test_detecting_cells_are_fitted_as_lme4_fits_them(oracle):
    seen = 0
    for gene, _, fitted, g in oracle:
        if fitted.untestable[g] or "full" not in gene:
            continue
        seen += 1
        ours = [
            fitted.full.loglik[g],
            fitted.without(contrasts(fitted.design, "case")[0]).loglik[g],
            fitted.reml.loglik[g],
        ]
        theirs = [gene["full"], gene["reduced"], gene["reml"]]
        # lme4 may stop short, never beyond
        assert np.all(np.subtract(ours, theirs) > -1e-7), gene["gene"]
        assert ours == pytest.approx(theirs, abs=1e-6), gene["gene"]
        assert fitted.reml.coef[g] == pytest.approx(gene["coef"], abs=1e-4 * max(gene["se"])), gene["gene"]
        assert np.sqrt(np.diag(fitted.reml.vcov[g])) == pytest.approx(gene["se"], rel=1e-4), gene["gene"]
        assert fitted.reml.sigma[g] == pytest.approx(gene["sigma"], rel=1e-4), gene["gene"]
        assert fitted.reml.sd[g] == pytest.approx(gene["sd"], abs=1e-4 * gene["sigma"]), gene["gene"]
    assert seen > 45


def test_likelihood_ratios_are_added_as_mast_adds_them(oracle):
    seen = 0
    for gene, detection, fitted, g in oracle:
        contrast = contrasts(fitted.design, "case")[0]
        detects, counts = (use[g] for use in fitted.usable(contrast))
        end = detection["bernoulli"]
        if not (detects and counts and "full" in gene) or end["full"] is None or end["reduced"] is None:
            continue
        (test,) = method("lrt", "hurdle").test(fitted, [contrast])
        wanted = 2 * (end["full"] - end["reduced"] + gene["full"] - gene["reduced"])
        assert test.columns["lrt_stat"][g] == pytest.approx(wanted, abs=2e-5), gene["gene"]
        assert test.columns["lrt_df"][g] == 2
        assert np.exp(test.log_p[g]) == pytest.approx(scipy.stats.chi2.sf(wanted, 2), abs=1e-5)
        seen += 1
    assert seen > 30


def test_given_the_variances_the_test_is_that_of_generalised_least_squares():
    frame = cells_of()
    frame["arm"] = frame["case"].astype(str) + frame["sample"].isin(["S04", "S05"]).astype(str)
    design = build_design("~ depth + arm + (1 | sample)", frame, test=["arm"])
    counts = counts_of(frame, [0.3, 2.0])
    fitted = HURDLE.sum_up(None, counts, np.exp(frame["offset"].to_numpy()), ["a", "b"]).fitted(design, 1)
    rows = np.eye(design.x.shape[1])[2:]
    loglik, (stat, estimate, square) = np.empty((2, 1)), np.empty((3, 2, 2, 1))
    turned = np.concatenate([rows, rows[:1]]) @ np.linalg.inv(fitted.model.r)
    psi, first = np.array([0.3]), np.array([0, len(rows), len(rows) + 1])
    spread(
        *(
            profile_some,
            2,
            1,
            fitted.sums,
            psi,
            turned,
            first,
            np.zeros(2, bool),
            loglik,
            stat,
            estimate,
            square,
        )
    )
    for g in range(2):
        y = np.asarray(counts[:, [g]].todense())[:, 0]
        on = y > 0
        x, y = design.x[on], np.log1p(y / np.exp(frame["offset"]))[on]
        same = design.random[0].codes[on][:, None] == design.random[0].codes[on]
        inverse = np.linalg.inv(np.eye(on.sum()) + 0.3 * same)
        cov = np.linalg.inv(x.T @ inverse @ x)
        b = cov @ x.T @ inverse @ y
        s2 = (y - x @ b) @ inverse @ (y - x @ b) / (len(y) - x.shape[1])
        tested = rows @ b
        f = tested @ np.linalg.solve(rows @ cov @ rows.T, tested) / len(rows) / s2
        assert stat[0, g, 0] == pytest.approx(f, rel=1e-9)
        assert estimate[1, g, 0] == pytest.approx(tested[0], rel=1e-9)
        assert square[1, g, 0] == pytest.approx(s2 * (rows @ cov @ rows.T)[0, 0], rel=1e-9)


def test_the_best_of_several_optima_is_taken():
    """As the engine of linear models finds it, over 40 unlike genes."""
    frame = cells_of((3, 80, 2, 41, 9, 120, 5))
    design = design_of(frame)
    counts = counts_of(frame, np.geomspace(0.05, 8, 40), sd=0.8)
    fitted = HURDLE.sum_up(None, counts, np.exp(frame["offset"].to_numpy()), range(40)).fitted(design, 1)
    tested = np.flatnonzero(fitted.untestable == "")
    assert len(tested) > 30
    for g in tested:
        y = np.asarray(counts[:, [g]].todense())[:, 0]
        some = frame[y > 0].reset_index(drop=True)
        theirs = fit_responses(
            design_of(some), np.log1p(y / np.exp(frame["offset"]))[y > 0].to_numpy(), reml=True
        )
        assert fitted.reml.loglik[g] == pytest.approx(theirs.loglik[0], abs=1e-8)
        assert fitted.reml.coef[g] == pytest.approx(theirs.coef[0], abs=1e-7)


def test_cauchy_is_the_law_that_it_says():
    p, q = np.array([0.02, 0.5, 1e-9, 0.3, 1.0]), np.array([0.4, 0.04, 1e-12, np.nan, 1e-3])
    wanted = scipy.stats.cauchy.sf((1 / np.tan(np.pi * np.minimum(p, 0.9)) + 1 / np.tan(np.pi * q)) / 2)
    wanted[3] = 0.3
    assert np.exp(cauchy(np.log(p), np.log(q))) == pytest.approx(wanted, rel=1e-6)
    # without a jump where the form changes, and finite where p itself would be 0
    steps = cauchy(np.linspace(-19.9, -20.1, 9), np.full(9, -3.0))
    assert np.all(np.diff(steps) < 0) and np.ptp(np.diff(steps)) < 1e-6
    assert cauchy(np.array([-2000.0]), np.array([-1.0])) == pytest.approx(np.log(2.0) - 2000.0)


def test_one_part_stands_alone_where_the_other_has_no_fit():
    frame = cells_of()
    random = np.random.default_rng(5)
    everywhere, nowhere = random.poisson(5, len(frame)) + 1, np.zeros(len(frame))
    lone = 1.0 * np.isin(np.arange(len(frame)), [5, 60, 130, 190])  # one cell of each of four samples
    of_an_arm = random.poisson(2.0, len(frame)) * (frame["case"] == 1)
    counts = scipy.sparse.csc_array(np.column_stack([everywhere, nowhere, lone, of_an_arm]))
    fitted = HURDLE.sum_up(None, counts, np.exp(frame["offset"].to_numpy()), list("abcd")).fitted(
        design_of(frame, test=["case"]), 1
    )
    status, reason = fitted.status("ML", "case")
    assert status[0] in ("ok", "singular") and "every cell has a count" in reason[0]
    assert reason[0].endswith("the p-value is of detecting cells alone")
    assert status[1] == "not_testable" and "no cell has a count" in reason[1]
    assert "4 detecting cells in 4 samples are too few" in reason[2]
    assert reason[2].endswith("the p-value is of detection alone")
    assert "among detecting cells case cannot be told from the rest" in reason[3]
    assert "no bound" in reason[3]
    contrast = contrasts(fitted.design, "case")[0]
    (test,) = method("lrt", "hurdle").test(fitted, [contrast])
    assert test.columns["lrt_df"].tolist() == [1, 0, 1, 1]
    assert np.isfinite(test.log_p).tolist() == [True, False, True, True]
    effect, se = fitted.effect("ML", contrast.rows[0])
    assert np.isfinite(effect).tolist() == [True, False, True, True]
    # where every cell has a count the effect is that of amounts
    assert effect[0] == pytest.approx(fitted.reml.coef[0, 2]) and se[0] == pytest.approx(
        np.sqrt(fitted.reml.vcov[0, 2, 2])
    )


def test_the_effect_is_the_change_of_the_mean_that_both_parts_make():
    frame = cells_of()
    design = design_of(frame, test=["case"])
    fitted = HURDLE.sum_up(None, counts_of(frame, [0.7]), np.exp(frame["offset"].to_numpy()), ["a"]).fitted(
        design, 1
    )
    effect, _ = fitted.effect("ML", np.array([0.0, 0.0, 1.0]))
    detection, _ = fitted.detection.coefficients("ML")
    means = []
    for side in (-0.5, 0.5):
        x = design.x.mean(axis=0) + np.array([0.0, 0.0, side])
        odds = detection[0] @ x + frame["offset"].mean()
        means.append(scipy.special.expit(odds) * (fitted.reml.coef[0] @ x))
    assert effect[0] == pytest.approx(means[1] - means[0], rel=1e-10)
    backwards, _ = fitted.effect("ML", np.array([0.0, 0.0, -1.0]))
    assert backwards[0] == pytest.approx(-effect[0], rel=1e-10)


def test_other_random_effects_are_refused_in_words():
    frame = cells_of()
    design = design_of(frame, "~ case + (1 + depth | sample)")
    assert "one random intercept" in HURDLE.why_not(design)
    assert HURDLE.why_not(design_of(frame)) == ""
