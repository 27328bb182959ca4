"""Bartlett's factor of count models, against glmmTMB's simulations and fits (tests/oracle/bartlett.R)."""

import json

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from makers.counted import cells_of, counts_of, design_of
from makers.oracle import FOLDER

from nestde.calibrate.calibration import calibrate
from nestde.design.design import build_design
from nestde.expression.celltype import fit_table
from nestde.fit.counts import bartlett, fits
from nestde.fit.family import family
from nestde.fit.grain import grain_of
from nestde.fit.log_sf import log_chi2_sf
from nestde.fit.methods import again

CASE = np.array([[0.0, 0.0, 1.0]])
NAMES = np.array(["a", "b", "c", "d"], object)


def fitted(frame, counts, name, formula=None):
    design = design_of(frame, formula, test=["case"]) if formula else design_of(frame, test=["case"])
    model = fits.prepare(design, name, frame["offset"].to_numpy())
    _, (ratio,) = fits.fit_tests(model, fits.data_of(model.cells, counts), [CASE[:, : design.x.shape[1]]])
    return model, ratio


def test_the_factor_is_that_of_glmmtmb():
    cells = pd.read_csv(FOLDER / "data" / "counts.csv.gz").astype({"sample": str})
    design = build_design("~ x + case + (1 | sample)", cells)
    for gene in json.loads((FOLDER / "bartlett.json").read_text())["genes"]:
        model = fits.prepare(design, gene["family"], cells["offset"].to_numpy())
        counts = scipy.sparse.csc_array(cells[[gene["gene"]]].to_numpy())
        _, (ratio,) = fits.fit_tests(model, fits.data_of(model.cells, counts), [CASE])
        name = np.array([gene["gene"]], object)
        (factor,) = bartlett.factors(model, ratio.reduced, CASE, cells["offset"].to_numpy(), name)
        # both are means of random draws: four standard errors of the difference
        assert abs(factor - gene["mean"]) < 4 * np.hypot(gene["se"], np.sqrt(2 / bartlett.DRAWS)), gene


@pytest.mark.parametrize("name", list(fits.FAMILIES))
def test_a_gene_has_its_factor_whatever_stands_beside_it(name):
    frame = cells_of()
    counts = counts_of(frame, (0.1, 0.5, 2.0, 0.02))
    model, ratio = fitted(frame, counts, name)
    offset = frame["offset"].to_numpy()
    found = bartlett.factors(model, ratio.reduced, CASE, offset, NAMES, threads=2)
    assert (found[fits.trusted(ratio.status)] > 0.2).all() and (found < 5).all()
    model, ratio = fitted(frame, counts[:, [2, 1]], name)
    again = bartlett.factors(model, ratio.reduced, CASE, offset, NAMES[[2, 1]], threads=1)
    assert np.array_equal(again, found[[2, 1]])


def test_an_arm_without_counts_and_nested_groups_have_one():
    frame = cells_of()
    frame["donor"] = frame["sample"].str[-1].astype(int) // 2
    counts = counts_of(frame, (0.5, 2.0)).toarray()
    counts[frame["case"].to_numpy() == 0, 0] = 0
    for formula in (None, "~ depth + case + (1 | donor) + (1 | sample)"):
        model, ratio = fitted(frame, scipy.sparse.csc_array(counts), "poisson", formula)
        found = bartlett.factors(model, ratio.reduced, CASE, frame["offset"].to_numpy(), NAMES[:2])
        assert np.isfinite(found).all()


def test_a_table_has_it_where_it_is_the_headline_only():
    frame = cells_of()
    counts = counts_of(frame, (0.1, 0.5, 2.0, 0.02))
    design = design_of(frame, test=["case"])
    statistics = family("poisson").sum_up(grain_of(design), counts, np.exp(frame["offset"].to_numpy()), NAMES)
    table = fit_table(design, statistics, ["case"], "lrt_bartlett", 1)
    want = log_chi2_sf(table["lrt_stat"] / table["bartlett_factor"], 1)
    assert np.allclose(table["logpvalue_lrt_bartlett"], want, atol=1e-12)
    assert np.array_equal(table["pvalue_level"], table["pvalue_lrt_bartlett"])
    assert "pvalue_lrt_bartlett" not in fit_table(design, statistics, ["case"], "lrt", 1)
    found = calibrate(design, statistics, "case", "lrt_bartlett", number=3, threads=1)
    assert "lrt_bartlett" not in set(found.table["method"])
    # what would stand for the headline is not that of another p-value
    assert not found.quantiles and found.genes.empty
    assert again("lrt_bartlett", "counts") == "auto" and again("lrt", "counts") == "lrt"
