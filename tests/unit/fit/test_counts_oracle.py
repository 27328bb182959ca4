"""Count models against glmmTMB and lme4::glmer on 66 genes, most of them hard (tests/oracle/counts.R)."""

import json

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from makers.oracle import FOLDER

from nestde.design.design import build_design
from nestde.fit.counts import fits

CASE = np.array([[0.0, 0.0, 1.0]])
# Above this glmmTMB's θ is on its way to infinity, where its likelihood loses digits.
FINITE = 1e5


def number(value):
    return np.nan if value is None else np.array(value, float)


@pytest.fixture(scope="module")
def oracle():
    return json.loads((FOLDER / "counts.json").read_text())["genes"]


@pytest.fixture(scope="module", params=list(fits.FAMILIES))
def compared(request, oracle):
    """(family, gene of the oracle, its number, fits with and without) of every gene that is tested."""
    cells = pd.read_csv(FOLDER / "data" / "counts.csv.gz").astype({"sample": str})
    design = build_design("~ x + case + (1 | sample)", cells)
    out = []
    for offset in ("offset", "wide"):
        genes = [gene for gene in oracle if gene["offset"] == offset]
        model = fits.prepare(design, request.param, cells[offset].to_numpy())
        counts = scipy.sparse.csc_array(cells[[gene["gene"] for gene in genes]].to_numpy())
        full, (ratio,) = fits.fit_tests(model, fits.data_of(model.cells, counts), [CASE])
        tested = fits.trusted(full.status)
        out += [(request.param, genes[g], g, full, ratio) for g in np.flatnonzero(tested)]
    return out


def told(end):
    """Whether glmmTMB's ends are to be believed: the optimiser may find that it gets no further, and nothing worse."""
    warned = [end["warned"]] if isinstance(end["warned"], str) else end["warned"]
    values = [end["full"], end["reduced"], *np.atleast_1d(number(end["se"]))]
    return (
        all("singular convergence" in words for words in warned)
        and np.isfinite(np.array(values, float)).all()
    )


def test_agrees_with_glmmtmb(compared):
    close = 0
    for family, gene, g, full, ratio in compared:
        end = gene[family]
        if not told(end) or (family == "negative_binomial" and end["theta"] > FINITE):
            continue
        short = full.loglik[g] - end["full"]
        assert short > -1e-6, (family, gene["gene"])
        if short > 1e-6 and end["warned"]:
            continue
        assert short < 1e-6, (family, gene["gene"])
        assert abs(ratio.reduced.loglik[g] - end["reduced"]) < 1e-6, (family, gene["gene"])
        assert abs(ratio.stat[g] - 2 * (end["full"] - end["reduced"])) < 1e-5
        if g in full.separated:
            continue
        # what lacks d of the maximum may be √2d standard errors off, and d is known to twelve digits of the likelihood
        unsure = 1e-12 * abs(full.loglik[g])
        away = np.abs(full.coef[g] - number(end["coef"])) / full.se[g]
        assert away.max() < 1e-5 + np.sqrt(2 * max(short, unsure)), (family, gene["gene"])
        assert np.abs(full.se[g] / number(end["se"]) - 1).max() < 1e-4, (family, gene["gene"])
        close += 1
    assert close >= 40


def test_agrees_with_glmer(compared):
    """Which calls a variance 0 that is small, and stops a little early where it is large."""
    close = 0
    for family, gene, g, full, _ in compared:
        end = gene.get(f"glmer_{family}")
        if end is None or end["full"] is None or g in full.separated:
            continue
        assert full.loglik[g] - end["full"] > -1e-6, (family, gene["gene"])
        if end["warned"]:
            continue
        assert full.loglik[g] - end["full"] < 2e-4, (family, gene["gene"])
        close += 1
    assert close >= 30 or compared[0][0] == "negative_binomial"


def test_the_hard_genes_are_there(oracle):
    assert len(oracle) >= 60
    assert {gene["kind"] for gene in oracle} >= {
        "rare",
        "one count",
        "one cell",
        "no count in an arm",
        "wide",
        "still",
    }
