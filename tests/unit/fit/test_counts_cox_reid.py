"""The SD between samples by Cox and Reid's adjusted likelihood, against glmmTMB's REML (tests/oracle/cox_reid.R)."""

import json

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from makers.oracle import FOLDER

from nestde.design.design import build_design
from nestde.fit.counts import fits, moderated

CASE = np.array([[0.0, 0.0, 1.0]])


@pytest.mark.parametrize("family", ["poisson", "negative_binomial"])
def test_is_what_reml_has(family):
    cells = pd.read_csv(FOLDER / "data" / "counts.csv.gz").astype({"sample": str})
    oracle = json.loads((FOLDER / "cox_reid.json").read_text())["genes"]
    # null: glmmTMB warned
    genes = [each for each in oracle if each["family"] == family and each["reml"] is not None]
    model = fits.prepare(build_design("~ x + case + (1 | sample)", cells), family, cells["offset"].to_numpy())
    data = fits.data_of(
        model.cells, scipy.sparse.csc_array(cells[[each["gene"] for each in genes]].to_numpy())
    )
    full, ratios = fits.fit_tests(model, data, [CASE])
    found = moderated.moderate(model, data, full, [CASE], ratios, np.zeros(len(genes))).columns["sd_cox_reid"]
    theirs = np.array([each["reml"] for each in genes], float)
    apart = theirs > 0.1
    # theirs integrates over the coefficients by Laplace's method, ours is adjusted by the curvature along them
    np.testing.assert_allclose(found[apart], theirs[apart], rtol=0.02)
    assert apart.sum() > 10 and (found[~apart] < 0.12).all()
    assert (found[apart] >= full.sd()[0][apart, 0]).all()
