"""Whatever design is accepted has full rank; whatever is refused as aliased has not (numpy's rank decides)."""

import os
import tempfile
from pathlib import Path

import formulaic
import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from makers.studies import write_h5ad

from nestde.check import check_study
from nestde.study.config import load

ALIASED = ("cannot be separated from", "cannot be estimated")

COVARIATES = ("sex", "batch", "age", "rin", "plate")


@st.composite
def designs(draw):
    """A sheet of 4 to 9 samples, covariates that are often copies of each other, cells, and a formula."""
    m = draw(st.integers(4, 9))
    labels = st.lists(st.sampled_from("ab"), min_size=m, max_size=m)
    sheet = pd.DataFrame({"sample_id": [f"S{i}" for i in range(m)]})
    sheet["diagnosis"] = draw(labels)
    sheet["sex"] = draw(st.one_of(labels, st.just(list(sheet["diagnosis"]))))
    several = st.lists(st.sampled_from(["B1", "B2", "B3"]), min_size=m, max_size=m)
    nested = st.just([f"{x}{i % 2}" for i, x in enumerate(sheet["diagnosis"])])
    sheet["batch"] = draw(st.one_of(several, nested))
    sheet["age"] = draw(st.lists(st.integers(60, 63), min_size=m, max_size=m))
    of_levels = (sheet["diagnosis"] == "a") * 2.0 + (sheet["sex"] == "a") * draw(st.integers(0, 1))
    sheet["rin"] = draw(st.one_of(st.just(list(of_levels)), st.just(list(sheet["age"] * 2 + 1))))
    cells = draw(st.integers(2, 4))
    obs = pd.DataFrame({"sample_id": np.repeat(sheet["sample_id"], cells), "cell_type": "T"})
    obs["plate"] = draw(st.lists(st.sampled_from("pq"), min_size=len(obs), max_size=len(obs)))
    obs.index = [f"C{i}" for i in range(len(obs))]
    terms = draw(st.lists(st.sampled_from(COVARIATES), max_size=3, unique=True))
    terms.append("diagnosis")
    if draw(st.booleans()) and len(terms) > 1:
        terms.append(f"diagnosis:{terms[0]}")
    return sheet, obs, draw(st.permutations(terms))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(designs())
def test_accepted_designs_have_full_rank_and_aliased_ones_have_not(design):
    sheet, obs, terms = design
    config = {
        "samples": "samples.tsv",
        "cell_types": ["T"],
        "input": {"counts": "counts.h5ad"},
        "qc": {"min_cells_per_sample": 1},
        "model": {
            "formula": f"~ {' + '.join(terms)} + (1 | sample_id)",
            "test": ["diagnosis"],
            "min_cells": 1,
        },
    }
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            sheet.to_csv("samples.tsv", sep="\t", index=False)
            write_h5ad(obs, "counts.h5ad")
            check = check_study(load(config))
        finally:
            os.chdir(here)
    whole = obs.merge(sheet, on="sample_id")
    x = formulaic.model_matrix(" + ".join(terms), whole).to_numpy(float)
    full = np.linalg.matrix_rank(x / np.maximum(np.linalg.norm(x, axis=0), 1e-300)) == x.shape[1]
    if not check.faults:
        assert full
    if any(words in fault for fault in check.faults for words in ALIASED):
        assert not full
    # and the other way round: a design without full rank is never accepted
    if not full:
        assert check.faults
