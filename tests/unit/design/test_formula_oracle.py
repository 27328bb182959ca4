"""Formulas mean what they mean in R: matrices and responses that R made (tests/oracle/formula.R)."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nestde.design import design
from nestde.design.columns import materialise, prepare
from nestde.design.formula import parse
from nestde.design.terms import terms_of

R = json.loads((Path(__file__).parents[2] / "oracle/formula/matrices.json").read_text())
FRAME = pd.DataFrame(R["frame"])


def matrix_of(fixed):
    prepared, _ = prepare(parse(f"~ {fixed}"), FRAME, {})
    return materialise(fixed, prepared)[0].to_numpy()


@pytest.mark.parametrize("fixed", R["same"])
def test_the_matrix_is_r_s(fixed):
    np.testing.assert_allclose(matrix_of(fixed), np.transpose(R["same"][fixed]), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("fixed", R["span"])
def test_the_columns_span_what_r_s_do(fixed):
    ours, theirs = matrix_of(fixed), np.transpose(R["span"][fixed])
    rank = np.linalg.matrix_rank(theirs)
    assert ours.shape[1] == np.linalg.matrix_rank(ours) == rank
    assert np.linalg.matrix_rank(np.hstack([ours, theirs])) == rank


@pytest.mark.parametrize("left", R["response"])
def test_the_response_is_arithmetic_as_in_r(left):
    """`distance - w ~` dropped the term w and fitted distance; `y^2 ~` fitted y."""
    np.testing.assert_allclose(
        design.response(parse(f"{left} ~ 1"), FRAME), np.array(R["response"][left], float), rtol=1e-12
    )


@pytest.mark.parametrize("breaks", R["cut"])
def test_intervals_are_named_as_in_r(breaks):
    name = f"cut(x, {breaks})"
    prepared, _ = prepare(parse(f"~ {name}"), FRAME, {})
    _, _, levels = materialise(name, prepared)
    (found,) = levels.values()
    assert set(found) <= set(R["cut"][breaks]) and len(found) >= 2


@pytest.mark.parametrize("fixed", [*R["same"], *R["span"]])
def test_a_term_reads_back_as_itself(fixed):
    terms = terms_of(fixed)
    assert terms_of("0 + " + " + ".join(map(str, terms))) == terms
