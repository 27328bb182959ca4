"""A contrast is the same whatever the reference, the levels' names and their order; over unequal cells, covariates and random terms."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from nestde.design.contrasts import contrasts, joint
from nestde.design.design import build_design
from nestde.fit.family import family
from nestde.fit.grain import grain_of
from nestde.fit.methods import of_engine

GENES, SAMPLES = 3, 20
FORMULAS = {
    "~ d + (1 | s)": ["{a} - {b}", "({a} + {b})/2 - {c}", "{a} - {b}/4 - 3*{c}/4"],
    "~ x + age + d + (1 | s)": ["{a} - {b}", "{a} - ({b} + {c})/2"],
    "~ x + d*sex + (1 | s)": ["{a} - {b} | sex=F", "({a} - {b} | sex=F) - ({a} - {b} | sex=M)"],
    "~ x + d + (1 | donor/s)": ["{a} - {c}", "({a} + {b})/2 - {c}"],
    "~ x + d + (1 + x | s)": ["{b} - {c}"],
}


def study(seed):
    """Cells of samples of unequal size in three levels of unequal number."""
    rng = np.random.default_rng(seed)
    level = np.r_[0, 0, 1, 1, 2, 2, 0, 1, 2, 0, 1, 2, rng.integers(0, 3, SAMPLES - 12)]
    sex = np.r_[np.tile(["F", "M"], 3), rng.permutation(np.repeat(["F", "M"], (SAMPLES - 6) // 2))]
    s = np.repeat(np.arange(SAMPLES), rng.integers(3, 12, SAMPLES))
    frame = pd.DataFrame(
        {
            "s": [f"S{i}" for i in s],
            "donor": s // 2,
            "level": level[s],
            "sex": sex[s],
            "age": rng.normal(70, 8, SAMPLES)[s],
        }
    ).assign(x=rng.normal(size=len(s)))
    mean = np.exp(rng.normal(1, 0.4, (SAMPLES, GENES)) + 0.3 * level[:, None])[s]
    return frame, sparse.csc_array(rng.poisson(mean))


def results(frame, counts, formula, texts, names, order):
    """Every estimate and log p-value of the contrasts."""
    frame = frame.assign(d=[names[level] for level in frame["level"]])
    said = [f"`{name}`" for name in names]
    tests = [text.format(a=said[0], b=said[1], c=said[2]) for text in texts]
    design = build_design(formula, frame, test=tests, levels={"d": [names[i] for i in order]})
    gaussian = family("gaussian")
    fitted = gaussian.sum_up(grain_of(design), counts, np.ones(len(frame)), list("abc")).fitted(design, 1)
    found = {}
    for i, test in enumerate(tests):
        (pair,) = contrasts(design, test)
        found[i, "coef"], found[i, "se"] = fitted.effect("REML", pair.rows[0])
        for each in of_engine(gaussian.engine):
            if not each.every_gene:
                found[i, each.name] = each.test(fitted, [joint(design, test)])[0].log_p
    return found


@pytest.mark.parametrize("formula", FORMULAS)
@settings(max_examples=4, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    order=st.permutations([0, 1, 2]),
    names=st.permutations(["Control", "z-1 (β)", "0"]),
)
def test_names_order_and_reference_change_nothing_of_a_contrast(formula, seed, order, names):
    frame, counts = study(seed)
    texts = FORMULAS[formula]
    one = results(frame, counts, formula, texts, ["Control", "MCI", "AD"], [0, 1, 2])
    other = results(frame, counts, formula, texts, names, order)
    for key, values in one.items():
        # estimates to 1e-6 of a standard error or so, p-values to 1e-5 of themselves
        np.testing.assert_allclose(other[key], values, rtol=1e-5, atol=2e-6, err_msg=str(key))
