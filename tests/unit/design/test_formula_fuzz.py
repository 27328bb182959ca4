"""Formulas made up at random: a valid one means what patsy takes it for, another is a sentence, and none is run."""

import re
import time

import numpy as np
import pandas as pd
import patsy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nestde.design import design
from nestde.design.columns import materialise, prepare
from nestde.design.formula import Formula, parse
from nestde.design.terms import terms_of
from nestde.errors import NestdeError

RNG = np.random.default_rng(5)
N = 48
FRAME = pd.DataFrame(
    {
        "x": RNG.normal(9, 1, N),
        "z": RNG.uniform(1, 3, N),
        "a": RNG.permutation(np.resize(["a1", "a2"], N)),
        "b": RNG.permutation(np.resize(["b1", "b2", "b3"], N)),
        "d": RNG.permutation(np.resize(["d1", "d2"], N)),
        "type": RNG.normal(size=N),
        "my col": RNG.normal(size=N),
        "g": np.resize([f"g{i}" for i in range(8)], N),
    }
)
# as we write it, and as patsy does
SAME = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
NUMBER = [
    "x",
    "z",
    "type",
    "`my col`",
    "log(x)",
    "log2(z)",
    "I(x^2)",
    "I(x - 2*z/3)",
    "I(-x^2 + z)",
    "sqrt(x)",
    "I((x > 9) + 1)",
]
FACTOR = ["a", "b", "d", "C(b)", "factor(a)", "I(x)"]
atoms = st.sampled_from(NUMBER + 2 * FACTOR)
expressions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", ":", "*", "/", " + "]), inner).map(lambda t: f"({t[0]}{t[1]}{t[2]})"),
        st.tuples(inner, inner, st.sampled_from("23")).map(lambda t: f"({t[0]} + {t[1]})^{t[2]}"),
    ),
    max_leaves=5,
)  # fmt: skip
right_sides = st.tuples(
    st.sampled_from(["", "1 + ", "0 + ", "-1 + "]),
    st.lists(expressions, min_size=1, max_size=3).map(" + ".join),
).map("".join)


def patsys(text):
    """The same formula as patsy writes it."""
    text = text.replace("^", "**").replace("`my col`", "Q('my col')").replace("factor(", "C(")
    return re.sub(r"\b(log2|log|sqrt)\(", r"np.\1(", text)


def rank(matrix):
    scaled = matrix / np.maximum(np.linalg.norm(matrix, axis=0), 1e-300)
    return np.linalg.matrix_rank(scaled, tol=1e-7) if matrix.shape[1] else 0


@settings(SAME, max_examples=400)
@given(right_sides)
def test_a_valid_formula_is_what_patsy_takes_it_for(text):
    try:
        formula = parse(f"~ {text} + (1 | g)")
    except NestdeError as error:
        # the power of one term, which in R and patsy is the term itself
        assert "joins several terms" in str(error)
        return
    prepared, _ = prepare(Formula(text, None, formula.fixed, ()), FRAME, {})
    ours = materialise(formula.fixed, prepared)[0].to_numpy(float)
    theirs = np.asarray(patsy.dmatrix(patsys(text), FRAME, eval_env=patsy.EvalEnvironment([{"np": np}])))
    if "(" not in re.sub(r"\b(log2?|sqrt|I|C|factor)\(", "", text):
        assert ours.shape[1] == theirs.shape[1]
    assert rank(ours) == rank(theirs) == rank(np.hstack([ours, theirs]))
    terms = terms_of(formula.fixed)
    assert terms_of(" + ".join(["0", *map(str, terms)])) == terms


TOKENS = ["x", "z", "a", "b", "g", "`my col`", "`", "type", "1", "0", "2", "1e9", "9999999", "+", "-", "*", "/", ":", "^", "**",
          "(", ")", "[", "]", "{", "}", "|", "||", "&", "!", "~", "==", "<", "=", ",", "'a1'", '"', "'", "%in%", "%%", "%", ".",
          "I(", "C(", "log(", "poly(", "ns(", "bs(", "cut(", "scale(", "factor(", "relevel(", "c(", "df = ", "ref = ",
          "(1 | g)", "(x || g)", "lambda: ", "for x in ", " if ", " else ", "__import__('os').system('touch CANARY')",
          "open('CANARY', 'w')", "eval(", "exec(", "x.__class__", ":=", "@", "\\", "\n", "#", ";", "\x00", "é", " "]  # fmt: skip


@settings(SAME, max_examples=1500)
@given(st.one_of(st.lists(st.sampled_from(TOKENS), max_size=25).map("".join), st.text(max_size=40)))
def test_a_formula_is_a_design_or_a_sentence(text):
    start = time.perf_counter()
    for written in (f"~ {text}", f"x ~ z + ({text} | g)", f"{text} ~ x", f"~ x + a + ({text})"):
        try:
            formula = parse(written)
        except NestdeError as error:
            assert error.faults and all(error.faults)
            continue
        try:
            found = design.build_design(formula, FRAME)
            assert np.isfinite(found.x).all() and np.linalg.matrix_rank(found.x) == found.x.shape[1]
            if formula.response:
                assert design.response(formula, FRAME).shape == (N,)
        except NestdeError as error:
            assert error.faults and all(error.faults)
    assert time.perf_counter() - start < 5


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("canary")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield
    assert not list(folder.iterdir())
