"""What a fitted model tells beside its estimates, as lme4, glmmTMB and emmeans tell it (tests/oracle/results.R, contrasts.R)."""

import json

import numpy as np
import pandas as pd
import pytest
from makers.oracle import FOLDER

import nestde

RECORD = json.loads((FOLDER / "results.json").read_text())
CONTRASTS = json.loads((FOLDER / "contrasts.json").read_text())
CELLS = pd.read_csv(FOLDER / "data" / "contrasts.csv").assign(shift=lambda frame: frame["age"] / 100)
SLEEP = pd.read_csv(FOLDER / "data" / "sleepstudy.csv").astype({"Subject": str})
NEW_SLEEP, NEW_CELLS = (pd.DataFrame(RECORD[name]) for name in ("new_sleep", "new_cells"))
LEVELS = {"diagnosis": ["Control", "MCI", "AD"]}
ROWS = {"sleepstudy": (SLEEP, NEW_SLEEP, None), "contrasts": (CELLS, NEW_CELLS, LEVELS)}
FAMILY = {"nb": "negative_binomial", "nb_crossed": "negative_binomial", "poisson_nested": "poisson"}


def effects_agree(ours, theirs, digits):
    """R orders the factors of a nested term the other way round."""
    there = {":".join(sorted(name.split(":"))): effects for name, effects in theirs.items()}
    for name, table in ours.items():
        turned = not name.count(":") or name in theirs
        for group, row in there[":".join(sorted(name.split(":")))].items():
            label = group if turned else ":".join(reversed(group.split(":")))
            np.testing.assert_allclose(table.loc[label], list(row.values()), atol=digits, err_msg=label)


@pytest.mark.parametrize("case", RECORD["linear"])
@pytest.mark.parametrize("by", ["reml", "ml"])
def test_linear_models_as_lme4(case, by):
    record, (frame, new, levels) = RECORD["linear"][case], ROWS[RECORD["linear"][case]["data"]]
    theirs = record[by]
    fit = nestde.lmm(record["formula"], frame, reml=by == "reml", levels=levels)
    size = float(np.std(fit.y)) * 2e-5  # lme4's optimum is as far from the maximum
    effects_agree(fit.ranef(), theirs["ranef"], size)
    np.testing.assert_allclose(fit.fittedvalues, theirs["fitted"], atol=size)
    np.testing.assert_allclose(fit.resid, fit.y - theirs["fitted"], atol=size)
    np.testing.assert_allclose(fit.predict(new, unseen=True), theirs["predict"], atol=size)
    np.testing.assert_allclose(fit.predict(new, random=False), theirs["predict_fixed"], atol=size)
    pd.testing.assert_series_equal(fit.predict(), fit.fittedvalues)
    pd.testing.assert_series_equal(fit.predict(frame.iloc[::-1])[frame.index], fit.fittedvalues)


@pytest.mark.parametrize("case", RECORD["counted"])
def test_count_models_as_glmmtmb(case):
    theirs = RECORD["counted"][case]
    offset = "shift" if "offset" in theirs["formula"] else None
    formula = theirs["formula"].replace(" + offset(shift)", "")
    fit = nestde.glmm(formula, CELLS, family=FAMILY[case], offset=offset, levels=LEVELS)
    assert fit.loglik == pytest.approx(theirs["loglik"], abs=1e-6)
    effects_agree(fit.ranef(), theirs["ranef"], 1e-4)
    np.testing.assert_allclose(fit.fittedvalues, theirs["fitted"], rtol=1e-4)
    np.testing.assert_allclose(fit.predict(NEW_CELLS, unseen=True, link=True), theirs["link"], atol=1e-4)
    np.testing.assert_allclose(fit.predict(NEW_CELLS, unseen=True), theirs["response"], rtol=1e-4)
    np.testing.assert_allclose(
        fit.predict(NEW_CELLS, random=False, link=True), theirs["link_fixed"], atol=1e-4
    )
    pd.testing.assert_series_equal(fit.predict(CELLS), fit.fittedvalues, rtol=1e-12)


@pytest.mark.parametrize("case", ["three", "nested", "sexes", "ages"])
def test_contrasts_as_emmeans(case):
    record = CONTRASTS[case]
    fit = nestde.lmm(record["formula"], CELLS, levels=LEVELS)
    for method, suffix in ((None, ""), ("kenward_roger", "_kr")):
        table = fit.contrast(*record["contrasts"], method=method)
        for name, theirs in record["contrasts"].items():
            row = table.loc[name]
            assert row["estimate"] == pytest.approx(theirs["estimate"], rel=1e-5)
            assert row["se"] == pytest.approx(theirs[f"se{suffix}"], rel=1e-5)
            assert row["df"] == pytest.approx(theirs[f"df{suffix}"], rel=1e-3)
            assert row["p"] == pytest.approx(theirs[f"p{suffix}"], rel=1e-3)
            assert row["lower"] < row["estimate"] < row["upper"]


def test_contrasts_of_counts_as_glmmtmb():
    record = CONTRASTS["counts"]
    fit = nestde.glmm(record["formula"], CELLS, levels=LEVELS)
    table = fit.contrast(*record["contrasts"])
    for name, theirs in record["contrasts"].items():
        row = table.loc[name]
        assert row["estimate"] == pytest.approx(theirs["estimate"], abs=1e-5)
        assert row["se"] == pytest.approx(theirs["se"], rel=1e-4)
        assert row["lrt"] == pytest.approx(theirs["stat"], abs=1e-4)
        assert row["ratio"] == pytest.approx(np.exp(theirs["estimate"]), rel=1e-5)


def test_a_term_is_compared_level_by_level():
    fit = nestde.lmm("y ~ saturation + diagnosis + (1 | sample)", CELLS, levels=LEVELS)
    table = fit.contrast("diagnosis", "saturation")
    assert list(table.index) == ["MCI - Control", "AD - Control", "AD - MCI", "saturation"]
    assert table.loc["AD - Control", "p"] == pytest.approx(fit.pvalues["diagnosis[AD]"])
    assert table.loc["saturation", "estimate"] == pytest.approx(fit.params["saturation"])


def test_intervals_hold_what_the_test_does_not_reject():
    fit = nestde.lmm("Reaction ~ Days + (Days | Subject)", SLEEP)
    limits = fit.conf_int()
    # lmerTest 3.1-3: contest1D(m, c(0, 1), confint = TRUE)
    assert limits.loc["Days"].tolist() == pytest.approx([7.205955, 13.728617], abs=1e-5)
    at_p = fit.conf_int(1 - fit.pvalues["Days"]).loc["Days"]
    assert at_p["lower"] == pytest.approx(0, abs=1e-8)
    pd.testing.assert_series_equal(fit.params, fit.coef)
    pd.testing.assert_series_equal(fit.bse, fit.se)
    with pytest.raises(nestde.NestdeError, match="share between 0 and 1"):
        fit.conf_int(95)


@pytest.mark.parametrize(
    "case", [name for name, record in RECORD["linear"].items() if "profile" in record["ml"]]
)
def test_profile_intervals_of_variances_as_lme4(case):
    record, (frame, _, levels) = RECORD["linear"][case], ROWS[RECORD["linear"][case]["data"]]
    ours = nestde.lmm(record["formula"], frame, reml=False, levels=levels).conf_int(of="variances")
    theirs = [limits for name, limits in record["ml"]["profile"].items() if name.startswith(".sig")]
    assert ours.index[-1] == "sigma" and len(ours) == len(theirs)
    np.testing.assert_allclose(ours[["lower", "upper"]], theirs, rtol=2e-3, atol=2e-4)


def test_bootstrap_intervals_of_variances():
    fit = nestde.lmm("Reaction ~ Days + (1 | Subject)", SLEEP)
    limits = fit.conf_int(of="variances", method="bootstrap", draws=400)
    assert (limits["lower"] < limits["estimate"]).all() and (limits["estimate"] < limits["upper"]).all()
    # a balanced one-way layout: the residual mean square is χ² of 161 df
    wanted = fit.sigma * np.sqrt(np.array([127.7605, 198.0247]) / 161)
    np.testing.assert_allclose(limits.loc["sigma", ["lower", "upper"]].astype(float), wanted, rtol=0.03)
    with pytest.raises(nestde.NestdeError, match="neither profile nor bootstrap"):
        fit.conf_int(of="variances", method="wald")


def test_it_is_shown_as_html_and_hostile_names_are_escaped():
    hostile = "<script>alert(1)</script>"
    frame = CELLS.assign(diagnosis=CELLS["diagnosis"].replace("AD", hostile))
    for fit in (
        nestde.lmm("y ~ diagnosis + (1 | sample)", frame),
        nestde.glmm("count ~ diagnosis + (1 | sample)", frame),
    ):
        shown = fit._repr_html_()
        assert "<script" not in shown and "&lt;script&gt;" in shown
        assert shown.count("<table>") == 2
        assert str(fit) == repr(fit) == str(fit.summary())
        assert "evaluations" not in str(fit)
        assert np.ravel(fit.record.evaluations)[0] > 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"donor": "new"}, "rows 1, 2, 3, 4, 5 … .7 in all. are of groups of donor that were"),
        ({"diagnosis": "FTD"}, "FTD was not fitted; its levels are Control, MCI, AD"),
        ({"age": "old"}, "age: numbers are wanted, and there is old"),
        ({"age": np.nan}, "age: 7 values are missing"),
        ({"saturation": 9.0}, "cannot be evaluated"),
        ({"plate": "L99"}, "plate: L99 was not fitted; its levels are L1"),
        ({"batch": 3}, r"values of C.batch..3., which were not fitted"),
    ],
)
def test_rows_that_cannot_be_predicted_are_told(changes, says):
    fit = nestde.lmm(
        "y ~ poly(age, 2) + bs(saturation, df=4) + factor(plate) + C(batch) + diagnosis + (1 | donor)",
        CELLS.assign(batch=CELLS["batch"].map({"A": 1, "B": 2})),
        levels=LEVELS,
    )
    known = NEW_CELLS.assign(donor="P01", batch=2.0)
    fit.predict(known)
    with pytest.raises(nestde.NestdeError, match=says):
        fit.predict(known.assign(**changes))
    with pytest.raises(nestde.NestdeError, match="no column age"):
        fit.predict(known.drop(columns="age"))


def test_groups_are_known_by_what_they_are_not_by_how_they_are_typed():
    frame = CELLS.assign(donor=CELLS["donor"].str[1:].astype(int), note=None)
    fit = nestde.lmm("y ~ scale(age) + (1 | donor/sample)", frame)
    again = frame.astype({"donor": float, "sample": "category"}).iloc[:9]
    np.testing.assert_allclose(fit.predict(again), fit.fittedvalues.iloc[:9])
