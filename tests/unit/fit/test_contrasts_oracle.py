"""Named contrasts against emmeans and multcomp on fits by lme4, lmerTest, pbkrtest and glmmTMB (tests/oracle/contrasts.R)."""

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest
from makers.oracle import FOLDER
from scipy import sparse

from nestde.design.contrasts import joint
from nestde.design.design import build_design
from nestde.fit.family import family
from nestde.fit.grain import grain_of

LEVELS = {"diagnosis": ["Control", "MCI", "AD"]}
RECORDS = json.loads((FOLDER / "contrasts.json").read_text())
LINEAR = ["three", "nested", "crossed", "slopes", "sexes", "ages"]


@cache
def cells():
    return pd.read_csv(FOLDER / "data" / "contrasts.csv")


@cache
def fitted(case, order=("Control", "MCI", "AD")):
    """Fits of counts whose log1p is R's response."""
    record = RECORDS[case]
    design = build_design(
        record["formula"].removeprefix("y"),
        cells(),
        test=list(record["contrasts"]),
        levels={"diagnosis": list(order)},
    )
    counts = sparse.csc_array(np.expm1(cells()[["y"]].to_numpy()))
    statistics = family("gaussian").sum_up(grain_of(design), counts, np.ones(design.n), ["g"])
    return design, statistics.fitted(design, 1)


@pytest.mark.parametrize("order", [("Control", "MCI", "AD"), ("AD", "Control", "MCI")])
@pytest.mark.parametrize("case", LINEAR)
def test_linear_contrasts_are_those_of_emmeans(case, order):
    design, found = fitted(case, order)
    ml, reml = found.ml, found.reml
    for name, theirs in RECORDS[case]["contrasts"].items():
        contrast = joint(design, name)
        (row,) = contrast.rows
        assert reml.coef[0] @ row == pytest.approx(theirs["estimate"], rel=1e-6, abs=1e-6)
        assert np.sqrt(row @ reml.vcov[0] @ row) == pytest.approx(theirs["se"], rel=1e-5)
        assert ml.full.loglik[0] == pytest.approx(theirs["loglik"], abs=1e-6)
        assert ml.tests[name].stat[0] == pytest.approx(theirs["stat"], abs=2e-6)
        assert np.exp(ml.tests[name].log_p[0]) == pytest.approx(theirs["p_lrt"], rel=1e-5)
        (tests,) = found.f_tests([contrast])
        for ours, df, p in ((tests.satterthwaite, "df", "p"), (tests.kenward_roger, "df_kr", "p_kr")):
            assert ours.df_residual[0] == pytest.approx(theirs[df], rel=1e-3)
            assert np.exp(ours.log_p[0]) == pytest.approx(theirs[p], rel=1e-4)
        assert tests.kenward_roger.se[0, 0] == pytest.approx(theirs["se_kr"], rel=1e-5)


def test_words_mean_what_multcomp_reads_in_them():
    record = RECORDS["words"]
    design = build_design(record["formula"], cells(), test=list(record["contrasts"]), levels=LEVELS)
    reml = fitted("three")[1].reml
    for name, theirs in record["contrasts"].items():
        (row,) = joint(design, name).rows
        assert reml.coef[0] @ row == pytest.approx(theirs["estimate"], rel=1e-6)
        assert np.sqrt(row @ reml.vcov[0] @ row) == pytest.approx(theirs["se"], rel=1e-5)


@pytest.mark.parametrize("case", ["counts", "counts_sexes"])
def test_contrasts_of_counts_are_those_of_glmmtmb(case):
    record = RECORDS[case]
    design = build_design(
        "~" + record["formula"].split("~")[1], cells(), test=list(record["contrasts"]), levels=LEVELS
    )
    counts = sparse.csc_array(cells()[["count"]].to_numpy())
    statistics = family("negative_binomial").sum_up(grain_of(design), counts, np.ones(len(cells())), ["g"])
    found = statistics.fitted(design, 1)
    for name, theirs in record["contrasts"].items():
        contrast = joint(design, name)
        estimate, se = found.effect("ML", contrast.rows[0])
        assert estimate[0] == pytest.approx(theirs["estimate"], abs=2e-4)  # of standard errors of 0.2 to 0.5
        assert se[0] == pytest.approx(theirs["se"], rel=1e-3)
        assert found.ratio(contrast).stat[0] == pytest.approx(theirs["stat"], abs=1e-4)
