"""Cases that R fitted (tests/oracle), as designs, responses and records."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nestde.design import design

FOLDER = Path(__file__).parents[1] / "oracle"
SINGLE = sorted(  # a fit each: other records are of other things
    path.stem
    for path in FOLDER.glob("*.json")
    if isinstance(record := json.loads(path.read_text()), dict) and {"data", "ml"} <= set(record)
)


@cache
def case(name):
    """Design, response and what R recorded."""
    record = json.loads((FOLDER / f"{name}.json").read_text())
    frame = pd.read_csv(FOLDER / "data" / f"{record['data']}.csv")
    built = design.build_design(record["formula"], frame, levels=record["levels"] or None)
    return built, design.response(built.formula, frame), record


@cache
def slopes():
    """Design, the responses of 50 genes, and what R recorded of each."""
    record = json.loads((FOLDER / "slopes.json").read_text())
    frame = pd.read_csv(FOLDER / "data" / "slopes.csv")
    built = design.build_design(record["formula"], frame, levels=record["levels"], test=["diagnosis"])
    genes = record["genes"]
    return built, frame[list(genes)].to_numpy(), list(genes.values())


def factors(built, fit):
    """Λ of each random factor, (1, k, k), from R's standard deviations and correlations."""
    out = []
    for factor in built.random:
        group, k = fit["groups"][factor.name], len(factor.effects)
        sd = np.array([group["sd"][effect] for effect in factor.effects])
        corr = np.eye(k)
        for pair, value in group.get("corr", {}).items():
            i, j = (factor.effects.index(effect) for effect in pair.split(","))
            corr[i, j] = corr[j, i] = value if value != "NaN" else 0.0
        values, vectors = np.linalg.eigh(np.outer(sd, sd) * corr / fit["sigma"] ** 2)
        lower = np.linalg.qr((vectors * np.sqrt(np.clip(values, 0, None))).T)[1].T
        out.append((lower * np.where(np.diag(lower) < 0, -1, 1))[None])
    return out


def f_test_agrees(ours, theirs, g=0):
    """Issue 3: df to 1e-3 and p to 1e-4, relative."""
    assert ours.df_residual[g] == pytest.approx(theirs["df"], rel=1e-3)
    assert ours.f[g] == pytest.approx(theirs["F"], rel=1e-5, abs=1e-8)  # t is 1e-4 there
    if theirs["p"] > 1e-30:  # further out a p-value's own digits are those of df
        assert np.exp(ours.log_p[g]) == pytest.approx(theirs["p"], rel=1e-4)
    elif theirs["p"] > 0:
        assert ours.log_p[g] == pytest.approx(np.log(theirs["p"]), rel=1e-4)
    if "se" in theirs:
        assert ours.se[g, 0] == pytest.approx(theirs["se"], rel=1e-5)
